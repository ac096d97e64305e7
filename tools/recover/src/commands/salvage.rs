//! `salvage`: a new data directory of all that is sound in a damaged one.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use everfast::persist::file_names;
use everfast::persist::fresh::{FreshDir, last_gsn};
use everfast::persist::recovery::salvage::{
    IncompleteTransaction, LostRange, ManifestState, Salvage, SalvageReport, Survey,
};
use everfast::persist::{RecoveredSnapshot, ShardId, random_u64};
use everfast::server::Skipped;
use everfast::server::import::{Rescued, Unplaced, rescue};
use everfast::server::offline::{self, Memory};
use everfast::snapshot::{self, Checksum};
use rdb_inspect::failure::{Failure, Verdict};
use serde_json::{Value, json};

use super::check::file_json;
use super::disk;
use super::replay::{finish, shard_count};
use crate::destination::NewDir;
use crate::failures;
use crate::limit::time_text;
use crate::report::{self, Report, To};
use crate::watch::watch;

/// The file that SAVE makes where nothing else is set.
const DUMP: &str = "dump.rdb";

/// Make a new data directory of all that is sound in a damaged one
///
/// Keeps everything that can be kept, and lists what is lost: shard, file, bytes, frames, positions, transactions, times. It
/// begins with the newest checkpoint whose snapshots are sound; where there is none, with the empty beginning if the logs
/// reach back to it, else with the sound keys of damaged snapshots. In the logs it passes over damaged frames. Where
/// MANIFEST is missing or damaged, the files' own headers say what they are.
///
/// What a shard lost may be missing in the middle of its history: a later INCR or APPEND builds upon what is there. Parts of
/// a transaction whose other parts may be lost are kept, and it is listed; they are left out as by a start only where nothing of
/// the logs can be missing. Effects that cannot be applied are listed and
/// passed over.
///
/// Exit code 1 where anything was lost or left out: NEW is made nevertheless.
#[derive(clap::Args)]
pub struct Args {
    /// Data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The new directory: not there, or empty
    #[arg(long, value_name = "NEW")]
    into: PathBuf,
    /// Shards of the new directory; any server can start on any number
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u16).range(..=1024))]
    shards: u16,
    /// Write the report as a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    report::or_tell(args.json, salvage(args))
}

fn salvage(args: &Args) -> Result<Verdict, Failure> {
    let new = NewDir::create(&args.into, &args.dir)?;
    let survey = Survey::of(&disk(), &args.dir).map_err(|error| failures::persist(&args.dir, &error))?;
    if *survey.manifest_state() == ManifestState::Missing && !survey.has_data() {
        return Err(super::nothing_of_ours(&args.dir));
    }
    let salvage = survey.salvage(random_u64());
    let path = new.working_path().to_path_buf();
    let fresh = FreshDir::create(disk(), &path, salvage.recovered.hash_seed);
    let fresh = fresh.map_err(|error| failures::persist(&path, &error))?;
    let outcome = fill(args, fresh, salvage)?;
    new.finish()?;
    tell(args, &outcome)
}

/// A sound RDB file beside the snapshots, as SAVE makes it.
struct Dump {
    path: PathBuf,
    keys: u64,
    made_ms: Option<u64>,
}

impl Dump {
    fn find(dir: &Path) -> Option<Dump> {
        let path = dir.join(DUMP);
        let map = disk().map(&path).ok()?;
        let head = snapshot::head(&map).ok()?;
        let keys = snapshot::read(&map, Checksum::Fits, |_| Ok::<(), Infallible>(())).ok()?.keys;
        let made = head.aux.iter().find(|(name, _)| name == "ctime");
        let made_ms = made.and_then(|(_, seconds)| seconds.parse::<u64>().ok()?.checked_mul(1000));
        Some(Dump { path, keys, made_ms })
    }

    fn line(&self) -> String {
        let made = self.made_ms.map(|ms| format!(", made at {}", time_text(ms))).unwrap_or_default();
        let (path, keys) = (self.path.display(), self.keys);
        format!("{path} is sound, {keys} keys{made}: `everfast-recover import` makes a directory of it")
    }

    fn json(&self) -> Value {
        json!({ "file": report::path(&self.path), "keys": self.keys, "made": report::time(self.made_ms) })
    }
}

/// What was made of it.
struct Outcome {
    keys: u64,
    shards: usize,
    report: SalvageReport,
    rescued: Vec<(PathBuf, String, Rescued)>,
    dump: Option<Dump>,
    skipped: Skipped,
}

impl Outcome {
    fn is_lossy(&self) -> bool {
        let report = &self.report;
        !report.lost.is_empty()
            || !report.torn.is_empty()
            || !report.files.is_empty()
            || !self.rescued.is_empty()
            || self.skipped.count > 0
            || !report.incomplete.is_empty()
    }
}

fn fill(args: &Args, fresh: FreshDir, salvage: Salvage) -> Result<Outcome, Failure> {
    let failed = |error| failures::server(&args.dir, &error);
    let Salvage { mut recovered, damaged, report } = salvage;
    let gsn = last_gsn(recovered.next_gsn);
    let shards = shard_count(args.shards);
    let (mut rescued, mut staged) = (Vec::new(), Vec::new());
    for (index, snapshot) in damaged.into_iter().enumerate() {
        // Behind those of the shards, and removed in the end.
        let shard = ShardId(shards + index as u16);
        let (entry, found) =
            rescue(&fresh, shard, &snapshot).map_err(|error| failures::import(&args.dir, &error))?;
        let path = fresh.path().join(file_names::snapshot(fresh.checkpoint(), shard));
        let map = disk().map(&path).map_err(|error| Failure::file(&path, error))?;
        recovered.snapshots.push(RecoveredSnapshot { path: path.clone(), map, entry });
        rescued.push((snapshot.path, snapshot.why, found));
        staged.push(path);
    }
    let memory = Memory::start(shards, recovered.hash_seed).map_err(failed)?;
    let (_, skipped) = watch(memory.loading(), || memory.replay_what_can_be(recovered)).map_err(failed)?;
    for path in staged {
        std::fs::remove_file(&path).map_err(|error| Failure::file(&path, error))?;
    }
    let views = memory.freeze().map_err(failed)?;
    let progress = snapshot::Progress::default();
    let entries =
        offline::write_snapshots(&fresh, views, gsn, &progress).map_err(|error| failures::write(&error))?;
    let (keys, shards) = (entries.iter().map(|entry| entry.keys).sum(), entries.len());
    finish(fresh, gsn, entries)?;
    let is_needed = !rescued.is_empty() || !report.unusable.is_empty() || keys == 0;
    let dump = if is_needed { Dump::find(&args.dir) } else { None };
    Ok(Outcome { keys, shards, report, rescued, dump, skipped })
}

fn tell(args: &Args, outcome: &Outcome) -> Result<Verdict, Failure> {
    let Outcome { keys, shards, report, rescued, dump, skipped } = outcome;
    let mut lines = vec![format!("{}: {keys} keys in {shards} snapshots", args.into.display())];
    match &report.manifest {
        ManifestState::Sound => {}
        ManifestState::Missing => lines.push("MANIFEST is missing: the files' own headers were used".into()),
        ManifestState::Damaged(why) => lines.push(format!("the files' own headers were used: {why}")),
    }
    lines.push(match report.base {
        Some(id) => format!("begun with checkpoint {id}"),
        None => "begun with nothing, from the first effect on".to_owned(),
    });
    lines.extend(report.unusable.iter().map(|(id, why)| format!("checkpoint {id} is damaged: {why}")));
    for file in &report.files {
        lines.push(format!("file: {}", super::check::file_line(file)));
    }
    for (path, why, found) in rescued {
        let lost = found.lost().map_or_else(|| "an unknown number".to_owned(), |lost| lost.to_string());
        let holes = holes_text(found);
        let (path, kept) = (path.display(), found.kept);
        lines.push(format!(
            "{path}: {kept} keys kept, {lost} lost{holes}; {why}; any value in it may be damaged"
        ));
        if !found.suspects.is_empty() {
            lines.push(format!("  next to the damage, so most to be doubted: {}", found.suspects.join(", ")));
        }
        lines.extend(found.unplaced.iter().map(unplaced_line));
    }
    lines.extend(dump.iter().map(Dump::line));
    lines.extend(report.lost.iter().map(|lost| format!("lost: {}", lost_line(lost))));
    lines.extend(report.torn.iter().map(torn_line));
    lines.extend(report.incomplete.iter().map(incomplete_line));
    if skipped.count > 0 {
        lines.push(format!("{} effects could not be applied and were passed over:", skipped.count));
        lines.extend(skipped.first.iter().map(|text| format!("  {text}")));
    }
    if report.is_seed_unknown {
        lines.push(
            "the seed that places keys is not known: effects of a FLUSHALL or SWAPDB may have met other keys"
                .into(),
        );
    }
    if !outcome.is_lossy() {
        lines.push("nothing is lost".to_owned());
    }
    let verdict = Verdict::of(outcome.is_lossy());
    Report { lines, json: json_of(args, outcome), verdict }.put(args.json, To::Stdout)
}

/// Keys whose database is a guess, in one line.
fn unplaced_line(unplaced: &Unplaced) -> String {
    let Unplaced { db, is_spare, count, first } = unplaced;
    let why = match is_spare {
        true => ", which the snapshot does not use: the one before them has keys of the same names",
        false => ", the one before them",
    };
    let mut line = format!("  {count} keys whose database is not known are in database {db}{why}");
    if *is_spare && *db >= u64::from(everfast::config::Config::default().databases) {
        line += &format!("; a server needs `databases` of at least {} for it", db + 1);
    }
    let more = if *count > first.len() as u64 { ", …" } else { "" };
    line + &format!(": {}{more}", first.join(", "))
}

fn holes_text(found: &Rescued) -> String {
    let holes: Vec<String> =
        found.holes.iter().map(|hole| format!("bytes {} to {}", hole.start, hole.end)).collect();
    if holes.is_empty() { String::new() } else { format!(", unreadable: {}", holes.join(", ")) }
}

/// A hole in a log, in one line.
pub fn lost_line(lost: &LostRange) -> String {
    let (file, bytes) = (lost.file.display(), &lost.bytes);
    let (first, last) = lost.frames;
    let frames = match last {
        Some(last) => format!("frames {first} to {last}"),
        None => format!("what frames there were from {first} on"),
    };
    let mut line = format!(
        "{file}, bytes {} to {}: {frames} of log {} (epoch {}): {}",
        bytes.start, bytes.end, lost.log, lost.epoch, lost.why
    );
    for (shard, from, to) in &lost.positions {
        line += &match to {
            Some(to) => format!("; shard {shard}: positions {from} to {}", to.0.saturating_sub(1)),
            None => format!("; shard {shard}: positions from {from} on, how many is not known"),
        };
    }
    let gsn = |gsn: Option<_>| gsn.map_or("none".to_owned(), |gsn: everfast::persist::Gsn| gsn.to_string());
    line += &format!("; transactions between GSN {} and {}", gsn(lost.gsns.0), gsn(lost.gsns.1));
    let time = |ms: Option<u64>, other: &str| ms.map_or(other.to_owned(), time_text);
    let (from, to) = (time(lost.times_ms.0, "the beginning"), time(lost.times_ms.1, "the end"));
    line + &format!("; written between {from} and {to}")
}

/// The end of a log, in one line.
fn torn_line(torn: &LostRange) -> String {
    let (file, at) = (torn.file.display(), torn.bytes.start);
    format!(
        "left out: {file} from byte {at} on, the end of log {}: {}; torn by a crash and never acknowledged, or damaged later",
        torn.log, torn.why
    )
}

fn incomplete_line(transaction: &IncompleteTransaction) -> String {
    let shards = |shards: &[ShardId]| shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let IncompleteTransaction { gsn, present, missing, is_kept, .. } = transaction;
    let done = if *is_kept {
        "its other parts are kept"
    } else {
        "never acknowledged, and left out with what follows it there"
    };
    format!("transaction {gsn}: no part of shards {}, parts of {}: {done}", shards(missing), shards(present))
}

pub fn lost_json(lost: &LostRange) -> Value {
    let positions = lost
        .positions
        .iter()
        .map(|(shard, from, to)| json!({ "shard": shard.0, "first": from.0, "end": to.map(|to| to.0) }));
    json!({
        "log": lost.log.0,
        "epoch": lost.epoch.0,
        "file": report::path(&lost.file),
        "from_byte": lost.bytes.start,
        "to_byte": lost.bytes.end,
        "first_frame": lost.frames.0.0,
        "last_frame": lost.frames.1.map(|frame| frame.0),
        "positions": positions.collect::<Vec<_>>(),
        "gsn_before": lost.gsns.0.map(|gsn| gsn.0),
        "gsn_behind": lost.gsns.1.map(|gsn| gsn.0),
        "time_before": report::time(lost.times_ms.0),
        "time_behind": report::time(lost.times_ms.1),
        "why": lost.why,
    })
}

fn json_of(args: &Args, outcome: &Outcome) -> Value {
    let Outcome { keys, shards, report, rescued, dump, skipped } = outcome;
    let ids = |shards: &[ShardId]| shards.iter().map(|shard| shard.0).collect::<Vec<_>>();
    let incomplete = report.incomplete.iter().map(|transaction| {
        json!({
            "gsn": transaction.gsn.0,
            "epoch": transaction.epoch.0,
            "present": ids(&transaction.present),
            "missing": ids(&transaction.missing),
            "kept": transaction.is_kept,
        })
    });
    let snapshots = rescued.iter().map(|(path, why, found)| {
        json!({
            "file": report::path(path),
            "why": why,
            "kept": found.kept,
            "lost": found.lost(),
            "suspects": found.suspects,
            "database_not_known": found.unplaced.iter().map(unplaced_json).collect::<Vec<_>>(),
            "unreadable": found.holes.iter().map(|hole| json!([hole.start, hole.end])).collect::<Vec<_>>(),
        })
    });
    json!({
        "into": report::path(&args.into),
        "keys": keys,
        "shards": shards,
        "manifest": manifest_json(&report.manifest),
        "checkpoint": report.base.map(|id| id.0),
        "unusable_checkpoints": report.unusable.iter().map(|(id, why)| json!({ "checkpoint": id.0, "why": why })).collect::<Vec<_>>(),
        "frames": report.frames,
        "effects": report.effects,
        "files": report.files.iter().map(file_json).collect::<Vec<_>>(),
        "sound_dump": dump.as_ref().map(Dump::json),
        "damaged_snapshots": snapshots.collect::<Vec<_>>(),
        "lost": report.lost.iter().map(lost_json).collect::<Vec<_>>(),
        "torn_ends": report.torn.iter().map(lost_json).collect::<Vec<_>>(),
        "incomplete_transactions": incomplete.collect::<Vec<_>>(),
        "skipped_effects": skipped.count,
        "skipped": skipped.first,
        "seed_unknown": report.is_seed_unknown,
        "lossless": !outcome.is_lossy(),
    })
}

fn unplaced_json(unplaced: &Unplaced) -> Value {
    let Unplaced { db, is_spare, count, first } = unplaced;
    json!({ "database": db, "is_spare": is_spare, "keys": count, "first": first })
}

pub fn manifest_json(state: &ManifestState) -> Value {
    match state {
        ManifestState::Sound => json!({ "state": "sound" }),
        ManifestState::Missing => json!({ "state": "missing" }),
        ManifestState::Damaged(why) => json!({ "state": "damaged", "why": why }),
    }
}
