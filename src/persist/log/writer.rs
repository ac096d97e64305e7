//! Turns chunks into frames on disk: a state machine without a thread or a clock, so that a test can drive
//! every step.
//!
//! Invariants:
//! 1. `durable <= written <= appended` per shard; `durable_frames <= frames` for the log.
//! 2. A segment is synced before the first frame of the next one is written.
//! 3. A group of frames that could not be written as a whole is written again at the same offset, before
//!    anything else.
//! 4. After a failed sync the log is poisoned: durable positions stay, its segment is not synced again, and no new one
//!    is begun but at a cut. Writing goes on while the segment lasts: what is in the file survives a killed process,
//!    though it proves nothing.
//! 5. A poisoned log that was cut writes and syncs a new segment; what is durable there counts only when the checkpoint
//!    is durable that stands for everything before the cut.

use crate::{clock, waiting};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use formats::log::manifest::{LogCut, Seal};
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{CheckpointId, FrameNo, LogId, Position, ShardId};

use super::chunk::Chunk;
use super::cut::{CutAnswer, CutGate, CutRequest, Handed, Queued};
use super::options::SegmentSizes;
use super::policy::{PolicyCell, SYNC_INTERVAL_MS, SyncPolicy};
use super::preparer::SpareSlot;
use super::segment::Segment;
use super::segment_size::{next_segment_size, next_segment_size_at_cut};
use super::shared::{LogMetrics, LogShared, LogStatus};
use crate::persist::poison::Poison;

/// From here on a sync counts as slow: it is worth waiting a little so that all shards share it.
const SLOW_SYNC: Duration = Duration::from_micros(400);
/// The longest such wait.
const MAX_GATHER: Duration = Duration::from_millis(2);
/// Frames of several chunks are written together up to this size.
const GROUP_BYTES: u64 = 1 << 20;
/// First and longest pause before a failed write is tried again.
const RETRY_MS: (u64, u64) = (50, 1000);
/// The next segment is made when this part of the current one is filled.
const SPARE_SHARE: u64 = 8;
/// An oversized segment's size is a multiple of this.
const SEGMENT_ROUNDING: u64 = 4096;

/// What a writer is made of.
pub struct WriterParts {
    pub log: LogId,
    pub segment: Segment,
    pub spare: Arc<SpareSlot>,
    /// Asks for spares ahead of need.
    pub preparer: Option<Sender<Arc<SpareSlot>>>,
    pub sizes: SegmentSizes,
    pub shards: Vec<Arc<LogShared>>,
    pub policy: Arc<PolicyCell>,
    pub metrics: Arc<LogMetrics>,
}

/// See the module.
pub struct LogWriter {
    parts: WriterParts,
    segment_since_ms: u64,
    asked_for_spare: bool,
    gate: CutGate,
    queued: VecDeque<Queued>,
    /// How many chunks at the front were made into frames for the current offset.
    sealed: usize,
    frames: FrameNo,
    durable_frames: FrameNo,
    /// When the oldest written and un-synced frame was written.
    unsynced_since_ms: Option<u64>,
    sync_requested: bool,
    /// Moving average.
    mean_sync_us: u64,
    retry: Option<Retry>,
    poison: Poison,
    /// The checkpoint at whose cut the poisoned log began its segment anew: that one may be synced.
    cut_poisoned: Option<CheckpointId>,
    buffer: Vec<u8>,
    used: Vec<Vec<u8>>,
    changed: Vec<bool>,
}

struct Retry {
    at_ms: u64,
    pause_ms: u64,
}

/// Work on the queue stopped before its end.
enum Stop {
    /// Try again later.
    Failed(io::Error),
    Poisoned,
}

impl LogWriter {
    pub fn new(parts: WriterParts, now_ms: u64) -> LogWriter {
        let changed = vec![false; parts.shards.len()];
        LogWriter {
            parts,
            segment_since_ms: now_ms,
            asked_for_spare: false,
            gate: CutGate::default(),
            queued: VecDeque::new(),
            sealed: 0,
            frames: FrameNo(0),
            durable_frames: FrameNo(0),
            unsynced_since_ms: None,
            sync_requested: false,
            mean_sync_us: 0,
            retry: None,
            poison: Poison::default(),
            cut_poisoned: None,
            buffer: Vec::new(),
            used: Vec::new(),
            changed,
        }
    }

    /// Takes what shards handed over into the writer's own queue.
    pub fn accept(&mut self, handed: Vec<Handed>) {
        let shards = self.parts.shards.len();
        handed.into_iter().for_each(|handed| self.gate.pass(handed, shards, &mut self.queued));
    }

    /// A sync shall come soon, whatever the policy.
    pub fn request_sync(&mut self) {
        self.sync_requested = true;
    }

    /// Writes what is queued, and syncs if it is time. `now_ms` is monotonic. Where writing failed before,
    /// nothing is tried until the pause is over.
    pub fn run(&mut self, now_ms: u64) {
        if self.retry.as_ref().is_some_and(|retry| now_ms < retry.at_ms) {
            // What was written before the trouble is still made durable in time.
            self.sync_if_due(now_ms);
            return;
        }
        match self.write_queued(now_ms) {
            Ok(()) => self.resume(),
            Err(Stop::Failed(error)) => self.pause(now_ms, &error),
            Err(Stop::Poisoned) => {}
        }
        self.sync_if_due(now_ms);
    }

    /// As `run`, without regard to pauses, and with a sync at the end whatever the policy.
    pub fn flush(&mut self, now_ms: u64) {
        self.retry = self.retry.take().map(|retry| Retry { at_ms: now_ms, ..retry });
        self.run(now_ms);
        if self.unsynced_since_ms.is_some() {
            let _ = self.sync();
        }
    }

    fn write_queued(&mut self, now_ms: u64) -> Result<(), Stop> {
        while let Some(front) = self.queued.front() {
            let front = match front {
                Queued::Chunk(chunk) => chunk,
                Queued::Cut(request) => {
                    let request = request.clone();
                    self.cut(&request, now_ms)?;
                    continue;
                }
            };
            if self.sealed == 0 && front.frame_bytes() > self.parts.segment.free_bytes() {
                let need = front.frame_bytes();
                match self.next_segment(need, now_ms) {
                    Err(_) if self.may_skip() => {
                        self.skip(1);
                        continue;
                    }
                    begun => begun?,
                }
            }
            if self.sealed == 0 {
                self.seal_group();
            }
            match self.write_group(now_ms) {
                Err(_) if self.may_skip() => self.skip(self.sealed),
                written => written?,
            }
        }
        Ok(())
    }

    /// Whether chunks at the front stand before a cut of a poisoned log: only the checkpoint will stand for them.
    fn may_skip(&self) -> bool {
        !self.can_sync() && self.queued.iter().any(|queued| queued.chunk().is_none())
    }

    /// Leaves out chunks for which there is no room, or that cannot be written. The numbers of their frames are used up, so
    /// that nothing behind them is taken for their successor.
    fn skip(&mut self, chunks: usize) {
        self.sealed = chunks;
        self.publish_written();
    }

    /// Makes frames of the chunks that go in one write.
    fn seal_group(&mut self) {
        let mut room = self.parts.segment.free_bytes();
        let (mut number, mut total) = (self.frames, 0);
        for queued in &mut self.queued {
            let Queued::Chunk(chunk) = queued else { break };
            let bytes = chunk.frame_bytes();
            if bytes > room || (total > 0 && total + bytes > GROUP_BYTES) {
                break;
            }
            chunk.seal(number, self.durable_frames, self.parts.segment.uid);
            (room, total, number) = (room - bytes, total + bytes, number.next());
            self.sealed += 1;
        }
    }

    fn write_group(&mut self, now_ms: u64) -> Result<(), Stop> {
        let mut group = self.queued.iter().take(self.sealed).filter_map(Queued::chunk);
        let frames = match (self.sealed, group.next()) {
            (1, Some(chunk)) => chunk.frame(),
            (_, first) => {
                self.buffer.clear();
                first.into_iter().chain(group).for_each(|chunk| self.buffer.extend_from_slice(chunk.frame()));
                &self.buffer
            }
        };
        let started = clock::now();
        crash_point!("log-before-write");
        self.parts.segment.write(frames).map_err(Stop::Failed)?;
        crash_point!("log-after-write");
        let metrics = &self.parts.metrics;
        let write_us = clock::elapsed(started).as_micros() as u64;
        metrics.write_us.record(write_us);
        metrics.longest_write_us.record(write_us);
        metrics.batch_bytes.record(frames.len() as u64);
        add(&metrics.bytes_written, frames.len() as u64);
        add(&metrics.writes, 1);
        self.unsynced_since_ms.get_or_insert(now_ms);
        self.publish_written();
        self.ask_for_spare();
        Ok(())
    }

    fn publish_written(&mut self) {
        let mut effects = 0;
        for chunk in self.queued.drain(..self.sealed).filter_map(Queued::into_chunk) {
            self.frames = self.frames.next();
            effects += u64::from(chunk.effects());
            let place = place_of(&self.parts.shards, chunk.shard());
            self.parts.shards[place].note_written(chunk.end(), chunk.effect_bytes());
            self.changed[place] = true;
            self.used.push(chunk.into_buffer());
        }
        add(&self.parts.metrics.frames, self.sealed as u64);
        self.parts.metrics.batch_effects.record(effects);
        self.sealed = 0;
    }

    /// The spare is made once the segment is in use for good, so that an idle server takes one segment per
    /// log.
    fn ask_for_spare(&mut self) {
        if let Some(preparer) = &self.parts.preparer
            && !self.asked_for_spare
            && self.parts.segment.offset >= self.parts.segment.bytes / SPARE_SHARE
        {
            self.asked_for_spare = true;
            // The preparer is gone only when the server stops.
            let _ = preparer.send(Arc::clone(&self.parts.spare));
        }
    }

    /// Everything before the cut is written: goes on in a new segment, and says where.
    fn cut(&mut self, request: &CutRequest, now_ms: u64) -> Result<(), Stop> {
        if self.parts.segment.offset > SEGMENT_HEADER_BYTES as u64 {
            if self.unsynced_since_ms.is_some() {
                // If this fails, the checkpoint is what makes it durable.
                let _ = self.sync();
            }
            let Segment { bytes, offset, .. } = self.parts.segment;
            self.switch_segment(0, next_segment_size_at_cut(bytes, offset, self.parts.sizes), now_ms)?;
        }
        if self.is_poisoned() {
            self.cut_poisoned = Some(request.checkpoint);
            self.unsynced_since_ms = None;
        }
        self.queued.pop_front();
        let ends = self.parts.shards.iter().map(|shard| (shard.shard(), shard.written())).collect();
        let (segment, frames) = (self.parts.segment.number, self.frames);
        crash_point!("log-at-cut");
        let cut = LogCut { log: self.parts.log, segment, frames, ends };
        let _ = request.done.send(CutAnswer { cut, has_gap: self.is_poisoned() }); // who asked may have given up
        Ok(())
    }

    /// The checkpoint is durable: what came before its cut needs no log. A log that was poisoned then is sound again.
    pub fn heal(&mut self, checkpoint: CheckpointId) {
        if self.cut_poisoned != Some(checkpoint) || (self.unsynced_since_ms.is_some() && self.sync().is_err())
        {
            return;
        }
        self.cut_poisoned = None;
        self.poison = Poison::default();
        self.publish_durable();
        self.set_status(&LogStatus::Ok);
    }

    fn next_segment(&mut self, frame_bytes: u64, now_ms: u64) -> Result<(), Stop> {
        if !self.can_sync() {
            return Err(Stop::Poisoned);
        }
        if self.unsynced_since_ms.is_some() {
            self.sync()?;
        }
        let filled_in_ms = now_ms.saturating_sub(self.segment_since_ms);
        let wanted = next_segment_size(self.parts.segment.bytes, filled_in_ms, self.parts.sizes);
        self.switch_segment(frame_bytes, wanted, now_ms)
    }

    /// Goes on in the next segment, with room for a frame of `frame_bytes`. `wanted`: size in bytes of the one after it.
    fn switch_segment(&mut self, frame_bytes: u64, wanted: u64, now_ms: u64) -> Result<(), Stop> {
        let least = (SEGMENT_HEADER_BYTES as u64 + frame_bytes).next_multiple_of(SEGMENT_ROUNDING);
        crash_point!("log-before-next-segment");
        let prepared = self.parts.spare.take(least, wanted).map_err(Stop::Failed)?;
        self.parts.segment = Segment::new(prepared);
        crash_point!("log-after-next-segment");
        self.segment_since_ms = now_ms;
        self.asked_for_spare = false;
        add(&self.parts.metrics.segments, 1);
        Ok(())
    }

    fn sync_if_due(&mut self, now_ms: u64) {
        let Some(since) = self.unsynced_since_ms else {
            // What was asked for may still wait to be written.
            self.sync_requested &= !self.queued.is_empty();
            return;
        };
        let due = match self.parts.policy.get() {
            SyncPolicy::Always => true,
            SyncPolicy::EverySecond => now_ms.saturating_sub(since) >= SYNC_INTERVAL_MS,
            SyncPolicy::No => false,
        };
        if due || self.sync_requested {
            let _ = self.sync();
        }
    }

    /// Syncs the segment, and with it everything written.
    fn sync(&mut self) -> Result<(), Stop> {
        self.sync_requested &= !self.queued.is_empty();
        if !self.can_sync() {
            return Err(Stop::Poisoned);
        }
        let started = clock::now();
        crash_point!("log-before-sync");
        waiting::pass(); // a sync takes its time
        let result = self.parts.segment.sync();
        crash_point!("log-after-sync");
        let sync_us = clock::elapsed(started).as_micros() as u64;
        self.mean_sync_us = (self.mean_sync_us * 7 + sync_us) / 8;
        add(&self.parts.metrics.syncs, 1);
        self.parts.metrics.sync_us.record(sync_us);
        self.parts.metrics.longest_sync_us.record(sync_us);
        if self.is_poisoned() {
            return self.synced_behind_cut(result);
        }
        if let Err(why) = self.poison.latch(result) {
            let status = LogStatus::Poisoned(why.to_owned());
            self.set_status(&status);
            return Err(Stop::Poisoned);
        }
        self.publish_durable();
        Ok(())
    }

    /// The segment behind the cut of a poisoned log was synced: that counts when the checkpoint is durable. If it
    /// failed, another cut is needed.
    fn synced_behind_cut(&mut self, result: io::Result<()>) -> Result<(), Stop> {
        self.unsynced_since_ms = None;
        result.map_err(|_| {
            self.cut_poisoned = None;
            Stop::Poisoned
        })
    }

    fn publish_durable(&mut self) {
        self.unsynced_since_ms = None;
        self.durable_frames = self.frames;
        for (shard, changed) in self.parts.shards.iter().zip(&mut self.changed) {
            let written = shard.written();
            if shard.durable() < written {
                shard.note_durable(written);
                *changed = true;
            }
        }
    }

    fn pause(&mut self, now_ms: u64, error: &io::Error) {
        add(&self.parts.metrics.write_errors, 1);
        let pause_ms = self.retry.take().map_or(RETRY_MS.0, |retry| (retry.pause_ms * 2).min(RETRY_MS.1));
        self.retry = Some(Retry { at_ms: now_ms + pause_ms, pause_ms });
        self.parts.shards.iter().for_each(|shard| shard.set_retrying(true));
        if !self.is_poisoned() {
            self.set_status(&LogStatus::Refusing(format!("writing the log failed: {error}")));
        }
    }

    fn resume(&mut self) {
        if self.retry.take().is_none() {
            return;
        }
        self.parts.shards.iter().for_each(|shard| shard.set_retrying(false));
        if !self.is_poisoned() {
            self.set_status(&LogStatus::Ok);
        }
    }

    fn set_status(&mut self, status: &LogStatus) {
        for (shard, changed) in self.parts.shards.iter().zip(&mut self.changed) {
            shard.set_status(status.clone());
            *changed = true;
        }
    }

    /// When `run` has something to do though nothing new came, in the clock of `run`.
    pub fn next_due_ms(&self) -> Option<u64> {
        let retry = self.retry.as_ref().map(|retry| retry.at_ms);
        let every_second = self.parts.policy.get() == SyncPolicy::EverySecond && self.can_sync();
        let sync = self.unsynced_since_ms.filter(|_| every_second).map(|since| since + SYNC_INTERVAL_MS);
        retry.into_iter().chain(sync).min()
    }

    /// The shards whose positions or state changed, or that wait for the writer, each once. If `owe_tick`,
    /// each of them is noted to owe a tick, and no other.
    pub fn take_changed(&mut self, owe_tick: bool) -> Vec<ShardId> {
        let mut shards = Vec::new();
        for (shard, changed) in self.parts.shards.iter().zip(&mut self.changed) {
            let waits = shard.stop_waiting();
            let woken = std::mem::take(changed) || waits;
            shard.set_owes_tick(woken && owe_tick);
            if woken {
                shards.push(shard.shard());
            }
        }
        shards
    }

    /// How long to wait for the shards' next hand-over before the next batch: a quarter of a sync where
    /// several shards share slow syncs under `always`; not at all otherwise.
    pub fn gather_time(&self) -> Option<Duration> {
        let shared = self.parts.shards.len() > 1 && self.parts.policy.get() == SyncPolicy::Always;
        let sync = Duration::from_micros(self.mean_sync_us);
        (shared && sync >= SLOW_SYNC && self.retry.is_none()).then(|| (sync / 4).min(MAX_GATHER))
    }

    /// No more spares are asked for.
    pub fn stop_preparing(&mut self) {
        self.parts.preparer = None;
    }

    /// Buffers that were written and may be used again.
    pub fn used_buffers(&mut self) -> &mut Vec<Vec<u8>> {
        &mut self.used
    }

    /// Whether everything accepted is durable.
    pub fn is_clean(&self) -> bool {
        self.queued.is_empty()
            && self.gate.is_empty()
            && self.unsynced_since_ms.is_none()
            && !self.is_poisoned()
    }

    /// Whether a sync failed: then nothing more becomes durable here.
    pub fn is_poisoned(&self) -> bool {
        self.poison.reason().is_some()
    }

    /// Whether a sync of the segment proves anything.
    fn can_sync(&self) -> bool {
        !self.is_poisoned() || self.cut_poisoned.is_some()
    }

    /// Whether written frames wait for a sync that the policy wants now: it was switched to `always`.
    pub fn has_due_sync(&self) -> bool {
        self.unsynced_since_ms.is_some() && self.parts.policy.get() == SyncPolicy::Always && self.can_sync()
    }

    /// Effect bytes accepted and not written.
    pub fn queued_bytes(&self) -> usize {
        let queued = self.queued.iter().filter_map(Queued::chunk).map(Chunk::effect_bytes).sum::<usize>();
        queued + self.gate.held_bytes()
    }

    pub fn log(&self) -> LogId {
        self.parts.log
    }

    pub fn frames(&self) -> FrameNo {
        self.frames
    }

    pub fn segment(&mut self) -> &mut Segment {
        &mut self.parts.segment
    }

    /// What went wrong, for a log that is not clean.
    pub fn trouble(&self) -> String {
        match self.parts.shards[0].status() {
            LogStatus::Ok => "not everything was written".to_owned(),
            LogStatus::Refusing(why) | LogStatus::Poisoned(why) => why,
        }
    }

    /// Where the log ends, once it is clean.
    ///
    /// # Panics
    /// If it is not: a seal vouches for everything before it.
    pub fn seal(&self) -> Seal {
        assert!(self.is_clean() && self.durable_frames == self.frames, "a seal vouches for what is durable");
        let end = |shard: &Arc<LogShared>| -> (ShardId, Position) { (shard.shard(), shard.durable()) };
        Seal {
            segment: self.parts.segment.number,
            offset: self.parts.segment.offset,
            frames: self.frames,
            ends: self.parts.shards.iter().map(end).collect(),
        }
    }
}

fn place_of(shards: &[Arc<LogShared>], shard: ShardId) -> usize {
    let place = shards.binary_search_by_key(&shard, |shared| shared.shard());
    place.expect("a chunk of a shard that this writer does not serve")
}

fn add(counter: &std::sync::atomic::AtomicU64, count: u64) {
    counter.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
}
