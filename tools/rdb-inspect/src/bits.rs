//! A set of numbers, one bit for each up to the largest.

#[derive(Default)]
pub struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    /// How many numbers are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a number; the set has room for all below it.
    pub fn set(&mut self, number: u64) {
        let index = (number / 64) as usize;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        self.count += u64::from(!self.get(number));
        self.words[index] |= 1 << (number % 64);
    }

    pub fn remove(&mut self, number: u64) {
        if self.get(number) {
            self.count -= 1;
            self.words[(number / 64) as usize] &= !(1 << (number % 64));
        }
    }

    #[inline]
    pub fn get(&self, number: u64) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_once() {
        let mut bits = Bits::default();
        [3, 64, 3, 200].into_iter().for_each(|number| bits.set(number));
        assert_eq!(bits.count(), 3);
        bits.remove(64);
        bits.remove(65);
        assert_eq!((bits.count(), bits.get(64), bits.get(200), bits.get(100_000)), (2, false, true, false));
    }
}
