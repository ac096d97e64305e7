//! Counts of values by size, from several threads: for the percentiles that INFO tells of writes and syncs.
//!
//! Log-linear, as HdrHistogram (Tene 2012): each power of two is cut into [`PARTS`] equal parts, so a value is known to
//! a sixteenth of itself, whatever its size.

use std::sync::atomic::{AtomicU64, Ordering};

const PARTS_BITS: u32 = 4;
/// Values below this have a bucket each.
const PARTS: u64 = 1 << PARTS_BITS;
/// For all values of 64 bits.
const BUCKETS: usize = (64 - PARTS_BITS as usize + 1) << PARTS_BITS;

/// See the module. Relaxed: figures for people.
pub struct Histogram(Box<[AtomicU64]>);

impl Default for Histogram {
    fn default() -> Self {
        Histogram((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    pub fn record(&self, value: u64) {
        self.0[bucket(value)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// The largest value that can stand where `share` (0 to 1) of the values are no larger; 0 if there are none.
    pub fn quantile(&self, share: f64) -> u64 {
        let need = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            seen += count.load(Ordering::Relaxed);
            if seen >= need {
                return largest(bucket);
            }
        }
        0
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let shift = value.ilog2() - PARTS_BITS;
    ((u64::from(shift) << PARTS_BITS) + (value >> shift)) as usize
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < PARTS {
        return bucket;
    }
    let shift = (bucket >> PARTS_BITS) - 1;
    let part = PARTS + (bucket & (PARTS - 1));
    (((u128::from(part) + 1) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_close_to_it() {
        let powers = (0..64).map(|bit| 1u64 << bit);
        let values =
            powers.flat_map(|power| [power - 1, power, power + 1, power + power / 3]).chain([u64::MAX]);
        let mut before = 0;
        for value in values.filter(|value| *value > 0) {
            let bucket = bucket(value);
            assert!(bucket < BUCKETS && largest(bucket) >= value, "{value}");
            assert!(largest(bucket) - value <= value / PARTS, "{value}: {}", largest(bucket));
            assert!(bucket + 1 >= before, "{value}");
            before = bucket;
        }
        assert_eq!(
            (bucket(0), largest(0), bucket(u64::MAX), largest(BUCKETS - 1)),
            (0, 0, BUCKETS - 1, u64::MAX)
        );
    }

    #[test]
    fn quantiles_are_upper_bounds() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        for value in [0, 1, 2, 3, 100, 1000] {
            histogram.record(value);
        }
        assert_eq!(histogram.count(), 6);
        assert_eq!((histogram.quantile(0.0), histogram.quantile(0.5)), (0, 2));
        assert_eq!((histogram.quantile(0.8), histogram.quantile(1.0)), (103, 1023));
    }
}
