//! The command line.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, Parser, Subcommand};
use rdb_inspect::failure::{Failure, Verdict};

use crate::commands::{check, export, import, log, replay, salvage};

/// Checks, repairs, rewinds, imports and exports data directories of Everfast.
///
/// DIR is a data directory on which no server runs. It is never changed: results go to a new place, which appears when it is
/// complete. Without a command the directory is checked.
#[derive(Parser)]
#[command(name = "everfast-recover", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    check: check::Args,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, and all is well; 1 a problem was found, a request was refused because of damage or of what this \
version cannot hold, or something had to be left out of the result; 2 wrong arguments, or a file that cannot be read or \
written; 130 interrupted. Where the code is not 0 the output says why; a result was made only where it says so.

TIME is 2026-11-20T07:47:12.345Z, with an offset instead of Z if liked, 2026-11-20 07:47:12 (UTC), or @1763624832 (seconds \
since 1970; @1763624832345: milliseconds). GSN is a global sequence number: gsn:123, or 123.";

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Replay(replay::Args),
    Salvage(salvage::Args),
    Export(export::Args),
    Import(import::Args),
    Log(log::Args),
}

/// `--json` in front of a command means what it means behind it.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut given: Vec<OsString> = given.collect();
    let is_command =
        |word: &OsString| Cli::command().get_subcommands().any(|command| *word == command.get_name());
    if given.get(1).is_some_and(|word| word == "--json") && given.get(2).is_some_and(is_command) {
        given.swap(1, 2);
    }
    given
}

/// Does what the arguments say.
pub fn run() -> Result<Verdict, Failure> {
    let cli = match Cli::try_parse_from(arguments(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => error.exit(),
        // Help or the version: what was asked for.
        Err(error) => {
            error.print().and_then(|()| io::stdout().flush()).map_err(Failure::Output)?;
            return Ok(Verdict::Good);
        }
    };
    match cli.command {
        None => check::run(&cli.check),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Replay(args)) => replay::run(&args),
        Some(Command::Salvage(args)) => salvage::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Log(args)) => log::run(&args),
    }
}
