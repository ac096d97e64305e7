//! The only source of time.
//!
//! Wall-clock time decides expiry and is written into the log; monotonic time measures durations. How long a command took is
//! measured in ticks of the processor's own counter, which cost half of what monotonic time does.

use std::sync::OnceLock;
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

/// A point in the time that durations of commands are measured in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick(u64);

/// Its first use takes half a millisecond, to learn how fast the counter is.
fn ticker() -> &'static quanta::Clock {
    static CLOCK: OnceLock<quanta::Clock> = OnceLock::new();
    CLOCK.get_or_init(quanta::Clock::new)
}

/// A point in time, for [`nanos_between`].
#[inline]
pub fn tick() -> Tick {
    #[cfg(feature = "sim")]
    if let Some(nanos) = simulated::nanos() {
        return Tick(nanos);
    }
    Tick(ticker().raw())
}

/// Nanoseconds from one point to another; 0 if that lies before it.
#[inline]
pub fn nanos_between(from: Tick, to: Tick) -> u64 {
    #[cfg(feature = "sim")]
    if simulated::nanos().is_some() {
        return to.0.saturating_sub(from.0);
    }
    ticker().delta_as_nanos(from.0, to.0)
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

    pub(super) fn nanos() -> Option<u64> {
        CLOCK.get().map(|(time, _)| time.as_nanos() as u64)
    }

    pub(super) fn now() -> Option<Instant> {
        CLOCK.get().map(|(time, began)| began + time)
    }
}
