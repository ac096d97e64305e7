//! The data of one shard and the rules for running commands on it: no sockets, no threads, no waiting.
//!
//! Invariants:
//! 1. Every change of the keyspace is handed to the log in the same call, before anybody else runs.
//! 2. The gate that `execute` returns covers all that the reply tells: the command's own effects, or, for a read, the
//!    last write of the keys that it read which may not be durable yet.
//! 3. While a log is replayed nothing is logged and nothing expires.
//! 4. A command's time is from the end of the one before it in its round or batch to its own end: one look at the clock each.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use formats::log::{Gsn, Position, ShardId};
use formats::resp::{Protocol, Reply, Request};

use super::batch::{Batch, Mode, Sender, Sequenced};
use super::context::{Call, Context, Key, KeyRef, Record};
use super::locks::{LockKey, LockTable, Ready};
use super::pause::{ClientPause, Paused};
use super::stats::EngineStats;
use crate::clock::{self, Tick};
use crate::config::Config;
use crate::persist::log::Log;
use crate::store::{ExpireCycle, ExpirePass, KeyHash, KeyHasher, Keyspace};

/// Slots of the table of recent writes.
const RECENT_SLOTS: usize = 1 << 14;

/// A flushed database of no more keys is dropped on the spot.
const INLINE_DROP_KEYS: usize = 10_000;

/// [`Engine::max_reply_bytes`] where the output of a client has no limit, or a higher one.
const MAX_REPLY_BYTES: usize = 1 << 30;

/// Where the keys that share their low hash bits were written last.
///
/// Exact for the key written last, so that a write that cannot become durable (a full disk, a poisoned log) holds the
/// reads of its own key alone. Other keys here wait for what the last change of keys displaced.
#[derive(Clone, Copy, Default)]
struct RecentWrite {
    hash: u64,
    position: Position,
    /// Behind the last write of any other key here.
    others: Position,
}

impl RecentWrite {
    #[inline]
    fn note(&mut self, hash: KeyHash, position: Position) {
        if self.hash != hash.0 {
            self.hash = hash.0;
            self.others = self.position;
        }
        self.position = position;
    }

    /// Not before the position behind the last write of this key.
    #[inline]
    fn gate(&self, hash: KeyHash) -> Position {
        if self.hash == hash.0 { self.position } else { self.others }
    }
}

/// What became of a batch.
pub enum Outcome {
    /// All its commands have run.
    Done(Box<Batch>),
    /// It waits for a lock, inside the engine.
    Waiting,
}

/// See the module.
pub struct Engine {
    pub id: ShardId,
    pub hasher: KeyHasher,
    pub dbs: Vec<Keyspace>,
    pub log: Option<Log>,
    /// How many shards there are.
    pub shards: u16,
    /// A string may not grow beyond this (`proto-max-bulk-len`).
    pub max_string_bytes: u64,
    /// Replies of one batch beyond which its other reads are answered with an error: the connection that sent it is over its
    /// limit by then, and will be closed.
    pub max_reply_bytes: usize,
    /// DUMP compresses strings (`rdbcompression`).
    pub compresses_dumps: bool,
    pub stats: EngineStats,
    /// A call that takes so long, in ns, is told of: to the slow log, or as an event of latency.
    pub notable_nanos: u64,
    /// Whether clients are paused.
    pub pause: Arc<ClientPause>,
    /// When the command that runs began, and how long the last one took, in ns.
    began: Tick,
    took: u64,
    /// Keys changed since the start, each time counted; what a replay changes is not.
    pub changes: u64,
    pub(super) rng: Rng,
    locks: LockTable,
    /// Connections that have a batch in a lock's queue, with what they sent since: a connection's batches run in order.
    waiting: HashMap<Sender, VecDeque<Box<Batch>>>,
    /// Replies wait for the log (`appendfsync always`).
    gated: bool,
    recent: Box<[RecentWrite]>,
    /// Position behind the last flush, or exchange of databases.
    flushed: Position,
    cycles: Vec<ExpireCycle>,
    replaying: bool,
    /// The command that runs may write.
    runs_write: bool,
}

impl Engine {
    pub fn new(id: ShardId, databases: u16, hasher: KeyHasher, random_seed: u64) -> Self {
        Self {
            id,
            hasher,
            dbs: (0..databases).map(|_| Keyspace::new(hasher)).collect(),
            log: None,
            shards: 1,
            max_string_bytes: u64::MAX,
            max_reply_bytes: MAX_REPLY_BYTES,
            compresses_dumps: false,
            stats: EngineStats::default(),
            notable_nanos: u64::MAX,
            pause: Arc::default(),
            began: Tick::default(),
            took: 0,
            changes: 0,
            rng: Rng(random_seed | 1),
            locks: LockTable::default(),
            waiting: HashMap::new(),
            gated: false,
            recent: vec![RecentWrite::default(); RECENT_SLOTS].into_boxed_slice(),
            flushed: Position(0),
            cycles: (0..databases).map(|_| ExpireCycle::default()).collect(),
            replaying: false,
            runs_write: false,
        }
    }

    /// Replies wait until the log is durable (`always`), or not.
    pub fn set_gated(&mut self, gated: bool) {
        self.gated = gated;
        // What was written ungated is not in `recent`: reads wait for all of it.
        self.flushed = self.appended();
    }

    pub fn is_gated(&self) -> bool {
        self.gated
    }

    /// Puts in force what the settings say of what is measured and told.
    pub fn watch(&mut self, config: &Config) {
        let slow = u64::try_from(config.slowlog_log_slower_than_us).map(|us| us.saturating_mul(1000));
        let latency = match config.latency_monitor_threshold_ms {
            0 => u64::MAX,
            ms => ms.unsigned_abs().saturating_mul(1_000_000),
        };
        self.notable_nanos = slow.unwrap_or(u64::MAX).min(latency);
        self.stats.tracks_latency = config.latency_tracking;
        let limit =
            usize::try_from(config.client_output_buffer_limits.normal.hard_bytes).unwrap_or(usize::MAX);
        self.max_reply_bytes = if limit == 0 { MAX_REPLY_BYTES } else { limit.min(MAX_REPLY_BYTES) };
    }

    /// Position behind the last effect.
    #[inline]
    pub fn appended(&self) -> Position {
        self.log.as_ref().map_or(Position(0), Log::appended)
    }

    /// Writes should wait: too much waits for the log's writer, or is gathered for it.
    #[inline]
    pub fn log_is_full(&self) -> bool {
        self.log.as_ref().is_some_and(Log::is_full)
    }

    /// Runs one command whose keys are all here, and appends its reply to `out`.
    ///
    /// Returns the position that must be durable before the reply may leave.
    #[inline]
    pub fn execute(
        &mut self,
        call: &Call,
        request: Request<'_>,
        keys: &[KeyRef],
        now_ms: u64,
        protocol: Protocol,
        out: &mut Vec<u8>,
    ) -> Position {
        let mut record = None;
        self.execute_with(call, request, keys, now_ms, protocol, out, &mut record)
    }

    // Inlined: in a replay's profile the reading back of the arguments stood out. What it gains alone was not measured.
    #[allow(clippy::too_many_arguments)] // one place where all that a command needs comes together
    #[inline(always)]
    fn execute_with(
        &mut self,
        call: &Call,
        request: Request<'_>,
        keys: &[KeyRef],
        now_ms: u64,
        protocol: Protocol,
        out: &mut Vec<u8>,
        record: &mut Option<Record>,
    ) -> Position {
        let before = self.appended();
        let start = out.len();
        let mut context = Context {
            request,
            keys,
            reply: Reply::new(out, protocol),
            now_ms,
            db: call.db,
            record,
            engine: self,
        };
        context.engine.runs_write = call.writes;
        let result = (call.handler)(&mut context);
        context.engine.runs_write = false;
        let failed = result.is_err();
        if let Err(error) = result {
            context.reply.truncate(start);
            context.reply.error(&error.0);
            context.engine.stats.count_error(&error.0);
        }
        if !self.replaying {
            self.end_call(call.command, failed);
        }
        if let Some(log) = &mut self.log {
            log.command_boundary();
        }
        if self.gated { self.gate(call, keys, before) } else { Position(0) }
    }

    /// The next command's time begins.
    #[inline]
    pub fn begin_calls(&mut self) {
        self.began = clock::tick();
    }

    /// A command has run, here or on its connection: counts it with its time.
    #[inline]
    pub fn end_call(&mut self, command: u16, failed: bool) {
        let now = clock::tick();
        self.took = clock::nanos_between(self.began, now);
        self.began = now;
        self.stats.count(command, self.took, failed);
    }

    /// How long the last command took, in ns, if that is worth telling.
    #[inline]
    pub fn notable(&self) -> Option<u64> {
        (self.took >= self.notable_nanos).then_some(self.took)
    }

    fn gate(&self, call: &Call, keys: &[KeyRef], before: Position) -> Position {
        let appended = self.appended();
        // What a read appends are the deletions of keys whose time has come: true without the log, by the clock.
        if (call.writes && appended != before) || call.whole_keyspace {
            return appended;
        }
        keys.iter().map(|key| self.recent[slot(key.hash)].gate(key.hash)).fold(self.flushed, Position::max)
    }

    /// Appends an effect that changed the key with hash `hash`.
    #[inline]
    pub(super) fn effect(&mut self, db: u16, hash: KeyHash, args: &[&[u8]]) {
        self.changes += 1;
        if let Some(log) = &mut self.log {
            log.append(db, args);
            if self.gated {
                self.recent[slot(hash)].note(hash, log.appended());
            }
        }
    }

    /// Deletes a key whose time has come. The deletion is logged, so that what is written to the key later does not
    /// meet the old value when the log is replayed.
    pub(super) fn expire(&mut self, db: u16, key: Key<'_>) {
        debug_assert!(!self.replaying, "nothing expires while a log is replayed");
        // What a write does away with, which began before the pause, is no change that the pause holds up.
        if !self.runs_write && self.pause.now() != Paused::Nothing {
            return;
        }
        if self.dbs[db as usize].remove(key.hash, key.bytes) {
            self.stats.expired_keys += 1;
            if let Some(log) = &mut self.log {
                log.append(db, &[b"DEL", key.bytes]);
            }
        }
    }

    pub(super) fn flush(&mut self, db: Option<u16>) {
        let first = db.unwrap_or(0);
        let last = db.unwrap_or(self.dbs.len() as u16 - 1);
        for index in first..=last {
            self.changes += self.dbs[index as usize].len() as u64;
            self.reclaim(index);
            self.cycles[index as usize] = ExpireCycle::default();
        }
        if let Some(log) = &mut self.log {
            let name: &[u8] = if db.is_some() { b"FLUSHDB" } else { b"FLUSHALL" };
            log.append(first, &[name]);
            self.flushed = log.appended();
        }
    }

    /// Lets two databases change places, with how far the search for expired keys has come in them.
    pub(super) fn swap(&mut self, one: u16, other: u16) {
        if one == other {
            return;
        }
        self.changes += 1;
        self.dbs.swap(one as usize, other as usize);
        self.cycles.swap(one as usize, other as usize);
        if let Some(log) = &mut self.log {
            let (mut first, mut second) = (itoa::Buffer::new(), itoa::Buffer::new());
            log.append(0, &[b"SWAPDB", first.format(one).as_bytes(), second.format(other).as_bytes()]);
            self.flushed = log.appended(); // reads of either database wait for it, whatever their key
        }
    }

    /// Puts other databases, of the same keys, in the place of these.
    pub fn replace(&mut self, dbs: Vec<Keyspace>) {
        assert_eq!(dbs.len(), self.dbs.len(), "as many as before");
        self.cycles.fill_with(ExpireCycle::default);
        self.dbs = dbs;
    }

    /// Empties a database. What it held is dropped on a thread of its own: that takes a millisecond for a few thousand keys.
    fn reclaim(&mut self, index: u16) {
        let db = &mut self.dbs[index as usize];
        let is_large = db.len() > INLINE_DROP_KEYS;
        let dropped = db.clear();
        if is_large {
            // Without a thread it is dropped here, which takes its time but does no harm.
            let _ = std::thread::Builder::new().name("reclaim".into()).spawn(move || drop(dropped));
        }
    }

    /// Removes expired keys, looking at no more than `max_pages` pages of one database.
    pub fn expire_cycle(&mut self, db: u16, now_ms: u64, max_pages: usize) -> ExpirePass {
        let mut expired: Vec<(KeyHash, Vec<u8>)> = Vec::new();
        let cycle = &mut self.cycles[db as usize];
        let pass = self.dbs[db as usize].expired(cycle, now_ms, max_pages, |hash, key| {
            expired.push((hash, key.to_vec()));
        });
        for (hash, key) in &expired {
            self.expire(db, Key { bytes: key, hash: *hash });
        }
        if let Some(log) = &mut self.log {
            log.command_boundary();
        }
        pass
    }

    /// How far the search for expired keys has come, in each database.
    pub fn cycles(&self) -> &[ExpireCycle] {
        &self.cycles
    }

    pub fn random(&mut self) -> u64 {
        self.rng.next()
    }

    /// Must this command of a connection wait, for a lock or behind what the connection sent before?
    #[inline]
    pub fn blocks(&self, sender: Sender, call: &Call, keys: &[KeyRef]) -> bool {
        !self.locks.is_empty()
            && (self.waiting.contains_key(&sender)
                || keys.iter().any(|key| self.locks.blocks((call.db, key.hash.0), call.writes)))
    }

    /// Runs a batch that another shard, a transaction or the log sent.
    ///
    /// `done` is called for every batch that is complete: this one, and those that its release of locks set free.
    pub fn run(&mut self, batch: Box<Batch>, now_ms: u64, done: &mut impl FnMut(&mut Self, Box<Batch>)) {
        if !matches!(batch.mode, Mode::Replay) {
            self.begin_calls();
        }
        if let Outcome::Done(batch) = self.run_one(batch, now_ms) {
            let released = matches!(batch.mode, Mode::Commit(..));
            done(self, batch);
            if released {
                self.run_ready(now_ms, done);
            }
        }
    }

    fn run_one(&mut self, mut batch: Box<Batch>, now_ms: u64) -> Outcome {
        match batch.mode.clone() {
            Mode::Plain => match batch.sender().and_then(|sender| self.waiting.get_mut(&sender)) {
                Some(behind) => {
                    behind.push_back(batch);
                    Outcome::Waiting
                }
                None => self.run_plain(batch, None, now_ms),
            },
            Mode::Lock(id) => match self.locks.acquire(id, batch) {
                Some(batch) => Outcome::Done(self.run_calls(batch, now_ms)),
                None => Outcome::Waiting,
            },
            Mode::OneShot(sequenced) => {
                Outcome::Done(self.run_transaction(batch, sequenced.as_ref(), now_ms))
            }
            Mode::Commit(id, sequenced) => {
                let batch = self.run_transaction(batch, sequenced.as_ref(), now_ms);
                self.locks.release(id);
                Outcome::Done(batch)
            }
            Mode::Replay => {
                self.replaying = true;
                let (log, limit) = (self.log.take(), self.max_string_bytes);
                let changes = self.changes;
                self.max_string_bytes = u64::MAX; // what was accepted once is never refused
                batch = self.run_calls(batch, 0);
                (self.log, self.max_string_bytes) = (log, limit);
                self.changes = changes;
                self.replaying = false;
                Outcome::Done(batch)
            }
        }
    }

    /// What a release set free, in the order of the queues.
    fn run_ready(&mut self, now_ms: u64, done: &mut impl FnMut(&mut Self, Box<Batch>)) {
        while let Some(ready) = self.locks.next_ready() {
            match ready {
                Ready::Locked(batch) => {
                    let batch = self.run_calls(batch, now_ms);
                    done(self, batch);
                }
                Ready::Batch(batch, key) => self.resume(batch, key, now_ms, done),
            }
        }
    }

    /// Goes on with a batch that has waited for a lock, and then with what its connection sent behind it.
    fn resume(
        &mut self,
        batch: Box<Batch>,
        key: LockKey,
        now_ms: u64,
        done: &mut impl FnMut(&mut Self, Box<Batch>),
    ) {
        let sender = batch.sender();
        let mut outcome = self.run_plain(batch, Some(key), now_ms);
        while let Outcome::Done(batch) = outcome {
            done(self, batch);
            let Some(sender) = sender else { return };
            match self.waiting.get_mut(&sender).and_then(VecDeque::pop_front) {
                Some(next) => outcome = self.run_plain(next, None, now_ms),
                None => {
                    self.waiting.remove(&sender);
                    return;
                }
            }
        }
    }

    /// Runs the commands of a connection's batch until one must wait. `passes`: the lock that the batch has waited for at
    /// the head of the queue, and which nobody holds.
    fn run_plain(&mut self, mut batch: Box<Batch>, passes: Option<LockKey>, now_ms: u64) -> Outcome {
        while batch.next < batch.calls.len() {
            if !self.locks.is_empty() {
                let call = &batch.calls[batch.next].call;
                let keys = batch.call(batch.next).1;
                let mut blocking = keys.iter().map(|key| (call.db, key.hash.0));
                if let Some(key) =
                    blocking.find(|key| Some(*key) != passes && self.locks.blocks(*key, call.writes))
                {
                    if let Some(sender) = batch.sender() {
                        self.waiting.entry(sender).or_default();
                    }
                    self.locks.wait(key, batch);
                    return Outcome::Waiting;
                }
            }
            self.run_next(&mut batch, now_ms);
        }
        Outcome::Done(batch)
    }

    fn run_calls(&mut self, mut batch: Box<Batch>, now_ms: u64) -> Box<Batch> {
        while batch.next < batch.calls.len() {
            self.run_next(&mut batch, now_ms);
        }
        batch
    }

    /// Runs this shard's part of a transaction between the log's transaction marks.
    fn run_transaction(
        &mut self,
        batch: Box<Batch>,
        sequenced: Option<&Sequenced>,
        now_ms: u64,
    ) -> Box<Batch> {
        let (Some(sequenced), true) = (sequenced, self.log.is_some()) else {
            return self.run_calls(batch, now_ms);
        };
        if let Some(log) = &mut self.log {
            log.begin_transaction(sequenced.gsn, &sequenced.participants);
        }
        let mut batch = self.run_calls(batch, now_ms);
        if let Some(log) = &mut self.log {
            log.end_transaction();
            log.command_boundary();
            if self.gated {
                batch.gate = log.appended();
            }
        }
        batch
    }

    fn run_next(&mut self, batch: &mut Batch, now_ms: u64) {
        let index = batch.next;
        let protocol = batch.protocol;
        let is_too_much = batch.replies.len() > self.max_reply_bytes && matches!(batch.mode, Mode::Plain);
        let parts = batch.split(index);
        // A write is never left out: with CLIENT REPLY OFF nobody is closed for what is not sent.
        if is_too_much && !parts.call.call.writes {
            Reply::new(parts.replies, protocol).error("ERR the replies to this pipeline are too large");
            batch.ends.push(batch.replies.len());
            batch.next += 1;
            return;
        }
        let gate = self.execute_with(
            &parts.call.call,
            parts.request,
            parts.keys,
            now_ms,
            protocol,
            parts.replies,
            &mut parts.call.record,
        );
        batch.gate = batch.gate.max(gate);
        batch.ends.push(batch.replies.len());
        batch.next += 1;
        if !self.replaying {
            batch.nanos += self.took;
            if let Some(nanos) = self.notable() {
                batch.notable.push((index as u32, nanos));
            }
        }
    }

    /// The sequence number of a transaction batch, if it writes.
    pub fn gsn_of(batch: &Batch) -> Option<Gsn> {
        match &batch.mode {
            Mode::OneShot(Some(sequenced)) | Mode::Commit(_, Some(sequenced)) => Some(sequenced.gsn),
            _ => None,
        }
    }
}

#[inline]
fn slot(hash: KeyHash) -> usize {
    hash.0 as usize & (RECENT_SLOTS - 1)
}

/// A small pseudo-random generator (xorshift64*, Vigna 2016) for sampling; not for secrets.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
