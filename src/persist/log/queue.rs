//! The queue from shards to their log writer.
//!
//! Invariants:
//! 1. Chunks of one shard leave in the order in which they came.
//! 2. A shard that waits for the writer (`waits_for_writer`) is woken after the batch that it waits for.
//! 3. A writer that serves several shards lets each shard that it woke hand over what its replies brought in
//!    before it takes the next batch (see [`WriterQueue::expect_ticks`]); it never waits for a shard longer
//!    than a part of one sync.
//! 4. At most [`MAX_FREE_BUFFERS`] buffers wait to be used again.

use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use formats::log::{CheckpointId, ShardId};

use super::chunk::Chunk;
use super::cut::{CutRequest, Handed};

/// Most buffers kept for reuse.
const MAX_FREE_BUFFERS: usize = 16;
/// A buffer that grew larger is given back to the allocator.
const MAX_FREE_BUFFER_BYTES: usize = 2 << 20;

/// See the module.
#[derive(Default)]
pub struct WriterQueue {
    state: Mutex<QueueState>,
    /// The writer is at work on a batch: what gathers now goes with the next.
    writing: AtomicBool,
    /// Woken shards that did not call `submit` since. A late one may take it below zero, which counts as
    /// zero.
    ticks_owed: AtomicIsize,
    writer: OnceLock<Thread>,
}

#[derive(Default)]
struct QueueState {
    handed: Vec<Handed>,
    free: Vec<Vec<u8>>,
    sync: bool,
    healed: Option<CheckpointId>,
    closing: bool,
}

/// What the writer found in the queue.
#[derive(Default)]
pub struct Work {
    pub handed: Vec<Handed>,
    /// Sync soon, whatever the policy.
    pub sync: bool,
    /// This checkpoint is durable: what came before its cut needs no log any more.
    pub healed: Option<CheckpointId>,
    pub closing: bool,
}

impl WriterQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the thread to be woken.
    pub fn set_writer(&self, writer: Thread) {
        self.writer.get_or_init(|| writer);
    }

    pub fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    pub fn is_writing(&self) -> bool {
        self.writing.load(Ordering::SeqCst)
    }

    /// Hands chunks over and wakes the writer; answers some buffers for the next ones.
    pub fn push(&self, chunks: &mut Vec<Chunk>, free: &mut Vec<Vec<u8>>) {
        let mut state = self.state();
        state.handed.extend(chunks.drain(..).map(Handed::Chunk));
        if free.is_empty() {
            free.extend(state.free.pop());
        }
        drop(state);
        if self.ticks_owed() == 0 {
            self.wake();
        }
    }

    /// Behind what was pushed so far, a shard's view was frozen.
    pub fn push_cut(&self, shard: ShardId, request: CutRequest) {
        self.state().handed.push(Handed::Cut(shard, request));
        self.wake();
    }

    /// A checkpoint is durable.
    pub fn heal(&self, checkpoint: CheckpointId) {
        self.state().healed = Some(checkpoint);
        self.wake();
    }

    /// The writer is about to wake this many shards, and would rather take what they bring in one batch.
    ///
    /// Without this, on a device whose syncs are slow, the first shard's few commands would go alone,
    /// everybody else's would wait for the sync after, and half of each sync would be wasted.
    pub fn expect_ticks(&self, shards: usize) {
        self.ticks_owed.store(shards as isize, Ordering::SeqCst);
    }

    /// Woken shards whose next hand-over is still to come.
    pub fn ticks_owed(&self) -> usize {
        self.ticks_owed.load(Ordering::SeqCst).max(0) as usize
    }

    /// A shard that was woken went through its tick; the last one wakes the writer.
    pub fn pay_tick(&self) {
        if self.ticks_owed.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.wake();
        }
    }

    pub fn request_sync(&self) {
        self.state().sync = true;
        self.wake();
    }

    pub fn close(&self) {
        self.state().closing = true;
        self.wake();
    }

    /// Takes all there is. If it is something, the writer counts as writing until `finish_batch`.
    pub fn take(&self) -> Work {
        let mut state = self.state();
        let handed = std::mem::take(&mut state.handed);
        let sync = std::mem::take(&mut state.sync);
        if !handed.is_empty() {
            self.writing.store(true, Ordering::SeqCst);
        }
        Work { handed, sync, healed: state.healed.take(), closing: state.closing }
    }

    pub fn finish_batch(&self, used: &mut Vec<Vec<u8>>) {
        self.writing.store(false, Ordering::SeqCst);
        if used.is_empty() {
            return;
        }
        let mut state = self.state();
        let room = MAX_FREE_BUFFERS.saturating_sub(state.free.len());
        state
            .free
            .extend(used.drain(..).filter(|buffer| buffer.capacity() <= MAX_FREE_BUFFER_BYTES).take(room));
    }
}
