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

/// Counts by the method of Harley and Seal (Warren, "Hacker's Delight", 2nd ed., 5-2): full adders sum up eight rows of words
/// into rows of ones, twos, fours and eights, and only the last of these are counted bit by bit.
fn ones(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<{ 8 * ROW_BYTES }>();
    let (mut ones, mut twos, mut fours, mut eights) = ([0; ROW], [0; ROW], [0; ROW], 0);
    for block in blocks {
        let row = |index: usize| row_of(&block[index * ROW_BYTES..]);
        let twos_of = |ones: &mut Row, index| add(ones, row(index), row(index + 1));
        let (first, second) = (twos_of(&mut ones, 0), twos_of(&mut ones, 2));
        let first_fours = add(&mut twos, first, second);
        let (first, second) = (twos_of(&mut ones, 4), twos_of(&mut ones, 6));
        let second_fours = add(&mut twos, first, second);
        eights += in_row(&add(&mut fours, first_fours, second_fours));
    }
    let of_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    8 * eights + 4 * in_row(&fours) + 2 * in_row(&twos) + in_row(&ones) + of_rest
}

/// Words that are worked on side by side.
const ROW: usize = 4;
const ROW_BYTES: usize = 8 * ROW;

type Row = [u64; ROW];

fn row_of(bytes: &[u8]) -> Row {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|index| u64::from_ne_bytes(words[index]))
}

fn in_row(row: &Row) -> u64 {
    row.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// Adds the bits of three rows: leaves the sums' low bits in `sum` and answers their high ones.
fn add(sum: &mut Row, one: Row, other: Row) -> Row {
    std::array::from_fn(|index| {
        let (a, b, c) = (sum[index], one[index], other[index]);
        sum[index] = a ^ b ^ c;
        a & b | (a ^ b) & c
    })
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

    #[test]
    fn all_spans_of_three_bytes() {
        const BYTES: [u8; 4] = [0, 0xFF, 0x10, 0xEF];
        for number in 0..64 {
            let bytes = [0, 2, 4].map(|shift| BYTES[number >> shift & 3]);
            for (first, last) in (0..24).flat_map(|first| (first..24).map(move |last| (first, last))) {
                let span = BitSpan { first, last };
                let ones = (first..=last).filter(|place| bit(&bytes, *place)).count();
                assert_eq!(count_ones(&bytes, span), ones as u64, "{bytes:?} {span:?}");
                for one in [false, true] {
                    let expected = (first..=last).find(|place| bit(&bytes, *place) == one);
                    assert_eq!(find(&bytes, span, one), expected, "{one} {bytes:?} {span:?}");
                }
            }
        }
    }

    proptest! {
        /// Runs of equal bytes, so that whole blocks are skipped.
        #[test]
        fn spans_agree_with_a_loop_over_bits(
            runs in prop::collection::vec((prop_oneof![Just(0), Just(0xFF), any::<u8>()], 1..400usize), 1..6),
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
