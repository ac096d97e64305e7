//! The bytes of a file with the position in it: numbers, lengths and strings.
//!
//! ```text
//! 00xxxxxx                       length of 6 bits
//! 01xxxxxx xxxxxxxx              14 bits
//! 10000000 + 4 bytes             32 bits, big endian
//! 10000001 + 8 bytes             64 bits, big endian
//! 11000000 / 01 / 10 + 1, 2, 4   an integer in place of a string
//! 11000011 clen len + bytes      a string compressed with LZF
//! ```
//!
//! Invariants:
//! 1. Nothing is read beyond the slice; what is missing is an error with the offset at which it was missed.
//! 2. After an error the position is not defined.

use super::error::{Problem, RdbError};
use super::lzf;
use super::opcode;
use super::string::RdbString;

/// A slice of a file and how far it has been read.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
    /// Offset in the file of the slice's end: so one number moves instead of two.
    end: u64,
    overlong: Overlong,
}

/// Lengths that took more bytes than they need. Redis never writes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlong {
    pub count: u64,
    /// Offset of the first, if there is one.
    pub first: u64,
}

impl<'a> Input<'a> {
    /// `offset`: where in the file `bytes` start.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        Input { rest: bytes, end: offset + bytes.len() as u64, overlong: Overlong::default() }
    }

    /// Offset in the file of the next byte.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.end - self.rest.len() as u64
    }

    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn overlong(&self) -> Overlong {
        self.overlong
    }

    #[cold]
    pub fn error(&self, part: &'static str, problem: Problem) -> RdbError {
        RdbError::new(self.offset(), part, problem)
    }

    #[cold]
    fn truncated(&self, part: &'static str, need: u64) -> RdbError {
        self.error(part, Problem::Truncated { need, have: self.rest.len() as u64 })
    }

    #[inline]
    pub fn byte(&mut self, part: &'static str) -> Result<u8, RdbError> {
        let Some((&byte, rest)) = self.rest.split_first() else { return Err(self.truncated(part, 1)) };
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], RdbError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated(part, N as u64));
        };
        self.rest = rest;
        Ok(*head)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: u64, part: &'static str) -> Result<&'a [u8], RdbError> {
        let there = usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count));
        let Some((head, rest)) = there else { return Err(self.truncated(part, count)) };
        self.rest = rest;
        Ok(head)
    }

    /// A length.
    #[inline]
    pub fn length(&mut self, part: &'static str) -> Result<u64, RdbError> {
        let first = self.byte(part)?;
        if first < 0x40 { Ok(u64::from(first)) } else { self.longer_length(first, part) }
    }

    /// How many elements follow; an element takes `least` bytes at least, so that a hostile count ends here.
    pub fn count(&mut self, least: u64, part: &'static str) -> Result<u64, RdbError> {
        let count = self.length(part)?;
        match count.checked_mul(least) {
            Some(need) if need <= self.rest.len() as u64 => Ok(count),
            need => Err(self.truncated(part, need.unwrap_or(u64::MAX))),
        }
    }

    fn longer_length(&mut self, first: u8, part: &'static str) -> Result<u64, RdbError> {
        let at = self.offset() - 1;
        let (length, least) = match first {
            0x40..0x80 => (u64::from(first & 0x3F) << 8 | u64::from(self.byte(part)?), 1 << 6),
            opcode::LENGTH_32 => (u64::from(u32::from_be_bytes(self.array(part)?)), 1 << 14),
            opcode::LENGTH_64 => (u64::from_be_bytes(self.array(part)?), 1 << 32),
            _ => return Err(RdbError::new(at, part, Problem::NotALength(first))),
        };
        if length < least {
            if self.overlong.count == 0 {
                self.overlong.first = at;
            }
            self.overlong.count += 1;
        }
        Ok(length)
    }

    /// A string in any of its forms.
    #[inline]
    pub fn string(&mut self, part: &'static str) -> Result<RdbString<'a>, RdbError> {
        let first = self.byte(part)?;
        if first < 0x40 {
            return Ok(RdbString::Raw(self.take(u64::from(first), part)?));
        }
        self.longer_string(first, part)
    }

    fn longer_string(&mut self, first: u8, part: &'static str) -> Result<RdbString<'a>, RdbError> {
        let at = self.offset() - 1;
        match first {
            opcode::STRING_INT8 => Ok(RdbString::Int(i8::from_le_bytes(self.array(part)?).into())),
            opcode::STRING_INT16 => Ok(RdbString::Int(i16::from_le_bytes(self.array(part)?).into())),
            opcode::STRING_INT32 => Ok(RdbString::Int(i32::from_le_bytes(self.array(part)?).into())),
            opcode::STRING_LZF => self.compressed_string(at, part),
            0xC4.. => Err(RdbError::new(at, part, Problem::NotAString(first))),
            _ => {
                let length = self.longer_length(first, part)?;
                Ok(RdbString::Raw(self.take(length, part)?))
            }
        }
    }

    fn compressed_string(&mut self, at: u64, part: &'static str) -> Result<RdbString<'a>, RdbError> {
        let compressed_length = self.length(part)?;
        let length = self.length(part)?;
        let compressed = self.take(compressed_length, part)?;
        match usize::try_from(length) {
            Ok(length) if length <= lzf::max_decompressed_len(compressed.len()) => {
                Ok(RdbString::Lzf { compressed, length, offset: at })
            }
            _ => {
                Err(RdbError::new(at, part, Problem::Malformed("longer than its compressed bytes can yield")))
            }
        }
    }

    /// Milliseconds as eight bytes, little endian.
    #[inline]
    pub fn millis(&mut self, part: &'static str) -> Result<i64, RdbError> {
        Ok(i64::from_le_bytes(self.array(part)?))
    }

    /// A floating-point number as eight bytes, little endian.
    #[inline]
    pub fn double(&mut self, part: &'static str) -> Result<f64, RdbError> {
        Ok(f64::from_le_bytes(self.array(part)?))
    }

    /// A floating-point number as text behind its length, of which 253 to 255 stand for what has no digits.
    pub fn text_double(&mut self, part: &'static str) -> Result<f64, RdbError> {
        let at = self.offset();
        match self.byte(part)? {
            255 => Ok(f64::NEG_INFINITY),
            254 => Ok(f64::INFINITY),
            253 => Ok(f64::NAN),
            length => {
                let digits = self.take(u64::from(length), part)?;
                let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.trim().parse().ok());
                number.ok_or_else(|| RdbError::new(at, part, Problem::Malformed("not a number")))
            }
        }
    }
}
