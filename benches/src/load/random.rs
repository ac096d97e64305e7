//! Numbers and text that look random, differ between seeds and are the same in every run.

/// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(2).wrapping_add(1)) // never zero
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }

    /// Printable ASCII of six random bits per byte: no LZ compressor gains on it.
    pub fn fill_text(&mut self, text: &mut [u8]) {
        for chunk in text.chunks_mut(8) {
            let drawn = (self.draw() & 0x3f3f_3f3f_3f3f_3f3f) + 0x3030_3030_3030_3030;
            chunk.copy_from_slice(&drawn.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_printable_and_repeats_nothing() {
        let mut text = [0; 1003];
        Random::new(0).fill_text(&mut text);
        assert!(text.iter().all(u8::is_ascii_graphic));
        let mut pieces: Vec<&[u8]> = text.windows(6).collect();
        pieces.sort();
        pieces.dedup();
        assert_eq!(pieces.len(), 998);
    }

    #[test]
    fn numbers_stay_below_their_limit_and_reach_it() {
        let mut random = Random::new(3);
        let drawn: Vec<u64> = (0..1000).map(|_| random.below(7)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&0), Some(&6)));
        assert_eq!(random.below(0), 0);
    }
}
