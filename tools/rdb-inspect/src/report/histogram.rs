//! Counts that are kept while a file is read: fixed in size, one addition per key.
//!
//! Invariants:
//! 1. No histogram grows with the number of keys.
//! 2. Counters saturate; no input makes an addition panic.

use serde::{Serialize, Serializer};

/// Upper ends, exclusive, of the bands of time to live in milliseconds: an hour, a day, 7 days, 30 days.
pub const TTL_BANDS_MS: [u64; 4] = [HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS, 30 * 24 * HOUR_MS];
/// Upper ends, exclusive, of the bands of idle time in seconds; the last band is open.
pub const IDLE_BANDS_SECONDS: [u64; 8] =
    [60, 10 * 60, 60 * 60, 6 * 60 * 60, 24 * 60 * 60, 7 * 24 * 60 * 60, 30 * 24 * 60 * 60, 90 * 24 * 60 * 60];
/// Lower ends, inclusive, of the bands of the LFU counter, which is logarithmic and ends at 255.
pub const FREQUENCY_BANDS: [u8; 9] = [0, 1, 2, 4, 8, 16, 32, 64, 128];
/// Hours that the finer chart of expiry covers.
pub const EXPIRY_HOURS: usize = 30 * 24;

const HOUR_MS: u64 = 60 * 60 * 1000;
const NO_EXPIRY: usize = 0;
const EXPIRED: usize = 1;
const FIRST_TTL: usize = 2;

/// A number of keys and their estimated bytes in memory. In JSON `[keys, bytes]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub keys: u64,
    pub bytes: u64,
}

impl Tally {
    /// Counts one key.
    pub fn add(&mut self, bytes: u64) {
        self.keys = self.keys.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.keys, self.bytes).serialize(serializer)
    }
}

/// Keys by the power of two of their estimated bytes: bucket `i` holds `2^i <= bytes < 2^(i+1)`, and bucket 0
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

    #[cfg(test)]
    pub fn buckets(&self) -> &[Tally] {
        &self.0
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

    fn add_hour(&mut self, hour: u64, bytes: u64) {
        if hour >= EXPIRY_HOURS as u64 {
            return;
        }
        if self.hours.is_empty() {
            self.hours.resize(EXPIRY_HOURS, Tally::default());
        }
        self.hours[hour as usize].add(bytes);
    }

    #[cfg(test)]
    pub fn bands(&self) -> &[Tally] {
        &self.bands
    }

    #[cfg(test)]
    pub fn hours(&self) -> &[Tally] {
        &self.hours
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

    #[cfg(test)]
    pub fn bands(&self) -> &[Tally] {
        &self.0
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

    #[cfg(test)]
    pub fn bands(&self) -> &[Tally] {
        &self.0
    }
}
