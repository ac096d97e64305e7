//! From snapshots and logs into the shards: what the snapshots hold is loaded; effects are commands, and are run as such,
//! on as many shards as there are now.
//!
//! Invariants:
//! 1. All effects of a key run in their order: within an epoch they come from one log, and an epoch is complete on all
//!    shards before the next one begins.
//! 2. An effect that does not run as it should ends the start: nothing is skipped.
//! 3. What is read ahead is bounded: a reader has a fixed number of batches, which the shards give back.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::load::{self, LoadFailure, LoadFile};
use crate::command::{self, Run};
use crate::persist::{Recovered, RecoveredSnapshot, ReplayError, ReplayLog, ShardId};
use crate::shard::batch::{Batch, Mode, Origin};
use crate::shard::context::{Call, CommandError, Context, Handler, KeyRef};
use crate::shard::mailbox::Message;
use crate::shard::shared::Shared;
use crate::snapshot::Checksum;
use crate::store::{KeyHash, KeyHasher};
use crate::waiting;
use formats::resp::{ArgRange, Request};
use smallvec::SmallVec;

/// Batches per reader and shard, and what one holds.
const BATCHES: usize = 4;
const BATCH_CALLS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;
/// Effects that are sorted together, and into how many groups per shard.
const CHUNK_EFFECTS: usize = 512 * 1024;
const GROUPS: usize = 256;

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayFailure {
    #[error("effect '{effect}' is not known to this version")]
    Unknown { effect: String },
    #[error("the log has data in database {db}, and `databases` is {databases} now")]
    Database { db: u16, databases: u32 },
    #[error("effect '{effect}' failed: {reply}")]
    Failed { effect: String, reply: String },
    #[error("{file} at byte {offset}: {source}")]
    At { file: PathBuf, offset: u64, source: Box<ReplayFailure> },
    #[error("{0}")]
    Log(String),
    #[error("snapshot {0}")]
    Snapshot(#[from] LoadFailure),
    #[error("a thread of the replay ended early")]
    Thread,
}

/// What was replayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    pub keys_loaded: u64,
    pub snapshot_bytes: u64,
    pub effects: u64,
    pub log_bytes: u64,
}

/// Loads the snapshots and replays the logs on top of them.
pub fn replay(recovered: Recovered, shared: &Arc<Shared>) -> Result<Summary, ReplayFailure> {
    replay_each(recovered, shared, None)
}

/// Effects that could not be applied.
#[derive(Clone, Debug, Default)]
pub struct Skipped {
    pub count: u64,
    /// What they were and why, for the first of them.
    pub first: Vec<String>,
}

/// Most effects that are told one by one.
const MAX_TOLD: usize = 100;

/// As [`replay`], passing over effects that cannot be applied.
pub fn replay_what_can_be(
    recovered: Recovered,
    shared: &Arc<Shared>,
) -> Result<(Summary, Skipped), ReplayFailure> {
    let skipped = Mutex::default();
    let summary = replay_each(recovered, shared, Some(&skipped))?;
    Ok((summary, skipped.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// `skipped`: takes what cannot be applied; without it that ends the replay.
fn replay_each(
    recovered: Recovered,
    shared: &Arc<Shared>,
    skipped: Option<&Mutex<Skipped>>,
) -> Result<Summary, ReplayFailure> {
    let hasher = KeyHasher::new(recovered.hash_seed);
    let log_bytes: u64 = recovered.epochs.iter().flat_map(|epoch| &epoch.logs).map(ReplayLog::bytes).sum();
    let files: Vec<LoadFile> = recovered.snapshots.into_iter().map(load_file).collect();
    let snapshot_bytes: u64 = files.iter().map(|file| file.map.len() as u64).sum();
    shared.loading.total_bytes.store(log_bytes + snapshot_bytes, Ordering::Relaxed);
    let loaded = load::load(shared, hasher, files)?;
    let mut summary = Summary { keys_loaded: loaded.keys, snapshot_bytes, effects: 0, log_bytes };
    for epoch in recovered.epochs {
        let shards = epoch.shards;
        let read = |log| move || Reader::new(shared, hasher, shards, log, skipped).run();
        for effects in waiting::each_on_a_thread(epoch.logs.iter().map(read).collect()) {
            summary.effects += effects?;
        }
    }
    Ok(summary)
}

fn load_file(snapshot: RecoveredSnapshot) -> LoadFile {
    let checksum = Checksum::Is(snapshot.entry.crc64);
    LoadFile { path: snapshot.path, map: snapshot.map, checksum }
}

/// An effect that waits for its turn; its arguments lie in the log's mapping.
struct Pending<'a> {
    args: SmallVec<[&'a [u8]; 3]>,
    hash: KeyHash,
    handler: Handler,
    command: u16,
    db: u16,
    target: u16,
}

impl Pending<'_> {
    /// Effects of one group are on neighbouring pages of one shard.
    fn group(&self) -> usize {
        usize::from(self.target) * GROUPS + (self.hash.place() >> (64 - GROUPS.ilog2())) as usize
    }
}

/// Reads one log and sends its effects to the shards that have the keys now.
///
/// Effects are taken in chunks and sorted by where their keys' pages are, so that a shard finds the pages of many effects
/// in its cache. The order of one key's effects stays: the sort is stable.
struct Reader<'a> {
    shared: &'a Shared,
    hasher: KeyHasher,
    /// How many shards there were when the log was written.
    old_shards: u16,
    databases: u32,
    log: &'a ReplayLog,
    chunk: Vec<Pending<'a>>,
    open: Vec<Option<Box<Batch>>>,
    /// Boxed, as they travel.
    #[allow(clippy::vec_box)]
    free: Vec<Box<Batch>>,
    under_way: usize,
    returned: Receiver<Box<Batch>>,
    give_back: Sender<Box<Batch>>,
    ranges: Vec<ArgRange>,
    effects: u64,
    skipped: Option<&'a Mutex<Skipped>>,
}

impl<'a> Reader<'a> {
    fn new(
        shared: &'a Shared,
        hasher: KeyHasher,
        old_shards: u16,
        log: &'a ReplayLog,
        skipped: Option<&'a Mutex<Skipped>>,
    ) -> Self {
        let shards = usize::from(shared.shards());
        let (give_back, returned) = channel();
        Self {
            shared,
            hasher,
            old_shards,
            databases: shared.config().databases,
            log,
            chunk: Vec::new(),
            open: (0..shards).map(|_| None).collect(),
            free: (0..shards * BATCHES).map(|_| Box::default()).collect(),
            under_way: 0,
            returned,
            give_back,
            ranges: Vec::new(),
            effects: 0,
            skipped,
        }
    }

    fn run(mut self) -> Result<u64, ReplayFailure> {
        let shared = self.shared;
        self.log
            .for_each_counting(&shared.loading.loaded_bytes, |old_shard, db, args| {
                self.effect(old_shard, db, args).or_else(|failure| self.skip(failure))
            })
            .map_err(|error| match error {
                ReplayError::Rejected { file, offset, source } => {
                    ReplayFailure::At { file, offset, source: Box::new(source) }
                }
                damaged => ReplayFailure::Log(damaged.to_string()),
            })?;
        self.flush_chunk()?;
        for target in 0..self.open.len() {
            self.send(target);
        }
        while self.under_way > 0 {
            self.take_back()?;
        }
        Ok(self.effects)
    }

    /// Passes over what cannot be applied, where that is wanted.
    fn skip(&self, failure: ReplayFailure) -> Result<(), ReplayFailure> {
        let Some(skipped) = self.skipped.filter(|_| !matches!(failure, ReplayFailure::Thread)) else {
            return Err(failure);
        };
        let mut skipped = skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.count += 1;
        if skipped.first.len() < MAX_TOLD {
            skipped.first.push(failure.to_string());
        }
        Ok(())
    }

    fn effect(&mut self, old_shard: ShardId, db: u16, args: &[&'a [u8]]) -> Result<(), ReplayFailure> {
        self.effects += 1;
        if u32::from(db) >= self.databases {
            return Err(ReplayFailure::Database { db, databases: self.databases });
        }
        let name = args.first().copied().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"FLUSHDB") || name.eq_ignore_ascii_case(b"FLUSHALL") {
            self.flush_chunk()?;
            return self.flush_keyspace(old_shard, db, name);
        }
        if name.eq_ignore_ascii_case(b"SWAPDB") {
            self.flush_chunk()?;
            return self.swap_databases(old_shard, args);
        }
        let (handler, command) = handler_of(args, &mut self.ranges)?;
        let key = args.get(1).ok_or_else(|| unknown(name))?;
        let hash = self.hasher.hash(key);
        let target = self.hasher.shard(key, hash, self.shared.shards());
        self.chunk.push(Pending { args: args.into(), hash, handler, command, db, target });
        if self.chunk.len() >= CHUNK_EFFECTS { self.flush_chunk() } else { Ok(()) }
    }

    /// Sends all pending effects, sorted by group.
    fn flush_chunk(&mut self) -> Result<(), ReplayFailure> {
        let chunk = std::mem::take(&mut self.chunk);
        for index in stable_order(&chunk, self.open.len() * GROUPS, Pending::group) {
            let Pending { args, hash, handler, command, db, target } = &chunk[index as usize];
            let key = KeyRef { arg: 1, hash: *hash };
            self.push(usize::from(*target), &call(*handler, *command, *db), args, Some(key))?;
        }
        self.chunk = chunk;
        self.chunk.clear();
        self.log.forget_read();
        Ok(())
    }

    /// A flush of a shard that had other keys than any of today's: each of today's removes those that were the other's.
    fn flush_keyspace(&mut self, old_shard: ShardId, db: u16, name: &[u8]) -> Result<(), ReplayFailure> {
        if self.old_shards == self.shared.shards() {
            let (handler, command) = handler_of(&[name], &mut self.ranges)?;
            return self.push(usize::from(old_shard.0), &call(handler, command, db), &[name], None);
        }
        let (shard, shards) = (old_shard.0.to_string(), self.old_shards.to_string());
        let all: &[u8] = if name.eq_ignore_ascii_case(b"FLUSHALL") { b"all" } else { b"one" };
        let args = [name, shard.as_bytes(), shards.as_bytes(), all];
        for target in 0..self.open.len() {
            self.push(target, &call(flush_former_shard, u16::MAX, db), &args, None)?;
        }
        Ok(())
    }

    /// As a flush: of a shard that had other keys, each of today's exchanges those that were the other's.
    fn swap_databases(&mut self, old_shard: ShardId, args: &[&'a [u8]]) -> Result<(), ReplayFailure> {
        let (handler, command) = handler_of(args, &mut self.ranges)?;
        for db in args[1..].iter().filter_map(|db| std::str::from_utf8(db).ok()?.parse::<u16>().ok()) {
            if u32::from(db) >= self.databases {
                return Err(ReplayFailure::Database { db, databases: self.databases });
            }
        }
        if self.old_shards == self.shared.shards() {
            return self.push(usize::from(old_shard.0), &call(handler, command, 0), args, None);
        }
        let (shard, shards) = (old_shard.0.to_string(), self.old_shards.to_string());
        let args = [args[0], shard.as_bytes(), shards.as_bytes(), args[1], args[2]];
        for target in 0..self.open.len() {
            self.push(target, &call(swap_former_shard, u16::MAX, 0), &args, None)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        target: usize,
        call: &Call,
        args: &[&[u8]],
        key: Option<KeyRef>,
    ) -> Result<(), ReplayFailure> {
        if self.open[target].is_none() {
            while self.free.is_empty() {
                self.take_back()?;
            }
            self.open[target] = self.free.pop();
        }
        let Some(batch) = &mut self.open[target] else { return Err(ReplayFailure::Thread) };
        batch.push(call, args.iter().copied(), key.into_iter());
        if batch.calls.len() >= BATCH_CALLS || batch.bytes() >= BATCH_BYTES {
            self.send(target);
        }
        Ok(())
    }

    fn send(&mut self, target: usize) {
        if let Some(mut batch) = self.open[target].take() {
            batch.mode = Mode::Replay;
            batch.origin = Origin::Replay(self.give_back.clone());
            self.under_way += 1;
            self.shared.mailboxes[target].send(Message::Run(batch));
        }
    }

    /// Waits for a batch to come back, and looks whether all of it went well.
    fn take_back(&mut self) -> Result<(), ReplayFailure> {
        let mut batch = waiting::receive(&self.returned).map_err(|_| ReplayFailure::Thread)?;
        self.under_way -= 1;
        for index in 0..batch.calls.len() {
            if batch.reply(index).first() == Some(&b'-') {
                let args: Vec<_> = batch.call(index).0.iter().take(2).map(<[u8]>::escape_ascii).collect();
                self.skip(ReplayFailure::Failed {
                    effect: args.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                    reply: batch.reply(index).escape_ascii().to_string(),
                })?;
            }
        }
        batch.reset();
        self.free.push(batch);
        Ok(())
    }
}

fn call(handler: Handler, command: u16, db: u16) -> Call {
    Call { handler, command, writes: true, whole_keyspace: false, db }
}

/// The handler of an effect, which is a command like any other.
fn handler_of(args: &[&[u8]], ranges: &mut Vec<ArgRange>) -> Result<(Handler, u16), ReplayFailure> {
    // The table wants a request; only the name and the number of arguments matter to it.
    let name = args.first().copied().unwrap_or_default();
    ranges.clear();
    ranges.extend((0..args.len()).map(|index| {
        if index == 0 { ArgRange { start: 0, end: name.len() } } else { ArgRange { start: 0, end: 0 } }
    }));
    match command::find(Request::new(name, ranges)).map(|(index, command)| (index, command.run)) {
        Ok((index, Run::Keys(handler, _) | Run::Everywhere(handler, _))) => Ok((handler, index)),
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &[u8]) -> ReplayFailure {
    ReplayFailure::Unknown { effect: name.escape_ascii().to_string() }
}

/// The indexes of `items` in the order of their groups, those of one group in their own order (a counting sort).
fn stable_order<T>(items: &[T], groups: usize, group: impl Fn(&T) -> usize) -> Vec<u32> {
    let mut next = vec![0u32; groups + 1];
    for item in items {
        next[group(item) + 1] += 1;
    }
    for index in 1..next.len() {
        next[index] += next[index - 1];
    }
    let mut order = vec![0u32; items.len()];
    for (index, item) in items.iter().enumerate() {
        let place = &mut next[group(item)];
        order[*place as usize] = index as u32;
        *place += 1;
    }
    order
}

/// Arguments: the shard and the number of shards of that time, and whether all databases are meant.
fn flush_former_shard(context: &mut Context<'_>) -> Result<(), CommandError> {
    let (Some(shard), Some(shards)) = (number(context, 1), number(context, 2)) else {
        return Err(NOT_A_SHARD.into());
    };
    let databases =
        if context.arg(3) == b"all" { 0..context.databases() } else { context.db..context.db + 1 };
    let hasher = context.hasher();
    for db in databases {
        context.retain(db, |key| hasher.shard(key, hasher.hash(key), shards) != shard);
    }
    context.reply.ok();
    Ok(())
}

/// Arguments: the shard and the number of shards of that time, and the two databases.
fn swap_former_shard(context: &mut Context<'_>) -> Result<(), CommandError> {
    let numbers = (number(context, 1), number(context, 2), number(context, 3), number(context, 4));
    let (Some(shard), Some(shards), Some(one), Some(other)) = numbers else {
        return Err(NOT_A_SHARD.into());
    };
    if one.max(other) >= context.databases() {
        return Err("ERR not a database".into());
    }
    let hasher = context.hasher();
    context.swap_those(one, other, |key| hasher.shard(key, hasher.hash(key), shards) == shard);
    context.reply.ok();
    Ok(())
}

const NOT_A_SHARD: &str = "ERR not a shard";

fn number(context: &Context<'_>, index: usize) -> Option<u16> {
    std::str::from_utf8(context.request.arg(index)).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::stable_order;

    #[test]
    fn effects_of_a_group_keep_their_order() {
        let items = [(2, 'a'), (0, 'b'), (2, 'c'), (1, 'd'), (0, 'e'), (2, 'f')];
        let order = stable_order(&items, 3, |item| item.0);
        let sorted: String = order.iter().map(|index| items[*index as usize].1).collect();
        assert_eq!(sorted, "bedacf");
    }
}
