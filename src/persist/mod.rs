//! Everything that must survive: the files of a data directory and the order in which they are written.
//!
//! ```text
//! disk        the only door to the file system
//! file_names  how files are called
//! random      seeds and uids
//! manifest    MANIFEST, replaced durably
//! files       a data directory's disk, MANIFEST and pool of used files
//! poison      a failed sync latches
//! log         appending: shard side, queue, writer thread, segments
//! recovery    scan, plan, seal, replay
//! data_dir    the life of a data directory: open, recover, log, close
//! ```
//!
//! The bytes are drawn in docs/data-files.md.
//!
//! Invariants:
//! 1. A segment is prepared (size, header) and synced, then named in MANIFEST, then written to: a file that
//!    MANIFEST names is always whole, and a frame is never in a file that it does not name.
//! 2. A segment's frames are durable before the first frame of the next segment is written: only a log's last
//!    frames may tear.
//! 3. A log is sealed in MANIFEST only when everything before the seal is durable. Behind a seal nothing is
//!    ever read.
//! 4. A file goes back to the pool only after a MANIFEST that does not name it is durable.
//! 5. `durable <= written <= appended` for each shard.
//! 6. This module knows no keys and no sockets.

mod data_dir;
pub mod disk;
pub mod error;
pub mod file_names;
mod files;
pub mod log;
mod manifest;
mod poison;
mod random;
pub mod read_only;
pub use random::random_u64;
pub mod recovery;

#[cfg(test)]
mod tests;

pub use data_dir::DataDir;
pub use error::{PersistError, Refusal};
pub use formats::log::{Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, ShardId};
pub use log::{Log, LogMetrics, LogOptions, LogShared, LogStatus, SyncPolicy, WakeShard, calibrate_writers};
pub use recovery::{Recovered, RecoveryReport, ReplayEpoch, ReplayError, ReplayLog};
