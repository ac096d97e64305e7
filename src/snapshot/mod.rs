//! What a snapshot holds: views of keyspaces into RDB files, and RDB files back into keys.
//!
//! ```text
//! "REDIS" "0010"                     ┐ head: version and facts about the file
//! AUX name value, …                  ┘
//! SELECTDB db, RESIZEDB keys expires ┐ body: may stand in another file behind that file's head,
//! [expiry] type key value, …         ┘       and be followed by another body
//! EOF CRC-64
//! ```
//!
//! Reading order: `value` (which types there are, in both directions), `output` (encoder to file), [`write`], [`join`],
//! [`read`].
//!
//! Invariants:
//! 1. What [`write`] and [`join`] answer with `Ok` is a valid RDB file on stable storage. After an error the file is
//!    worth nothing, and it is the caller's to remove.
//! 2. Memory is bounded by pieces, not by files or values: no second copy of a large value is made.
//! 3. [`read`] and [`join`] skip nothing: what this version cannot hold, and what is damaged, is an error that names it.
//! 4. A part whose checksum does not fit is never joined: rot is not laundered by a new checksum.

mod join;
mod output;
mod pace;
mod read;
mod value;
mod write;

#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::store::ViewGauge;
use formats::rdb::encode::{EncodeError, EncodeVersion};

pub use join::{Part, join};
pub use read::{Checksum, Head, LoadedKey, ReadError, Summary, head, read, verify};
pub use value::{LoadedValue, can_hold, decode, with_article};
pub use write::write;

/// Facts about a file, in their order there, as `redis-ver`. Redis and Valkey skip the names that they do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aux(pub Vec<(&'static str, String)>);

/// How a file is written.
#[derive(Clone, Debug)]
pub struct Options {
    pub version: EncodeVersion,
    /// Compress strings of more than 20 bytes where that saves something. Strings over 1 MiB are never compressed.
    pub compress: bool,
    /// Sync each time so many bytes were written: the last sync is short then, and dirty pages stay few.
    pub sync_every_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { version: EncodeVersion::default(), compress: true, sync_every_bytes: 32 << 20 }
    }
}

/// How far the writers of a checkpoint have come; they share it.
#[derive(Debug, Default)]
pub struct Progress {
    keys: AtomicU64,
    bytes: AtomicU64,
    cancelled: Arc<AtomicBool>,
    /// What the views cost; set once they are there.
    gauges: OnceLock<Vec<Arc<ViewGauge>>>,
}

impl Progress {
    /// Progress that ends when somebody else says so.
    pub fn cancelled_by(cancelled: Arc<AtomicBool>) -> Progress {
        Progress { cancelled, ..Progress::default() }
    }

    /// The figures of another step of the same work, which is cancelled together with this one.
    pub fn of_another_step(&self) -> Progress {
        Progress::cancelled_by(Arc::clone(&self.cancelled))
    }

    /// Tells what the views cost whose owners go on writing: then the writers leave time to others while that is little.
    pub fn watch(&self, gauges: Vec<Arc<ViewGauge>>) {
        let _ = self.gauges.set(gauges); // once
    }

    /// Bytes that are held because owners changed what was not written yet; `None` if nobody watches.
    pub fn held_bytes(&self) -> Option<u64> {
        self.gauges.get().map(|gauges| gauges.iter().map(|gauge| gauge.held_bytes()).sum())
    }

    /// The most that each view has cost, together; 0 if nobody watches.
    pub fn peak_held_bytes(&self) -> u64 {
        self.gauges.get().map_or(0, |gauges| gauges.iter().map(|gauge| gauge.peak_bytes()).sum())
    }

    /// Keys encoded so far.
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Bytes handed to files so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Lets all writers end with [`WriteError::Cancelled`], each after its page or piece.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn add_keys(&self, keys: u64) {
        self.keys.fetch_add(keys, Ordering::Relaxed);
    }

    fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), WriteError> {
        if self.is_cancelled() { Err(WriteError::Cancelled) } else { Ok(()) }
    }
}

/// A file that is complete and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length of the file.
    pub bytes: u64,
    pub keys: u64,
    /// The checksum at the file's end.
    pub crc64: u64,
    /// From behind the AUX fields up to the EOF opcode.
    pub body: Range<u64>,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("cancelled")]
    Cancelled,
    #[error("cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// `index`: of the part, from 0.
    #[error("part {index} of the file to be made: {source}")]
    Part { index: usize, source: ReadError },
}
