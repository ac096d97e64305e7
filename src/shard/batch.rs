//! Commands on their way to the shard that owns their keys, and their replies on the way back.
//!
//! A batch holds what one connection sends to one shard in one round, or one shard's part of a transaction. Arguments
//! are copied into it, so that the sender's read buffer is free at once.

use std::sync::{Arc, mpsc};

use formats::log::{Gsn, Position, ShardId};
use formats::resp::{ArgRange, Protocol, Request};
use tokio::sync::oneshot;

use super::context::{Call, KeyRef, Record};
use super::locks::TransactionId;
use crate::store::KeyHash;

/// Where the replies go.
pub enum Origin {
    /// A connection of shard `shard`: its slot there, the round and the part of the round.
    Connection { shard: ShardId, slot: usize, client: u64, round: u64, part: u32 },
    /// A task of shard `shard`.
    Task { shard: ShardId, done: oneshot::Sender<Box<Batch>> },
    /// The replay of the log, which reuses the batch.
    Replay(mpsc::Sender<Box<Batch>>),
    /// Nobody waits.
    None,
}

/// A connection, as the shards that it sends to know it: its shard, slot and id.
pub type Sender = (ShardId, usize, u64);

/// How the batch is to be run.
#[derive(Clone)]
pub enum Mode {
    /// Commands that are each complete on this shard.
    Plain,
    /// This shard's part of a one-shot transaction.
    OneShot(Option<Sequenced>),
    /// Acquire the locks of all keys in the batch, then run its (reading) commands.
    Lock(TransactionId),
    /// Run the commands and release the locks; `None`: a transaction that writes nothing.
    Commit(TransactionId, Option<Sequenced>),
    /// Effects from the log: nothing is logged again, nothing expires.
    Replay,
}

/// A transaction that writes: its number and the shards that take part.
#[derive(Clone)]
pub struct Sequenced {
    pub gsn: Gsn,
    pub participants: Arc<[ShardId]>,
}

/// One command in a batch.
pub struct BatchCall {
    pub call: Call,
    ranges_end: usize,
    keys_end: usize,
    /// What a two-step transaction read here, or is to write here.
    pub record: Option<Record>,
}

/// See the module.
pub struct Batch {
    pub origin: Origin,
    pub mode: Mode,
    /// The section of the sequencer in which it was sent; 0: none.
    pub section: u64,
    pub protocol: Protocol,
    pub calls: Vec<BatchCall>,
    data: Vec<u8>,
    ranges: Vec<ArgRange>,
    keys: Vec<KeyRef>,
    /// The next call to run; calls before it have their replies.
    pub next: usize,
    /// All replies, one behind the other, and where each ends.
    pub replies: Vec<u8>,
    pub ends: Vec<usize>,
    /// Position in the executing shard's log that must be durable before the replies may leave.
    pub gate: Position,
    /// Time that its commands took, in ns.
    pub nanos: u64,
    /// Commands, by index, that took long, and how long, in ns: what their client's shard is to tell of.
    pub notable: Vec<(u32, u64)>,
}

/// Larger buffers, and longer lists, are not kept for the next use.
const KEEP_BYTES: usize = 64 * 1024;
const KEEP_ITEMS: usize = 2048;

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl Batch {
    pub fn new() -> Self {
        Self {
            origin: Origin::None,
            mode: Mode::Plain,
            section: 0,
            protocol: Protocol::Resp2,
            calls: Vec::new(),
            data: Vec::new(),
            ranges: Vec::new(),
            keys: Vec::new(),
            next: 0,
            replies: Vec::new(),
            ends: Vec::new(),
            gate: Position(0),
            nanos: 0,
            notable: Vec::new(),
        }
    }

    /// Empties the batch for its next use; what was unusually large is given back.
    pub fn reset(&mut self) {
        self.origin = Origin::None;
        self.mode = Mode::Plain;
        self.section = 0;
        self.calls.clear();
        self.calls.shrink_to(KEEP_ITEMS);
        self.data.clear();
        self.data.shrink_to(KEEP_BYTES);
        self.ranges.clear();
        self.ranges.shrink_to(KEEP_ITEMS);
        self.keys.clear();
        self.keys.shrink_to(KEEP_ITEMS);
        self.next = 0;
        self.replies.clear();
        self.replies.shrink_to(KEEP_BYTES);
        self.ends.clear();
        self.ends.shrink_to(KEEP_ITEMS);
        self.gate = Position(0);
        self.nanos = 0;
        self.notable = Vec::new();
    }

    /// Appends a command. `args` yields its name and arguments; `keys` refer to them by index.
    pub fn push<'a>(
        &mut self,
        call: &Call,
        args: impl Iterator<Item = &'a [u8]>,
        keys: impl Iterator<Item = KeyRef>,
    ) -> &mut BatchCall {
        for arg in args {
            let start = self.data.len();
            self.data.extend_from_slice(arg);
            self.ranges.push(ArgRange { start, end: self.data.len() });
        }
        self.keys.extend(keys);
        self.calls.push(BatchCall {
            call: *call,
            ranges_end: self.ranges.len(),
            keys_end: self.keys.len(),
            record: None,
        });
        let last = self.calls.len() - 1;
        &mut self.calls[last]
    }

    /// The request and keys of call `index`.
    pub fn call(&self, index: usize) -> (Request<'_>, &[KeyRef]) {
        let (ranges_start, keys_start) = index
            .checked_sub(1)
            .map_or((0, 0), |before| (self.calls[before].ranges_end, self.calls[before].keys_end));
        let call = &self.calls[index];
        (
            Request::new(&self.data, &self.ranges[ranges_start..call.ranges_end]),
            &self.keys[keys_start..call.keys_end],
        )
    }

    /// Bytes of the reply to call `index`.
    pub fn reply(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.replies[start..self.ends[index]]
    }

    /// Database and hash of every key in the batch: what a transaction locks.
    pub fn lock_keys(&self) -> Vec<(u16, u64)> {
        let mut keys = Vec::new();
        self.each_key(|db, hash| keys.push((db, hash.0)));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Visits the database and hash of every key in the batch.
    pub fn each_key(&self, mut visit: impl FnMut(u16, KeyHash)) {
        let mut keys = self.keys.iter();
        let mut start = 0;
        for call in &self.calls {
            for key in keys.by_ref().take(call.keys_end - start) {
                visit(call.call.db, key.hash);
            }
            start = call.keys_end;
        }
    }

    /// The connection that sent it.
    pub fn sender(&self) -> Option<Sender> {
        match self.origin {
            Origin::Connection { shard, slot, client, .. } => Some((shard, slot, client)),
            _ => None,
        }
    }

    /// Bytes that the batch carries; used to bound what is in flight.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Lends the parts that running call `index` needs at the same time.
    pub(super) fn split(&mut self, index: usize) -> BatchParts<'_> {
        let (ranges_start, keys_start) = index
            .checked_sub(1)
            .map_or((0, 0), |before| (self.calls[before].ranges_end, self.calls[before].keys_end));
        let call = &mut self.calls[index];
        BatchParts {
            request: Request::new(&self.data, &self.ranges[ranges_start..call.ranges_end]),
            keys: &self.keys[keys_start..call.keys_end],
            call,
            replies: &mut self.replies,
        }
    }
}

pub(super) struct BatchParts<'a> {
    pub request: Request<'a>,
    pub keys: &'a [KeyRef],
    pub call: &'a mut BatchCall,
    pub replies: &'a mut Vec<u8>,
}
