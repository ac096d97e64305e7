//! Everything that must survive: the files of a data directory and the order in which they are written.
//!
//! ```text
//! disk        the only door to the file system
//! file_names  how files are called
//! random      seeds and uids
//! dir_sync    a failed sync of the directory latches too
//! manifest    MANIFEST, replaced durably
//! pool        which used files wait to be used again
//! files       a data directory's disk, MANIFEST and pool of used files
//! poison      a failed sync latches
//! log         appending: shard side, queue, writer thread, segments
//! checkpoint  snapshots and cuts become what a start begins with
//! retention   which checkpoints are kept, a pure function
//! recovery    scan, plan, seal, replay
//! data_dir    the life of a data directory: open, recover, log, checkpoint, close
//! fresh       a new data directory made of snapshots
//! read_only   a data directory that is only looked at
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
//! 6. MANIFEST names a checkpoint when its snapshots are durable and each log goes on behind its cut; what it replaces is
//!    forgotten by the same change.
//! 7. This module knows no keys and no sockets.

mod checkpoint;
mod data_dir;
mod dir_sync;
pub mod disk;
pub mod error;
pub mod file_names;
mod files;
pub mod fresh;
pub mod log;
mod manifest;
mod poison;
mod pool;
mod random;
pub mod read_only;
pub use random::random_u64;
#[cfg(feature = "sim")]
pub use random::simulated as simulated_random;
pub mod recovery;
pub mod retention;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CutFacts, Finished};
pub use data_dir::DataDir;
pub use error::{PersistError, Refusal};
pub use formats::log::manifest::{LogCut, SnapshotEntry};
pub use formats::log::{CheckpointId, Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, ShardId};
pub use log::{
    CutRequest, Log, LogMetrics, LogOptions, LogShared, LogStatus, SyncPolicy, WakeShard, calibrate_writers,
};
pub use recovery::{
    Limit, Recovered, RecoveredSnapshot, RecoveryReport, ReplayEpoch, ReplayError, ReplayLog,
};
pub use retention::Retention;
