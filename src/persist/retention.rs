//! Which checkpoints are kept: a pure function.
//!
//! A checkpoint is of use together with all logs behind it. So what is kept is an unbroken piece of history: from one
//! checkpoint on, everything.
//!
//! Invariants:
//! 1. The newest checkpoint is always kept.
//! 2. What is kept beyond it never takes more than the limit in bytes.

use formats::log::manifest::CheckpointEntry;
use formats::log::{CheckpointId, Manifest};

/// How much history is kept for a recovery to a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Checkpoints, the newest one included; at least 1 is kept.
    pub checkpoints: u32,
    /// So far back any moment can be recovered; 0: not asked for.
    pub seconds: u64,
    /// Most bytes of files that only history needs; 0: no limit.
    pub max_bytes: u64,
}

impl Default for Retention {
    /// Only what a start needs.
    fn default() -> Self {
        Retention { checkpoints: 1, seconds: 0, max_bytes: 0 }
    }
}

/// A place in history from which it can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// `None`: the empty beginning.
    pub checkpoint: Option<CheckpointId>,
    pub time_ms: u64,
    /// Bytes of its snapshots, and of the segments from here to the next step.
    pub bytes: u64,
}

/// Where history may begin, oldest first; the last step is the newest checkpoint. Empty without checkpoints.
pub fn steps(manifest: &Manifest) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut checkpoints = manifest.checkpoints.iter().peekable();
    if manifest.is_whole
        && let Some(first) = checkpoints.peek()
    {
        steps.push(Step { checkpoint: None, time_ms: 0, bytes: log_bytes(manifest, None, first) });
    }
    while let Some(checkpoint) = checkpoints.next() {
        let snapshots = sum(checkpoint.snapshots.iter().map(|snapshot| snapshot.bytes));
        let logs = checkpoints.peek().map_or(0, |next| log_bytes(manifest, Some(checkpoint), next));
        let (checkpoint, time_ms) = (Some(checkpoint.id), checkpoint.time_ms);
        steps.push(Step { checkpoint, time_ms, bytes: snapshots.saturating_add(logs) });
    }
    steps
}

/// Bytes of the segments between two checkpoints.
fn log_bytes(manifest: &Manifest, from: Option<&CheckpointEntry>, to: &CheckpointEntry) -> u64 {
    let is_before = |checkpoint: &CheckpointEntry, segment: &formats::log::manifest::SegmentEntry| {
        let epoch = manifest.log(segment.log).map_or(checkpoint.epoch, |log| log.epoch);
        let cut = checkpoint.cuts.iter().find(|cut| cut.log == segment.log);
        epoch < checkpoint.epoch || cut.is_some_and(|cut| segment.number < cut.segment)
    };
    let between = manifest
        .segments
        .iter()
        .filter(|segment| is_before(to, segment) && from.is_none_or(|from| !is_before(from, segment)));
    sum(between.map(|segment| segment.bytes))
}

fn sum(bytes: impl Iterator<Item = u64>) -> u64 {
    bytes.fold(0, u64::saturating_add)
}

/// The step from which on history is kept. `None`: there are no steps.
pub fn keep_from(steps: &[Step], rule: &Retention, now_ms: u64) -> Option<Step> {
    let mut kept = *steps.last()?;
    let horizon_ms = now_ms.saturating_sub(rule.seconds.saturating_mul(1000));
    let (mut count, mut history_bytes) = (1, 0u64);
    for step in steps.iter().rev().skip(1) {
        // The moments just before `kept` can be recovered only from the step before it.
        let in_time = rule.seconds > 0 && kept.time_ms > horizon_ms;
        history_bytes = history_bytes.saturating_add(step.bytes);
        let fits = rule.max_bytes == 0 || history_bytes <= rule.max_bytes;
        if !(in_time || count < rule.checkpoints) || !fits {
            break;
        }
        kept = *step;
        count += 1;
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<Step> {
        let step = |id: u64, time_ms, bytes| Step {
            checkpoint: (id > 0).then_some(CheckpointId(id)),
            time_ms,
            bytes,
        };
        vec![
            step(0, 0, 5),
            step(1, 10_000, 100),
            step(2, 20_000, 200),
            step(3, 30_000, 400),
            step(4, 40_000, 800),
        ]
    }

    fn kept(rule: Retention) -> u64 {
        keep_from(&history(), &rule, 45_000).unwrap().checkpoint.map_or(0, |id| id.0)
    }

    #[test]
    fn rules_keep_what_they_say() {
        let none = Retention::default();
        assert_eq!(keep_from(&[], &none, 0), None);
        for (rule, first) in [
            (none, 4),
            (Retention { checkpoints: 0, ..none }, 4),
            (Retention { checkpoints: 3, ..none }, 2),
            (Retention { checkpoints: 5, ..none }, 0),
            (Retention { checkpoints: 99, ..none }, 0),
            (Retention { seconds: 1, ..none }, 4), // checkpoint 4 is older than that
            (Retention { seconds: 5, ..none }, 4), // the moment of checkpoint 4 itself is the limit
            (Retention { seconds: 6, ..none }, 3),
            (Retention { seconds: 30, ..none }, 1),
            (Retention { seconds: 1_000_000, ..none }, 0),
            (Retention { seconds: 6, checkpoints: 4, ..none }, 1),
            (Retention { checkpoints: 99, max_bytes: 399, ..none }, 4),
            (Retention { checkpoints: 99, max_bytes: 600, ..none }, 2),
            (Retention { checkpoints: 99, max_bytes: 705, ..none }, 0),
        ] {
            assert_eq!(kept(rule), first, "{rule:?}");
        }
    }
}
