//! Append-only files of Redis and Valkey: the commands that changed the data, as clients sent them.
//!
//! ```text
//! [an RDB file]                        a preamble, in files of Redis 4 to 6 and in base files since 7
//! #TS:1700000000 CRLF                  an annotation: seconds since 1970 at which what follows was written
//! *2 CRLF $6 CRLF SELECT CRLF …        a command: number of arguments, then length and bytes of each
//! *1 CRLF $5 CRLF MULTI CRLF           opens a bracket: what is in it counts only with its EXEC
//! ```
//!
//! Since Redis 7 a directory holds several such files, and a [`Manifest`] that names them in order.
//!
//! Invariants:
//! 1. Arguments borrow from the input; nothing is allocated for what is announced but not there.
//! 2. An end in the middle of something (*torn*) is told from bytes that are wrong (*malformed*), each with its place.
//! 3. [`AofReader::complete_until`] never lies inside a bracket: a file that is cut there is whole.
//!
//! Sources: Redis' `aof.c`, `redis-check-aof.c`.

mod error;
mod manifest;
mod reader;

pub use error::{AofError, Expected};
pub use manifest::{FileType, Manifest, ManifestError, ManifestFile, ManifestProblem};
pub use reader::{AofItem, AofLimits, AofReader, AofRecord};

/// What an append-only file starts with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AofKind {
    Empty,
    /// An RDB file; commands may follow it.
    RdbPreamble,
    Commands,
    /// Neither.
    Unknown,
}

/// Tells from its first bytes what an append-only file starts with. The first nine suffice.
pub fn aof_kind(bytes: &[u8]) -> AofKind {
    let is_rdb = |magic: &[u8]| {
        let len = magic.len().min(bytes.len());
        bytes[..len] == magic[..len]
    };
    match bytes.first() {
        None => AofKind::Empty,
        Some(b'*' | b'#') => AofKind::Commands,
        Some(_) if is_rdb(b"REDIS") || is_rdb(b"VALKEY") => AofKind::RdbPreamble,
        Some(_) => AofKind::Unknown,
    }
}

#[cfg(test)]
mod testdata_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_kind() {
        assert_eq!(aof_kind(b""), AofKind::Empty);
        assert_eq!(aof_kind(b"REDIS0010"), AofKind::RdbPreamble);
        assert_eq!(aof_kind(b"VALKEY080"), AofKind::RdbPreamble);
        assert_eq!(aof_kind(b"RED"), AofKind::RdbPreamble);
        assert_eq!(aof_kind(b"*1\r\n"), AofKind::Commands);
        assert_eq!(aof_kind(b"#TS:1\r\n"), AofKind::Commands);
        assert_eq!(aof_kind(b"RUBIS"), AofKind::Unknown);
        assert_eq!(aof_kind(&[0; 9]), AofKind::Unknown);
    }
}
