//! Writes RDB files out of the records of others.
//!
//! Records are copied as they stand wherever the version that is written knows their form; [`elements`] writes those
//! that it does not know, element by element. Strings keep the form that they have in the input, compressed or not, so
//! that none need be in memory whole.
//!
//! Invariants:
//! 1. What is held back is less than [`DRAIN_BYTES`] and one chunk, however large a record is.
//! 2. No record of a form that the written version lacks is written.
//! 3. The checksum covers all bytes, where the version has one.

pub mod copy;
pub mod elements;
pub mod items;
pub mod plan;
pub mod record;
pub mod target;

use std::collections::BTreeMap;

use formats::checksum::Crc64;
use formats::rdb::encode::string::{put_compressed_head, put_i32, put_len};
use formats::rdb::{RdbString, Version, opcode};

use self::plan::Counts;
use crate::failure::Failure;
use crate::output::Output;

/// Bytes that are handed on at once.
const DRAIN_BYTES: usize = 256 << 10;
/// Bytes of a large record that are copied at once.
const COPY_BYTES: usize = 256 << 10;
/// The version since which a hint of the number of keys may be written.
const RESIZE_SINCE: u16 = 7;

/// Takes the bytes of a file, in order.
pub trait Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure>;
}

impl Sink for Output {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.buffer().extend_from_slice(bytes);
        self.flow()
    }
}

/// An RDB file that is being written.
pub struct RdbFile<S> {
    version: Version,
    sink: S,
    pending: Vec<u8>,
    crc: Crc64,
    db: Option<u64>,
    hints: BTreeMap<u64, Counts>,
    keys: u64,
    drained: u64,
}

impl<S: Sink> RdbFile<S> {
    /// Starts a file. `hints`: how many keys each database will have, where that is known.
    pub fn new(version: Version, sink: S, hints: BTreeMap<u64, Counts>) -> RdbFile<S> {
        let pending = version.header();
        RdbFile { version, sink, pending, crc: Crc64::new(), db: None, hints, keys: 0, drained: 0 }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Keys so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.drained + self.pending.len() as u64
    }

    /// Memory for bytes that are held back.
    pub fn room(&self) -> usize {
        self.pending.capacity()
    }

    /// Hands on all that is held back, and gives back its memory.
    pub fn release(&mut self) -> Result<(), Failure> {
        self.drain()?;
        self.pending = Vec::new();
        Ok(())
    }

    /// Says that a key of this database follows.
    #[inline]
    pub fn start_key(&mut self, db: u64) {
        self.keys += 1;
        if self.db != Some(db) {
            self.select(db);
        }
    }

    fn select(&mut self, db: u64) {
        self.db = Some(db);
        self.byte(opcode::SELECT_DB);
        self.length(db);
        let hint = self.hints.remove(&db).filter(|_| self.version.number >= RESIZE_SINCE);
        if let Some(counts) = hint {
            self.byte(opcode::RESIZE_DB);
            self.length(counts.keys);
            self.length(counts.expiring);
        }
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.pending.push(byte);
    }

    /// Appends a length.
    pub fn length(&mut self, length: u64) {
        put_len(&mut self.pending, length);
    }

    /// Appends bytes as they are.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() <= COPY_BYTES {
            self.pending.extend_from_slice(bytes);
            return self.flow();
        }
        for chunk in bytes.chunks(COPY_BYTES) {
            self.pending.extend_from_slice(chunk);
            self.flow()?;
        }
        Ok(())
    }

    /// Appends a string, compressed if it is.
    pub fn string(&mut self, string: RdbString<'_>) -> Result<(), Failure> {
        match string {
            RdbString::Raw(bytes) => {
                self.length(bytes.len() as u64);
                self.raw(bytes)
            }
            RdbString::Lzf { compressed, length, .. } => {
                put_compressed_head(&mut self.pending, compressed.len() as u64, length as u64);
                self.raw(compressed)
            }
            RdbString::Int(number) => self.integer(number),
        }
    }

    fn integer(&mut self, number: i64) -> Result<(), Failure> {
        match i32::try_from(number) {
            Ok(number) => put_i32(&mut self.pending, number),
            Err(_) => return self.string(RdbString::Raw(number.to_string().as_bytes())),
        }
        self.flow()
    }

    #[inline]
    fn flow(&mut self) -> Result<(), Failure> {
        if self.pending.len() < DRAIN_BYTES { Ok(()) } else { self.drain() }
    }

    /// Hands on all that is held back.
    pub fn drain(&mut self) -> Result<(), Failure> {
        self.crc.update(&self.pending);
        self.drained += self.pending.len() as u64;
        self.sink.take(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Ends the file, and gives back where it went.
    pub fn finish(mut self) -> Result<S, Failure> {
        self.byte(opcode::EOF);
        if self.version.has_checksum() {
            self.crc.update(&self.pending);
            self.drained += self.pending.len() as u64;
            self.sink.take(&self.pending)?;
            self.sink.take(&self.crc.value().to_le_bytes())?;
            return Ok(self.sink);
        }
        self.drain()?;
        Ok(self.sink)
    }
}
