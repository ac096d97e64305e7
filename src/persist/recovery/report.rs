//! What a recovery tells people.

use std::path::PathBuf;

use formats::log::manifest::CheckpointEntry;
use formats::log::{CheckpointId, Gsn, Manifest};

use super::plan::Plan;
use super::scan::ScannedLog;

/// What was found and what was cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    pub epochs: usize,
    pub logs: usize,
    pub segments: usize,
    pub frames: u64,
    /// Effects in sound frames, cut ones included.
    pub effects: u64,
    /// Bytes of sound frames.
    pub bytes: u64,
    /// Torn ends, never acknowledged.
    pub tails: Vec<TailCut>,
    /// Transactions left out because a participant lacks them, or because they came behind such a one.
    pub transactions_cut: Vec<Gsn>,
    /// Effects in sound frames left out for that reason.
    pub effects_cut: u64,
    /// Effects left out because they lie behind the point in time that was asked for.
    pub effects_beyond_limit: u64,
    /// The checkpoint that it begins with, and what its snapshots hold.
    pub checkpoint: Option<CheckpointId>,
    pub snapshots: usize,
    pub snapshot_keys: u64,
    pub snapshot_bytes: u64,
}

/// One torn end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailCut {
    pub file: PathBuf,
    pub offset: u64,
    /// Bytes that looked like frames; at least the header of the torn one.
    pub bytes: u64,
    pub why: String,
}

pub fn report(
    manifest: &Manifest,
    base: Option<&CheckpointEntry>,
    logs: &[ScannedLog],
    plan: &Plan,
) -> RecoveryReport {
    let snapshots = base.map_or(&[][..], |base| &base.snapshots);
    let tails = logs.iter().filter_map(|log| log.tail.as_ref());
    let segments = || logs.iter().flat_map(|log| &log.segments);
    let header = formats::log::segment::SEGMENT_HEADER_BYTES as u64;
    RecoveryReport {
        epochs: manifest.epochs.len(),
        logs: logs.len(),
        segments: segments().count(),
        frames: logs.iter().map(|log| log.frames.0 - log.start.frames.0).sum(),
        effects: logs.iter().map(|log| log.effects).sum(),
        bytes: segments().map(|segment| segment.end - header).sum(),
        tails: tails
            .map(|tail| TailCut {
                file: tail.file.clone(),
                offset: tail.offset,
                bytes: tail.bytes,
                why: tail.why.clone(),
            })
            .collect(),
        transactions_cut: plan.transactions_cut.clone(),
        effects_cut: plan.effects_cut,
        effects_beyond_limit: plan.effects_beyond_limit,
        checkpoint: base.map(|base| base.id),
        snapshots: snapshots.len(),
        snapshot_keys: snapshots.iter().map(|snapshot| snapshot.keys).sum(),
        snapshot_bytes: snapshots.iter().map(|snapshot| snapshot.bytes).sum(),
    }
}
