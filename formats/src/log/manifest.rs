//! MANIFEST: which files are the data, where each log begins and ends, and which snapshots stand for what came
//! before. Text, so that a person can read it in an emergency.
//!
//! ```text
//! everfast-manifest 2
//! hash-seed 00c0ffee00c0ffee
//! next-epoch 3
//! next-log 5
//! next-checkpoint 2
//! history released
//! epoch 1 shards 2 first-gsn 1
//! epoch 2 shards 1 first-gsn 17
//! log 1 epoch 1 shards 0,1 from 9 at 0:31,1:2 sealed segment 3 offset 8192 frames 12 ends 0:40,1:7
//! log 4 epoch 2 shards 0 open
//! segment 1 3 uid 0123456789abcdef bytes 8192
//! segment 4 0 uid fedcba9876543210 bytes 4194304
//! checkpoint 1 epoch 1 gsn 16 time 1790000000000
//! snapshot 1 0 bytes 4096 keys 31 crc64 0123456789abcdef
//! snapshot 1 1 bytes 211 keys 2 crc64 fedcba9876543210
//! cut 1 log 1 segment 3 frames 9 ends 0:31,1:2
//! crc32 89abcdef
//! ```
//!
//! The last line is the CRC-32 of all bytes before it. A file that MANIFEST does not name is never read.
//!
//! Invariants:
//! 1. A [`Manifest`] is consistent: every log has its epoch, every segment its log, a shard has one log per
//!    epoch, numbers ascend, a sealed log's last segment is there, a checkpoint has its snapshots and cuts all logs of
//!    its epoch and no others, at segments that are there, and a log begins at zero or at the cut of a checkpoint.
//!    No count or sum is near the end of its type: arithmetic on what `verify` answers does not overflow.
//! 2. What `encode` writes, `verify` reads back to the same value.

use std::collections::HashSet;

use super::ids::{CheckpointId, Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, SegmentUid, ShardId};
use super::manifest_text;

/// The version of MANIFEST that this code writes; it reads this one and those before.
pub const MANIFEST_VERSION: u32 = 2;
/// Epochs and logs are numbered below this.
pub const MAX_NUMBER: u32 = u32::MAX / 2;
/// Counts, positions, times and sums of bytes are below this: 146 years at a thousand million a second.
pub const MAX_COUNT: u64 = 1 << 62;
/// Most bytes of a MANIFEST.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// A MANIFEST that passed its checksum and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Seed of the hash that places keys; random per data directory.
    pub hash_seed: u64,
    pub next_epoch: Epoch,
    pub next_log: LogId,
    pub next_checkpoint: CheckpointId,
    /// The logs reach back to the empty beginning: nothing was released to a checkpoint yet.
    pub is_whole: bool,
    pub epochs: Vec<EpochEntry>,
    pub logs: Vec<LogEntry>,
    pub segments: Vec<SegmentEntry>,
    /// Ascending. The newest one is what a start begins with.
    pub checkpoints: Vec<CheckpointEntry>,
}

/// One start of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub number: Epoch,
    pub shards: u16,
    /// The first global sequence number that this epoch could hand out.
    pub first_gsn: Gsn,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub id: LogId,
    pub epoch: Epoch,
    /// Shards whose frames it holds.
    pub shards: Vec<ShardId>,
    /// Where the segments that are still there begin.
    pub from: LogStart,
    pub state: LogState,
}

/// Where a log begins: what came before is in the snapshots of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStart {
    /// Frames that came before.
    pub frames: FrameNo,
    /// Effects of each shard that came before.
    pub positions: Vec<(ShardId, Position)>,
}

impl LogStart {
    /// The very beginning.
    pub fn zero(shards: &[ShardId]) -> LogStart {
        LogStart { frames: FrameNo(0), positions: shards.iter().map(|&shard| (shard, Position(0))).collect() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogState {
    /// It may grow: its end is found by reading.
    Open,
    /// Nothing behind the seal is ever read; everything before it is vouched for.
    Sealed(Seal),
}

/// Where a log ends for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub segment: SegmentNo,
    /// Bytes of the last segment's file that belong to the log.
    pub offset: u64,
    pub frames: FrameNo,
    /// Where each shard is cut: effects from this position on are not applied.
    pub ends: Vec<(ShardId, Position)>,
}

/// One segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    pub log: LogId,
    pub number: SegmentNo,
    pub uid: SegmentUid,
    /// Size of the file. A sealed log's last segment may be larger, if a crash came before it was truncated.
    pub bytes: u64,
}

/// A state of all data: snapshots, and where the logs go on behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointEntry {
    pub id: CheckpointId,
    /// What is in later epochs, and in this one behind the cuts, comes on top. 0: before all epochs.
    pub epoch: Epoch,
    /// The last global sequence number given out before the cut.
    pub gsn: Gsn,
    /// When it was cut, in ms since 1970.
    pub time_ms: u64,
    /// One per shard of that time, in their order.
    pub snapshots: Vec<SnapshotEntry>,
    /// Of the logs of its epoch. A log of it that is not here is forgotten: it has nothing behind the cut.
    pub cuts: Vec<LogCut>,
}

/// One shard's part of a checkpoint: an RDB file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    pub shard: ShardId,
    /// Size of the file.
    pub bytes: u64,
    pub keys: u64,
    /// The checksum at the end of the file.
    pub crc64: u64,
}

/// Where a log goes on behind a checkpoint: at the start of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCut {
    pub log: LogId,
    pub segment: SegmentNo,
    /// Frames before it.
    pub frames: FrameNo,
    /// Effects of each shard before it.
    pub ends: Vec<(ShardId, Position)>,
}

impl LogCut {
    /// The cut as the beginning of what follows it.
    pub fn start(&self) -> LogStart {
        LogStart { frames: self.frames, positions: self.ends.clone() }
    }
}

/// Why a MANIFEST is not accepted. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("MANIFEST has no checksum line at its end")]
    NoChecksum,
    #[error("MANIFEST damaged: expected checksum {expected:08x}, found {found:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error("not a MANIFEST: expected first line `everfast-manifest <version>`")]
    NoMagic,
    #[error("MANIFEST of format version {found}; this program reads up to version {MANIFEST_VERSION}")]
    NewerVersion { found: u32 },
    #[error("MANIFEST line {line}: expected {expected}")]
    Syntax { line: usize, expected: &'static str },
    #[error("MANIFEST contradicts itself: {0}")]
    Inconsistent(String),
}

/// The bytes of a MANIFEST, before anything in them may be believed.
#[derive(Clone, Copy, Debug)]
pub struct UnverifiedManifest<'a>(pub &'a [u8]);

impl UnverifiedManifest<'_> {
    /// Checks the checksum, the version, the syntax, and that the parts fit each other.
    pub fn verify(self) -> Result<Manifest, ManifestError> {
        let manifest = manifest_text::parse(self.0)?;
        manifest.check()?;
        Ok(manifest)
    }
}

impl Manifest {
    /// A MANIFEST of a new data directory.
    pub fn new(hash_seed: u64) -> Manifest {
        Manifest {
            hash_seed,
            next_epoch: Epoch(1),
            next_log: LogId(1),
            next_checkpoint: CheckpointId(1),
            is_whole: true,
            epochs: Vec::new(),
            logs: Vec::new(),
            segments: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// The file's bytes, checksum included.
    pub fn encode(&self) -> Vec<u8> {
        manifest_text::encode(self)
    }

    pub fn epoch(&self, number: Epoch) -> Option<&EpochEntry> {
        self.epochs.iter().find(|epoch| epoch.number == number)
    }

    pub fn log(&self, id: LogId) -> Option<&LogEntry> {
        self.logs.iter().find(|log| log.id == id)
    }

    /// The segments of one log, ascending.
    pub fn segments_of(&self, id: LogId) -> impl Iterator<Item = &SegmentEntry> {
        self.segments.iter().filter(move |segment| segment.log == id)
    }

    /// Names a segment; `segments` stays in order.
    pub fn insert_segment(&mut self, entry: SegmentEntry) {
        let place =
            self.segments.partition_point(|other| (other.log, other.number) < (entry.log, entry.number));
        self.segments.insert(place, entry);
    }

    /// The checkpoint that a start begins with.
    pub fn newest_checkpoint(&self) -> Option<&CheckpointEntry> {
        self.checkpoints.last()
    }

    /// Forgets logs and with them their segments and cuts, and epochs that have no log left.
    pub fn remove_logs(&mut self, remove: impl Fn(&LogEntry) -> bool) {
        self.logs.retain(|log| !remove(log));
        let kept: HashSet<LogId> = self.logs.iter().map(|log| log.id).collect();
        let epochs: HashSet<Epoch> = self.logs.iter().map(|log| log.epoch).collect();
        self.segments.retain(|segment| kept.contains(&segment.log));
        for checkpoint in &mut self.checkpoints {
            checkpoint.cuts.retain(|cut| kept.contains(&cut.log));
        }
        // The newest epoch stays: its first GSN keeps the numbers ascending.
        let newest = self.epochs.last().map(|epoch| epoch.number);
        self.epochs.retain(|epoch| epochs.contains(&epoch.number) || Some(epoch.number) == newest);
    }

    /// Forgets what is older than a checkpoint: older ones, the logs of earlier epochs, and what its cuts leave behind.
    /// Files that are not named any more may be deleted once the MANIFEST is durable.
    pub fn release_before(&mut self, keep: CheckpointId) {
        let Some(kept) = self.checkpoints.iter().find(|checkpoint| checkpoint.id == keep).cloned() else {
            return;
        };
        self.is_whole = false;
        self.checkpoints.retain(|checkpoint| checkpoint.id >= keep);
        let has_more =
            |log: &LogEntry| log.epoch > kept.epoch || kept.cuts.iter().any(|cut| cut.log == log.id);
        self.remove_logs(|log| !has_more(log));
        for cut in &kept.cuts {
            if let Some(log) = self.logs.iter_mut().find(|log| log.id == cut.log) {
                log.from = cut.start();
            }
            self.segments.retain(|segment| segment.log != cut.log || segment.number >= cut.segment);
        }
    }

    /// Checks invariant 1.
    pub fn check(&self) -> Result<(), ManifestError> {
        super::manifest_bounds::check(self)?;
        self.check_epochs()?;
        self.check_logs()?;
        self.check_segments()?;
        self.check_checkpoints()
    }

    fn check_epochs(&self) -> Result<(), ManifestError> {
        ascending("epochs", self.epochs.iter().map(|epoch| epoch.number))?;
        ascending("first GSNs", self.epochs.iter().map(|epoch| (epoch.first_gsn, epoch.number)))?;
        for epoch in &self.epochs {
            if epoch.number >= self.next_epoch {
                return inconsistent(format!(
                    "epoch {} is not below next-epoch {}",
                    epoch.number, self.next_epoch
                ));
            }
            if epoch.shards == 0 {
                return inconsistent(format!("epoch {} has no shards", epoch.number));
            }
        }
        Ok(())
    }

    fn check_logs(&self) -> Result<(), ManifestError> {
        ascending("logs", self.logs.iter().map(|log| log.id))?;
        let mut served = HashSet::new();
        for log in &self.logs {
            if log.id >= self.next_log {
                return inconsistent(format!("log {} is not below next-log {}", log.id, self.next_log));
            }
            let Some(epoch) = self.epoch(log.epoch) else {
                return inconsistent(format!("log {} belongs to unknown epoch {}", log.id, log.epoch));
            };
            if !log.from.positions.iter().map(|(shard, _)| shard).eq(&log.shards) {
                return inconsistent(format!("log {} does not begin for each of its shards", log.id));
            }
            if log.from != LogStart::zero(&log.shards) && !self.begins_at_a_cut(log) {
                return inconsistent(format!("log {} begins behind no checkpoint", log.id));
            }
            if log.shards.is_empty() {
                return inconsistent(format!("log {} serves no shards", log.id));
            }
            for &shard in &log.shards {
                if shard.0 >= epoch.shards || !served.insert((log.epoch, shard)) {
                    return inconsistent(format!("log {}: shard {shard} is unknown or served twice", log.id));
                }
            }
            if let LogState::Sealed(seal) = &log.state {
                self.check_seal(log, seal)?;
            }
        }
        Ok(())
    }

    fn begins_at_a_cut(&self, log: &LogEntry) -> bool {
        let mut cuts = self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.cuts);
        cuts.any(|cut| cut.log == log.id && cut.start() == log.from)
    }

    fn check_seal(&self, log: &LogEntry, seal: &Seal) -> Result<(), ManifestError> {
        let last = self.segments_of(log.id).last();
        if last.is_none_or(|last| last.number != seal.segment || seal.offset > last.bytes) {
            return inconsistent(format!("log {} is sealed at a segment that is not its last", log.id));
        }
        if seal.frames < log.from.frames {
            return inconsistent(format!("log {} is sealed before it begins", log.id));
        }
        if !seal.ends.iter().map(|(shard, _)| shard).eq(&log.shards) {
            return inconsistent(format!("log {} is not sealed for each of its shards", log.id));
        }
        Ok(())
    }

    fn check_segments(&self) -> Result<(), ManifestError> {
        ascending("segments", self.segments.iter().map(|segment| (segment.log, segment.number)))?;
        let logs: HashSet<LogId> = self.logs.iter().map(|log| log.id).collect();
        let mut uids = HashSet::new();
        for segment in &self.segments {
            if !logs.contains(&segment.log) || !uids.insert(segment.uid) {
                return inconsistent(format!(
                    "segment {} of log {}: unknown log, or a uid used twice",
                    segment.number, segment.log
                ));
            }
        }
        Ok(())
    }
}

impl Manifest {
    fn check_checkpoints(&self) -> Result<(), ManifestError> {
        ascending("checkpoints", self.checkpoints.iter().map(|checkpoint| checkpoint.id))?;
        if !self.is_whole && self.checkpoints.is_empty() {
            return inconsistent("history was released, and to no checkpoint".to_owned());
        }
        // What a later one stands for goes at least as far.
        let order =
            self.checkpoints.iter().map(|checkpoint| (checkpoint.epoch, checkpoint.gsn, checkpoint.id));
        ascending("epochs of checkpoints", order)?;
        for checkpoint in &self.checkpoints {
            let id = checkpoint.id;
            if id >= self.next_checkpoint || checkpoint.epoch >= self.next_epoch {
                return inconsistent(format!("checkpoint {id} is from the future"));
            }
            let shards = checkpoint.snapshots.iter().map(|snapshot| snapshot.shard.0);
            if checkpoint.snapshots.is_empty() || !shards.eq(0..checkpoint.snapshots.len() as u16) {
                return inconsistent(format!("checkpoint {id} does not have a snapshot for each shard"));
            }
            ascending("cuts", checkpoint.cuts.iter().map(|cut| cut.log))?;
            for cut in &checkpoint.cuts {
                self.check_cut(checkpoint, cut)?;
            }
            let mut logs = self.logs.iter().filter(|log| log.epoch == checkpoint.epoch).map(|log| log.id);
            if let Some(log) = logs.find(|&log| checkpoint.cuts.iter().all(|cut| cut.log != log)) {
                return inconsistent(format!("checkpoint {id} does not cut log {log}"));
            }
        }
        Ok(())
    }

    fn check_cut(&self, checkpoint: &CheckpointEntry, cut: &LogCut) -> Result<(), ManifestError> {
        let (id, log) = (checkpoint.id, cut.log);
        let fits = self.log(log).is_some_and(|entry| {
            let sealed_before = matches!(&entry.state, LogState::Sealed(seal) if seal.frames < cut.frames);
            entry.epoch == checkpoint.epoch
                && entry.from.frames <= cut.frames
                && !sealed_before
                && cut.ends.iter().map(|(shard, _)| shard).eq(&entry.shards)
        });
        if !fits || !self.segments_of(log).any(|segment| segment.number == cut.segment) {
            return inconsistent(format!("checkpoint {id} cuts log {log} where it is not"));
        }
        Ok(())
    }
}

fn ascending<T: Ord>(what: &str, items: impl Iterator<Item = T>) -> Result<(), ManifestError> {
    let mut before = None;
    for item in items {
        if before.as_ref().is_some_and(|before| *before >= item) {
            return inconsistent(format!("{what} do not ascend"));
        }
        before = Some(item);
    }
    Ok(())
}

pub(super) fn inconsistent<T>(what: String) -> Result<T, ManifestError> {
    Err(ManifestError::Inconsistent(what))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
