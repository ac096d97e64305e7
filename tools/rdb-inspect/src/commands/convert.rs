//! `convert`: a file in another version of the format.

use formats::rdb::Version;

use crate::failure::{Failure, Verdict};
use crate::rewrite::copy::{self, CopyOptions};
use crate::rewrite::plan::plan;
use crate::rewrite::target::{FromTo, Target, parse_version};

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
    #[command(flatten)]
    files: FromTo,
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
    let input = args.files.open()?;
    let plan = plan(&input, args.ignore_commands, |record| Ok(Some(record)))?;
    let target = Target {
        rdb_version: Some(args.rdb_version),
        lossy: args.lossy,
        ignore_commands: args.ignore_commands,
    };
    let options = CopyOptions { target, remove_ttl: false, keys_change: false };
    copy::copy(&input, plan, &args.files.output, &options, |record| Ok(Some(record)))?;
    Ok(Verdict::Good)
}
