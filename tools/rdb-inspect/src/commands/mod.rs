//! One module for each command: its arguments and what it does.

pub mod bigkeys;
pub mod completions;
pub mod keys;
pub mod man;
pub mod memory;
pub mod prefixes;
pub mod summary;
