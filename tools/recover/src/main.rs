//! `everfast-recover`: checks, repairs, rewinds, imports and exports data directories of Everfast.
//!
//! Invariants:
//! 1. No input is ever written to: results go to a place where nothing is.
//! 2. A result appears under its name only when it is complete and durable; what is unfinished is removed.
//! 3. Nothing is left out unsaid.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod destination;
mod failures;
mod limit;
mod report;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    rdb_inspect::run("everfast-recover", cli::run)
}
