//! The buckets of a hash table while it grows.
//!
//! A table that is full is replaced by a larger one, to which each further insertion moves one bucket that is not
//! empty. Until the last has moved both are there; right after loading that is often so.
//! Source: Redis' `dict.c`.

use super::Allocator;

const BUCKET: u64 = 8;
const INITIAL_SIZE: u64 = 4;

/// Bytes of the buckets of a table that was told how many elements will come.
pub fn buckets(elements: u64, allocator: Allocator) -> u64 {
    allocator.class(BUCKET.saturating_mul(size_for(elements)))
}

fn size_for(elements: u64) -> u64 {
    elements.checked_next_power_of_two().unwrap_or(1 << 63).max(INITIAL_SIZE)
}

/// A table to which elements are added.
#[derive(Clone, Copy, Default)]
pub struct Growing {
    size: u64,
    used: u64,
    /// The larger table, and how many buckets are still to move.
    next: Option<(u64, u64)>,
}

impl Growing {
    /// A table of so many elements, made for them.
    pub fn with(elements: u64) -> Growing {
        Growing { size: if elements > 0 { size_for(elements) } else { 0 }, used: elements, next: None }
    }

    /// Makes room for `elements`; does nothing if there are more already, or if that is being done.
    pub fn reserve(&mut self, elements: u64) {
        let size = size_for(elements);
        if self.next.is_some() || self.used > elements || size == self.size {
            return;
        }
        if self.used == 0 {
            self.size = size;
        } else {
            // Elements fall into buckets at random.
            let empty = (1.0 - 1.0 / self.size as f64).powf(self.used as f64);
            self.next = Some((size, (self.size as f64 * (1.0 - empty)).round() as u64));
        }
    }

    pub fn add(&mut self) {
        match &mut self.next {
            Some((size, 0 | 1)) => (self.size, self.next) = (*size, None),
            Some((_, left)) => *left -= 1,
            None => {}
        }
        if self.used >= self.size {
            self.reserve(self.used + 1);
        }
        self.used += 1;
    }

    /// Bytes of all buckets.
    pub fn bytes(&self, allocator: Allocator) -> u64 {
        let next = self.next.map_or(0, |(size, _)| allocator.class(BUCKET * size));
        allocator.class(BUCKET * self.size) + next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_are_there_until_the_last_bucket_has_moved() {
        let mut table = Growing::with(8);
        assert_eq!(table.bytes(Allocator::Bundled), 64);
        table.add();
        assert_eq!(table.bytes(Allocator::Bundled), 64 + 128);
        (0..6).for_each(|_| table.add());
        assert_eq!(table.bytes(Allocator::Bundled), 128);
        (0..2).for_each(|_| table.add());
        assert_eq!(table.bytes(Allocator::Bundled), 128 + 256);
    }

    #[test]
    fn room_that_was_made_is_used() {
        let mut table = Growing::with(0);
        table.reserve(100);
        assert_eq!(table.bytes(Allocator::Bundled), buckets(100, Allocator::Bundled));
        (0..100).for_each(|_| table.add());
        assert_eq!(table.bytes(Allocator::Bundled), buckets(100, Allocator::Bundled));
    }
}
