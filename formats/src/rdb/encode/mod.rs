//! Writes RDB files that Redis 7.0 and newer and Valkey load.
//!
//! An [`Encoder`] appends records to a buffer of its own; whoever has a place for the bytes takes them out of it
//! whenever it likes:
//!
//! ```
//! use formats::rdb::encode::{Encoder, EncodeError, EncodeVersion, KeyMeta};
//!
//! fn file() -> Result<Vec<u8>, EncodeError> {
//!     let mut encoder = Encoder::new(EncodeVersion::V10, true);
//!     encoder.aux(b"redis-ver", b"7.0.15")?;
//!     encoder.select_db(0)?;
//!     encoder.key(b"greeting", KeyMeta::default())?.string(b"hello")?;
//!     encoder.key(b"numbers", KeyMeta::default())?.begin_list(2)?;
//!     encoder.list_item(b"one")?;
//!     encoder.list_item(b"two")?;
//!     encoder.finish()?;
//!     Ok(encoder.take())
//! }
//! # assert!(file().unwrap().starts_with(b"REDIS0010"));
//! ```
//!
//! Values come in one piece (`string`, `small_…`), or with their number of elements first and then element by
//! element (`begin_…`), so that no collection need be in memory whole. Between any two calls the bytes may be
//! taken out.
//!
//! Invariants:
//! 1. A call that answers an error has appended nothing.
//! 2. A record starts only when the value before it has all its elements: what is announced is what is there.
//! 3. Only forms that the chosen version knows are written; collections are never empty, scores are numbers.
//! 4. The checksum covers every byte before it, however the bytes were taken out.

mod collection;
mod packed;
mod stream;
pub mod string;

#[cfg(test)]
mod round_trip_tests;
#[cfg(test)]
mod tests;

pub use packed::{INTSET_MAX_MEMBERS, LIST_NODE_BYTES, PACKED_MAX_BYTES, PACKED_MAX_ELEMENTS, is_small};
pub use stream::{PendingEntry, StreamConsumer, StreamEntry, StreamGroup, StreamMeta, StreamNodeCounter};

use self::stream::OpenStream;
use self::string::StringWriter;
use super::kind::ValueKind;
use super::listpack_writer::{ListpackTooLarge, ListpackWriter};
use super::opcode;
use super::version::Version;
use crate::checksum::Crc64;

/// The versions that can be written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum EncodeVersion {
    /// Of Redis 7.0; all later ones and Valkey load it.
    #[default]
    V10,
    /// Of Redis 7.2 and Valkey 7.2 to 8.1.
    V11,
}

impl EncodeVersion {
    pub const fn version(self) -> Version {
        match self {
            EncodeVersion::V10 => Version::redis(10),
            EncodeVersion::V11 => Version::redis(11),
        }
    }
}

/// What a file says of a key besides its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyMeta {
    /// Milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// Since the key was last used.
    pub idle_seconds: Option<u64>,
    /// How often it is used, on Redis' logarithmic scale.
    pub frequency: Option<u8>,
}

/// How a caller went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{missing} {part} are missing at the end of a value")]
    Incomplete { part: Part, missing: u64 },
    #[error("{found} given, {left} {part} may follow")]
    Exceeds { part: Part, left: u64, found: u64 },
    #[error("{found} given where {expected} belong")]
    OutOfPlace { expected: Part, found: Part },
    #[error("RDB version {version} has no {kind:?}")]
    NotInVersion { kind: ValueKind, version: u16 },
    #[error("a collection must not be empty")]
    Empty,
    #[error("a score must be a number")]
    NotANumber,
    #[error("elements must ascend without repeats")]
    NotAscending,
    #[error(transparent)]
    TooLarge(#[from] ListpackTooLarge),
    #[error("the file has ended")]
    Finished,
}

/// What can be announced and then given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Record,
    StringBytes,
    ListItems,
    SetMembers,
    SortedSetMembers,
    HashFields,
    StreamNodes,
    StreamEntries,
    StreamGroups,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Record => "records",
            Part::StringBytes => "bytes of a string",
            Part::ListItems => "items of a list",
            Part::SetMembers => "members of a set",
            Part::SortedSetMembers => "members of a sorted set",
            Part::HashFields => "fields of a hash",
            Part::StreamNodes => "nodes of a stream",
            Part::StreamEntries => "entries of a stream",
            Part::StreamGroups => "groups of a stream",
        })
    }
}

/// What may come next.
#[derive(Debug)]
enum Open {
    Records,
    Elements { part: Part, left: u64 },
    Stream(Box<OpenStream>),
    Finished,
}

/// Writes one file.
#[derive(Debug)]
pub struct Encoder {
    version: EncodeVersion,
    pending: Vec<u8>,
    /// Bytes that were taken out.
    drained: u64,
    /// Of the bytes that were taken out.
    crc: Crc64,
    strings: StringWriter,
    listpack: ListpackWriter,
    open: Open,
}

impl Encoder {
    /// Starts a file. With `compress`, strings of more than 20 bytes are compressed where that saves something.
    pub fn new(version: EncodeVersion, compress: bool) -> Self {
        Encoder {
            version,
            pending: version.version().header(),
            drained: 0,
            crc: Crc64::new(),
            strings: StringWriter::new(compress),
            listpack: ListpackWriter::new(),
            open: Open::Records,
        }
    }

    /// Bytes that were not yet taken out.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Forgets the pending bytes, which the caller has written; their room is used again.
    pub fn clear_pending(&mut self) {
        self.crc.update(&self.pending);
        self.drained += self.pending.len() as u64;
        self.pending.clear();
    }

    /// Takes the pending bytes.
    pub fn take(&mut self) -> Vec<u8> {
        self.crc.update(&self.pending);
        self.drained += self.pending.len() as u64;
        std::mem::take(&mut self.pending)
    }

    /// Bytes of the file so far, taken out or pending.
    pub fn bytes_written(&self) -> u64 {
        self.drained + self.pending.len() as u64
    }

    /// A fact about the file, as `redis-ver`.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
        self.record(opcode::AUX)?;
        self.put(name);
        self.put(value);
        Ok(())
    }

    /// The keys that follow belong to this database.
    pub fn select_db(&mut self, db: u64) -> Result<(), EncodeError> {
        self.record(opcode::SELECT_DB)?;
        string::put_len(&mut self.pending, db);
        Ok(())
    }

    /// How many keys the database has, and how many of them expire; a hint.
    pub fn resize_db(&mut self, keys: u64, expires: u64) -> Result<(), EncodeError> {
        self.record(opcode::RESIZE_DB)?;
        string::put_len(&mut self.pending, keys);
        string::put_len(&mut self.pending, expires);
        Ok(())
    }

    /// The code of a library of functions, with its `#!` line.
    pub fn function(&mut self, code: &[u8]) -> Result<(), EncodeError> {
        self.record(opcode::FUNCTION)?;
        self.put(code);
        Ok(())
    }

    /// Starts a key, whose value is given to what is answered. Nothing is written before.
    pub fn key<'a>(&'a mut self, key: &'a [u8], meta: KeyMeta) -> Result<KeyEncoder<'a>, EncodeError> {
        self.end_value()?;
        Ok(KeyEncoder { encoder: self, key, meta })
    }

    /// A whole record of a key as another file of the same dialect holds it: what precedes the type, type, key,
    /// value. `kind` is the value's.
    pub fn copy_key(&mut self, kind: ValueKind, record: &[u8]) -> Result<(), EncodeError> {
        self.end_value()?;
        self.check_version(kind)?;
        self.pending.extend_from_slice(record);
        Ok(())
    }

    /// A piece of the records of another file of the same dialect and of no newer version. The pieces must be whole
    /// records together, and only the caller can know that they are.
    pub fn copy_records(&mut self, piece: &[u8]) -> Result<(), EncodeError> {
        self.end_value()?;
        self.pending.extend_from_slice(piece);
        Ok(())
    }

    #[inline]
    fn check_version(&self, kind: ValueKind) -> Result<(), EncodeError> {
        let version = self.version.version();
        match kind.is_in(version) {
            true => Ok(()),
            false => Err(EncodeError::NotInVersion { kind, version: version.number }),
        }
    }

    /// Says that the value is complete, and so do a next record and the end of the file.
    pub fn end_value(&mut self) -> Result<(), EncodeError> {
        let incomplete = |part, missing| Err(EncodeError::Incomplete { part, missing });
        match &self.open {
            Open::Finished => return Err(EncodeError::Finished),
            Open::Records | Open::Elements { left: 0, .. } => {}
            &Open::Elements { part, left } => return incomplete(part, left),
            Open::Stream(stream) => {
                if let Some((part, missing)) = stream.missing() {
                    return incomplete(part, missing);
                }
            }
        }
        self.open = Open::Records;
        Ok(())
    }

    /// Ends the file: after the bytes that are pending then, nothing follows.
    pub fn finish(&mut self) -> Result<(), EncodeError> {
        self.record(opcode::EOF)?;
        self.append_checksum();
        self.open = Open::Finished;
        Ok(())
    }

    fn append_checksum(&mut self) {
        self.crc.update(&self.pending);
        self.pending.extend_from_slice(&self.crc.value().to_le_bytes());
    }

    fn record(&mut self, opcode: u8) -> Result<(), EncodeError> {
        self.end_value()?;
        self.pending.push(opcode);
        Ok(())
    }

    #[inline]
    fn put(&mut self, string: &[u8]) {
        self.strings.put(&mut self.pending, string);
    }

    /// Counts `count` parts that are about to be written.
    #[inline]
    fn expect(&mut self, part: Part, count: u64) -> Result<(), EncodeError> {
        match &mut self.open {
            Open::Elements { part: open, left } if *open == part => {
                let rest = left.checked_sub(count);
                *left = rest.ok_or(EncodeError::Exceeds { part, left: *left, found: count })?;
                Ok(())
            }
            _ => Err(self.out_of_place(part)),
        }
    }

    #[cold]
    fn out_of_place(&self, found: Part) -> EncodeError {
        let expected = match &self.open {
            Open::Records => Part::Record,
            Open::Elements { part, .. } => *part,
            Open::Stream(stream) => stream.expected(),
            Open::Finished => return EncodeError::Finished,
        };
        EncodeError::OutOfPlace { expected, found }
    }
}

/// A key that waits for its value.
#[must_use = "a key is written together with its value"]
#[derive(Debug)]
pub struct KeyEncoder<'a> {
    encoder: &'a mut Encoder,
    key: &'a [u8],
    meta: KeyMeta,
}

impl<'a> KeyEncoder<'a> {
    /// A string in one piece.
    #[inline]
    pub fn string(self, value: &[u8]) -> Result<(), EncodeError> {
        self.start(ValueKind::String)?.put(value);
        Ok(())
    }

    /// A value that is already encoded, as another file holds it.
    pub fn raw(self, kind: ValueKind, encoded: &[u8]) -> Result<(), EncodeError> {
        self.start(kind)?.pending.extend_from_slice(encoded);
        Ok(())
    }

    /// Writes what precedes a value.
    #[inline]
    fn start(self, kind: ValueKind) -> Result<&'a mut Encoder, EncodeError> {
        let KeyEncoder { encoder, key, meta } = self;
        encoder.check_version(kind)?;
        put_meta(&mut encoder.pending, &meta);
        encoder.pending.push(kind.byte());
        encoder.put(key);
        Ok(encoder)
    }

    /// Writes what precedes a value that is given in parts.
    fn announce(self, kind: ValueKind, part: Part, count: u64) -> Result<(), EncodeError> {
        if count == 0 && part != Part::StringBytes {
            return Err(EncodeError::Empty);
        }
        let encoder = self.start(kind)?;
        string::put_len(&mut encoder.pending, count);
        encoder.open = Open::Elements { part, left: count };
        Ok(())
    }
}

#[inline]
fn put_meta(out: &mut Vec<u8>, meta: &KeyMeta) {
    if let Some(ms) = meta.expires_at_ms {
        out.push(opcode::EXPIRE_MS);
        out.extend_from_slice(&ms.to_le_bytes());
    }
    if let Some(seconds) = meta.idle_seconds {
        out.push(opcode::IDLE);
        string::put_len(out, seconds);
    }
    if let Some(frequency) = meta.frequency {
        out.extend_from_slice(&[opcode::FREQUENCY, frequency]);
    }
}
