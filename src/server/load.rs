//! From snapshot files into the shards: keys are put where they belong now, on as many shards as there are now.
//!
//! A file has its keys in the order of its pages, of a hash that is still the same: so a shard meets the keys of a page
//! one after another, and finds them in its cache.
//!
//! Invariants:
//! 1. What is read ahead is bounded: each file has a fixed number of batches per shard, which the shards give back.
//! 2. No effect is logged and nothing expires: keys are put into the keyspaces as they stand in the files.
//! 3. After an error the shards hold a part of the keys and must not serve.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use crate::persist::disk::Mapping;
use crate::shard::mailbox::Message;
use crate::shard::shared::Shared;
use crate::snapshot::{self, Checksum, LoadedKey, LoadedValue, ReadError};
use crate::store::{KeyHash, KeyHasher, Keyspace, Object};
use crate::waiting;

/// Batches per file that is being read and shard, and what one holds: its values outside pages count too.
const BATCHES: usize = 4;
const BATCH_KEYS: usize = 1024;
const BATCH_BYTES: usize = 256 * 1024;
/// Least bytes that a key takes in a file: type, length of the key, length of the value.
const LEAST_RECORD_BYTES: u64 = 3;

/// A file to load.
pub struct LoadFile {
    /// For errors.
    pub path: PathBuf,
    pub map: Mapping,
    pub checksum: Checksum,
}

/// What was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadSummary {
    pub keys: u64,
    /// Of all files.
    pub bytes: u64,
}

/// Why a file cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {error}")]
pub struct LoadFailure {
    pub file: PathBuf,
    pub error: ReadError<Stop>,
}

/// What ends the loading of a file that is in order.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error("offset {offset}: a key of database {db}, and `databases` is {databases} now")]
    Database { offset: u64, db: u64, databases: u32 },
    #[error("another file could not be loaded")]
    Elsewhere,
    #[error("a thread of the loading ended early")]
    Thread,
}

/// Loads all keys of `files` into the shards, which hold none of them yet; several files at the same time. Counts into
/// `shared.loading.loaded_bytes`, in all the lengths of the files; `total_bytes` is the caller's to set.
///
/// # Errors
/// A file that could not be read, or has what the server cannot hold.
pub fn load(shared: &Shared, hasher: KeyHasher, files: Vec<LoadFile>) -> Result<LoadSummary, LoadFailure> {
    let threads = usize::from(super::one_shard_per_core()).min(files.len());
    let (files, failed) = (Mutex::new(files.into_iter()), AtomicBool::new(false));
    let next = || files.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut results = Vec::new();
        while let Some(file) = next() {
            results.push(load_file(shared, hasher, file, &failed));
        }
        results
    };
    let results = waiting::each_on_a_thread((0..threads).map(|_| work).collect());
    let mut all = LoadSummary::default();
    // The failure itself goes before what it made of the other files.
    let (ended, own): (Vec<_>, Vec<_>) = results.into_iter().flatten().partition(was_ended);
    for result in own.into_iter().chain(ended) {
        let file = result?;
        all = LoadSummary { keys: all.keys + file.keys, bytes: all.bytes + file.bytes };
    }
    Ok(all)
}

fn was_ended(result: &Result<LoadSummary, LoadFailure>) -> bool {
    matches!(result, Err(LoadFailure { error: ReadError::Visit(Stop::Elsewhere), .. }))
}

fn load_file(
    shared: &Shared,
    hasher: KeyHasher,
    file: LoadFile,
    failed: &AtomicBool,
) -> Result<LoadSummary, LoadFailure> {
    let LoadFile { path, map, checksum } = file;
    let mut loader = Loader::new(shared, hasher, &map, failed);
    let read = snapshot::read(&map, checksum, |key| loader.key(key));
    loader.finish(read.is_ok());
    match read {
        Ok(summary) => Ok(LoadSummary { keys: summary.keys, bytes: map.len() as u64 }),
        Err(error) => {
            failed.store(true, Ordering::Relaxed);
            Err(LoadFailure { file: path, error })
        }
    }
}

/// Sends the keys of one file to their shards.
struct Loader<'a> {
    shared: &'a Shared,
    hasher: KeyHasher,
    databases: u32,
    map: &'a Mapping,
    /// Bytes of the file that are done with.
    done: u64,
    /// The database, as the file has it and as it is known here, and how many keys the file announced for it.
    database: Option<(u64, u16, u64)>,
    failed: &'a AtomicBool,
    open: Vec<Option<Box<Batch>>>,
    /// Boxed, as they travel.
    #[allow(clippy::vec_box)]
    free: Vec<Box<Batch>>,
    under_way: usize,
    returned: Receiver<Box<Batch>>,
    give_back: Sender<Box<Batch>>,
}

impl<'a> Loader<'a> {
    fn new(shared: &'a Shared, hasher: KeyHasher, map: &'a Mapping, failed: &'a AtomicBool) -> Self {
        let shards = usize::from(shared.shards());
        let (give_back, returned) = channel();
        Loader {
            shared,
            hasher,
            databases: shared.config().databases,
            map,
            done: 0,
            database: None,
            failed,
            open: (0..shards).map(|_| None).collect(),
            free: (0..shards * BATCHES).map(|_| Box::default()).collect(),
            under_way: 0,
            returned,
            give_back,
        }
    }

    fn key(&mut self, loaded: LoadedKey<'_>) -> Result<(), Stop> {
        let db = match self.database {
            Some((db, known, announced)) if (db, announced) == (loaded.db, loaded.announced) => known,
            _ => self.enter_database(&loaded)?,
        };
        if loaded.done_bytes != self.done {
            self.done(loaded.done_bytes)?;
        }
        let hash = self.hasher.hash(loaded.key);
        let target = usize::from(self.hasher.shard(loaded.key, hash, self.shared.shards()));
        let batch = self.batch(target)?;
        batch.push(db, hash, loaded);
        if batch.is_full() {
            self.send(target);
        }
        Ok(())
    }

    /// The keys that follow belong to another database, or to another part of it.
    fn enter_database(&mut self, first: &LoadedKey<'_>) -> Result<u16, Stop> {
        let LoadedKey { offset, db, announced, .. } = *first;
        let known = u16::try_from(db).ok().filter(|&db| u32::from(db) < self.databases);
        let Some(known) = known else {
            return Err(Stop::Database { offset, db, databases: self.databases });
        };
        self.database = Some((db, known, announced));
        let possible = (self.map.len() as u64 - offset) / LEAST_RECORD_BYTES;
        let share = announced.min(possible) / self.open.len() as u64;
        for target in 0..self.open.len() {
            self.batch(target)?.expected.push((known, share as usize));
        }
        Ok(known)
    }

    /// The file before `done` is not needed any more.
    fn done(&mut self, done: u64) -> Result<(), Stop> {
        self.map.forget(self.done as usize..done as usize);
        self.shared.loading.loaded_bytes.fetch_add(done - self.done, Ordering::Relaxed);
        self.done = done;
        if self.failed.load(Ordering::Relaxed) { Err(Stop::Elsewhere) } else { Ok(()) }
    }

    #[inline]
    fn batch(&mut self, target: usize) -> Result<&mut Batch, Stop> {
        if self.open[target].is_none() {
            self.open[target] = Some(self.free_batch()?);
        }
        self.open[target].as_deref_mut().ok_or(Stop::Thread)
    }

    fn free_batch(&mut self) -> Result<Box<Batch>, Stop> {
        if let Some(batch) = self.free.pop() {
            return Ok(batch);
        }
        let batch = waiting::receive(&self.returned).map_err(|_| Stop::Thread)?;
        self.under_way -= 1;
        Ok(batch)
    }

    fn send(&mut self, target: usize) {
        let Some(mut batch) = self.open[target].take() else { return };
        let give_back = self.give_back.clone();
        self.under_way += 1;
        self.shared.mailboxes[target].send(Message::Call(Box::new(move |shard| {
            batch.insert(&mut shard.engine.borrow_mut().dbs);
            let _ = give_back.send(batch); // the loader waits for it
        })));
    }

    /// Sends what is left if all `went_well`, and waits until nothing is under way.
    fn finish(mut self, went_well: bool) {
        for target in 0..self.open.len() {
            if went_well {
                self.send(target);
            }
        }
        self.shared.loading.loaded_bytes.fetch_add(self.map.len() as u64 - self.done, Ordering::Relaxed);
        while self.under_way > 0 && waiting::receive(&self.returned).is_ok() {
            self.under_way -= 1;
        }
    }
}

/// Keys on their way to a shard.
#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    /// Keys and short values, one after another.
    bytes: Vec<u8>,
    /// Bytes of the values outside pages.
    object_bytes: usize,
    /// Databases with how many keys more are to be expected there.
    expected: Vec<(u16, usize)>,
}

struct Record {
    hash: KeyHash,
    expire_at: Option<u64>,
    key_bytes: usize,
    value: Stored,
    db: u16,
}

enum Stored {
    Inline { bytes: usize },
    Outside(Object),
}

impl Batch {
    #[inline]
    fn push(&mut self, db: u16, hash: KeyHash, loaded: LoadedKey<'_>) {
        self.bytes.extend_from_slice(loaded.key);
        let value = match loaded.value {
            LoadedValue::Str(value) => {
                self.bytes.extend_from_slice(value);
                Stored::Inline { bytes: value.len() }
            }
            LoadedValue::Object(object) => {
                self.object_bytes += object.heap_bytes();
                Stored::Outside(object)
            }
        };
        let LoadedKey { key, expire_at, .. } = loaded;
        self.records.push(Record { hash, expire_at, key_bytes: key.len(), value, db });
    }

    fn is_full(&self) -> bool {
        self.records.len() >= BATCH_KEYS || self.bytes.len() + self.object_bytes >= BATCH_BYTES
    }

    /// Puts all keys into their databases, and is empty then.
    fn insert(&mut self, databases: &mut [Keyspace]) {
        for (db, keys) in self.expected.drain(..) {
            databases[usize::from(db)].expect_more(keys);
        }
        let mut rest = &self.bytes[..];
        let mut next = |bytes: usize| {
            let (head, tail) = rest.split_at(bytes);
            rest = tail;
            head
        };
        for Record { hash, expire_at, key_bytes, value, db } in self.records.drain(..) {
            let (keyspace, key) = (&mut databases[usize::from(db)], next(key_bytes));
            match value {
                Stored::Inline { bytes } => keyspace.set_str(hash, key, next(bytes), expire_at),
                Stored::Outside(object) => keyspace.set_object(hash, key, object, expire_at),
            }
        }
        self.object_bytes = 0;
        self.bytes.clear();
        self.bytes.shrink_to(2 * BATCH_BYTES); // after a very long key
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
