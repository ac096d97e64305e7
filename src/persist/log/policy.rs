//! When the log is synced: `appendfsync`.

use std::sync::atomic::{AtomicU8, Ordering};

/// When what was written is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// Before a reply leaves: after every batch.
    Always,
    /// At most a second after it was written.
    #[default]
    EverySecond,
    /// When the kernel likes; at the end of a segment and when the server stops.
    No,
}

/// Under [`SyncPolicy::EverySecond`], how long written bytes may wait for a sync.
pub const SYNC_INTERVAL_MS: u64 = 1000;
/// Without `Always`, a chunk goes to the writer at this size ...
pub const HAND_OVER_BYTES: usize = 64 << 10;
/// ... or this long after its first effect.
pub const HAND_OVER_MS: u64 = 100;

/// The policy now in force, switchable while the server runs.
#[derive(Default)]
pub struct PolicyCell(AtomicU8);

impl PolicyCell {
    pub fn get(&self) -> SyncPolicy {
        match self.0.load(Ordering::Relaxed) {
            0 => SyncPolicy::EverySecond,
            1 => SyncPolicy::Always,
            _ => SyncPolicy::No,
        }
    }

    pub fn set(&self, policy: SyncPolicy) {
        let number = match policy {
            SyncPolicy::EverySecond => 0,
            SyncPolicy::Always => 1,
            SyncPolicy::No => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}
