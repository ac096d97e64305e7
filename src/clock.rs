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
    #[cfg(feature = "sim")]
    if let Some(time) = simulated::since_epoch() {
        return time;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A point in monotonic time.
#[inline]
pub fn now() -> Instant {
    #[cfg(feature = "sim")]
    if let Some(now) = simulated::now() {
        return now;
    }
    Instant::now()
}

/// The time since a point that [`now`] answered.
#[inline]
pub fn elapsed(since: Instant) -> Duration {
    now().saturating_duration_since(since)
}

/// A clock that stands still until it is told to go on, for one thread.
#[cfg(feature = "sim")]
pub mod simulated {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// Wall clock, and where monotonic time began.
        static CLOCK: Cell<Option<(Duration, Instant)>> = const { Cell::new(None) };
    }

    /// Sets this thread's clock to a time since the Unix epoch; `None`: to the real one.
    pub fn set(time: Option<Duration>) {
        CLOCK.set(time.map(|time| (time, CLOCK.get().map_or_else(Instant::now, |(_, began)| began))));
    }

    /// Moves this thread's clock, if it is a simulated one.
    pub fn advance(by: Duration) {
        CLOCK.set(CLOCK.get().map(|(time, began)| (time + by, began)));
    }

    pub(super) fn since_epoch() -> Option<Duration> {
        CLOCK.get().map(|(time, _)| time)
    }

    pub(super) fn now() -> Option<Instant> {
        CLOCK.get().map(|(time, began)| began + time)
    }
}
