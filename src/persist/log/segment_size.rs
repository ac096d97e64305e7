//! How large the next segment is: pure functions.

use super::options::SegmentSizes;

/// A segment filled within this time is followed by one of twice its size.
const QUICK_MS: u64 = 10_000;
/// A segment that took longer than this is followed by one of half its size.
const SLOW_MS: u64 = 600_000;

/// Of a segment that a cut ends, less than one part in so many is little.
const LITTLE_USED: u64 = 4;

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

/// Bytes of the segment after one of `current` bytes that a cut ended when `used` of them were filled: the time says
/// nothing then.
pub fn next_segment_size_at_cut(current: u64, used: u64, sizes: SegmentSizes) -> u64 {
    let next = if used < current / LITTLE_USED { current / 2 } else { current };
    next.min(sizes.max_bytes).max(sizes.first_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_keep_the_size_and_halve_what_is_hardly_used() {
        let sizes = SegmentSizes::default();
        let (first, max) = (sizes.first_bytes, sizes.max_bytes);
        assert_eq!(next_segment_size_at_cut(max, max, sizes), max);
        assert_eq!(next_segment_size_at_cut(max, max / 4, sizes), max);
        assert_eq!(next_segment_size_at_cut(max, max / 4 - 1, sizes), max / 2);
        assert_eq!(next_segment_size_at_cut(first, 4096, sizes), first);
        assert_eq!(next_segment_size_at_cut(max * 100, max * 100, sizes), max);
    }

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
