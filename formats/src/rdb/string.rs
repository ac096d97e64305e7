//! A string as it stands in the file: raw, an integer, or compressed; unpacked only when asked.

use super::error::{Problem, RdbError};
use super::lzf;

/// A string of an RDB file.
#[derive(Clone, Copy, Debug)]
pub enum RdbString<'a> {
    /// The bytes themselves.
    Raw(&'a [u8]),
    /// Its decimal digits.
    Int(i64),
    /// Compressed with LZF; `length` bytes when unpacked.
    Lzf { compressed: &'a [u8], length: usize, offset: u64 },
}

/// Room for the digits of an `i64`, or for an unpacked string.
#[derive(Default)]
pub struct StringBuffer {
    digits: itoa::Buffer,
    unpacked: Vec<u8>,
}

/// Most bytes that an idle buffer keeps.
const KEPT_BYTES: usize = 1 << 20;

impl<'a> RdbString<'a> {
    /// Bytes that a client would see.
    pub fn len(&self) -> usize {
        match *self {
            RdbString::Raw(bytes) => bytes.len(),
            RdbString::Int(number) => itoa::Buffer::new().format(number).len(),
            RdbString::Lzf { length, .. } => length,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole string; a compressed one is unpacked into `buffer`.
    #[inline]
    pub fn bytes<'s>(&self, buffer: &'s mut StringBuffer) -> Result<&'s [u8], RdbError>
    where
        'a: 's,
    {
        match *self {
            RdbString::Raw(bytes) => Ok(bytes),
            RdbString::Int(number) => Ok(buffer.digits.format(number).as_bytes()),
            RdbString::Lzf { compressed, length, offset } => {
                buffer.unpacked.clear();
                buffer.unpacked.shrink_to(KEPT_BYTES.max(length));
                lzf::decompress(compressed, length, &mut buffer.unpacked)
                    .map_err(|error| broken(offset, error))?;
                Ok(&buffer.unpacked)
            }
        }
    }

    /// The string piece by piece: in bounded memory even where it is compressed and large.
    pub fn for_each_chunk(&self, mut visit: impl FnMut(&[u8])) -> Result<(), RdbError> {
        match *self {
            RdbString::Raw(bytes) => visit(bytes),
            RdbString::Int(number) => visit(itoa::Buffer::new().format(number).as_bytes()),
            RdbString::Lzf { compressed, length, offset } => {
                let run = lzf::Decompressor::new(compressed, length)
                    .and_then(|mut chunks| chunks.for_each_chunk(visit));
                run.map_err(|error| broken(offset, error))?;
            }
        }
        Ok(())
    }

    /// Whether it can be unpacked, without keeping what comes out.
    pub fn check(&self) -> Result<(), RdbError> {
        match self {
            RdbString::Lzf { .. } => self.for_each_chunk(|_| ()),
            _ => Ok(()),
        }
    }
}

fn broken(offset: u64, error: lzf::LzfError) -> RdbError {
    RdbError::new(offset, "compressed string", Problem::Lzf(error))
}
