//! What a command's handler sees: its request, its keys, the databases of its shard, its reply, and where its effects go.
//!
//! A handler changes the keyspace only through the methods here; each change is given to the log as an *effect*, which
//! names one key and needs no clock to be repeated. Nothing else reaches a handler: no sockets, no files, no globals.

use std::borrow::Cow;
use std::collections::TryReserveError;

use formats::resp::{Reply, Request};

use super::engine::Engine;
use crate::store::{Entry, KeyHash, Keyspace, Object, Type, ValueRef};

/// A command's meaning on the shard that has its keys.
pub type Handler = fn(&mut Context<'_>) -> Result<(), CommandError>;

/// The error that a command answers, with its code: `WRONGTYPE Operation against ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError(pub Cow<'static, str>);

impl From<&'static str> for CommandError {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for CommandError {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// What a command answers that would need more memory than the system gives.
pub const NO_MEMORY: &str = "OOM the system has no memory for a string of this length";
pub const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

const STRING_TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// How to call a handler: what the command table knows, as far as a shard needs it.
#[derive(Clone, Copy)]
pub struct Call {
    pub handler: Handler,
    /// Index of the command in the table.
    pub command: u16,
    /// May change the keyspace.
    pub writes: bool,
    /// Tells of keys that it does not name (KEYS, SCAN, DBSIZE, ...).
    pub whole_keyspace: bool,
    pub db: u16,
}

pub use super::stats::UNCOUNTED;

impl Call {
    /// The same for a later part of the command: not to be counted again.
    pub fn uncounted(self) -> Call {
        Call { command: super::stats::later_part(self.command), ..self }
    }
}

/// A key of a request: which argument, and its hash.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef {
    pub arg: u32,
    pub hash: KeyHash,
}

/// A key with its hash, which was computed once when the command arrived.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub hash: KeyHash,
}

/// A value with its expiry, detached from the keyspace.
#[derive(Clone)]
pub struct Record {
    pub object: Object,
    /// Unix time in ms.
    pub expire_at: Option<u64>,
}

/// A string, and when its key ends, in Unix ms.
pub type StringWithEnd<'a> = (&'a [u8], Option<u64>);

/// See the module.
pub struct Context<'a> {
    pub request: Request<'a>,
    pub keys: &'a [KeyRef],
    pub reply: Reply<'a>,
    /// Wall-clock time of this command, Unix ms. 0 while a log is replayed: then nothing expires.
    pub now_ms: u64,
    /// The selected database.
    pub db: u16,
    /// What a two-step transaction reads or writes: see [`super::batch::BatchCall::record`].
    pub record: &'a mut Option<Record>,
    pub(super) engine: &'a mut Engine,
}

impl<'a> Context<'a> {
    /// Argument `index` of the request.
    #[inline]
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.request.arg(index)
    }

    /// The `index`-th key of the request.
    #[inline]
    pub fn key(&self, index: usize) -> Key<'a> {
        let key = self.keys[index];
        Key { bytes: self.request.arg(key.arg as usize), hash: key.hash }
    }

    /// Number of databases.
    pub fn databases(&self) -> u16 {
        self.engine.dbs.len() as u16
    }

    /// The selected database, for reading. Entries may have expired: see [`Context::lookup`].
    #[inline]
    pub fn keyspace(&self) -> &Keyspace {
        &self.engine.dbs[self.db as usize]
    }

    /// The shard's number, and the number of shards.
    pub fn shard(&self) -> (u16, u16) {
        (self.engine.id.0, self.engine.shards)
    }

    /// A string may not grow beyond this (`proto-max-bulk-len`).
    pub fn max_string_bytes(&self) -> u64 {
        self.engine.max_string_bytes
    }

    /// Refuses a string of `length` and `more` bytes that would be longer than [`Context::max_string_bytes`].
    pub fn check_string_length(&self, length: u64, more: u64) -> Result<(), CommandError> {
        // What a log holds has no limit, but no string is longer than what memory can address.
        let limit = self.max_string_bytes().min(i64::MAX as u64);
        if length.saturating_add(more) > limit { Err(STRING_TOO_LONG.into()) } else { Ok(()) }
    }

    /// Whether DUMP compresses strings (`rdbcompression`).
    pub fn compresses_dumps(&self) -> bool {
        self.engine.compresses_dumps
    }

    /// An estimate of what a living key takes in memory, in bytes.
    pub fn memory_of(&mut self, key: Key<'_>) -> Option<usize> {
        self.lookup(key)?;
        self.keyspace().memory_of(key.hash, key.bytes)
    }

    /// Numbers that the shard counts.
    pub fn stats(&mut self) -> &mut super::stats::EngineStats {
        &mut self.engine.stats
    }

    /// The living entry of a key. One that has expired is deleted on the way.
    #[inline]
    pub fn lookup(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        self.lookup_in(self.db, key)
    }

    /// As [`Context::lookup`], in another database.
    #[inline]
    pub fn lookup_in(&mut self, db: u16, key: Key<'_>) -> Option<Entry<'_>> {
        if self.engine.dbs[db as usize].expires_len() == 0 {
            return self.engine.dbs[db as usize].get(key.hash, key.bytes);
        }
        let now_ms = self.now_ms;
        let expired = match self.engine.dbs[db as usize].get(key.hash, key.bytes) {
            None => return None,
            Some(entry) => entry.expire_at.is_some_and(|at| at <= now_ms),
        };
        if expired {
            self.engine.expire(db, key);
            return None;
        }
        // A second look-up instead of a returned borrow, which the borrow checker does not allow across `expire`;
        // the page is in the cache by now.
        self.engine.dbs[db as usize].get(key.hash, key.bytes)
    }

    /// As [`Context::lookup`], and counted as a hit or miss.
    #[inline]
    pub fn read(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let now_ms = self.now_ms;
        let db = self.db as usize;
        if self.engine.dbs[db].expires_len() == 0 {
            let found = self.engine.dbs[db].get(key.hash, key.bytes);
            let count = match found {
                Some(_) => &mut self.engine.stats.keyspace_hits,
                None => &mut self.engine.stats.keyspace_misses,
            };
            *count += 1;
            return found;
        }
        let expires = match self.engine.dbs[db].get(key.hash, key.bytes) {
            None => {
                self.engine.stats.keyspace_misses += 1;
                return None;
            }
            Some(entry) => entry.expire_at,
        };
        if expires.is_some_and(|at| at <= now_ms) {
            self.engine.stats.keyspace_misses += 1;
            self.engine.expire(self.db, key);
            return None;
        }
        self.engine.stats.keyspace_hits += 1;
        self.engine.dbs[db].get(key.hash, key.bytes)
    }

    /// The string at a key, counted as a hit or miss; an error if the key holds another type.
    #[inline]
    pub fn read_string(&mut self, key: Key<'_>) -> Result<Option<&[u8]>, CommandError> {
        match self.read(key).map(|entry| entry.value) {
            None => Ok(None),
            Some(ValueRef::Str(bytes)) => Ok(Some(bytes)),
            #[allow(unreachable_patterns)] // strings are the first type, not the last
            Some(_) => Err(WRONG_TYPE.into()),
        }
    }

    /// Answers the string at a key, or null; says whether there was one. Counted as a hit or miss; an error if the key
    /// holds another type.
    #[inline]
    pub fn reply_string(&mut self, key: Key<'_>) -> Result<bool, CommandError> {
        let Some(entry) = self.engine.dbs[self.db as usize].get(key.hash, key.bytes) else {
            self.engine.stats.keyspace_misses += 1;
            self.reply.null();
            return Ok(false);
        };
        if entry.is_expired(self.now_ms) {
            self.engine.stats.keyspace_misses += 1;
            self.engine.expire(self.db, key);
            self.reply.null();
            return Ok(false);
        }
        self.engine.stats.keyspace_hits += 1;
        match entry.value {
            ValueRef::Str(bytes) => {
                self.reply.bulk(bytes);
                Ok(true)
            }
            #[allow(unreachable_patterns)] // strings are the first type, not the last
            _ => Err(WRONG_TYPE.into()),
        }
    }

    /// As [`Context::reply_string`], of a part of the string; nothing is answered where there is no key.
    pub fn reply_part(
        &mut self,
        key: Key<'_>,
        part: impl FnOnce(&[u8]) -> &[u8],
    ) -> Result<bool, CommandError> {
        if self.read_string(key)?.is_none() {
            return Ok(false);
        }
        // A second look-up, beside which the reply can be borrowed; the page is in the cache by now.
        let entry = self.engine.dbs[self.db as usize].get(key.hash, key.bytes);
        self.reply.bulk(part(entry.and_then(|entry| entry.value.as_str()).unwrap_or(b"")));
        Ok(true)
    }

    /// As [`Context::read_string`] for commands that write: with the expiry, and not counted.
    pub fn string_to_change(&mut self, key: Key<'_>) -> Result<Option<StringWithEnd<'_>>, CommandError> {
        match self.lookup(key) {
            None => Ok(None),
            Some(Entry { value: ValueRef::Str(bytes), expire_at, .. }) => Ok(Some((bytes, expire_at))),
            #[allow(unreachable_patterns)]
            Some(_) => Err(WRONG_TYPE.into()),
        }
    }

    /// The type of the living value at a key.
    pub fn type_of(&mut self, key: Key<'_>) -> Option<Type> {
        self.lookup(key).map(|entry| entry.kind)
    }

    /// A detached copy of the living value at a key.
    pub fn detach(&mut self, db: u16, key: Key<'_>) -> Option<Record> {
        self.lookup_in(db, key)?;
        let (object, expire_at) = self.engine.dbs[db as usize].get_object(key.hash, key.bytes)?;
        Some(Record { object, expire_at })
    }

    /// Sets a string, replacing whatever is there. Effect: `SET key value [PXAT ms]`.
    #[inline]
    pub fn put_string(&mut self, key: Key<'_>, value: &[u8], expire_at: Option<u64>) {
        self.engine.dbs[self.db as usize].set_str(key.hash, key.bytes, value, expire_at);
        self.effect_set(self.db, key, value, expire_at);
    }

    /// Stores a detached value. Effects: what creates it.
    pub fn put_record(&mut self, db: u16, key: Key<'_>, record: Record) {
        match &record.object {
            Object::Str(bytes) => self.effect_set(db, key, bytes, record.expire_at),
            #[allow(unreachable_patterns)]
            _ => unreachable!("a type without effects"),
        }
        self.engine.dbs[db as usize].set_object(key.hash, key.bytes, record.object, record.expire_at);
    }

    /// Appends to a string and returns the new length; the key is created where there is none. Effect: `APPEND key bytes`.
    ///
    /// # Errors
    /// There is no memory for it; nothing has changed.
    pub fn append_string(&mut self, key: Key<'_>, bytes: &[u8]) -> Result<usize, CommandError> {
        let db = &mut self.engine.dbs[self.db as usize];
        let length = match db.update_str(key.hash, key.bytes, |value| {
            value.try_reserve(bytes.len())?;
            value.extend_from_slice(bytes);
            Ok(value.len())
        }) {
            Some(length) => length.map_err(|_: TryReserveError| NO_MEMORY)?,
            None => {
                db.set_str(key.hash, key.bytes, bytes, None);
                bytes.len()
            }
        };
        self.engine.effect(self.db, key.hash, &[b"APPEND", key.bytes, bytes]);
        Ok(length)
    }

    /// Overwrites a string from `offset` on and returns its length; what is short of that place becomes zeros, and the key is
    /// created where there is none. Effect: `SETRANGE key offset bytes`.
    ///
    /// # Errors
    /// There is no memory for it; nothing has changed.
    pub fn overwrite_string(
        &mut self,
        key: Key<'_>,
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, CommandError> {
        let end = offset + bytes.len();
        let db = &mut self.engine.dbs[self.db as usize];
        let length = match db.update_str(key.hash, key.bytes, |value| {
            if value.len() < end {
                value.try_reserve(end - value.len())?;
                value.resize(end, 0);
            }
            value[offset..end].copy_from_slice(bytes);
            Ok(value.len())
        }) {
            Some(length) => length.map_err(|_: TryReserveError| NO_MEMORY)?,
            None => {
                // Tried first: zeros that the system gives anew cannot be asked for with an error as the answer.
                Vec::<u8>::new().try_reserve_exact(end).map_err(|_| NO_MEMORY)?;
                let mut value = vec![0; end];
                value[offset..].copy_from_slice(bytes);
                db.set_object(key.hash, key.bytes, Object::string(value), None);
                end
            }
        };
        let mut digits = itoa::Buffer::new();
        let offset = digits.format(offset).as_bytes();
        self.engine.effect(self.db, key.hash, &[b"SETRANGE", key.bytes, offset, bytes]);
        Ok(length)
    }

    /// Deletes a key; says whether there was one (expired ones do not count). Effect: `DEL key`.
    pub fn delete(&mut self, key: Key<'_>) -> bool {
        self.delete_in(self.db, key)
    }

    /// As [`Context::delete`], in another database.
    pub fn delete_in(&mut self, db: u16, key: Key<'_>) -> bool {
        if self.lookup_in(db, key).is_none() {
            return false;
        }
        let removed = self.engine.dbs[db as usize].remove(key.hash, key.bytes);
        if removed {
            self.engine.effect(db, key.hash, &[b"DEL", key.bytes]);
        }
        removed
    }

    /// Sets or takes away (`None`) the expiry of an existing key. Effects: `PEXPIREAT key ms`, `PERSIST key`.
    pub fn set_expiry(&mut self, key: Key<'_>, expire_at: Option<u64>) {
        if !self.engine.dbs[self.db as usize].set_expire(key.hash, key.bytes, expire_at) {
            return;
        }
        match expire_at {
            Some(at) => {
                let mut digits = itoa::Buffer::new();
                let at = digits.format(at).as_bytes();
                self.engine.effect(self.db, key.hash, &[b"PEXPIREAT", key.bytes, at]);
            }
            None => self.engine.effect(self.db, key.hash, &[b"PERSIST", key.bytes]),
        }
    }

    /// Empties database `db`, or all of them. Effects: `FLUSHDB`, `FLUSHALL`.
    pub fn flush(&mut self, db: Option<u16>) {
        self.engine.flush(db);
    }

    /// Lets two databases change places. Effect: `SWAPDB one other`.
    pub fn swap(&mut self, one: u16, other: u16) {
        self.engine.swap(one, other);
    }

    /// As [`Context::swap`] for the keys that `belongs` wants, one by one. No effect: for the replay of an exchange on
    /// a shard that had other keys than this one has.
    pub fn swap_those(&mut self, one: u16, other: u16, belongs: impl Fn(&[u8]) -> bool) {
        let of_one = self.take_those(one, &belongs);
        let of_other = self.take_those(other, &belongs);
        for (db, records) in [(other, of_one), (one, of_other)] {
            for (key, Record { object, expire_at }) in records {
                let hash = self.engine.hasher.hash(&key);
                self.engine.dbs[db as usize].set_object(hash, &key, object, expire_at);
            }
        }
    }

    fn take_those(&mut self, db: u16, belongs: impl Fn(&[u8]) -> bool) -> Vec<(Vec<u8>, Record)> {
        let (hasher, db) = (self.engine.hasher, &mut self.engine.dbs[db as usize]);
        let mut keys = Vec::new();
        db.for_each(|entry| {
            if belongs(entry.key) {
                keys.push(entry.key.to_vec());
            }
        });
        let take = |key: Vec<u8>| {
            let hash = hasher.hash(&key);
            let (object, expire_at) = db.get_object(hash, &key)?;
            db.remove(hash, &key);
            Some((key, Record { object, expire_at }))
        };
        keys.into_iter().filter_map(take).collect()
    }

    /// Removes the keys of one database that `keep` does not want. No effect: for the replay of a flush of
    /// a shard that had other keys than this one has.
    pub fn retain(&mut self, db: u16, keep: impl FnMut(&[u8]) -> bool) {
        self.engine.dbs[db as usize].retain(keep);
    }

    /// A random number, for RANDOMKEY and the like.
    pub fn random(&mut self) -> u64 {
        self.engine.random()
    }

    /// The hash of a key that is not among the request's.
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        self.engine.hasher.hash(key)
    }

    /// How keys are hashed.
    pub fn hasher(&self) -> crate::store::KeyHasher {
        self.engine.hasher
    }

    fn effect_set(&mut self, db: u16, key: Key<'_>, value: &[u8], expire_at: Option<u64>) {
        match expire_at {
            None => self.engine.effect(db, key.hash, &[b"SET", key.bytes, value]),
            Some(at) => {
                let mut digits = itoa::Buffer::new();
                let at = digits.format(at).as_bytes();
                self.engine.effect(db, key.hash, &[b"SET", key.bytes, value, b"PXAT", at]);
            }
        }
    }

    /// A random living key of the selected database; tries a bounded number of times to avoid expired ones.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let (now_ms, db) = (self.now_ms, self.db as usize);
            let Engine { dbs, rng, .. } = &mut *self.engine;
            let entry = dbs[db].random(|| rng.next())?;
            if entry.expire_at.is_none_or(|at| at > now_ms) {
                return Some(entry.key.to_vec());
            }
        }
        None
    }
}
