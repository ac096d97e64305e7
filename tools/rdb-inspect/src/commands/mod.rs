//! One module for each command: its arguments and what it does.

pub mod bigkeys;
pub mod completions;
pub mod csv;
pub mod get;
pub mod json;
pub mod keys;
pub mod man;
pub mod memory;
pub mod ndjson;
pub mod prefixes;
pub mod report;
pub mod resp;
pub mod summary;
pub mod verify;
