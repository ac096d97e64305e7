//! `rdb-inspect`: looks into RDB files and logs of Redis, Valkey and Everfast. The program is [`run`]; its parts serve
//! `everfast-recover` too, so that both say and refuse the same things in the same words.
//!
//! Invariants:
//! 1. No input is ever written to.
//! 2. A file that is written appears under its name only when it is complete.
//! 3. Memory does not grow with the input: what a command keeps has a limit, or its help says what it needs.

#![forbid(unsafe_code)]

pub mod bits;
pub mod cli;
pub mod commands;
pub mod complaints;
pub mod content;
pub mod csv_text;
pub mod dates;
pub mod destination;
pub mod duplicates;
pub mod estimate;
pub mod failure;
pub mod histogram;
pub mod input;
pub mod interrupt;
pub mod json_text;
pub mod key_table;
pub mod memory;
pub mod names;
pub mod output;
pub mod prefix_table;
pub mod prefix_tree;
pub mod progress;
pub mod repeats;
pub mod report;
pub mod rewrite;
pub mod select;
pub mod sheet;
pub mod soundness;
pub mod style;
pub mod table;
pub mod text;
pub mod top;
pub mod unfinished;
pub mod walk;

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
