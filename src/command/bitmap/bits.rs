//! Counts and finds bits among the bytes of a string, many bytes at a time.

use std::ops::RangeInclusive;

/// Bytes that are looked at together; a multiple of what a vector register holds.
const BLOCK: usize = 64;

/// The bits of a string from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BitSpan {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl BitSpan {
    /// All bits of the bytes from one to another.
    pub(super) fn of_bytes(first: u64, last: u64) -> BitSpan {
        BitSpan { first: first << 3, last: last << 3 | 7 }
    }

    fn bytes(self) -> RangeInclusive<usize> {
        (self.first >> 3) as usize..=(self.last >> 3) as usize
    }

    /// The bits of the first byte that are in the span, if it ends behind that byte.
    fn head(self) -> u8 {
        0xFF >> (self.first & 7)
    }

    /// The bits of the last byte that are in the span, if it begins before that byte.
    fn tail(self) -> u8 {
        0xFF << (7 - (self.last & 7))
    }
}

/// How many bits of the span, which lies within `bytes`, are 1.
pub(super) fn count_ones(bytes: &[u8], span: BitSpan) -> u64 {
    match &bytes[span.bytes()] {
        [] => 0,
        [only] => (only & span.head() & span.tail()).count_ones().into(),
        [first, between @ .., last] => {
            let ends = (first & span.head()).count_ones() + (last & span.tail()).count_ones();
            u64::from(ends) + ones(between)
        }
    }
}

fn ones(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_words: u64 = words.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum();
    of_words + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// The first bit of the span, which lies within `bytes`, that is 1, or 0 if so asked.
pub(super) fn find(bytes: &[u8], span: BitSpan, one: bool) -> Option<u64> {
    // Zeros are looked for as the ones of what is inverted.
    let flip = if one { 0 } else { 0xFF };
    let in_byte = |byte: u8| (byte != 0).then(|| u64::from(byte.leading_zeros()));
    let first_byte = span.first & !7;
    match &bytes[span.bytes()] {
        [] => None,
        [only] => in_byte((only ^ flip) & span.head() & span.tail()).map(|bit| first_byte + bit),
        [first, between @ .., last] => in_byte((first ^ flip) & span.head())
            .map(|bit| first_byte + bit)
            .or_else(|| {
                let place = position_other_than(between, flip)?;
                Some(first_byte + 8 + 8 * place as u64 + in_byte(between[place] ^ flip)?)
            })
            .or_else(|| in_byte((last ^ flip) & span.tail()).map(|bit| (span.last & !7) + bit)),
    }
}

fn position_other_than(bytes: &[u8], plain: u8) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let is_plain = |block: &&[u8; BLOCK]| block.iter().fold(0, |seen, byte| seen | (byte ^ plain)) == 0;
    let skipped = BLOCK * blocks.iter().take_while(is_plain).count();
    let found = bytes[skipped..].iter().position(|byte| *byte != plain)?;
    Some(skipped + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bit(bytes: &[u8], place: u64) -> bool {
        bytes[(place / 8) as usize] >> (7 - place % 8) & 1 == 1
    }

    proptest! {
        /// Runs of equal bytes, so that whole blocks are skipped.
        #[test]
        fn spans_agree_with_a_loop_over_bits(
            runs in prop::collection::vec((prop_oneof![Just(0), Just(0xFF), any::<u8>()], 1..150usize), 1..6),
            ends in any::<(prop::sample::Index, prop::sample::Index)>(),
        ) {
            let bytes: Vec<u8> =
                runs.iter().flat_map(|(byte, count)| std::iter::repeat_n(*byte, *count)).collect();
            let (a, b) = (ends.0.index(bytes.len() * 8) as u64, ends.1.index(bytes.len() * 8) as u64);
            let span = BitSpan { first: a.min(b), last: a.max(b) };
            let places = || span.first..=span.last;
            prop_assert_eq!(
                count_ones(&bytes, span),
                places().filter(|place| bit(&bytes, *place)).count() as u64
            );
            for one in [false, true] {
                let expected = places().find(|place| bit(&bytes, *place) == one);
                prop_assert_eq!(find(&bytes, span, one), expected);
            }
        }
    }
}
