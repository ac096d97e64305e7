//! How large the next segment is: a pure function.

use super::options::SegmentSizes;

/// A segment filled within this time is followed by one of twice its size.
const QUICK_MS: u64 = 10_000;
/// A segment that took longer than this is followed by one of half its size.
const SLOW_MS: u64 = 600_000;

/// Bytes of the segment after one of `current` bytes that was filled in `filled_in_ms`.
pub fn next_segment_size(current: u64, filled_in_ms: u64, sizes: SegmentSizes) -> u64 {
    let next = match filled_in_ms {
        0..QUICK_MS => current.saturating_mul(2),
        QUICK_MS..SLOW_MS => current,
        SLOW_MS.. => current / 2,
    };
    // Twice, in case an oversized segment came before, or the two are swapped.
    next.min(sizes.max_bytes).max(sizes.first_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_when_filled_quickly_and_shrinks_when_idle() {
        let sizes = SegmentSizes::default();
        let (first, max) = (sizes.first_bytes, sizes.max_bytes);
        assert_eq!(next_segment_size(first, 0, sizes), first * 2);
        assert_eq!(next_segment_size(first, QUICK_MS, sizes), first);
        assert_eq!(next_segment_size(max, 0, sizes), max);
        assert_eq!(next_segment_size(max * 100, SLOW_MS - 1, sizes), max);
        assert_eq!(next_segment_size(max, SLOW_MS, sizes), max / 2);
        assert_eq!(next_segment_size(first, SLOW_MS, sizes), first);
    }
}
