//! One module for each command: its arguments and what it does.

pub mod completions;
pub mod csv;
pub mod get;
pub mod json;
pub mod keys;
pub mod log;
pub mod man;
pub mod ndjson;
pub mod resp;
pub mod summary;
pub mod verify;
