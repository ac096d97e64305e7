//! Intsets: the packed form of small sets of integers.
//!
//! ```text
//! ┌─────────────────┬───────────┬──────────────────────────────────────────────────┐
//! │ width u32 2,4,8 │ count u32 │ integers of that width, little endian, ascending │
//! └─────────────────┴───────────┴──────────────────────────────────────────────────┘
//! ```
//!
//! Invariant: every integer is larger than the one before it.

use super::listpack::{PackedError, array};

const HEADER_BYTES: usize = 8;

/// Walks through the members of an intset.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    bytes: &'a [u8],
    width: usize,
    at: usize,
    last: Option<i64>,
}

impl<'a> Intset<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, PackedError> {
        let short = PackedError { at: 0, what: "shorter than its head" };
        let width = u32::from_le_bytes(array(bytes, 0).ok_or(short)?) as usize;
        let count = u32::from_le_bytes(array(bytes, 4).ok_or(short)?) as usize;
        if !matches!(width, 2 | 4 | 8) {
            return Err(PackedError { at: 0, what: "width is not 2, 4 or 8" });
        }
        if count.checked_mul(width) != Some(bytes.len() - HEADER_BYTES) {
            return Err(PackedError { at: 4, what: "count does not fit the length" });
        }
        Ok(Intset { bytes, width, at: HEADER_BYTES, last: None })
    }

    pub fn count(&self) -> usize {
        (self.bytes.len() - HEADER_BYTES) / self.width
    }

    /// The next member; `None` at the end.
    pub fn next_member(&mut self) -> Result<Option<i64>, PackedError> {
        let number = match self.width {
            2 => array(self.bytes, self.at).map(|bytes| i64::from(i16::from_le_bytes(bytes))),
            4 => array(self.bytes, self.at).map(|bytes| i64::from(i32::from_le_bytes(bytes))),
            _ => array(self.bytes, self.at).map(i64::from_le_bytes),
        };
        let Some(number) = number else { return Ok(None) };
        if self.last.is_some_and(|last| last >= number) {
            return Err(PackedError { at: self.at, what: "integers do not ascend" });
        }
        self.last = Some(number);
        self.at += self.width;
        Ok(Some(number))
    }
}
