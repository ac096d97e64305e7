//! One module for each command: its arguments and what it does.

pub mod completions;
pub mod keys;
pub mod man;
pub mod summary;
pub mod verify;
