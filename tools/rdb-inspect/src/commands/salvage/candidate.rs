//! Finds the next place where records start again.
//!
//! A place is taken if what follows reads as a chain of records whose content is sound and plausible: three keys at least
//! with evidence enough, or some keys and then the end of the file. Evidence are printable bytes of keys and packed
//! structures, which hardly come about by chance; tables of small numbers do look like records of short strings.
//!
//! Invariant: the work is linear in the bytes that are searched, whatever they are: every byte earns a number of bytes that
//! attempts may read, and an attempt sees no more than has been earned.

use formats::rdb::kind::ValueKind;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, KeyRecord, ValueType, Version, opcode};

use crate::failure::Failure;
use crate::interrupt;
use crate::soundness::Checker;

/// Keys that make a chain.
const MIN_KEYS: u32 = 3;
/// Evidence that makes a chain.
const MIN_EVIDENCE: u32 = 24;
/// Keys that make a chain without any evidence.
const MANY_KEYS: u32 = 64;
/// Most evidence that a key or a packed value gives.
const MAX_EVIDENCE_EACH: u32 = 8;
/// Bytes that attempts may read before any are earned.
const FIRST_CREDIT: u64 = 64 << 20;
/// Bytes that one more place earns.
const CREDIT_PER_BYTE: u64 = 16;
/// Bytes that an attempt may read when nothing is left.
const LEAST_WINDOW: u64 = 512;
/// Longest plausible key.
const MAX_KEY_BYTES: usize = 1 << 20;
/// Largest plausible number of a database.
pub(super) const MAX_DB: u64 = 1 << 16;
/// Plausible times at which keys expire: the years 1990 to 2200, in milliseconds since 1970.
const EXPIRY_MS: std::ops::Range<i64> = 631_152_000_000..7_258_118_400_000;
/// Places between two looks at whether the user asked to stop.
const PLACES_BETWEEN_CHECKS: usize = 1 << 20;

/// Searches a file.
pub(super) struct Search<'a> {
    file: &'a [u8],
    version: Version,
    any_version: bool,
    credit: u64,
    buffer: StringBuffer,
}

/// What an attempt came to.
enum Chain {
    Taken,
    /// Refused after so many bytes.
    Refused(u64),
}

impl<'a> Search<'a> {
    pub(super) fn new(file: &'a [u8], version: Version, any_version: bool) -> Search<'a> {
        Search { file, version, any_version, credit: FIRST_CREDIT, buffer: StringBuffer::default() }
    }

    /// The first place from `start` on where records start.
    pub(super) fn next_place(
        &mut self,
        start: usize,
        checker: &mut Checker,
    ) -> Result<Option<usize>, Failure> {
        for place in start..self.file.len() {
            if place % PLACES_BETWEEN_CHECKS == 0 {
                interrupt::check()?;
            }
            self.credit += CREDIT_PER_BYTE;
            if !self.may_start(self.file[place]) {
                continue;
            }
            match self.chain(place, checker) {
                Chain::Taken => return Ok(Some(place)),
                Chain::Refused(bytes) => self.credit = self.credit.saturating_sub(bytes),
            }
        }
        Ok(None)
    }

    fn may_start(&self, byte: u8) -> bool {
        match byte {
            opcode::EXPIRE_MS
            | opcode::EXPIRE_SECONDS
            | opcode::IDLE
            | opcode::FREQUENCY
            | opcode::SELECT_DB => true,
            byte => {
                let kind = ValueKind::from_byte(byte, self.version.dialect);
                kind.is_some_and(|kind| kind != ValueKind::OpaqueModule)
            }
        }
    }

    fn chain(&mut self, place: usize, checker: &mut Checker) -> Chain {
        let window = usize::try_from(self.credit.max(LEAST_WINDOW)).unwrap_or(usize::MAX);
        let end = place.saturating_add(window).min(self.file.len());
        let mut decoder = Decoder::resume(&self.file[..end], place, self.version, 0);
        let (mut keys, mut evidence) = (0, 0);
        loop {
            let before = decoder.offset();
            let read = |offset: u64| Chain::Refused(offset.saturating_sub(place as u64));
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) => match self.evidence(&record, keys, checker) {
                    Some(more) => {
                        keys += 1;
                        evidence += more;
                    }
                    None => return read(decoder.offset()),
                },
                Ok(Some(Item::SelectDb(db))) if db < MAX_DB => {}
                Ok(Some(Item::End { .. })) => {
                    let is_end = decoder.offset() == self.file.len() as u64;
                    return if keys > 0 && is_end { Chain::Taken } else { read(before) };
                }
                // Only a key or a database starts a chain; behind it all records are welcome.
                Ok(Some(_)) if keys > 0 => {}
                Ok(Some(Item::ResizeDb { .. })) if before > place as u64 => {}
                Ok(_) => return read(before),
                Err(error) => return read(error.offset()),
            }
            if keys >= MIN_KEYS && evidence >= MIN_EVIDENCE || keys >= MANY_KEYS {
                return Chain::Taken;
            }
        }
    }

    /// How much speaks for a record; `None` if it cannot be one.
    fn evidence(&mut self, record: &KeyRecord<'_>, keys: u32, checker: &mut Checker) -> Option<u32> {
        let value = &record.value;
        if record.expires_at_ms.is_some_and(|at| !EXPIRY_MS.contains(&at))
            || record.key.len() > MAX_KEY_BYTES
            || !(self.any_version || value.kind.is_in(self.version))
            || keys == 0 && record.key.is_empty()
            || is_zeros(record.bytes)
        {
            return None;
        }
        checker
            .check(value)
            .ok()
            .filter(|&elements| elements > 0 || value.value_type() == ValueType::Stream)?;
        let key = record.key.bytes(&mut self.buffer).ok()?;
        let printable = key.iter().filter(|&&byte| byte.is_ascii_graphic() || byte >= 0xC3).count() as u32;
        let packed = match value.kind.encoding() {
            "intset" | "listpack" | "listpack-ex" | "ziplist" | "quicklist" | "quicklist-2" | "stream-1"
            | "stream-2" | "stream-3" => MAX_EVIDENCE_EACH,
            _ => 0,
        };
        // A key with a byte that is not printable is no evidence at all.
        let name = if printable as usize == key.len() { printable.min(MAX_EVIDENCE_EACH) } else { 0 };
        Some(name + packed)
    }
}

/// Zeros read as an empty string under an empty key, again and again.
pub(super) fn is_zeros(record: &[u8]) -> bool {
    record == [0, 0, 0]
}
