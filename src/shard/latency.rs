//! LATENCY: moments at which something took longer than `latency-monitor-threshold`, by what it was.
//!
//! Invariants:
//! 1. An event keeps the last [`SAMPLES`] seconds in which it was slow, and of each second the worst.
//! 2. Names are the program's own, so there are few.

use std::collections::{BTreeMap, VecDeque};

/// Seconds kept of one event.
pub const SAMPLES: usize = 160;

/// A command that is not marked as fast.
pub const COMMAND: &str = "command";
/// A command that should never take long.
pub const FAST_COMMAND: &str = "fast-command";
/// A slice of the work that removes expired keys.
pub const EXPIRE_CYCLE: &str = "expire-cycle";
/// A write to the log.
pub const LOG_WRITE: &str = "aof-write";
/// A sync of the log that replies wait for.
pub const LOG_SYNC_ALWAYS: &str = "aof-fsync-always";
/// A sync of the log that no reply waits for.
pub const LOG_SYNC: &str = "log-sync";
/// A shard stood still to freeze its keys for a checkpoint or a snapshot.
pub const CHECKPOINT_CUT: &str = "checkpoint-cut";

/// The worst of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub unix_seconds: u64,
    pub millis: u64,
}

/// The samples of one event, the oldest first; never empty.
#[derive(Clone, Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// The worst since the event's data began.
    pub worst_millis: u64,
}

impl Series {
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> {
        self.samples.iter().copied()
    }

    pub fn last(&self) -> Sample {
        *self.samples.back().expect("a series begins with a sample")
    }

    fn add(&mut self, sample: Sample) {
        self.worst_millis = self.worst_millis.max(sample.millis);
        match self.samples.back_mut() {
            Some(last) if last.unix_seconds == sample.unix_seconds => {
                last.millis = last.millis.max(sample.millis);
            }
            _ => {
                self.samples.push_back(sample);
                if self.samples.len() > SAMPLES {
                    self.samples.pop_front();
                }
            }
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Events(BTreeMap<&'static str, Series>);

impl Events {
    pub fn add(&mut self, event: &'static str, sample: Sample) {
        self.0.entry(event).or_default().add(sample);
    }

    /// By name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(name, series)| (*name, series))
    }

    pub fn get(&self, event: &[u8]) -> Option<(&'static str, &Series)> {
        self.iter().find(|(name, _)| name.as_bytes() == event)
    }

    /// Forgets an event, named in either case, or all; answers how many were forgotten.
    pub fn reset(&mut self, event: Option<&[u8]>) -> usize {
        let before = self.0.len();
        self.0.retain(|name, _| event.is_some_and(|event| !event.eq_ignore_ascii_case(name.as_bytes())));
        before - self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(unix_seconds: u64, millis: u64) -> Sample {
        Sample { unix_seconds, millis }
    }

    #[test]
    fn a_second_has_its_worst_and_the_oldest_is_forgotten() {
        let mut events = Events::default();
        for (second, millis) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            events.add(COMMAND, sample(second, millis));
        }
        let series = events.get(b"command").unwrap().1;
        assert_eq!(series.samples().collect::<Vec<_>>(), [sample(1, 9), sample(2, 3)]);
        assert_eq!((series.worst_millis, series.last()), (9, sample(2, 3)));
        for second in 3..500 {
            events.add(COMMAND, sample(second, 1));
        }
        let series = events.get(b"command").unwrap().1;
        assert_eq!((series.samples().len(), series.samples().next()), (SAMPLES, Some(sample(340, 1))));
        assert_eq!(series.worst_millis, 9);
    }

    #[test]
    fn events_are_forgotten_by_name_or_all() {
        let mut events = Events::default();
        for event in [COMMAND, EXPIRE_CYCLE, LOG_WRITE] {
            events.add(event, sample(1, 1));
        }
        assert!(events.get(b"COMMAND").is_none());
        assert_eq!(events.reset(Some(b"COMMAND")), 1);
        assert_eq!(events.reset(Some(b"nosuch")), 0);
        assert_eq!(events.reset(None), 2);
        assert_eq!(events.iter().len(), 0);
    }
}
