//! The largest of many, in bounded memory.
//!
//! Invariant: what is kept is never more than the limit, and an item is only made when it will be kept.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// More than anyone reads, and what bounds our memory.
const MAX_LIMIT: usize = 10_000;

/// How many are to be kept, from the command line.
pub fn parse_limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| *limit <= MAX_LIMIT);
    limit.ok_or_else(|| format!("a number up to {MAX_LIMIT}"))
}

/// Keeps the items with the largest weights; of equal ones those that came first.
pub struct Top<T> {
    limit: usize,
    seen: u64,
    /// The least of what is kept is on top.
    kept: BinaryHeap<Kept<T>>,
}

struct Kept<T> {
    weight: u64,
    number: u64,
    item: T,
}

impl<T> Top<T> {
    pub fn new(limit: usize) -> Top<T> {
        Top { limit, seen: 0, kept: BinaryHeap::new() }
    }

    /// Whether something of this weight would be kept.
    #[inline]
    pub fn takes(&self, weight: u64) -> bool {
        self.kept.len() < self.limit || self.kept.peek().is_some_and(|least| weight > least.weight)
    }

    /// Keeps what `item` makes, if it is among the largest so far.
    #[inline]
    pub fn offer(&mut self, weight: u64, item: impl FnOnce() -> T) {
        if self.takes(weight) {
            self.put(weight, item());
        }
    }

    fn put(&mut self, weight: u64, item: T) {
        if self.kept.len() == self.limit {
            self.kept.pop();
        }
        self.seen += 1;
        self.kept.push(Kept { weight, number: self.seen, item });
    }

    /// What was kept, the largest first.
    pub fn sorted(&self) -> Vec<&T> {
        let mut kept: Vec<&Kept<T>> = self.kept.iter().collect();
        kept.sort_unstable();
        kept.into_iter().map(|kept| &kept.item).collect()
    }

    /// The same, for good.
    pub fn into_sorted(self) -> Vec<T> {
        self.kept.into_sorted_vec().into_iter().map(|kept| kept.item).collect()
    }
}

impl<T> Kept<T> {
    /// Smaller means to be shown earlier.
    fn rank(&self) -> (std::cmp::Reverse<u64>, u64) {
        (std::cmp::Reverse(self.weight), self.number)
    }
}

impl<T> Ord for Kept<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<T> PartialOrd for Kept<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Kept<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Kept<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_of_equal_ones_the_first() {
        let mut top = Top::new(3);
        for (weight, name) in [(1, "a"), (5, "b"), (3, "c"), (3, "d"), (9, "e"), (3, "f")] {
            top.offer(weight, || name);
        }
        assert!(!top.takes(3));
        assert_eq!(top.sorted(), [&"e", &"b", &"c"]);
        assert_eq!(top.into_sorted(), ["e", "b", "c"]);
        let mut none = Top::<()>::new(0);
        none.offer(1, || panic!("made though it is not kept"));
        assert!(none.into_sorted().is_empty());
    }
}
