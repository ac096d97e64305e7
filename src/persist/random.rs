//! Random numbers for uids and seeds.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that nobody can guess and that does not come twice: a keyed hash (SipHash, std's `RandomState`,
/// whose key the operating system's random source gives) of a counter.
pub fn random_u64() -> u64 {
    #[cfg(feature = "sim")]
    if let Some(number) = simulated::next() {
        return number;
    }
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Numbers that a seed decides, for one thread.
#[cfg(feature = "sim")]
pub mod simulated {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Numbers of this thread follow from the seed from now on; `None`: nobody can guess them.
    pub fn set_seed(seed: Option<u64>) {
        STATE.set(seed);
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(super) fn next() -> Option<u64> {
        let state = STATE.get()?.wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(Some(state));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Some(mixed ^ (mixed >> 31))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ() {
        let numbers: std::collections::HashSet<u64> = (0..1000).map(|_| super::random_u64()).collect();
        assert_eq!(numbers.len(), 1000);
    }
}
