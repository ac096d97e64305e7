//! Appending: from a shard's effects to bytes on stable storage.
//!
//! ```text
//! shard thread            │ writer thread
//! Log ──► Chunk ──► WriterQueue ──► LogWriter ──► Segment (pwrite, sync)
//!                         │             ▲ takes
//!         LogShared ◄─ publishes ─┘     SpareSlot ◄── preparer thread
//! ```
//!
//! Invariants:
//! 1. `durable <= written <= appended`, asserted in release builds too.
//! 2. The shard side does no I/O and blocks on nothing but a lock held for a few instructions.
//! 3. Frames of a shard are written in the order in which its effects were appended.
//! 4. A cut (see [`cut`]) parts the frames of a log in two: those before it stand in earlier segments than those behind.

pub mod calibrate;
mod chunk;
mod cut;
mod histogram;
#[cfg(feature = "sim")]
pub mod journal;
mod options;
mod policy;
mod preparer;
mod queue;
mod segment;
mod segment_size;
mod shard_log;
mod shared;
mod writer;
mod writer_thread;

#[cfg(test)]
mod writer_tests;

pub use calibrate::calibrate_writers;
pub(crate) use cut::CutAnswer;
pub use cut::CutRequest;
pub use histogram::Histogram;
pub use options::{CompleteGsn, LogOptions, SegmentSizes, WakeShard};
pub use policy::SyncPolicy;
pub use shard_log::Log;
pub use shared::{LogMetrics, LogShared, LogStatus};

pub(crate) use policy::PolicyCell;
pub(crate) use preparer::{Preparer, SpareSlot};
pub(crate) use queue::WriterQueue;
pub(crate) use segment::Segment;
pub(crate) use writer::{LogWriter, WriterParts};
pub(crate) use writer_thread::RunningWriter;
