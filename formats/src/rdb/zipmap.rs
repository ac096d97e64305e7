//! Zipmaps: the packed form of small hashes before Redis 2.6.
//!
//! ```text
//! ┌───────────┬────────────────────────────────────────────────────┬────┐
//! │ count u8  │ length, field, length, free u8, value, free bytes  │ FF │
//! └───────────┴────────────────────────────────────────────────────┴────┘
//! length: 1 byte below 254, else FE and u32;  count FE: not known
//! ```

use super::listpack::{PackedError, array};

const END: u8 = 0xFF;
const WIDE: u8 = 0xFE;
/// A count from which on the head does not know it.
const COUNT_UNKNOWN: u8 = 254;

/// A field and its value.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// Walks through the fields of a zipmap.
#[derive(Clone, Copy, Debug)]
pub struct Zipmap<'a> {
    bytes: &'a [u8],
    at: usize,
    count: u8,
    seen: usize,
}

impl<'a> Zipmap<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, PackedError> {
        match (bytes.first(), bytes.len(), bytes.last()) {
            (Some(&count), 2.., Some(&END)) => Ok(Zipmap { bytes, at: 1, count, seen: 0 }),
            _ => Err(PackedError { at: bytes.len().saturating_sub(1), what: "has no end mark" }),
        }
    }

    /// Number of fields, where the head knows it.
    pub fn count(&self) -> Option<usize> {
        (self.count < COUNT_UNKNOWN).then_some(usize::from(self.count))
    }

    /// The next field and its value; `None` at the end.
    pub fn next_field(&mut self) -> Result<Option<Field<'a>>, PackedError> {
        let at = self.at;
        let short = PackedError { at, what: "entry reaches beyond the end" };
        if self.bytes.get(at) == Some(&END) {
            return self.end();
        }
        let field_length = self.length().ok_or(short)?;
        let field = self.take(field_length).ok_or(short)?;
        let value_length = self.length().ok_or(short)?;
        let free = self.take(1).ok_or(short)?[0];
        let value = self.take(value_length).ok_or(short)?;
        self.take(usize::from(free)).ok_or(short)?;
        self.seen += 1;
        Ok(Some((field, value)))
    }

    fn end(&self) -> Result<Option<Field<'a>>, PackedError> {
        if self.at + 1 != self.bytes.len() {
            return Err(PackedError { at: self.at, what: "end mark before the end" });
        }
        if self.count().is_some_and(|count| count != self.seen) {
            return Err(PackedError { at: 0, what: "count in the head is not the number of fields" });
        }
        Ok(None)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..count)?;
        self.at += count;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        match self.take(1)?[0] {
            END => None,
            WIDE => {
                let length = array(self.bytes, self.at)?;
                self.at += 4;
                Some(u32::from_le_bytes(length) as usize)
            }
            length => Some(usize::from(length)),
        }
    }
}
