//! What can be wrong with an RDB file.

use std::fmt;

/// A place in the file and what is wrong there. One pointer in size, so that it costs nothing where all is well.
#[derive(Clone, PartialEq, Eq)]
pub struct RdbError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    offset: u64,
    part: &'static str,
    problem: Problem,
}

/// The problem itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the file ends: {need} bytes needed, {have} there")]
    Truncated { need: u64, have: u64 },
    #[error("neither REDIS nor VALKEY and a version")]
    NoMagic,
    #[error("format version {found} is not understood")]
    UnknownVersion { found: u16 },
    #[error("unknown type or opcode {0}")]
    UnknownType(u8),
    #[error("byte 0x{0:02x} starts no length")]
    NotALength(u8),
    #[error("byte 0x{0:02x} starts no string")]
    NotAString(u8),
    #[error("LZF: {0}")]
    Lzf(#[from] super::lzf::LzfError),
    /// A packed structure (listpack, ziplist, …); `at` counts from the start of it, unpacked.
    #[error("{structure} broken at its byte {at}: {what}")]
    Packed { structure: &'static str, at: usize, what: &'static str },
    #[error("{0}")]
    Malformed(&'static str),
    #[error("the value of a module of Redis 4.0's release candidates has no known length")]
    OpaqueModule,
    #[error("checksum {found:016x}, the file says {expected:016x}")]
    Checksum { expected: u64, found: u64 },
}

impl RdbError {
    #[cold]
    pub fn new(offset: u64, part: &'static str, problem: Problem) -> RdbError {
        RdbError(Box::new(Inner { offset, part, problem }))
    }

    /// Where in the file, in bytes from its start.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// What was being read: "key", "hash field", ….
    pub fn part(&self) -> &'static str {
        self.0.part
    }

    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// Whether more bytes at the end of the input could have helped.
    pub fn is_truncation(&self) -> bool {
        matches!(self.0.problem, Problem::Truncated { .. })
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}: {}: {}", self.0.offset, self.0.part, self.0.problem)
    }
}

impl fmt::Debug for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RdbError({self})")
    }
}

impl std::error::Error for RdbError {}
