//! `replay`: a fresh, compact data directory of what a start would find, or of what there was at a point in time.

use std::path::{Path, PathBuf};

use everfast::persist::fresh::{FreshDir, last_gsn};
use everfast::persist::{CutFacts, Gsn, Recovered, SnapshotEntry};
use everfast::server::import::{Progress, Router, Source};
use everfast::server::offline::{self, Memory};
use everfast::snapshot;
use rdb_inspect::failure::{Failure, Verdict};
use serde_json::json;

use super::{disk, is_in_snapshots, recover};
use crate::destination::NewDir;
use crate::failures;
use crate::limit::{Until, limit_text, parse_until, time_text};
use crate::report::{self, Report, To};
use crate::watch::watch;

/// Make a new data directory of what a start would find, or of what there was at a point in time
///
/// The new directory holds snapshots alone, and is as good as the old one for a server to start on. With --until, what was
/// written later is left out: so a FLUSHALL is undone by a time or number just before it. History reaches back to the
/// oldest checkpoint that is kept (`log-retention` settings of the server).
///
/// A time leaves out frames that were written later, on every shard, and with them transactions that touch several shards as a
/// whole. A GSN leaves out everything from the first transaction with a higher number on, on each of its shards.
#[derive(clap::Args)]
pub struct Args {
    /// Data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The new directory: not there, or empty
    #[arg(long, value_name = "NEW")]
    into: PathBuf,
    /// The last moment to be kept: TIME or GSN (see `everfast-recover --help`)
    #[arg(long, value_name = "TIME|GSN", value_parser = parse_until)]
    until: Option<Until>,
    /// Shards of the new directory; any server can start on any number
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u16).range(..=1024))]
    shards: u16,
    /// Write the report as a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    report::or_tell(args.json, replay(args))
}

fn replay(args: &Args) -> Result<Verdict, Failure> {
    let new = NewDir::create(&args.into, &args.dir)?;
    let (_held, recovered) = recover(&args.dir, args.until)?;
    let found = recovered.report.clone();
    let last_ms = report::last_time_ms(&recovered);
    let last = last_gsn(recovered.next_gsn);
    let entries = write(&args.dir, new, recovered, args.shards)?;
    let keys: u64 = entries.iter().map(|entry| entry.keys).sum();
    let (left_out, left_out_json) = report::left_out(&found);
    let mut lines = vec![format!("{}: {keys} keys in {} snapshots", args.into.display(), entries.len())];
    match (last_ms, found.checkpoint) {
        (Some(ms), _) => lines.push(format!("the last effect in it is of {}", time_text(ms))),
        (None, Some(id)) => lines.push(format!("it is checkpoint {id}, with no effect behind it")),
        (None, None) => lines.push("no effect is in it".to_owned()),
    }
    lines.extend(left_out.into_iter().map(|line| format!("left out: {line}")));
    lines.extend(report::idle_limit(args.until, &found, last, last_ms));
    let json = json!({
        "into": report::path(&args.into),
        "keys": keys,
        "shards": entries.len(),
        "until": args.until.map(|until| limit_text(until.limit)),
        "checkpoint": found.checkpoint.map(|id| id.0),
        "last_effect": report::time(last_ms),
        "left_out": left_out_json,
    });
    Report { lines, json, verdict: Verdict::Good }.put(args.json, To::Stdout)
}

/// Fills the new directory and gives it its name.
fn write(dir: &Path, new: NewDir, recovered: Recovered, shards: u16) -> Result<Vec<SnapshotEntry>, Failure> {
    let gsn = last_gsn(recovered.next_gsn);
    let path = new.working_path().to_path_buf();
    let fresh = FreshDir::create(disk(), &path, recovered.hash_seed);
    let fresh = fresh.map_err(|error| failures::persist(&path, &error))?;
    let entries = match is_in_snapshots(&recovered) {
        true => copy(dir, &fresh, recovered, shards, gsn)?,
        false => through_memory(dir, &fresh, recovered, shards, gsn)?,
    };
    finish(fresh, gsn, entries.clone())?;
    new.finish()?;
    Ok(entries)
}

/// Makes it a data directory.
pub fn finish(fresh: FreshDir, gsn: Gsn, entries: Vec<SnapshotEntry>) -> Result<(), Failure> {
    let path = fresh.path().to_path_buf();
    let facts = CutFacts { gsn, time_ms: everfast::clock::unix_ms() };
    fresh.finish(facts, entries).map_err(|error| failures::persist(&path, &error))
}

/// Record by record.
fn copy(
    dir: &Path,
    fresh: &FreshDir,
    recovered: Recovered,
    shards: u16,
    gsn: Gsn,
) -> Result<Vec<SnapshotEntry>, Failure> {
    let failed = |error| failures::import(dir, &error);
    let total = recovered.report.snapshot_bytes;
    let progress = Progress::default();
    watch(
        || (progress.bytes().0, total),
        || {
            let mut router = Router::create(fresh, 0, shard_count(shards), gsn).map_err(failed)?;
            for snapshot in recovered.snapshots {
                let source = Source::whole_rdb(snapshot.path, snapshot.map);
                router.take(&source, false, &progress).map_err(failed)?;
            }
            Ok(router.finish().map_err(failed)?.0)
        },
    )
}

fn through_memory(
    dir: &Path,
    fresh: &FreshDir,
    recovered: Recovered,
    shards: u16,
    gsn: Gsn,
) -> Result<Vec<SnapshotEntry>, Failure> {
    let failed = |error| failures::server(dir, &error);
    let memory = Memory::start(shards, recovered.hash_seed).map_err(failed)?;
    watch(memory.loading(), || memory.replay(recovered)).map_err(failed)?;
    let views = memory.freeze().map_err(failed)?;
    offline::write_snapshots(fresh, views, gsn, &snapshot::Progress::default())
        .map_err(|error| failures::write(&error))
}

/// As many as were asked for, or one for each core.
pub fn shard_count(asked: u16) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get().min(1024) as u16);
    if asked == 0 { cores() } else { asked }
}
