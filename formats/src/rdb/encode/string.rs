//! Lengths and strings: the parts of which records consist.
//!
//! ```text
//! 00LLLLLL │ 01LLLLLL LLLLLLLL │ 0x80 u32 │ 0x81 u64            a length; numbers are big endian
//! length, bytes                                                 a string
//! 0xC0 i8 │ 0xC1 i16 │ 0xC2 i32                                 one that prints an integer; little endian
//! 0xC3, compressed length, length, LZF                          a compressed one
//! ```
//!
//! Source: Redis' `rdb.h`.

use crate::rdb::listpack_writer::canonical_integer;
use crate::rdb::lzf::Compressor;
use crate::rdb::opcode;

/// Longest text of an integer of four bytes.
const MAX_INTEGER_TEXT: usize = 11;
/// Strings up to this length are not compressed.
const MIN_COMPRESSED: usize = 20;
/// Compression must save at least so many bytes.
const MIN_SAVING: usize = 4;
/// Most bytes of room that are kept for the next string.
const KEPT_BYTES: usize = 1 << 20;

/// Appends a length in its shortest form.
#[inline]
pub fn put_len(out: &mut Vec<u8>, len: u64) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&(len as u16 | 0x4000).to_be_bytes());
    } else if let Ok(len) = u32::try_from(len) {
        out.push(opcode::LENGTH_32);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(opcode::LENGTH_64);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

/// Appends strings in the form that Redis chooses.
#[derive(Debug)]
pub(in crate::rdb) struct StringWriter {
    /// Only where strings shall be compressed.
    compressor: Option<Compressor>,
    compressed: Vec<u8>,
}

impl StringWriter {
    pub(in crate::rdb) fn new(compress: bool) -> Self {
        StringWriter { compressor: compress.then(Compressor::new), compressed: Vec::new() }
    }

    #[inline]
    pub(in crate::rdb) fn put(&mut self, out: &mut Vec<u8>, string: &[u8]) {
        if string.len() <= MAX_INTEGER_TEXT && put_integer(out, string) {
            return;
        }
        if string.len() > MIN_COMPRESSED && self.put_compressed(out, string) {
            return;
        }
        put_len(out, string.len() as u64);
        out.extend_from_slice(string);
    }

    fn put_compressed(&mut self, out: &mut Vec<u8>, string: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        self.compressed.clear();
        if !compressor.compress(string, &mut self.compressed, string.len() - MIN_SAVING) {
            return false;
        }
        put_compressed_head(out, self.compressed.len() as u64, string.len() as u64);
        out.extend_from_slice(&self.compressed);
        if self.compressed.capacity() > KEPT_BYTES {
            self.compressed = Vec::new();
        }
        true
    }
}

#[inline]
fn put_integer(out: &mut Vec<u8>, string: &[u8]) -> bool {
    match canonical_integer(string).and_then(|number| i32::try_from(number).ok()) {
        Some(number) => {
            put_i32(out, number);
            true
        }
        None => false,
    }
}

/// Appends the start of a compressed string: `compressed` bytes follow, which unpack to `length`.
pub fn put_compressed_head(out: &mut Vec<u8>, compressed: u64, length: u64) {
    out.push(opcode::STRING_LZF);
    put_len(out, compressed);
    put_len(out, length);
}

/// Appends a string that prints an integer.
pub fn put_i32(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.extend_from_slice(&[opcode::STRING_INT8, number as u8]);
    } else if let Ok(number) = i16::try_from(number) {
        out.push(opcode::STRING_INT16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(opcode::STRING_INT32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}
