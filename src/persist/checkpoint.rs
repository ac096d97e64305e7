//! A checkpoint from its cut to its place in MANIFEST.
//!
//! ```text
//! begin ──► every shard: freeze its view, Log::cut ──► snapshots written and synced ──► finish: MANIFEST ──► release
//! ```
//!
//! Who begins it freezes the views, writes the snapshots and says what to keep; here is what makes it count.
//!
//! Invariants:
//! 1. MANIFEST names a checkpoint only when all its snapshots are on stable storage and every log has gone on behind
//!    its cut.
//! 2. The change that names it also forgets what it makes superfluous. Files are given back after that is durable.
//! 3. A checkpoint that is given up leaves files that nothing names, and costs the logs a new segment: no more.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use formats::log::manifest::{CheckpointEntry, SnapshotEntry};
use formats::log::{CheckpointId, Epoch, Gsn, LogId, Manifest, ShardId};

use super::dir_sync::Since;
use super::disk::DiskFile;
use super::error::PersistError;
use super::file_names;
use super::files::Files;
use super::log::{CutAnswer, CutRequest, SpareSlot, WriterQueue};
use super::manifest::ReplaceError;
use super::retention::{self, Retention};
use crate::waiting;

/// How often somebody who waits for the logs looks whether the checkpoint is to be given up.
const CANCEL_CHECK: Duration = Duration::from_millis(20);

/// A checkpoint under way. Dropped without [`Checkpoint::finish`] it is given up.
pub struct Checkpoint {
    files: Arc<Files>,
    spares: Vec<Arc<SpareSlot>>,
    queues: Vec<Arc<WriterQueue>>,
    id: CheckpointId,
    epoch: Epoch,
    request: CutRequest,
    cuts: Receiver<CutAnswer>,
    /// Before the first snapshot had a name.
    began: Since,
    /// Files made, to be removed if it is given up.
    made: Vec<PathBuf>,
}

/// What is known of the cut itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutFacts {
    /// The last global sequence number given out before it.
    pub gsn: Gsn,
    /// Wall clock, ms since 1970.
    pub time_ms: u64,
}

/// What came of a checkpoint that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// A log was poisoned: what it held before the cut may have gaps, so no moment before this checkpoint can be recovered
    /// any more, though the rule would have kept some.
    pub history_lost: bool,
}

impl Checkpoint {
    pub(super) fn begin(
        files: Arc<Files>,
        spares: Vec<Arc<SpareSlot>>,
        queues: Vec<Arc<WriterQueue>>,
    ) -> Result<Checkpoint, PersistError> {
        let epoch = files.manifest().epochs.last().map(|epoch| epoch.number);
        let epoch = epoch.filter(|_| !spares.is_empty()).ok_or(PersistError::NotRecovered)?;
        // Made ahead of the cut: a writer that has to fill a segment with zeros first would hold up its shards.
        for spare in &spares {
            spare.ensure().map_err(PersistError::io("make a segment in", &files.dir))?;
        }
        // A number is used once: what an attempt leaves behind never has the name of another one's file.
        let mut id = CheckpointId(0);
        files.update_manifest_or_fail(|manifest| {
            id = manifest.next_checkpoint;
            manifest.next_checkpoint = id.next();
        })?;
        let (done, cuts) = channel();
        let request = CutRequest { checkpoint: id, done };
        let began = files.names_since();
        Ok(Checkpoint { files, spares, queues, id, epoch, request, cuts, began, made: Vec::new() })
    }

    pub fn id(&self) -> CheckpointId {
        self.id
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What every shard hands to [`super::Log::cut`] when it freezes its view.
    pub fn cut_request(&self) -> CutRequest {
        self.request.clone()
    }

    /// An empty file for a shard's snapshot.
    pub fn create_snapshot(&mut self, shard: ShardId) -> Result<(PathBuf, Box<dyn DiskFile>), PersistError> {
        let path = self.files.path(&file_names::snapshot(self.id, shard));
        self.made.push(path.clone());
        let file = self.files.disk.create(&path).map_err(PersistError::io("create", &path))?;
        Ok((path, file))
    }

    /// Makes it count: `snapshots`, which are written and synced, and the logs behind the cuts are from now on what a
    /// start begins with. Waits for the logs; gives up when `cancelled` says so.
    ///
    /// # Errors
    /// It does not count then; unless MANIFEST's state is unknown, in which case either may be what a start finds, and
    /// both are sound.
    pub fn finish(
        mut self,
        facts: CutFacts,
        snapshots: Vec<SnapshotEntry>,
        rule: &Retention,
        now_ms: u64,
        cancelled: impl Fn() -> bool,
    ) -> Result<Finished, PersistError> {
        let failed = PersistError::io("make a checkpoint in", &self.files.dir);
        let answers = match self.wait_for_cuts(cancelled) {
            Ok(answers) => answers,
            Err(error) => return Err(failed(error)),
        };
        let gaps = answers.iter().filter(|answer| answer.has_gap);
        let gaps: HashSet<LogId> = gaps.map(|answer| answer.cut.log).collect();
        let cuts = answers.into_iter().map(|answer| answer.cut).collect();
        if let Err(error) = self.files.sync_names(self.began) {
            return Err(failed(error));
        }
        let entry = CheckpointEntry {
            id: self.id,
            epoch: self.epoch,
            gsn: facts.gsn,
            time_ms: facts.time_ms,
            snapshots,
            cuts,
        };
        crash_point!("checkpoint-before-manifest");
        let before = self.files.manifest();
        let has_gap = !gaps.is_empty();
        let mut finished = Finished { history_lost: false };
        let named = self
            .files
            .update_manifest(|manifest| finished.history_lost = add(manifest, entry, rule, now_ms, has_gap));
        match named {
            Ok(()) => self.made.clear(),
            Err(ReplaceError::Unchanged(error)) => return Err(failed(error)),
            Err(ReplaceError::Unknown(error)) => {
                self.made.clear(); // a MANIFEST that names them may come back
                return Err(failed(error));
            }
        }
        crash_point!("checkpoint-after-manifest");
        self.spares.iter().for_each(|spare| spare.follow(self.id));
        self.queues.iter().for_each(|queue| queue.heal(self.id));
        // A file whose sync failed is not written to again.
        self.files.release(&before, |log| gaps.contains(&log));
        Ok(finished)
    }

    fn wait_for_cuts(&self, cancelled: impl Fn() -> bool) -> io::Result<Vec<CutAnswer>> {
        let mut answers = Vec::new();
        while answers.len() < self.queues.len() {
            match waiting::receive_timeout(&self.cuts, CANCEL_CHECK) {
                Ok(answer) => answers.push(answer),
                Err(RecvTimeoutError::Timeout) if !cancelled() => {}
                Err(_) => return Err(io::Error::other("it was given up before every log had gone on")),
            }
        }
        answers.sort_by_key(|answer| answer.cut.log);
        Ok(answers)
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        for path in &self.made {
            let _ = self.files.disk.remove(path); // a leftover is removed by the next start
        }
    }
}

/// Puts a checkpoint into MANIFEST and forgets what the rule does not keep. A log that was poisoned has a gap: nothing
/// from before it is kept. Answers whether the rule would have kept something else.
fn add(
    manifest: &mut Manifest,
    entry: CheckpointEntry,
    rule: &Retention,
    now_ms: u64,
    has_gap: bool,
) -> bool {
    let newest = entry.id;
    manifest.checkpoints.push(entry);
    let steps = retention::steps(manifest);
    let wanted = retention::keep_from(&steps, rule, now_ms).map_or(Some(newest), |step| step.checkpoint);
    // `None`: everything, from the beginning.
    if let Some(id) = if has_gap { Some(newest) } else { wanted } {
        manifest.release_before(id);
    }
    has_gap && wanted != Some(newest)
}
