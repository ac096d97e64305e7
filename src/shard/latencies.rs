//! Counts of latencies by length, as exact as two decimal digits: the layout of an HDR histogram (hdrhistogram.org), of which
//! INFO and LATENCY HISTOGRAM tell figures.
//!
//! ```text
//! 0 1 2 .. 255 | 256 258 .. 510 | 512 516 .. 1020 | ...      ns: below 256 each has a counter of its own; from there on
//!                                                            a power of two has 128 counters, each twice as wide as before
//! ```
//!
//! Invariant: counting allocates nothing and looks at one counter.

/// Counters of a power of two.
const HALF: usize = 128;
/// No latency is counted as longer than a second.
const MAX_NANOS: u64 = 1_000_000_000;
/// The widest counters are those of the power of two in which a second lies.
const COUNTERS: usize = index_of(MAX_NANOS | (MAX_NANOS.next_power_of_two() - 1)) + 1;
/// The longest that a counter stands for.
const LAST_NANOS: u64 = MAX_NANOS.next_power_of_two() - 1;

/// See the module.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Box<[u64; COUNTERS]>,
    total: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        let counts = vec![0; COUNTERS].into_boxed_slice();
        Self { counts: counts.try_into().expect("so many were made"), total: 0 }
    }
}

const fn index_of(nanos: u64) -> usize {
    let width = (63 - (nanos | (2 * HALF as u64 - 1)).leading_zeros()) as usize - 7;
    width * HALF + (nanos >> width) as usize
}

/// The longest latency that this counter stands for.
const fn last_of(index: usize) -> u64 {
    if index < 2 * HALF {
        return index as u64;
    }
    let width = index / HALF - 1;
    (((index % HALF + HALF + 1) as u64) << width) - 1
}

impl Latencies {
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        self.counts[index_of(nanos.clamp(1, MAX_NANOS))] += 1;
        self.total += 1;
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn add(&mut self, other: &Latencies) {
        self.counts.iter_mut().zip(other.counts.iter()).for_each(|(count, more)| *count += more);
        self.total += other.total;
    }

    /// In ns, the length within which `percent` of the latencies lie, rounded up as far as they are told apart; 0 if there are none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((percent.min(100.0) / 100.0 * self.total as f64 + 0.5) as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return last_of(index);
            }
        }
        0
    }

    /// How many latencies were at most so long, by bounds in µs that double from step to step, from 1 µs to a second: only the bounds
    /// that add something, the last one being where all are counted.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        const FIRST_BOUND_NANOS: u64 = 1 << 10;
        let mut steps = Vec::new();
        let (mut seen, mut next, mut bound) = (0, 0, FIRST_BOUND_NANOS);
        while seen < self.total {
            let last = index_of(bound.min(LAST_NANOS));
            let more: u64 = self.counts[next..=last].iter().sum();
            if more > 0 {
                seen += more;
                steps.push((last_of(last) / 1000, seen));
            }
            (next, bound) = (last + 1, bound * 2);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_each_other_without_gaps() {
        let mut before = 0;
        for index in 1..COUNTERS {
            let last = last_of(index);
            assert_eq!((index_of(before + 1), index_of(last)), (index, index));
            let first = before + 1;
            assert!(last - first <= first / HALF as u64, "two digits: {first} to {last}");
            before = last;
        }
        assert_eq!(before, LAST_NANOS);
    }

    #[test]
    fn figures_are_those_of_redis() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.cumulative(), latencies.percentile(50.0)), (vec![], 0));
        for nanos in [0, 900, 1500, 40_000] {
            latencies.record(nanos);
        }
        let mut slow = Latencies::default();
        slow.record(5_000_000_000);
        latencies.add(&slow);
        assert_eq!(latencies.total(), 5);
        assert_eq!(latencies.cumulative(), [(1, 2), (2, 3), (66, 4), (1_073_741, 5)]);
        assert_eq!([0.0, 50.0, 100.0].map(|percent| latencies.percentile(percent)), [1, 1503, 1_002_438_655]);
    }
}
