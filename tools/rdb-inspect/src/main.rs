//! `rdb-inspect`: looks into RDB files and logs of Redis, Valkey and Everfast.
//!
//! Invariants:
//! 1. No input is ever written to.
//! 2. A file that is written appears under its name only when it is complete.
//! 3. Memory does not grow with the input: what a command keeps has a limit, or its help says what it needs.

#![forbid(unsafe_code)]

mod bits;
mod cli;
mod commands;
mod complaints;
mod content;
mod csv_text;
mod dates;
mod duplicates;
mod estimate;
mod failure;
mod histogram;
mod input;
mod interrupt;
mod json_text;
mod key_table;
mod memory;
mod names;
mod output;
mod prefix_table;
mod prefix_tree;
mod progress;
mod repeats;
mod report;
mod rewrite;
mod select;
mod sheet;
mod soundness;
mod style;
mod table;
mod text;
mod top;
mod walk;

use std::process::ExitCode;

fn main() -> ExitCode {
    interrupt::listen();
    match cli::run() {
        Ok(verdict) => verdict.into(),
        Err(failure) => failure.report(),
    }
}
