//! One entry for people and for CI: `cargo xtask test`, `tidy`, `fuzz`, `bench`, `crash`, `mutants`, `differential`,
//! `compatibility`, `redis-suite`.

#![forbid(unsafe_code)]

mod bench;
mod crash;
mod differential;
mod fuzz;
mod mutants;
mod redis_suite;
mod setup;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everfast's development tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the tests need, then checks format, lints and rules, and runs all tests.
    Test,
    /// Checks the rules of style that a compiler does not: module heads, layers, sizes.
    Tidy,
    /// Feeds the decoders with inputs made to break them, and fails on what does.
    Fuzz(fuzz::Options),
    /// Crashes servers, logs and files in every way, and checks that nothing acknowledged is lost.
    #[command(disable_help_flag = true)]
    Crash {
        /// `--minutes 10`, `--only subsets`, ...: see `cargo xtask crash --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs random commands on a Redis server and on Everfast, and fails where they differ.
    #[command(disable_help_flag = true)]
    Differential {
        /// `--commands 2000000`, `--seed 5`, ...: see `cargo xtask differential --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Writes docs/compatibility.md from the command table.
    Compatibility,
    /// Breaks the product on purpose, in many ways one after the other, and fails if the crash suite misses one.
    Mutants(mutants::Options),
    /// Runs Redis' own tests against the server, and compares what fails with docs/redis-suite.md.
    RedisSuite(redis_suite::Options),
    /// Compares the release build with other servers; `bench micro`, `bench slow-flush`, `bench load`: see docs/benchmarks.md.
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Test => test::run(),
        Task::Tidy => tidy::run(),
        Task::Fuzz(options) => fuzz::fuzz(&options),
        Task::Crash { args } => crash::crash(&args),
        Task::Differential { args } => differential::differential(&args),
        Task::Compatibility => differential::compatibility(),
        Task::Mutants(options) => mutants::mutants(&options),
        Task::RedisSuite(options) => redis_suite::redis_suite(&options),
        Task::Bench { args } => bench::bench(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
