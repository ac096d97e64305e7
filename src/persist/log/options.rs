//! Settings of the logs.

use std::sync::Arc;

use formats::log::segment::{MAX_LOG_SHARDS, SEGMENT_HEADER_BYTES};
use formats::log::{Gsn, ShardId};

use super::policy::SyncPolicy;
use crate::persist::error::PersistError;

/// Called by a log writer when a shard's positions or state changed. Must not block.
pub type WakeShard = Arc<dyn Fn(ShardId) + Send + Sync>;

/// Tells the highest number up to which all transactions are durable on all their participants. Must not block.
pub type CompleteGsn = Arc<dyn Fn() -> Gsn + Send + Sync>;

/// How large segments are.
#[derive(Clone, Copy, Debug)]
pub struct SegmentSizes {
    pub first_bytes: u64,
    pub max_bytes: u64,
}

impl Default for SegmentSizes {
    fn default() -> Self {
        SegmentSizes { first_bytes: 4 << 20, max_bytes: 64 << 20 }
    }
}

/// How logs are started.
#[derive(Clone)]
pub struct LogOptions {
    pub shards: u16,
    /// Log writers, each a thread and a log; shard `s` is served by writer `s % writers`.
    pub writers: u16,
    pub policy: SyncPolicy,
    pub segments: SegmentSizes,
    /// Per shard: effect bytes gathered and not yet written at which writes should wait.
    pub queue_limit_bytes: usize,
    /// How long `close` goes on trying where writing fails.
    pub close_patience_ms: u64,
    /// Without it, a full segment's successor is prepared when it is needed. For deterministic tests.
    pub background_preparer: bool,
    /// Without them, a writer works when [`crate::persist::DataDir::turn_writer`] is called. For deterministic tests.
    pub writer_threads: bool,
    pub wake: WakeShard,
    pub complete: CompleteGsn,
}

impl LogOptions {
    /// Usual settings: one writer per shard, sync every second.
    pub fn new(shards: u16, wake: WakeShard) -> LogOptions {
        LogOptions {
            shards,
            writers: shards,
            policy: SyncPolicy::default(),
            segments: SegmentSizes::default(),
            queue_limit_bytes: 64 << 20,
            close_patience_ms: 2000,
            background_preparer: true,
            writer_threads: true,
            wake,
            complete: Arc::new(|| Gsn(0)),
        }
    }

    pub(crate) fn check(&self) -> Result<(), PersistError> {
        let problem = if self.shards == 0 || usize::from(self.shards) > MAX_LOG_SHARDS {
            "shards must be 1 to 1024"
        } else if self.writers == 0 || self.writers > self.shards {
            "writers must be 1 to the number of shards"
        } else if self.segments.first_bytes <= SEGMENT_HEADER_BYTES as u64 {
            "a segment must be larger than its header of 4096 bytes"
        } else if self.segments.max_bytes < self.segments.first_bytes {
            "the largest segment is smaller than the first"
        } else {
            return Ok(());
        };
        Err(PersistError::Options(problem))
    }
}
