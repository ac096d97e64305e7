//! RDB files: the snapshots of Redis (versions 1 to 12) and Valkey (80), and our own.
//!
//! ```text
//! "REDIS" "0010"                       magic and version; "VALKEY" "080" since Valkey 9
//! ┌ 250 name value                     AUX: facts about the file and its producer
//! │ 245 code                           a library of functions
//! │ 254 db                             SELECTDB: the keys below belong to this database
//! │ 251 keys expires                   RESIZEDB: how many keys will follow
//! │ [252 ms | 253 s] [248 idle] [249 frequency] type key value
//! └ …
//! 255 CRC-64                           EOF; eight bytes since version 5, zero where it was not computed
//! ```
//!
//! Reading goes in two steps. [`Decoder`] walks the file from record to record; of a value it finds out where it
//! ends, and no more (*framing*). [`Value`] then reads what is inside (*content*), element by element. So
//! a value whose content is damaged costs that value, and one whose framing is damaged costs all up to the next place
//! where records are found again.
//!
//! Invariants:
//! 1. The input is a slice, usually a mapped file: keys and elements borrow from it, and no value need be in memory
//!    whole. Only a packed blob that is compressed is unpacked whole, into a buffer that is used again.
//! 2. No allocation is larger than what the bytes that are there can justify.
//! 3. Every error names the offset in the file and what was being read there.
//!
//! Sources: Redis' and Valkey's `rdb.h`, `listpack.c`, `ziplist.c`, `zipmap.c`, `intset.c`, `t_stream.c`.

pub mod decode;
pub mod dump;
pub mod encode;
pub mod error;
pub mod input;
pub mod intset;
pub mod kind;
pub mod listpack;
pub mod listpack_writer;
pub mod lzf;
pub mod opcode;
pub mod stream;
pub mod string;
pub mod value;
pub mod version;
pub mod ziplist;
pub mod zipmap;

#[cfg(test)]
mod legacy_tests;
#[cfg(test)]
mod legacy_writers;
#[cfg(test)]
mod test_elements;

pub use decode::{Decoder, Item, KeyRecord};
pub use error::{Problem, RdbError};
pub use kind::{ValueKind, ValueType};
pub use string::RdbString;
pub use value::{Element, Node, Scratch, Value};
pub use version::{Dialect, HEADER_BYTES, Version};

/// Identifies an entry of a stream: milliseconds, and a number within the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    /// The 16 bytes, both numbers big endian, under which Redis stores an id.
    pub fn from_bytes(bytes: &[u8]) -> Option<StreamId> {
        let (ms, seq) = (bytes.first_chunk::<8>()?, bytes.get(8..)?.first_chunk::<8>()?);
        Some(StreamId { ms: u64::from_be_bytes(*ms), seq: u64::from_be_bytes(*seq) })
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}
