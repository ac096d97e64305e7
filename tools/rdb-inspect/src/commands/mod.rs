//! One module for each command: its arguments and what it does.

pub mod completions;
pub mod convert;
pub mod diff;
pub mod filter;
pub mod keys;
pub mod man;
pub mod merge;
pub mod salvage;
pub mod split;
pub mod summary;
pub mod verify;
