//! A set of numbers, one bit for each that could be in it.

pub struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    /// Room for the numbers below `end`.
    pub fn new(end: u64) -> Bits {
        Bits { words: vec![0; end.div_ceil(64) as usize], count: 0 }
    }

    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a number; one beyond the end is not added.
    pub fn set(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut((number / 64) as usize) {
            self.count += u64::from(*word >> (number % 64) & 1 == 0);
            *word |= 1 << (number % 64);
        }
    }

    #[inline]
    pub fn get(&self, number: u64) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}
