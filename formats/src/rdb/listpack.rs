//! Listpacks: the packed form of small collections since Redis 7, and of a stream's entries since 5.
//!
//! ```text
//! ┌────────────┬───────┬─────────────────────────────────────────┬────┐
//! │ bytes  u32 │ count │ entries: encoding, data, length of both │ FF │
//! │            │  u16  │ (so that it can be walked backwards)    │    │
//! └────────────┴───────┴─────────────────────────────────────────┴────┘
//! 0xxxxxxx                    integer of 7 bits           count FFFF: not known
//! 10xxxxxx + bytes            string of up to 63 bytes
//! 110xxxxx xxxxxxxx           integer of 13 bits, signed
//! 1110xxxx xxxxxxxx + bytes   string of up to 4095 bytes
//! F0 + u32 + bytes            string
//! F1 F2 F3 F4 + bytes         integer of 16, 24, 32, 64 bits, little endian, signed
//! ```
//!
//! Invariant: an entry is yielded only if its length behind it says the same as its head.

use super::string::RdbString;

/// What a packed structure holds: bytes or an integer.
pub type PackedEntry<'a> = RdbString<'a>;

/// What is wrong, and at which byte of the structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedError {
    pub at: usize,
    pub what: &'static str,
}

const HEADER_BYTES: usize = 6;
const END: u8 = 0xFF;
/// The count of a listpack that has so many entries, or more.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Walks through the entries of a listpack.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
    at: usize,
    count: u16,
    seen: usize,
}

impl<'a> Listpack<'a> {
    /// Checks head and end.
    pub fn new(bytes: &'a [u8]) -> Result<Self, PackedError> {
        let error = |at, what| Err(PackedError { at, what });
        let Some((head, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return error(0, "shorter than its head");
        };
        if u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize != bytes.len() {
            return error(0, "its length is not the one in its head");
        }
        if bytes.len() == HEADER_BYTES || bytes.last() != Some(&END) {
            return error(bytes.len() - 1, "has no end mark");
        }
        let count = u16::from_le_bytes([head[4], head[5]]);
        Ok(Listpack { bytes, at: HEADER_BYTES, count, seen: 0 })
    }

    /// Number of entries, where the head knows it.
    pub fn count(&self) -> Option<usize> {
        (self.count != COUNT_UNKNOWN).then_some(usize::from(self.count))
    }

    /// The byte at which the next entry starts.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next entry; `None` at the end.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<PackedEntry<'a>>, PackedError> {
        let at = self.at;
        let rest = &self.bytes[at..];
        let short = PackedError { at, what: "entry reaches beyond the end" };
        let first = *rest.first().ok_or(short)?;
        let (entry, length) = match first {
            0x00..0x80 => (RdbString::Int(first.into()), 1),
            0x80..0xC0 => string(rest, 1, usize::from(first & 0x3F)).ok_or(short)?,
            0xC0..0xE0 => {
                let low = *rest.get(1).ok_or(short)?;
                let bits = u16::from(first & 0x1F) << 8 | u16::from(low);
                (RdbString::Int(i64::from((bits << 3) as i16 >> 3)), 2)
            }
            0xE0..0xF0 => {
                let low = *rest.get(1).ok_or(short)?;
                string(rest, 2, usize::from(first & 0x0F) << 8 | usize::from(low)).ok_or(short)?
            }
            0xF0 => {
                let length = u32::from_le_bytes(array(rest, 1).ok_or(short)?);
                string(rest, 5, length as usize).ok_or(short)?
            }
            0xF1 => (RdbString::Int(i16::from_le_bytes(array(rest, 1).ok_or(short)?).into()), 3),
            0xF2 => (RdbString::Int(int24(array(rest, 1).ok_or(short)?)), 4),
            0xF3 => (RdbString::Int(i32::from_le_bytes(array(rest, 1).ok_or(short)?).into()), 5),
            0xF4 => (RdbString::Int(i64::from_le_bytes(array(rest, 1).ok_or(short)?)), 9),
            END => return self.end(),
            _ => return Err(PackedError { at, what: "unknown encoding" }),
        };
        let back = check_back_length(&rest[length..], length).ok_or(PackedError {
            at: at + length,
            what: "length behind an entry differs from the one before it",
        })?;
        self.at = at + length + back;
        self.seen += 1;
        Ok(Some(entry))
    }

    /// The next entry, which must be there.
    pub fn require(&mut self) -> Result<PackedEntry<'a>, PackedError> {
        self.next_entry()?.ok_or(PackedError { at: self.at, what: "an entry is missing" })
    }

    /// The next entry, which must be an integer.
    pub fn integer(&mut self) -> Result<i64, PackedError> {
        let at = self.at;
        match self.require()? {
            RdbString::Int(number) => Ok(number),
            _ => Err(PackedError { at, what: "an integer is expected" }),
        }
    }

    fn end(&self) -> Result<Option<PackedEntry<'a>>, PackedError> {
        if self.at + 1 != self.bytes.len() {
            return Err(PackedError { at: self.at, what: "end mark before the end" });
        }
        if self.count().is_some_and(|count| count != self.seen) {
            return Err(PackedError { at: 4, what: "count in the head is not the number of entries" });
        }
        Ok(None)
    }
}

#[inline]
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(super) fn int24(bytes: [u8; 3]) -> i64 {
    i64::from(i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8)
}

/// A string of `length` bytes behind a head, and the bytes of both.
#[inline]
pub(super) fn string(bytes: &[u8], head: usize, length: usize) -> Option<(PackedEntry<'_>, usize)> {
    let text = bytes.get(head..)?.get(..length)?;
    Some((RdbString::Raw(text), head + length))
}

/// Checks that the bytes behind an entry say its length; their number.
///
/// Seven bits a byte, most significant first; every byte but the first has its top bit set.
#[inline]
fn check_back_length(bytes: &[u8], length: usize) -> Option<usize> {
    if length < 128 {
        return (bytes.first() == Some(&(length as u8))).then_some(1);
    }
    let count = match length {
        0..16383 => 2,
        16383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut expected = length;
    for (i, &byte) in bytes.get(..count)?.iter().enumerate().rev() {
        let mark = if i == 0 { 0 } else { 0x80 };
        if byte != (expected & 0x7F) as u8 | mark {
            return None;
        }
        expected >>= 7;
    }
    Some(count)
}
