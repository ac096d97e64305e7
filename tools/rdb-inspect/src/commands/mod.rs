//! One module for each command: its arguments and what it does.

pub mod bigkeys;
pub mod completions;
pub mod convert;
pub mod csv;
pub mod diff;
pub mod filter;
pub mod get;
pub mod json;
pub mod keys;
pub mod log;
pub mod man;
pub mod memory;
pub mod merge;
pub mod ndjson;
pub mod prefixes;
pub mod report;
pub mod resp;
pub mod salvage;
pub mod split;
pub mod summary;
pub mod verify;
