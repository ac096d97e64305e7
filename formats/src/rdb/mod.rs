//! RDB, the snapshot format of Redis and Valkey.

pub mod encode;
pub mod error;
pub mod kind;
pub mod listpack_writer;
pub mod lzf;
pub mod opcode;
pub mod version;

pub use error::{Problem, RdbError};
pub use kind::{ValueKind, ValueType};
pub use version::{Dialect, Version};

/// Identifies an entry of a stream: milliseconds, and a number within the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}
