//! `rdb-inspect`: looks into RDB files and logs of Redis, Valkey and Everfast. The program is [`run`]; its parts serve
//! `everfast-recover` too, so that both say and refuse the same things in the same words.
//!
//! Invariants:
//! 1. No input is ever written to.
//! 2. A file that is written appears under its name only when it is complete.
//! 3. Memory does not grow with the input: what a command keeps has a limit, or its help says what it needs.

#![forbid(unsafe_code)]

mod bits;
pub mod cli;
pub mod commands;
mod complaints;
mod content;
mod csv_text;
pub mod dates;
pub mod destination;
mod duplicates;
mod estimate;
pub mod failure;
mod histogram;
pub mod input;
pub mod interrupt;
mod json_text;
mod key_table;
mod memory;
pub mod names;
pub mod output;
mod prefix_table;
mod prefix_tree;
pub mod progress;
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
pub mod unfinished;
mod walk;

use std::process::ExitCode;

use failure::{Failure, Verdict};

/// The life of a program: signals, the work, what is unfinished, the exit code.
pub fn run(name: &'static str, work: impl FnOnce() -> Result<Verdict, Failure>) -> ExitCode {
    failure::set_program(name);
    interrupt::listen();
    let result = work();
    // Whoever removes what is unfinished ends the program, with another code.
    drop(unfinished::hold());
    match result {
        Ok(verdict) => verdict.into(),
        Err(failure) => failure.report(),
    }
}
