//! How fast a counter grows: the mean of the last samples, as the `instantaneous_` fields of INFO tell it.

use std::time::{Duration, Instant};

/// Samples that the mean is taken of.
const SAMPLES: usize = 16;
/// Shortest time between two samples.
const INTERVAL: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Default)]
pub struct Rate {
    /// The counter at the last sample, and when that was.
    last: Option<(u64, Instant)>,
    /// Growth per second.
    samples: [u64; SAMPLES],
    next: usize,
}

impl Rate {
    /// Takes a sample if it is time for one. A counter that was set back grows from 0.
    pub fn look(&mut self, counter: u64, now: Instant) {
        if let Some((before, at)) = self.last {
            let passed = now.saturating_duration_since(at);
            if passed < INTERVAL {
                return;
            }
            let grown = counter.checked_sub(before).unwrap_or(counter);
            self.samples[self.next] = (grown as f64 / passed.as_secs_f64()) as u64;
            self.next = (self.next + 1) % SAMPLES;
        }
        self.last = Some((counter, now));
    }

    /// Per second.
    pub fn mean(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_the_counter() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let tick = |index: u32| start + INTERVAL * index;
        for index in 0..=SAMPLES as u32 {
            rate.look(u64::from(index) * 50, tick(index));
            rate.look(u64::MAX, tick(index) + INTERVAL / 2); // too early to count
        }
        assert_eq!(rate.mean(), 500);
        for index in 0..SAMPLES as u32 {
            rate.look(SAMPLES as u64 * 50, tick(100 + index));
        }
        assert_eq!(rate.mean(), 0);
        rate.look(16, tick(116)); // the counter began anew
        assert_eq!(rate.mean(), 10);
    }
}
