//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    bigkeys, completions, convert, csv, diff, filter, get, json, keys, log, man, memory, merge, ndjson,
    prefixes, report, resp, salvage, split, summary, verify,
};
use crate::failure::{Failure, Verdict};
use crate::output::Output;

/// Looks into RDB files and logs of Redis, Valkey and Everfast.
///
/// FILE is an RDB file of Redis 1 to 8 or Valkey, `-` for standard input, or a data directory of Everfast. Without a
/// command a summary is shown. A file that is named like a command is written ./name.
#[derive(Parser)]
#[command(name = "rdb-inspect", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    summary: summary::Args,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done and the input is sound; 1 damage, a difference, or no such key; 2 wrong arguments, or a file that \
cannot be read or written; 130 interrupted.

A file must not be changed in place while it is read (Redis and Valkey replace theirs, which does no harm). Standard \
input that is not a file is kept in a temporary file under TMPDIR.

Memory stays below 100 MB whatever the input is, unless the help of a command says otherwise. A packed collection that \
is compressed is unpacked whole: in files of servers that is some kilobytes, in one that was made to do harm it may be \
up to a hundred times what it takes in the file.

A data directory is recovered into memory first, which takes what a server with that data takes; nothing in it is \
changed, and no server may run on it meanwhile.";

#[derive(Subcommand)]
enum Command {
    Summary(summary::Args),
    Keys(keys::Args),
    Get(get::Args),
    Json(json::Args),
    Ndjson(ndjson::Args),
    Csv(csv::Args),
    Resp(resp::Args),
    Memory(memory::Args),
    Bigkeys(bigkeys::Args),
    Prefixes(prefixes::Args),
    Report(report::Args),
    Verify(verify::Args),
    Salvage(salvage::Args),
    Diff(diff::Args),
    Filter(filter::Args),
    Merge(merge::Args),
    Split(split::Args),
    Convert(convert::Args),
    Log(log::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Does what the arguments say.
pub fn run() -> Result<Verdict, Failure> {
    let cli = Cli::parse();
    match cli.command {
        None => summary::run(&cli.summary),
        Some(Command::Summary(args)) => summary::run(&args),
        Some(Command::Keys(args)) => keys::run(&args),
        Some(Command::Get(args)) => get::run(&args),
        Some(Command::Json(args)) => json::run(&args),
        Some(Command::Ndjson(args)) => ndjson::run(&args),
        Some(Command::Csv(args)) => csv::run(&args),
        Some(Command::Resp(args)) => resp::run(&args),
        Some(Command::Memory(args)) => memory::run(&args),
        Some(Command::Bigkeys(args)) => bigkeys::run(&args),
        Some(Command::Prefixes(args)) => prefixes::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Verify(args)) => verify::run(&args),
        Some(Command::Salvage(args)) => salvage::run(&args),
        Some(Command::Diff(args)) => diff::run(&args),
        Some(Command::Filter(args)) => filter::run(&args),
        Some(Command::Merge(args)) => merge::run(&args),
        Some(Command::Split(args)) => split::run(&args),
        Some(Command::Convert(args)) => convert::run(&args),
        Some(Command::Log(args)) => log::run(&args),
        Some(Command::Completions(args)) => completions::run(&args, Cli::command()),
        Some(Command::Man(args)) => man::run(&args, Cli::command()),
    }
}

/// Inputs, for commands that take one or more.
#[derive(clap::Args, Debug)]
pub struct Files {
    /// RDB files, `-` for standard input, or data directories
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Where results go, for commands that put out much.
#[derive(clap::Args, Debug)]
pub struct Destination {
    /// Write to this file, which appears when it is complete, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Destination {
    pub fn open(&self) -> Result<Output, Failure> {
        Output::to(self.output.as_deref())
    }
}
