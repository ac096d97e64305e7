//! One level of an extendible-hash directory: which item a bit pattern belongs to.
//!
//! An [`Index`] has 2^depth slots, addressed by the top bits of a pattern; a slot holds the *number* of an item. A full item
//! is split in two; when it has a single slot, the slots are doubled first. Two halves of one split can be joined again.
//! After R. Fagin et al., "Extendible Hashing", 1979; with top bits in place of low ones, so that slots are in hash order.
//!
//! Invariants:
//! 1. The slots of an item are one aligned run, a power of two long. So its depth need not be stored.
//! 2. Numbers are dense: an index of n items uses `0..n`.
//! 3. Slots hold numbers, never the items: an `Arc` that stands in two slots would look shared and be copied for nothing.

use std::ops::Range;

use triomphe::Arc;

/// The number of an item as slots hold it.
pub(super) trait Number: Copy + PartialEq {
    fn new(number: usize) -> Self;
    fn get(self) -> usize;
}

macro_rules! number {
    ($($int:ty)*) => {$(
        impl Number for $int {
            #[inline]
            fn new(number: usize) -> Self {
                debug_assert!(number <= <$int>::MAX as usize);
                number as $int
            }
            #[inline]
            fn get(self) -> usize {
                self as usize
            }
        }
    )*};
}
number!(u8 u32);

/// 2^depth slots of item numbers.
#[derive(Clone)]
pub(super) struct Index<N> {
    depth: u32,
    slots: Vec<N>,
}

impl<N: Number> Index<N> {
    pub(super) fn one() -> Self {
        Index { depth: 0, slots: vec![N::new(0)] }
    }

    /// The number of the item that `bits` belong to.
    #[inline]
    pub(super) fn number(&self, bits: u64) -> usize {
        self.slots[self.slot(bits)].get()
    }

    #[inline]
    fn slot(&self, bits: u64) -> usize {
        // Two shifts, for a shift by 64 would be none.
        (bits >> 1 >> (63 - self.depth)) as usize
    }

    /// The run of slots that holds the item of `slot`.
    fn run(&self, slot: usize) -> Range<usize> {
        let mut length = 1;
        // The other half of the aligned block of twice the length is the item's as a whole or not at all.
        while length < self.slots.len() && self.slots[slot ^ length] == self.slots[slot] {
            length *= 2;
        }
        let start = slot & !(length - 1);
        start..start + length
    }

    /// The depth of the item that `bits` belong to: how many bits its patterns share.
    fn item_depth(&self, bits: u64) -> u32 {
        self.depth - self.run(self.slot(bits)).len().ilog2()
    }

    fn double(&mut self) {
        self.slots = self.slots.iter().flat_map(|&number| [number, number]).collect();
        self.depth += 1;
    }

    fn halve_while_possible(&mut self) {
        while self.depth > 0 && self.slots.chunks_exact(2).all(|pair| pair[0] == pair[1]) {
            self.slots = self.slots.iter().step_by(2).copied().collect();
            self.depth -= 1;
        }
    }
}

/// An index with its items.
pub(super) struct Dir<T, N> {
    index: Index<N>,
    items: Vec<Arc<T>>,
}

impl<T, N: Copy> Clone for Dir<T, N> {
    fn clone(&self) -> Self {
        let index = Index { depth: self.index.depth, slots: self.index.slots.clone() };
        Dir { index, items: self.items.clone() }
    }
}

impl<T, N: Number> Dir<T, N> {
    /// A directory of one item, to which all patterns belong.
    pub(super) fn of(item: T) -> Self {
        Dir { index: Index::one(), items: vec![Arc::new(item)] }
    }

    pub(super) fn depth(&self) -> u32 {
        self.index.depth
    }

    pub(super) fn item_depth(&self, bits: u64) -> u32 {
        self.index.item_depth(bits)
    }

    pub(super) fn items(&self) -> &[Arc<T>] {
        &self.items
    }

    #[inline]
    pub(super) fn get(&self, bits: u64) -> &Arc<T> {
        &self.items[self.index.number(bits)]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, bits: u64) -> &mut Arc<T> {
        &mut self.items[self.index.number(bits)]
    }

    pub(super) fn into_parts(self) -> (Index<N>, Vec<Arc<T>>) {
        (self.index, self.items)
    }

    /// Takes all items out, on the way to the directory's own end.
    pub(super) fn take_items(&mut self) -> Vec<Arc<T>> {
        std::mem::take(&mut self.items)
    }

    /// The items in the order of their patterns.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Arc<T>> {
        let mut slot = 0;
        std::iter::from_fn(move || {
            let number = self.index.slots.get(slot)?.get();
            slot = self.index.run(slot).end;
            Some(&self.items[number])
        })
    }

    /// Puts two items in the place of the one that `bits` belong to, which it gives back.
    pub(super) fn split(&mut self, bits: u64, halves: [T; 2]) -> Arc<T> {
        if self.index.item_depth(bits) == self.index.depth {
            self.index.double();
        }
        let run = self.index.run(self.index.slot(bits));
        let [left, right] = halves.map(Arc::new);
        let old = std::mem::replace(&mut self.items[self.index.slots[run.start].get()], left);
        self.index.slots[run.start + run.len() / 2..run.end].fill(N::new(self.items.len()));
        self.items.push(right);
        old
    }

    /// The item of `bits` and the one that it could be joined with, in order; nothing if that is split deeper or if there is none.
    pub(super) fn buddies(&self, bits: u64) -> Option<[&Arc<T>; 2]> {
        let [left, right] = self.buddy_runs(bits)?;
        Some([left, right].map(|run| &self.items[self.index.slots[run.start].get()]))
    }

    fn buddy_runs(&self, bits: u64) -> Option<[Range<usize>; 2]> {
        let own = self.index.run(self.index.slot(bits));
        if own.len() == self.index.slots.len() {
            return None;
        }
        let other = self.index.run(own.start ^ own.len());
        match other.len() == own.len() {
            true if own.start < other.start => Some([own, other]),
            true => Some([other, own]),
            false => None,
        }
    }

    /// Puts `joined` in the place of the item of `bits` and of its buddy, which must be there.
    pub(super) fn join(&mut self, bits: u64, joined: T) {
        let Some([left, right]) = self.buddy_runs(bits) else { return };
        let (kept, dropped) = (self.index.slots[left.start], self.index.slots[right.start]);
        self.index.slots[right].fill(kept);
        self.items[kept.get()] = Arc::new(joined);
        self.items.swap_remove(dropped.get());
        let moved = N::new(self.items.len());
        for slot in &mut self.index.slots {
            if *slot == moved {
                *slot = dropped;
            }
        }
        self.index.halve_while_possible();
    }

    /// The two halves of a directory of at least two items, each with one bit less to tell.
    pub(super) fn halves(&self) -> [Self; 2] {
        let middle = self.index.slots.len() / 2;
        [&self.index.slots[..middle], &self.index.slots[middle..]].map(|slots| self.part(slots))
    }

    fn part(&self, slots: &[N]) -> Self {
        let mut items = Vec::new();
        let mut new_slots = Vec::with_capacity(slots.len());
        let mut last = None;
        for &old in slots {
            if last != Some(old) {
                last = Some(old);
                items.push(self.items[old.get()].clone());
            }
            new_slots.push(N::new(items.len() - 1));
        }
        let mut index = Index { depth: self.index.depth - 1, slots: new_slots };
        index.halve_while_possible();
        Dir { index, items }
    }

    /// The directory whose halves are `left` and `right`.
    pub(super) fn of_halves(left: &Self, right: &Self) -> Self {
        let depth = left.depth().max(right.depth());
        let widened = |half: &Self, first: usize| {
            let repeat = 1 << (depth - half.depth());
            half.index
                .slots
                .iter()
                .flat_map(move |&number| std::iter::repeat_n(N::new(first + number.get()), repeat))
                .collect()
        };
        let slots: [Vec<N>; 2] = [widened(left, 0), widened(right, left.items.len())];
        let items = left.items.iter().chain(&right.items).cloned().collect();
        Dir { index: Index { depth: depth + 1, slots: slots.concat() }, items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items are named by their first pattern; checks that all 256 patterns of eight bits find the right one.
    fn assert_in_order(dir: &Dir<u64, u8>, expected: &[u64]) {
        assert_eq!(dir.in_order().map(|item| **item).collect::<Vec<_>>(), expected);
        for bits in (0..256u64).map(|bits| bits << 56) {
            let first = *expected.iter().rev().find(|&&first| first << 56 <= bits).unwrap();
            assert_eq!(**dir.get(bits), first, "{bits:x} in {expected:x?}");
        }
    }

    #[test]
    fn splits_joins_and_halves_keep_every_pattern_in_its_place() {
        let mut dir = Dir::<u64, u8>::of(0);
        dir.split(0, [0, 0x80]);
        dir.split(0x80 << 56, [0x80, 0xC0]);
        dir.split(0xFF << 56, [0xC0, 0xE0]);
        assert_in_order(&dir, &[0, 0x80, 0xC0, 0xE0]);
        assert_eq!((dir.depth(), dir.item_depth(0), dir.item_depth(0xC0 << 56)), (3, 1, 3));
        assert!(dir.buddies(0).is_none(), "the other half is split deeper");
        dir.split(0, [0, 0x40]);
        assert_in_order(&dir, &[0, 0x40, 0x80, 0xC0, 0xE0]);

        let [left, right] = dir.halves();
        assert_eq!((left.items.len(), left.depth(), right.items.len(), right.depth()), (2, 1, 3, 2));
        assert_in_order(&Dir::of_halves(&left, &right), &[0, 0x40, 0x80, 0xC0, 0xE0]);

        assert_eq!(dir.buddies(0xE0 << 56).map(|pair| pair.map(|item| **item)), Some([0xC0, 0xE0]));
        dir.join(0xE0 << 56, 0xC0);
        assert_eq!(dir.depth(), 2);
        dir.join(0x40 << 56, 0);
        assert_in_order(&dir, &[0, 0x80, 0xC0]);
        dir.join(0x80 << 56, 0x80);
        dir.join(0, 0);
        assert_in_order(&dir, &[0]);
        assert_eq!((dir.depth(), dir.items.len()), (0, 1));
    }
}
