//! `convert`: a file in another version of the format.

use std::path::PathBuf;

use formats::rdb::Version;

use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::rewrite::copy::{self, CopyOptions};
use crate::rewrite::plan::plan;
use crate::rewrite::target::{Target, parse_version, refuse_input};

/// Write an RDB file in another version of the format
///
/// Values whose form the version has are copied as they are; others are written anew: packed sets, streams with the times
/// at which consumers were active (which versions below 11 do not hold), hashes whose fields expire. Modules' values are
/// copied. The input must be sound: see `salvage`. A key that stands in it twice is copied twice, and no server loads that:
/// see `verify --duplicates`.
///
/// Example: a dump of Redis 8 for Redis 7.0: rdb-inspect convert dump.rdb --rdb-version 10 --output old.rdb
#[derive(clap::Args)]
pub struct Args {
    /// RDB file, `-` for standard input, or data directory
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the result goes; `-` for standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Version of the written file: 10 (Redis 7.0), 11 (Redis 7.2, Valkey 7.2 to 8.1), 12 (Redis 7.4 and 8), 80 (Valkey 9)
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    rdb_version: Version,
    /// Give up what the version cannot hold: the times at which fields of hashes expire; fields that have expired are left
    /// out
    #[arg(long)]
    lossy: bool,
    /// Of an append-only file that begins with an RDB file, take that alone, without the commands behind it
    #[arg(long)]
    ignore_commands: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    refuse_input(&args.output, std::slice::from_ref(&args.file))?;
    let input = Input::open(&args.file)?;
    let plan = plan(&input, args.ignore_commands, |record| Ok(Some(record)))?;
    let target = Target {
        rdb_version: Some(args.rdb_version),
        lossy: args.lossy,
        ignore_commands: args.ignore_commands,
    };
    let options = CopyOptions { target, remove_ttl: false, keys_change: false };
    copy::copy(&input, plan, &args.output, &options, |record| Ok(Some(record)))?;
    Ok(Verdict::Good)
}
