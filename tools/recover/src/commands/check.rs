//! `check`: what is in a data directory, whether it is sound, and what the next start would do.

use std::path::{Path, PathBuf};

use everfast::persist::file_names::FileKind;
use everfast::persist::recovery::salvage::{FileFact, FileState, ManifestState, Survey};
use everfast::persist::{PersistError, RecoveryReport};
use everfast::snapshot::{self, Checksum};
use rdb_inspect::failure::{Failure, Verdict};
use rdb_inspect::interrupt;
use serde_json::{Value, json};

use super::disk;
use super::salvage::{lost_json, lost_line, manifest_json};
use crate::failures;
use crate::report::{self, Report, To};

/// Tell what is in a data directory, whether it is sound, and what the next start would do
///
/// Reads everything that MANIFEST names, older checkpoints and their logs included, which a start does not read but a
/// recovery to a point in time does: every file's presence, size, uid and header, every frame, every snapshot's checksum, and
/// every key in it. Nothing is changed. While a server runs on the directory it cannot be checked.
///
/// Exit code 0: sound; a torn end that a crash leaves and the next start cuts is no damage. 1: damage, or a start would refuse.
#[derive(clap::Args)]
pub struct Args {
    /// Data directory
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Write the report as a JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    report::or_tell(args.json, check(args))
}

fn check(args: &Args) -> Result<Verdict, Failure> {
    let survey = Survey::of(&disk(), &args.dir).map_err(|error| failures::persist(&args.dir, &error))?;
    if *survey.manifest_state() == ManifestState::Missing && !survey.has_data() {
        return Err(super::nothing_of_ours(&args.dir));
    }
    let mut files = survey.files_found.clone();
    let keys = read_snapshots(&survey, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let start = Start::of(survey.next_start());
    let (frames, effects) = survey.sound();
    let is_damaged =
        start.is_refusal || survey.lost().next().is_some() || files.iter().any(|file| file.state.is_loss());
    let mut lines = Vec::new();
    if let ManifestState::Damaged(why) = survey.manifest_state() {
        lines.push(format!("damaged: {why}"));
    }
    lines.extend(files.iter().map(file_line));
    lines.push(format!("sound: {frames} frames with {effects} effects, {keys} keys in snapshots"));
    lines.extend(survey.lost().map(|lost| format!("lost: {}", lost_line(lost))));
    lines.extend(start.lines.iter().map(|line| format!("next start: {line}")));
    let json = json!({
        "dir": report::path(&args.dir),
        "sound": !is_damaged,
        "manifest": manifest_json(survey.manifest_state()),
        "files": files.iter().map(file_json).collect::<Vec<_>>(),
        "frames": frames,
        "effects": effects,
        "snapshot_keys": keys,
        "lost": survey.lost().map(lost_json).collect::<Vec<_>>(),
        "next_start": start.json,
    });
    Report { lines, json, verdict: Verdict::of(is_damaged) }.put(args.json, To::Stdout)
}

/// Decodes every snapshot whose checksum is right; answers the keys.
fn read_snapshots(survey: &Survey, files: &mut [FileFact]) -> Result<u64, Failure> {
    let mut keys = 0;
    for (path, bytes) in survey.sound_snapshots() {
        interrupt::check()?;
        match snapshot::read(bytes, Checksum::Fits, |_| Ok::<(), std::convert::Infallible>(())) {
            Ok(summary) => keys += summary.keys,
            Err(error) => {
                if let Some(file) = files.iter_mut().find(|file| file.path == path) {
                    file.state = FileState::Damaged(error.to_string());
                }
            }
        }
    }
    Ok(keys)
}

/// What the next start would do.
struct Start {
    is_refusal: bool,
    lines: Vec<String>,
    json: Value,
}

impl Start {
    fn of(found: Option<Result<RecoveryReport, PersistError>>) -> Start {
        match found {
            Some(Ok(report)) => Start::goes_well(&report),
            Some(Err(PersistError::Refused(refusal))) => Start {
                is_refusal: true,
                lines: vec![format!("refused: {refusal}")],
                json: json!({
                    "outcome": "refused",
                    "file": report::path(&refusal.file),
                    "offset": refusal.offset,
                    "why": refusal.why,
                    "at_stake": refusal.lost,
                }),
            },
            Some(Err(error)) => Start::refused(&error.to_string()),
            None => {
                Start::refused("MANIFEST is missing or damaged; `salvage` makes a new directory of the rest")
            }
        }
    }

    fn refused(why: &str) -> Start {
        Start {
            is_refusal: true,
            lines: vec![format!("refused: {why}")],
            json: json!({ "outcome": "refused", "why": why }),
        }
    }

    fn goes_well(found: &RecoveryReport) -> Start {
        let (left_out, left_out_json) = report::left_out(found);
        let is_cut = !left_out.is_empty();
        let begins = match found.checkpoint {
            Some(id) => format!("checkpoint {id} ({} keys), then", found.snapshot_keys),
            None => "nothing, then".to_owned(),
        };
        let mut lines =
            vec![format!("begins with {begins} {} effects in {} frames", found.effects, found.frames)];
        lines.extend(left_out.into_iter().map(|line| format!("cuts a {line}")));
        let json = json!({
            "outcome": if is_cut { "cuts" } else { "clean" },
            "checkpoint": found.checkpoint.map(|id| id.0),
            "snapshot_keys": found.snapshot_keys,
            "effects": found.effects,
            "frames": found.frames,
            "left_out": left_out_json,
        });
        Start { is_refusal: false, lines, json }
    }
}

fn kind_text(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Manifest => "manifest",
        FileKind::Temporary => "temporary",
        FileKind::Lock => "lock",
        FileKind::Segment(..) => "segment",
        FileKind::Pool(_) => "pool",
        FileKind::Snapshot(..) => "snapshot",
        FileKind::Other => "other",
    }
}

fn state_text(state: &FileState) -> (&'static str, Option<&str>) {
    match state {
        FileState::Sound => ("sound", None),
        FileState::Damaged(why) => ("damaged", Some(why)),
        FileState::Lost(why) => ("lost", Some(why)),
        FileState::Leftover => ("leftover", None),
        FileState::Foreign => ("not ours", None),
    }
}

/// A file, in one line.
pub fn file_line(file: &FileFact) -> String {
    let (state, why) = state_text(&file.state);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("{} ({}, {} bytes): {state}{why}", name(&file.path), kind_text(file.kind), file.bytes)
}

pub fn file_json(file: &FileFact) -> Value {
    let (state, why) = state_text(&file.state);
    json!({ "file": report::path(&file.path), "kind": kind_text(file.kind), "bytes": file.bytes, "state": state, "why": why })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
