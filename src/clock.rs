//! The only source of time.
//!
//! Wall-clock time decides expiry and is written into the log; monotonic time measures durations.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 on a machine whose clock stands before it.
#[inline]
pub fn unix_ms() -> u64 {
    since_epoch().as_millis() as u64 // fits for 500 million years
}

/// Time since the Unix epoch.
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A point in monotonic time.
#[inline]
pub fn now() -> Instant {
    Instant::now()
}
