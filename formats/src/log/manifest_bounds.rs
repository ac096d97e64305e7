//! Bounds of the numbers in a MANIFEST, so that no arithmetic on them overflows, whoever wrote them.
//!
//! Invariants:
//! 1. What passes `check` has numbers below [`MAX_NUMBER`], and counts, and sums of keys and of bytes over the whole
//!    MANIFEST, below [`MAX_COUNT`].

use super::ids::{Position, ShardId};
use super::manifest::{
    CheckpointEntry, LogEntry, LogState, MAX_COUNT, MAX_NUMBER, Manifest, ManifestError, inconsistent,
};

pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let (epoch, log) = (manifest.next_epoch.0, manifest.next_log.0);
    if epoch >= MAX_NUMBER || log >= MAX_NUMBER {
        return inconsistent(format!("next-epoch {epoch} or next-log {log} is {MAX_NUMBER} or more"));
    }
    count("next-checkpoint", manifest.next_checkpoint.0)?;
    manifest.epochs.iter().try_for_each(|epoch| count("first GSN of an epoch", epoch.first_gsn.0))?;
    manifest.logs.iter().try_for_each(log_counts)?;
    manifest.checkpoints.iter().try_for_each(checkpoint_counts)?;
    let snapshots = || manifest.checkpoints.iter().flat_map(|checkpoint| &checkpoint.snapshots);
    sum("bytes of all segments", manifest.segments.iter().map(|segment| segment.bytes))?;
    sum("bytes of all snapshots", snapshots().map(|snapshot| snapshot.bytes))?;
    sum("keys of all snapshots", snapshots().map(|snapshot| snapshot.keys))
}

fn log_counts(log: &LogEntry) -> Result<(), ManifestError> {
    count("frames before a log", log.from.frames.0)?;
    positions(&log.from.positions)?;
    match &log.state {
        LogState::Open => Ok(()),
        LogState::Sealed(seal) => {
            count("frames of a log", seal.frames.0)?;
            positions(&seal.ends)
        }
    }
}

fn checkpoint_counts(checkpoint: &CheckpointEntry) -> Result<(), ManifestError> {
    count("GSN of a checkpoint", checkpoint.gsn.0)?;
    count("time of a checkpoint", checkpoint.time_ms)?;
    for cut in &checkpoint.cuts {
        count("frames before a cut", cut.frames.0)?;
        positions(&cut.ends)?;
    }
    Ok(())
}

fn positions(positions: &[(ShardId, Position)]) -> Result<(), ManifestError> {
    positions.iter().try_for_each(|(_, position)| count("position", position.0))
}

fn count(what: &str, count: u64) -> Result<(), ManifestError> {
    if count < MAX_COUNT { Ok(()) } else { inconsistent(format!("{what} {count} is {MAX_COUNT} or more")) }
}

fn sum(what: &str, mut counts: impl Iterator<Item = u64>) -> Result<(), ManifestError> {
    count(what, counts.try_fold(0, u64::checked_add).unwrap_or(u64::MAX))
}
