//! `import`: the files of Redis and Valkey become a data directory.

use std::path::PathBuf;

use everfast::server::import::{ImportOptions, ImportReport, Progress, import_with};
use rdb_inspect::failure::{Failure, Verdict};
use serde_json::json;

use super::disk;
use crate::destination::NewDir;
use crate::failures;
use crate::limit::parse_time;
use crate::report::{self, Report, To};
use crate::watch::watch;

/// Make a new data directory of the files of Redis or Valkey
///
/// FROM is an RDB file of any version, an append-only file with or without an RDB file at its start, `appendonlydir`, its
/// manifest, or the data directory that has it. No server may write to it meanwhile. Keys keep their expiry, also those that
/// have expired. What this version cannot hold is an error that names it with its place, and then nothing is made.
///
/// The torn end of the last append-only file is left out, as Redis does; so is a transaction without its EXEC. The exit code is 1
/// then. Damage anywhere else is an error: `rdb-inspect salvage` and `redis-check-aof` can help.
///
/// An RDB file is copied record by record in bounded memory. Commands are applied in memory, which takes what a server with
/// that data takes.
#[derive(clap::Args)]
pub struct Args {
    /// RDB file, append-only file, manifest or directory
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The new directory: not there, or empty
    #[arg(long, value_name = "NEW")]
    into: PathBuf,
    /// Leave out what append-only files say was written later than TIME (needs `aof-timestamp-enabled`)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<u64>,
    /// Shards of the new directory; any server can start on any number
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u16).range(..=1024))]
    shards: u16,
    /// Leave out libraries of functions, which this version cannot hold
    #[arg(long)]
    skip_functions: bool,
    /// Write the report as a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    report::or_tell(args.json, import(args))
}

fn import(args: &Args) -> Result<Verdict, Failure> {
    let new = NewDir::create(&args.into, &args.from)?;
    let progress = Progress::default();
    let options =
        ImportOptions { shards: args.shards, until_ms: args.until, skip_functions: args.skip_functions };
    let imported = watch(
        || progress.bytes(),
        || import_with(disk(), &args.from, new.working_path(), &options, &progress),
    );
    let imported = imported.map_err(|error| failures::import(&args.from, &error))?;
    new.finish()?;
    tell(args, &imported)
}

fn tell(args: &Args, imported: &ImportReport) -> Result<Verdict, Failure> {
    let ImportReport { keys, shards, commands, converted, skipped_functions, highest_database, .. } =
        *imported;
    let mut lines = vec![format!("{}: {keys} keys in {shards} snapshots", args.into.display())];
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    };
    say(commands, "commands applied");
    say(converted, "values in another form than before");
    say(skipped_functions, "libraries of functions left out");
    if highest_database >= u64::from(everfast::config::Config::default().databases) {
        lines.push(format!("a server needs `databases` of at least {} for it", highest_database + 1));
    }
    if let Some(left_out) = &imported.left_out {
        let (file, offset) = (left_out.file.display(), left_out.offset);
        lines.push(format!(
            "left out: {} bytes of {file} from byte {offset} on: {}",
            left_out.bytes, left_out.why
        ));
    }
    let is_lossy = skipped_functions > 0 || imported.left_out.as_ref().is_some_and(|end| end.is_torn);
    let json = json!({
        "into": report::path(&args.into),
        "files": imported.files.iter().map(|file| report::path(file)).collect::<Vec<_>>(),
        "bytes": imported.bytes,
        "rdb_version": imported.rdb_version,
        "keys": keys,
        "shards": shards,
        "commands": commands,
        "converted": converted,
        "skipped_functions": skipped_functions,
        "highest_database": highest_database,
        "left_out": imported.left_out.as_ref().map(|end| json!({
            "file": report::path(&end.file),
            "offset": end.offset,
            "bytes": end.bytes,
            "why": end.why,
            "is_torn": end.is_torn,
        })),
    });
    Report { lines, json, verdict: Verdict::of(is_lossy) }.put(args.json, To::Stdout)
}
