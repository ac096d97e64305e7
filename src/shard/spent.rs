//! How long the shards work for a command that runs in a task.
//!
//! A task waits most of its time; what counts is how long it keeps shards from other work. That is the time within its polls,
//! and, for each step in which it asks shards for something, that of the shard which took longest.

use std::cell::Cell;

use crate::clock;

thread_local! {
    /// What the poll that runs on this thread has learned of other shards' time, in ns.
    static ELSEWHERE: Cell<u64> = const { Cell::new(0) };
}

/// Shards have worked for the task that is polled now, at the same time, the longest of them for `nanos`.
pub fn add(nanos: u64) {
    ELSEWHERE.set(ELSEWHERE.get() + nanos);
}

/// Runs one poll of a task; answers what it answers, and the time spent on it in ns.
pub fn during<T>(poll: impl FnOnce() -> T) -> (T, u64) {
    let began = clock::tick();
    let before = ELSEWHERE.replace(0);
    let output = poll();
    let elsewhere = ELSEWHERE.replace(before);
    (output, clock::nanos_between(began, clock::tick()) + elsewhere)
}

/// Runs some work for a task on whichever shard; answers the time that it took in ns.
pub fn working<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let began = clock::tick();
    let output = work();
    (output, clock::nanos_between(began, clock::tick()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_elsewhere_belongs_to_the_poll_that_learns_of_it() {
        let (inner, nanos) = during(|| {
            add(5_000_000_000);
            during(|| add(7_000_000_000)).1
        });
        assert!((7_000_000_000..9_000_000_000).contains(&inner), "{inner}");
        assert!((5_000_000_000..7_000_000_000).contains(&nanos), "{nanos}");
        assert!(during(|| ()).1 < 1_000_000_000);
    }
}
