//! Ziplists: the packed form of small lists, hashes and sorted sets before Redis 7.
//!
//! ```text
//! ┌───────────┬──────────────────┬───────────┬───────────────────────────────────────────────┬────┐
//! │ bytes u32 │ last entry's at  │ count u16 │ entries: length of the one before, head, data │ FF │
//! └───────────┴──────────────────┴───────────┴───────────────────────────────────────────────┴────┘
//! length of the one before: 1 byte below 254, else FE and u32
//! 00xxxxxx + bytes, 01xxxxxx xxxxxxxx + bytes, 10______ + u32 big endian + bytes: string
//! C0 D0 E0 F0 FE + bytes: integer of 16, 32, 64, 24, 8 bits;  F1 … FD: 0 … 12
//! ```
//!
//! Invariants:
//! 1. An entry is yielded only if it names the length of the one before it.
//! 2. The end is accepted only if the head names the last entry and the count.

use super::listpack::{PackedEntry, PackedError, array, int24, string};
use super::string::RdbString;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xFF;
const WIDE_PREVIOUS: u8 = 0xFE;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Walks through the entries of a ziplist.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Bytes of the entry before.
    previous: usize,
    count: u16,
    seen: usize,
}

impl<'a> Ziplist<'a> {
    /// Checks head and end.
    pub fn new(bytes: &'a [u8]) -> Result<Self, PackedError> {
        let error = |at, what| Err(PackedError { at, what });
        let Some((head, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return error(0, "shorter than its head");
        };
        if u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize != bytes.len() {
            return error(0, "its length is not the one in its head");
        }
        if rest.last() != Some(&END) {
            return error(bytes.len() - 1, "has no end mark");
        }
        let count = u16::from_le_bytes([head[8], head[9]]);
        Ok(Ziplist { bytes, at: HEADER_BYTES, previous: 0, count, seen: 0 })
    }

    /// Number of entries, where the head knows it.
    pub fn count(&self) -> Option<usize> {
        (self.count != COUNT_UNKNOWN).then_some(usize::from(self.count))
    }

    /// The next entry; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<PackedEntry<'a>>, PackedError> {
        let at = self.at;
        let rest = &self.bytes[at..];
        let short = PackedError { at, what: "entry reaches beyond the end" };
        let (previous, head) = match *rest.first().ok_or(short)? {
            END => return self.end(),
            WIDE_PREVIOUS => (u32::from_le_bytes(array(rest, 1).ok_or(short)?) as usize, 5),
            previous => (usize::from(previous), 1),
        };
        if previous != self.previous {
            return Err(PackedError { at, what: "length of the entry before is wrong" });
        }
        let (entry, length) =
            entry(rest.get(head..).ok_or(short)?).map_err(|what| PackedError { at: at + head, what })?;
        self.previous = head + length;
        self.at = at + head + length;
        self.seen += 1;
        Ok(Some(entry))
    }

    fn end(&self) -> Result<Option<PackedEntry<'a>>, PackedError> {
        if self.at + 1 != self.bytes.len() {
            return Err(PackedError { at: self.at, what: "end mark before the end" });
        }
        if self.count().is_some_and(|count| count != self.seen) {
            return Err(PackedError { at: 8, what: "count in the head is not the number of entries" });
        }
        let last = array(self.bytes, 4).map(u32::from_le_bytes);
        if last.map(|last| last as usize) != Some(self.at - self.previous) {
            return Err(PackedError { at: 4, what: "head does not point at the last entry" });
        }
        Ok(None)
    }
}

fn entry(bytes: &[u8]) -> Result<(PackedEntry<'_>, usize), &'static str> {
    let found = match *bytes.first().ok_or("entry reaches beyond the end")? {
        first @ 0x00..0x40 => string(bytes, 1, usize::from(first)),
        first @ 0x40..0x80 => {
            bytes.get(1).and_then(|&low| string(bytes, 2, usize::from(first & 0x3F) << 8 | usize::from(low)))
        }
        0x80..0xC0 => {
            array(bytes, 1).and_then(|length| string(bytes, 5, u32::from_be_bytes(length) as usize))
        }
        0xC0 => array(bytes, 1).map(|number| (RdbString::Int(i16::from_le_bytes(number).into()), 3)),
        0xD0 => array(bytes, 1).map(|number| (RdbString::Int(i32::from_le_bytes(number).into()), 5)),
        0xE0 => array(bytes, 1).map(|number| (RdbString::Int(i64::from_le_bytes(number)), 9)),
        0xF0 => array(bytes, 1).map(|number| (RdbString::Int(int24(number)), 4)),
        0xFE => array(bytes, 1).map(|number| (RdbString::Int(i8::from_le_bytes(number).into()), 2)),
        first @ 0xF1..=0xFD => Some((RdbString::Int(i64::from(first - 0xF1)), 1)),
        _ => return Err("unknown encoding"),
    };
    found.ok_or("entry reaches beyond the end")
}
