//! The shard's side of its log: gathers effects in memory and hands them to the writer. No I/O.
//!
//! Invariants:
//! 1. A command's effects, and a transaction's, stand in one chunk.
//! 2. Chunks are handed over in order, and none is lost: what is gathered is handed over at the latest on
//!    drop.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use formats::log::{Gsn, Position, ShardId};

use super::chunk::Chunk;
use super::cut::CutRequest;
use super::options::CompleteGsn;
use super::policy::{HAND_OVER_BYTES, HAND_OVER_MS, SyncPolicy};
use super::queue::WriterQueue;
use super::shared::{LogShared, LogStatus};

/// A chunk of this size is closed at the next command's end.
const CHUNK_BYTES: usize = 1 << 20;
/// A new buffer's capacity.
const BUFFER_BYTES: usize = 16 << 10;

/// One shard's log. Lives on the shard's thread.
pub struct Log {
    shard: ShardId,
    appended: Position,
    current: Option<Chunk>,
    /// Full chunks that the writer did not take yet.
    closed: Vec<Chunk>,
    closed_bytes: usize,
    /// When the oldest gathered effect was first seen by `submit`.
    gathered_since_ms: Option<u64>,
    transaction: Option<OpenTransaction>,
    now_ms: u64,
    sync_requested: Cell<bool>,
    free: Vec<Vec<u8>>,
    complete: CompleteGsn,
    /// The last complete number that this log was told.
    told: Gsn,
    shared: Arc<LogShared>,
    queue: Arc<WriterQueue>,
}

struct OpenTransaction {
    gsn: Gsn,
    first: u32,
    participants: Vec<ShardId>,
}

impl Log {
    pub(crate) fn new(shared: Arc<LogShared>, queue: Arc<WriterQueue>, complete: CompleteGsn) -> Log {
        Log {
            shard: shared.shard(),
            appended: Position(0),
            current: None,
            closed: Vec::new(),
            closed_bytes: 0,
            gathered_since_ms: None,
            transaction: None,
            now_ms: 0,
            sync_requested: Cell::new(false),
            free: Vec::new(),
            complete,
            told: Gsn(0),
            shared,
            queue,
        }
    }

    fn chunk(&mut self) -> &mut Chunk {
        let (shard, first, free) = (self.shard, self.appended, &mut self.free);
        self.current.get_or_insert_with(|| {
            let buffer = free.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
            Chunk::new(shard, first, buffer)
        })
    }

    /// Appends one effect on database `database`: a command that names exactly one key, or a shard-wide one.
    #[inline]
    pub fn append(&mut self, database: u16, args: &[&[u8]]) {
        let chunk = self.chunk();
        chunk.append(database, args);
        self.appended = chunk.end();
        #[cfg(feature = "sim")]
        self.note(database, args);
    }

    #[cfg(feature = "sim")]
    fn note(&self, database: u16, args: &[&[u8]]) {
        let transaction = self.transaction.as_ref().map(|open| (open.gsn, open.participants.clone()));
        super::journal::note(self.shard, self.appended, database, args, transaction);
    }

    /// Begins this shard's part of a transaction over several shards; `participants` includes this one.
    ///
    /// # Panics
    /// If one is open already, or there are no participants.
    pub fn begin_transaction(&mut self, gsn: Gsn, participants: &[ShardId]) {
        assert!(self.transaction.is_none(), "a transaction is open");
        assert!(!participants.is_empty() && participants.len() <= usize::from(u16::MAX));
        let chunk = self.chunk();
        let first = chunk.open_transaction();
        self.appended = chunk.end();
        self.transaction = Some(OpenTransaction { gsn, first, participants: participants.to_vec() });
    }

    /// Ends the transaction begun before.
    ///
    /// # Panics
    /// If none is open.
    pub fn end_transaction(&mut self) {
        #[cfg(feature = "sim")]
        {
            self.note(0, &[]);
            super::journal::note_command(self.shard);
        }
        let open = self.transaction.take().expect("no transaction is open");
        let chunk = self.chunk();
        chunk.close_transaction(open.first, open.gsn, open.participants);
        self.appended = chunk.end();
    }

    /// Between two commands: here a frame may end.
    #[inline]
    pub fn command_boundary(&mut self) {
        #[cfg(feature = "sim")]
        super::journal::note_command(self.shard);
        let full = self.current.as_ref().is_some_and(|chunk| chunk.gathered_bytes() >= CHUNK_BYTES);
        if full && self.transaction.is_none() {
            self.close_chunk();
        }
    }

    fn close_chunk(&mut self) {
        if let Some(chunk) = self.current.take() {
            self.closed_bytes += chunk.effect_bytes();
            self.closed.push(chunk);
        }
    }

    /// Hands gathered chunks to the writer if it is time: under `always` as soon as the writer is free,
    /// otherwise at 64 KiB or 100 ms. To be called often, and between commands; `now_ms` is wall-clock time.
    pub fn submit(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.hand_over_if_due(now_ms);
        if self.shared.pay_tick() {
            self.queue.pay_tick();
        }
    }

    fn hand_over_if_due(&mut self, now_ms: u64) {
        if !self.has_gathered() {
            self.gathered_since_ms = None;
            if self.sync_requested.take() {
                self.queue.request_sync();
            }
            return;
        }
        let since = *self.gathered_since_ms.get_or_insert(now_ms);
        if self.is_time(since) {
            self.submit_all();
        }
    }

    fn is_time(&self, since: u64) -> bool {
        match self.shared.policy() {
            // What comes while writing fails stays in one chunk, instead of many small ones in the queue.
            SyncPolicy::Always if self.shared.is_refusing() => false,
            SyncPolicy::Always if !self.queue.is_writing() => true,
            // Whoever looks from outside sees only what is handed over, and a full queue must be seen.
            SyncPolicy::Always if self.gathered_bytes() >= CHUNK_BYTES || self.is_full() => true,
            SyncPolicy::Always => {
                self.shared.wait_for_writer();
                // The writer may have finished before it could see that this shard waits.
                let free = !self.queue.is_writing();
                if free {
                    self.shared.stop_waiting();
                }
                free
            }
            SyncPolicy::EverySecond | SyncPolicy::No => {
                self.sync_requested.get()
                    || self.gathered_bytes() >= HAND_OVER_BYTES
                    // A clock set back counts as time passed.
                    || self.now_ms.abs_diff(since) >= HAND_OVER_MS
            }
        }
    }

    /// Hands over everything that is gathered, now. Not within a transaction.
    pub fn submit_all(&mut self) {
        assert!(self.transaction.is_none(), "a transaction is open");
        let sync = self.sync_requested.take();
        self.close_chunk();
        self.gathered_since_ms = None;
        if !self.closed.is_empty() {
            crash_point!("log-after-append");
            // Told where it is news, so that whoever recovers knows which transactions were acknowledged.
            let complete = (self.complete)();
            let mut news = (complete > self.told).then_some(complete);
            self.told = self.told.max(complete);
            self.closed.iter_mut().for_each(|chunk| chunk.hand_over(self.now_ms, news.take()));
            self.shared.note_handed_over(self.appended, std::mem::take(&mut self.closed_bytes));
            self.queue.push(&mut self.closed, &mut self.free);
        }
        if sync {
            self.queue.request_sync();
        }
    }

    /// Everything appended so far is in the view that the shard freezes now; the log goes on in a new segment. Not
    /// within a transaction.
    pub fn cut(&mut self, request: CutRequest) {
        self.submit_all();
        self.queue.push_cut(self.shard, request);
    }

    /// Effects appended so far.
    pub fn appended(&self) -> Position {
        self.appended
    }

    /// Effects written to the file.
    pub fn written(&self) -> Position {
        self.shared.written()
    }

    /// Effects on stable storage.
    pub fn durable(&self) -> Position {
        self.shared.durable()
    }

    /// Whether the log takes writes.
    pub fn status(&self) -> LogStatus {
        self.shared.status()
    }

    /// Effect bytes gathered, or handed over and not yet written.
    pub fn queue_bytes(&self) -> usize {
        self.gathered_bytes() + self.shared.queue_bytes()
    }

    /// Whether commands that write should wait.
    pub fn is_full(&self) -> bool {
        self.queue_bytes() >= self.shared.queue_limit_bytes()
    }

    fn gathered_bytes(&self) -> usize {
        self.closed_bytes + self.current.as_ref().map_or(0, Chunk::effect_bytes)
    }

    /// Whether there are effects that were not handed over.
    pub fn has_gathered(&self) -> bool {
        self.current.is_some() || !self.closed.is_empty()
    }

    /// Whether everything appended is on stable storage.
    pub fn is_idle(&self) -> bool {
        !self.has_gathered() && self.durable() == self.appended
    }

    /// What other threads may read.
    pub fn shared(&self) -> Arc<LogShared> {
        Arc::clone(&self.shared)
    }

    /// Asks for what is appended to be written and synced soon, whatever the policy. Takes effect at the next
    /// `submit`.
    pub fn request_sync(&self) {
        self.sync_requested.set(true);
    }

    /// Writes so far by this log's writer, for INFO.
    pub fn writes(&self) -> u64 {
        self.shared.metrics().writes.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A shard that panicked within a transaction must not log half of it.
        if self.transaction.is_none() && !std::thread::panicking() {
            self.submit_all();
        }
    }
}

#[cfg(test)]
#[path = "shard_log_tests.rs"]
mod tests;
