//! Measuring: `cargo xtask bench [compare's options]`, `bench micro [criterion's]`, `bench slow-flush [options]`,
//! `bench load [options]`, `bench rdb [options]`, `bench snapshot [options]`. Everything is built with the release profile: figures of another one mean nothing.

use crate::setup;
use crate::steps::{cargo, run};

/// What can be asked for by name; anything else are options of the comparison.
const PROGRAMS: [(&str, &str); 5] = [
    ("compare", "compare"),
    ("slow-flush", "slow_flush"),
    ("load", "load"),
    ("rdb", "rdb"),
    ("snapshot", "snapshot"),
];
const MICRO: [&str; 3] = ["resp", "frame", "keyspace"];

/// Builds what is needed and runs it.
pub fn bench(args: &[String]) -> Result<(), String> {
    let (first, rest) = match args.split_first() {
        Some((first, rest)) => (first.as_str(), rest),
        None => ("", args),
    };
    if first == "micro" {
        return micro(rest);
    }
    match PROGRAMS.iter().find(|(name, _)| *name == first) {
        Some((_, program)) => program_with(program, rest),
        None => program_with("compare", args),
    }
}

/// A comparison looks for our program beside its own: both land in the same folder.
fn program_with(program: &str, args: &[String]) -> Result<(), String> {
    let ours = match program {
        "compare" | "snapshot" => Some("everfast"),
        "rdb" => Some("rdb-inspect"),
        _ => None,
    };
    if let Some(ours) = ours {
        run(&mut cargo(&["build", "--release", "--quiet", "--package", ours, "--bin", ours]))?;
    }
    let mut command =
        cargo(&["run", "--release", "--quiet", "--package", "everfast-benches", "--bin", program, "--"]);
    command.args(args);
    if program == "rdb" {
        setup::install()?;
        command.arg("--rdbtools").arg(setup::rdbtools()?);
    }
    run(&mut command)
}

fn micro(args: &[String]) -> Result<(), String> {
    let mut command = cargo(&["bench", "--package", "everfast-benches"]);
    MICRO.iter().for_each(|name| {
        command.args(["--bench", name]);
    });
    run(command.arg("--").args(args))
}
