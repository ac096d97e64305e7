//! Data directories of Everfast, and single segments.

use std::io;
use std::path::Path;
use std::sync::Arc;

use everfast::persist::disk::RealDisk;
use everfast::persist::file_names;
use everfast::persist::read_only::ReadOnlyDir;
use everfast::persist::{PersistError, RecoveryReport, Refusal};
use formats::log::frame::{FRAME_HEADER_BYTES, FRAME_MAGIC};
use formats::log::manifest::{LogEntry, LogState, SegmentEntry};
use formats::log::{Manifest, SegmentHeader};

use super::frames::{LogWalk, Segment, SegmentEnd};
use super::report::{FileFacts, Finding, Kind, Report, SegmentFacts};
use super::sink::Sink;
use crate::failure::Failure;
use crate::input::Input;
use crate::text;

/// Reads a segment by itself: what MANIFEST says of it is not known.
pub fn segment(input: &Input, sink: &mut Sink<'_>) -> Result<Report, Failure> {
    let mut report = Report::new(&input.name, Kind::Segment);
    let bytes = input.bytes();
    let mut facts = FileFacts::new(input.name.clone(), "segment", input.len());
    let header = match SegmentHeader::decode(bytes) {
        Ok(header) => header,
        Err(error) => {
            report.findings.push(Finding::damage(&input.name, Some(0), error.to_string()));
            report.files.push(facts);
            return Ok(report);
        }
    };
    if header.file_bytes != input.len() {
        let (was, is) = (text::bytes(header.file_bytes), text::bytes(input.len()));
        report.remarks.push(format!("made with {was}, now {is}: sealed logs are cut at their end"));
    }
    let mut walk = LogWalk::new(None);
    let segment = Segment {
        file: 0,
        name: &input.name,
        bytes,
        uid: header.uid,
        log: (header.log, header.epoch),
        seal: None,
    };
    let end = walk.segment(&segment, sink)?;
    facts.sound_until = end.offset as u64;
    facts.commands = end.commands;
    report.logs.push(walk.facts(header.log, header.epoch, None));
    report.findings.extend(end_of_segment(&walk, &segment, &end)?);
    facts.segment = Some(segment_facts(&header, end.frames, None));
    report.files.push(facts);
    Ok(report)
}

fn segment_facts(header: &SegmentHeader, frames: u64, is_sealed: Option<bool>) -> SegmentFacts {
    SegmentFacts {
        epoch: header.epoch,
        log: header.log,
        number: header.segment,
        uid: header.uid,
        shards: header.shards.clone(),
        frames,
        is_sealed,
    }
}

/// What is wrong with the end of a segment, if anything is: it should be followed by zeros, or by what an earlier use of
/// the file left, which is no frame of this use.
fn end_of_segment(
    walk: &LogWalk,
    segment: &Segment<'_>,
    end: &SegmentEnd,
) -> Result<Option<Finding>, Failure> {
    if end.is_enough {
        return Ok(None);
    }
    let rest = &segment.bytes[end.offset..];
    let behind = walk.behind(segment.bytes, end.offset, segment.uid)?;
    let magic = FRAME_MAGIC.to_le_bytes();
    let start = rest.len().min(magic.len());
    let is_cut_header = start > 0 && rest.len() < FRAME_HEADER_BYTES && rest[..start] == magic[..start];
    let bytes_behind = behind.bytes.max(if is_cut_header { rest.len() as u64 } else { 0 });
    if bytes_behind == 0 && !end.is_damage {
        return Ok(None);
    }
    let is_vouched = behind.vouched > walk.next();
    let voucher =
        || format!("the frame at byte {} says that {} frames were durable", behind.voucher, behind.vouched);
    Ok(Some(Finding {
        file: segment.name.to_owned(),
        offset: Some(end.offset as u64),
        what: end.stop.clone().unwrap_or_else(|| "zeros where a frame should be".to_owned()),
        sound_until: Some(end.offset as u64),
        bytes_behind,
        vouched_by: is_vouched.then(voucher),
        is_end: !is_vouched && !end.is_damage,
        is_damage: is_vouched || end.is_damage,
    }))
}

/// Reads a data directory: what the next start of a server would find, and all sound frames.
pub fn directory(path: &Path, sink: &mut Sink<'_>) -> Result<Report, Failure> {
    let mut report = Report::new(&path.display().to_string(), Kind::DataDirectory);
    let dir = ReadOnlyDir::open(Arc::new(RealDisk), path).map_err(|error| failure(path, &error))?;
    let manifest = dir.manifest();
    match dir.recover(None) {
        Ok(recovered) => recovery_findings(&recovered.report, &mut report),
        Err(PersistError::Refused(refusal)) => report.findings.push(refused(&refusal)),
        Err(error) => return Err(failure(path, &error)),
    }
    report.epochs = manifest.epochs.len() as u64;
    for log in &manifest.logs {
        if !read_log(path, &manifest, log, sink, &mut report)? {
            break;
        }
    }
    Ok(report)
}

fn recovery_findings(recovery: &RecoveryReport, report: &mut Report) {
    for tail in &recovery.tails {
        report.findings.push(Finding {
            file: file_name(&tail.file),
            offset: Some(tail.offset),
            what: tail.why.clone(),
            sound_until: Some(tail.offset),
            bytes_behind: tail.bytes,
            vouched_by: None,
            is_end: true,
            is_damage: false,
        });
    }
    if !recovery.transactions_cut.is_empty() {
        report.remarks.push(format!(
            "{} transactions were not written by all their shards: a start leaves {} effects out, which are counted here",
            text::count(recovery.transactions_cut.len() as u64),
            text::count(recovery.effects_cut)
        ));
    }
}

fn refused(refusal: &Refusal) -> Finding {
    Finding {
        sound_until: refusal.offset,
        ..Finding::damage(
            &file_name(&refusal.file),
            refusal.offset,
            format!("{}; at stake: {}; a server refuses to start", refusal.why, refusal.lost),
        )
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads the segments of a log. `false`: no more commands are wanted.
fn read_log(
    dir: &Path,
    manifest: &Manifest,
    log: &LogEntry,
    sink: &mut Sink<'_>,
    report: &mut Report,
) -> Result<bool, Failure> {
    let seal = match &log.state {
        LogState::Open => None,
        LogState::Sealed(seal) => Some(seal),
    };
    let mut walk = LogWalk::new(Some(log.from.frames));
    let mut is_enough = false;
    for entry in manifest.segments_of(log.id) {
        let name = file_names::segment(log.id, entry.number);
        let input = match Input::open(&dir.join(&name)) {
            Ok(input) => input,
            // What is missing was found by the recovery.
            Err(_) if report.is_damaged() => continue,
            Err(failure) => return Err(failure),
        };
        let mut facts = FileFacts::new(name, "segment", input.len());
        if let Some(header) = header_of(&input, entry, report) {
            let file = report.files.len();
            let seal = seal.filter(|seal| seal.segment == entry.number);
            let (bytes, uid, id) = (input.bytes(), header.uid, (log.id, log.epoch));
            let segment = Segment { file, name: &facts.name, bytes, uid, log: id, seal };
            let end = walk.segment(&segment, sink)?;
            is_enough = end.is_enough;
            if end.is_damage && !report.is_damaged() {
                let what = end.stop.unwrap_or_default();
                report.findings.push(Finding::damage(&facts.name, Some(end.offset as u64), what));
            }
            (facts.sound_until, facts.commands) = (end.offset as u64, end.commands);
            facts.segment = Some(segment_facts(&header, end.frames, Some(is_sealed(log))));
        }
        report.files.push(facts);
        if is_enough {
            break;
        }
    }
    report.logs.push(walk.facts(log.id, log.epoch, Some(seal)));
    Ok(!is_enough)
}

fn is_sealed(log: &LogEntry) -> bool {
    matches!(log.state, LogState::Sealed(_))
}

/// The header, if it is that of the segment that MANIFEST means.
fn header_of(input: &Input, entry: &SegmentEntry, report: &mut Report) -> Option<SegmentHeader> {
    let why = match SegmentHeader::decode(input.bytes()) {
        Ok(header) if header.uid == entry.uid => return Some(header),
        Ok(header) => format!("expected uid {}, found {}", entry.uid, header.uid),
        Err(error) => error.to_string(),
    };
    // The recovery tells it already.
    if !report.is_damaged() {
        report.findings.push(Finding::damage(&input.name, Some(0), why));
    }
    None
}

fn failure(dir: &Path, error: &PersistError) -> Failure {
    match error {
        PersistError::Locked { .. } => {
            let what = "a server runs on this data directory; single segments of it (log-*.seg) can be read nevertheless";
            Failure::file(dir, io::Error::new(io::ErrorKind::WouldBlock, what))
        }
        PersistError::Manifest { .. } => {
            Failure::Damage { name: dir.display().to_string(), what: error.to_string() }
        }
        error => Failure::file(dir, io::Error::other(error.to_string())),
    }
}
