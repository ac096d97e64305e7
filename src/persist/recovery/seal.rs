//! Makes a recovery final: what is kept is durable, and MANIFEST says where each log ends.
//!
//! A crash before MANIFEST is replaced leaves everything as it was found; a crash after it, a file to
//! truncate at most.

use std::collections::{HashMap, HashSet};

use formats::log::manifest::{LogState, Seal};
use formats::log::{LogId, Manifest, SegmentNo};

use super::plan::Plan;
use super::scan::ScannedLog;
use crate::persist::error::PersistError;
use crate::persist::files::Files;

/// Frames are written again in pieces of this many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Seals every open log at its cut. Logs without frames are forgotten. `manifest`: what the logs were read by.
pub fn seal(
    files: &Files,
    manifest: &Manifest,
    logs: &[ScannedLog],
    plan: &Plan,
) -> Result<(), PersistError> {
    let open: Vec<&ScannedLog> = logs.iter().filter(|log| log.seal.is_none()).collect();
    for log in &open {
        make_tail_durable(files, log)?;
    }
    let seals: HashMap<LogId, Option<Seal>> =
        open.iter().map(|log| (log.id, seal_of(manifest, log, plan))).collect();
    crash_point!("recovery-before-seal");
    if !seals.is_empty() {
        files.update_manifest_or_fail(|manifest| apply_seals(manifest, &seals))?;
    }
    crash_point!("recovery-after-seal");
    truncate_tails(files, &open);
    Ok(())
}

/// Writes the frames that nothing vouches for again, in place, and syncs them. They were read from the page
/// cache, and a sync that failed before the restart may have left them there and nowhere else. The bytes do
/// not change, so a crash harms nothing.
fn make_tail_durable(files: &Files, log: &ScannedLog) -> Result<(), PersistError> {
    let Some((index, from)) = log.unvouched_from else { return Ok(()) };
    for (place, segment) in log.segments.iter().enumerate().skip(index) {
        let start = if place == index { from } else { formats::log::segment::SEGMENT_HEADER_BYTES as u64 };
        let Some(bytes) =
            segment.map.get(start as usize..segment.end as usize).filter(|bytes| !bytes.is_empty())
        else {
            continue;
        };
        let rewrite = || {
            let mut file = files.disk.open(&segment.path)?;
            for (piece, bytes) in bytes.chunks(PIECE_BYTES).enumerate() {
                file.write_all_at(start + (piece * PIECE_BYTES) as u64, bytes)?;
            }
            file.sync_data()
        };
        rewrite().map_err(PersistError::io("make durable", &segment.path))?;
    }
    Ok(())
}

/// `None`: the log has no frames, behind the checkpoint nor before it.
fn seal_of(manifest: &Manifest, log: &ScannedLog, plan: &Plan) -> Option<Seal> {
    let has_earlier = manifest.log(log.id).is_some_and(|entry| entry.from != log.start);
    let last = match log.last_with_frames() {
        Some(last) => log.segments.get(last)?,
        None => log.segments.first().filter(|_| has_earlier)?,
    };
    let ends = log.ends.iter().map(|&(shard, _)| (shard, plan.cut(log.epoch, shard))).collect();
    Some(Seal { segment: last.number, offset: last.end, frames: log.frames, ends })
}

/// Writes seals into a MANIFEST: segments behind a seal are forgotten, and so are logs without frames.
pub fn apply_seals(manifest: &mut Manifest, seals: &HashMap<LogId, Option<Seal>>) {
    let mut kept: HashSet<(LogId, SegmentNo)> = HashSet::new();
    for segment in &mut manifest.segments {
        let Some(seal) = seals.get(&segment.log) else {
            kept.insert((segment.log, segment.number));
            continue;
        };
        if let Some(seal) = seal.as_ref().filter(|seal| segment.number <= seal.segment) {
            kept.insert((segment.log, segment.number));
            if segment.number == seal.segment {
                segment.bytes = seal.offset;
            }
        }
    }
    manifest.segments.retain(|segment| kept.contains(&(segment.log, segment.number)));
    for log in &mut manifest.logs {
        if let Some(Some(seal)) = seals.get(&log.id) {
            log.state = LogState::Sealed(seal.clone());
        }
    }
    manifest.remove_logs(|log| seals.get(&log.id).is_some_and(Option::is_none));
}

/// Gives the space behind the seals back. Failure costs space, nothing else.
fn truncate_tails(files: &Files, logs: &[&ScannedLog]) {
    for log in logs {
        if let Some(segment) = log.last_with_frames().and_then(|last| log.segments.get(last))
            && let Ok(mut file) = files.disk.open(&segment.path)
        {
            let _ = file.set_len(segment.end);
        }
    }
}
