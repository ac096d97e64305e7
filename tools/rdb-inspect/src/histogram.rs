//! Counts that are kept while a file is read: fixed in size, one addition per key.
//!
//! Invariants:
//! 1. No histogram grows with the number of keys.
//! 2. Counters saturate; no input makes an addition panic.

use serde::{Serialize, Serializer};

use crate::text::duration;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Upper ends, exclusive, of the bands of time to live in milliseconds; the last band is open.
pub const TTL_BANDS_MS: [u64; 5] = [MINUTE_MS, HOUR_MS, DAY_MS, 7 * DAY_MS, 30 * DAY_MS];
/// Upper ends, exclusive, of the bands of idle time in seconds; the last band is open.
pub const IDLE_BANDS_SECONDS: [u64; 8] =
    [60, 10 * 60, 60 * 60, 6 * 60 * 60, 24 * 60 * 60, 7 * 24 * 60 * 60, 30 * 24 * 60 * 60, 90 * 24 * 60 * 60];
/// Lower ends, inclusive, of the bands of the LFU counter, which is logarithmic and ends at 255.
pub const FREQUENCY_BANDS: [u8; 9] = [0, 1, 2, 4, 8, 16, 32, 64, 128];
/// Hours that the finer chart of expiry covers.
const EXPIRY_HOURS: usize = 30 * 24;

const NO_EXPIRY: usize = 0;
const EXPIRED: usize = 1;
const FIRST_TTL: usize = 2;

/// A number of keys, or of commands, and their bytes. In JSON `[count, bytes]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub bytes: u64,
}

impl Tally {
    /// Counts one.
    #[inline]
    pub fn add(&mut self, bytes: u64) {
        self.merge(Tally { count: 1, bytes });
    }

    #[inline]
    pub fn merge(&mut self, other: Tally) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.count, self.bytes).serialize(serializer)
    }
}

/// Keys by the power of two of their bytes: bucket `i` holds `2^i <= bytes < 2^(i+1)`, and bucket 0
/// also 0 bytes. At most 64 buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SizeHistogram(Vec<Tally>);

impl SizeHistogram {
    /// All counts, to be scaled.
    pub fn tallies_mut(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.0.iter_mut()
    }

    pub fn add(&mut self, bytes: u64) {
        let bucket = bytes.checked_ilog2().unwrap_or(0) as usize;
        if bucket >= self.0.len() {
            self.0.resize(bucket + 1, Tally::default());
        }
        self.0[bucket].add(bytes);
    }

    /// From the first to the last bucket that is not empty: the most bytes that fall into it, and the keys.
    pub fn classes(&self) -> impl Iterator<Item = (u64, Tally)> {
        let buckets = self.0.iter().enumerate().map(|(i, tally)| (u64::MAX >> (63 - i), *tally));
        buckets.skip_while(|(_, tally)| tally.count == 0)
    }
}

/// Keys by the time that they have left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExpiryHistogram {
    /// Unix milliseconds from which time to live is counted.
    reference_ms: u64,
    /// No expiry, expired, below each of [`TTL_BANDS_MS`], later.
    bands: [Tally; FIRST_TTL + TTL_BANDS_MS.len() + 1],
    /// Entry `i`: keys that expire in the hour that starts `i` hours after the reference. Empty or
    /// [`EXPIRY_HOURS`] long.
    hours: Vec<Tally>,
}

impl ExpiryHistogram {
    /// All counts, to be scaled.
    pub fn tallies_mut(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.bands.iter_mut().chain(&mut self.hours)
    }

    /// `reference_ms`: Unix milliseconds taken as now.
    pub fn new(reference_ms: u64) -> Self {
        ExpiryHistogram { reference_ms, ..Self::default() }
    }

    /// Counts one key that expires at `expires_at_ms` (Unix milliseconds), or never.
    pub fn add(&mut self, expires_at_ms: Option<u64>, bytes: u64) {
        let band = match expires_at_ms.map(|at| at.checked_sub(self.reference_ms)) {
            None => NO_EXPIRY,
            Some(None) => EXPIRED,
            Some(Some(left_ms)) => {
                self.add_hour(left_ms / HOUR_MS, bytes);
                FIRST_TTL + TTL_BANDS_MS.partition_point(|&end| end <= left_ms)
            }
        };
        self.bands[band].add(bytes);
    }

    /// Keys that expire, or have.
    pub fn expiring(&self) -> u64 {
        self.bands[EXPIRED..].iter().map(|tally| tally.count).sum()
    }

    /// The bands with their names.
    pub fn classes(&self) -> impl Iterator<Item = (String, Tally)> {
        let names = ["never".to_owned(), "expired".to_owned()].into_iter();
        names.chain(below(&TTL_BANDS_MS, 1)).chain(["later".to_owned()]).zip(self.bands)
    }

    fn add_hour(&mut self, hour: u64, bytes: u64) {
        if hour >= EXPIRY_HOURS as u64 {
            return;
        }
        if self.hours.is_empty() {
            self.hours.resize(EXPIRY_HOURS, Tally::default());
        }
        self.hours[hour as usize].add(bytes);
    }
}

/// Keys by the time since they were last used, as servers with an LRU policy save it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IdleHistogram([Tally; IDLE_BANDS_SECONDS.len() + 1]);

impl IdleHistogram {
    /// All counts, to be scaled.
    pub fn tallies_mut(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.0.iter_mut()
    }

    pub fn add(&mut self, idle_seconds: u64, bytes: u64) {
        self.0[IDLE_BANDS_SECONDS.partition_point(|&end| end <= idle_seconds)].add(bytes);
    }

    /// The bands with their names.
    pub fn classes(&self) -> impl Iterator<Item = (String, Tally)> {
        below(&IDLE_BANDS_SECONDS, 1000).chain(["longer".to_owned()]).zip(self.0)
    }
}

/// Keys by their access counter, as servers with an LFU policy save it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FrequencyHistogram([Tally; FREQUENCY_BANDS.len()]);

impl FrequencyHistogram {
    /// All counts, to be scaled.
    pub fn tallies_mut(&mut self) -> impl Iterator<Item = &mut Tally> {
        self.0.iter_mut()
    }

    pub fn add(&mut self, counter: u8, bytes: u64) {
        self.0[FREQUENCY_BANDS.partition_point(|&start| start <= counter) - 1].add(bytes);
    }

    /// The bands with their names.
    pub fn classes(&self) -> impl Iterator<Item = (String, Tally)> {
        let ends = FREQUENCY_BANDS[1..].iter().map(|next| next - 1).chain([u8::MAX]);
        let names = FREQUENCY_BANDS.iter().zip(ends).map(|(&first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        names.zip(self.0)
    }
}

/// Names of bands that end at `ends`, in units of so many milliseconds.
fn below(ends: &'static [u64], unit_ms: u64) -> impl Iterator<Item = String> {
    ends.iter().map(move |end| format!("< {}", duration(end * unit_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes that are not empty.
    fn named<N>(classes: impl Iterator<Item = (N, Tally)>) -> Vec<(N, u64)> {
        classes.filter(|(_, tally)| tally.count > 0).map(|(name, tally)| (name, tally.count)).collect()
    }

    #[test]
    fn sizes_fall_into_powers_of_two() {
        let mut sizes = SizeHistogram::default();
        for bytes in [2, 3, 4, 1024, u64::MAX, u64::MAX] {
            sizes.add(bytes);
        }
        assert_eq!(sizes.classes().next(), Some((3, Tally { count: 2, bytes: 5 })));
        assert_eq!(named(sizes.classes()), [(3, 2), (7, 1), (2047, 1), (u64::MAX, 2)]);
        assert_eq!(sizes.classes().last().unwrap().1.bytes, u64::MAX, "sums saturate");
        [0, 1].into_iter().for_each(|bytes| sizes.add(bytes));
        assert_eq!(sizes.classes().next(), Some((1, Tally { count: 2, bytes: 1 })));
    }

    #[test]
    fn expiry_falls_into_bands_and_hours() {
        let now = 1_000_000;
        let mut expiry = ExpiryHistogram::new(now);
        let month = 30 * 24 * 3_600_000;
        for left in [0, 59_999, 60_000, 3_599_999, 3_600_000, month - 1, month] {
            expiry.add(Some(now + left), 10);
        }
        [None, Some(now - 1), Some(u64::MAX)].into_iter().for_each(|at| expiry.add(at, 10));
        let expected =
            [("never", 1), ("expired", 1), ("< 1m", 2), ("< 1h", 2), ("< 1d", 1), ("< 30d", 1), ("later", 2)];
        assert_eq!(named(expiry.classes()), expected.map(|(name, count)| (name.to_owned(), count)));
        assert_eq!(expiry.expiring(), 9);
        assert_eq!(expiry.hours.len(), EXPIRY_HOURS);
        assert_eq!([0, 1, EXPIRY_HOURS - 1].map(|hour| expiry.hours[hour].count), [4, 1, 1]);
    }

    #[test]
    fn access_falls_into_bands() {
        let (mut idle, mut frequency) = (IdleHistogram::default(), FrequencyHistogram::default());
        for seconds in [0, 59, 60, 90 * 86_400 - 1, u64::MAX] {
            idle.add(seconds, 1);
        }
        for counter in 0..=255 {
            frequency.add(counter, 1);
        }
        let expected = [("< 1m", 2), ("< 10m", 1), ("< 90d", 1), ("longer", 1)];
        assert_eq!(named(idle.classes()), expected.map(|(name, count)| (name.to_owned(), count)));
        let (names, counts): (Vec<_>, Vec<_>) = named(frequency.classes()).into_iter().unzip();
        assert_eq!(names, ["0", "1", "2-3", "4-7", "8-15", "16-31", "32-63", "64-127", "128-255"]);
        assert_eq!(counts, [1, 1, 2, 4, 8, 16, 32, 64, 128]);
    }
}
