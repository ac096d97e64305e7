//! `ndjson`: all keys as records, one a line.

use crate::commands::json::{Export, Frame};
use crate::failure::{Failure, Verdict};

/// Export keys as JSON records, one a line: for jq, grep, and loading into databases
///
/// The records are those of `json`: see `rdb-inspect json --help`. Example: the ten largest hashes,
/// `rdb-inspect ndjson --no-value --type hash dump.rdb | jq -s 'sort_by(-.bytes)[:10][].key'`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    export: Export,
}

const LINES: Frame = Frame { open: b"", between: b"\n", close: b"\n" };

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    args.export.run(&LINES)
}
