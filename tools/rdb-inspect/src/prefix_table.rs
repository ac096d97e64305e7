//! Counts keys by their first prefix, in a table of limited size.
//!
//! Beside [`prefix_tree`](crate::prefix_tree), which parts names at several places and weighs their types: here a separator
//! may be longer than a byte, keys without one are told from those whose prefix was dropped, and a key costs one look into
//! a flat table, so that it can be counted while a file is read at full speed.
//!
//! Invariants:
//! 1. [`MOST_PREFIXES`] prefixes are kept, of [`LONGEST_PREFIX`] bytes at most.
//! 2. The sums over all prefixes, those kept and "other", are exact. Where more prefixes than are kept came, the number of
//!    a single one may be too small, because it was dropped and came again: then [`PrefixTable::is_exact`] says so.

use formats::rdb::string::StringBuffer;
use xxhash_rust::xxh3::xxh3_64;

use crate::content::PIECE_BYTES;
use crate::histogram::Tally;

/// PrefixTable that are kept.
const MOST_PREFIXES: usize = 4096;
/// Slots of the table: half of them stay free.
const SLOTS: usize = 2 * MOST_PREFIXES;
/// Longer prefixes are not counted by themselves.
const LONGEST_PREFIX: usize = 128;

struct Slot {
    hash: u64,
    name: Box<[u8]>,
    sum: Tally,
}

pub struct PrefixTable {
    separator: Box<[u8]>,
    slots: Vec<Option<Slot>>,
    count: usize,
    /// Keys without a separator near their start.
    pub none: Tally,
    /// Keys whose prefix was dropped.
    pub other: Tally,
    pub is_exact: bool,
    buffer: StringBuffer,
}

impl PrefixTable {
    /// A prefix ends with the first `separator`.
    pub fn new(separator: &[u8]) -> PrefixTable {
        PrefixTable {
            separator: separator.into(),
            slots: std::iter::repeat_with(|| None).take(SLOTS).collect(),
            count: 0,
            none: Tally::default(),
            other: Tally::default(),
            is_exact: true,
            buffer: StringBuffer::default(),
        }
    }

    /// Counts a key that takes `bytes` in the file. One whose name cannot be read has no prefix.
    #[inline]
    pub fn add(&mut self, key: formats::rdb::RdbString<'_>, bytes: u64) {
        if key.len() > PIECE_BYTES {
            return self.none.add(bytes);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let name = key.bytes(&mut buffer).unwrap_or_default();
        match prefix(name, &self.separator) {
            Some(prefix) => self.add_prefix(prefix, bytes),
            None => self.none.add(bytes),
        }
        self.buffer = buffer;
    }

    #[inline]
    fn add_prefix(&mut self, prefix: &[u8], bytes: u64) {
        let hash = xxh3_64(prefix);
        let mut at = hash as usize % SLOTS;
        loop {
            match &mut self.slots[at] {
                Some(slot) if slot.hash == hash && *slot.name == *prefix => return slot.sum.add(bytes),
                Some(_) => at = (at + 1) % SLOTS,
                None => break,
            }
        }
        if self.count == MOST_PREFIXES {
            self.drop_smaller_half();
            return self.add_prefix(prefix, bytes);
        }
        self.slots[at] = Some(Slot { hash, name: prefix.into(), sum: Tally { count: 1, bytes } });
        self.count += 1;
    }

    fn drop_smaller_half(&mut self) {
        self.is_exact = false;
        let mut slots: Vec<Slot> = self.slots.iter_mut().filter_map(Option::take).collect();
        slots.sort_unstable_by_key(|slot| std::cmp::Reverse((slot.sum.bytes, slot.sum.count)));
        for dropped in slots.drain(MOST_PREFIXES / 2..) {
            self.other.merge(dropped.sum);
        }
        self.count = slots.len();
        for slot in slots {
            let mut at = slot.hash as usize % SLOTS;
            while self.slots[at].is_some() {
                at = (at + 1) % SLOTS;
            }
            self.slots[at] = Some(slot);
        }
    }

    /// Number of prefixes that are kept.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The prefixes with most bytes.
    pub fn top(&self, count: usize) -> Vec<(&[u8], Tally)> {
        let mut all: Vec<_> = self.slots.iter().flatten().map(|slot| (&*slot.name, slot.sum)).collect();
        all.sort_unstable_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }
}

/// The name up to the first separator, with it.
#[inline]
fn prefix<'n>(name: &'n [u8], separator: &[u8]) -> Option<&'n [u8]> {
    let near = &name[..name.len().min(LONGEST_PREFIX)];
    let at = match separator {
        [byte] => near.iter().position(|other| other == byte)?,
        [] => return None,
        _ => near.windows(separator.len()).position(|window| window == separator)?,
    };
    Some(&near[..at + separator.len()])
}

#[cfg(test)]
mod tests {
    use formats::rdb::RdbString;

    use super::*;

    #[test]
    fn a_prefix_ends_with_the_first_separator() {
        assert_eq!(prefix(b"user:1:name", b":"), Some(&b"user:"[..]));
        assert_eq!(prefix(b"user--1--name", b"--"), Some(&b"user--"[..]));
        assert_eq!(prefix(b"user", b":"), None);
        assert_eq!(prefix(b"user", b""), None);
        assert_eq!(prefix(&[b'x'; 1000], b":"), None);
    }

    #[test]
    fn sums_are_exact_when_prefixes_are_dropped() {
        let mut prefixes = PrefixTable::new(b":");
        for i in 0..20_000u32 {
            prefixes.add(RdbString::Raw(format!("rare{i}:x").as_bytes()), 10);
            prefixes.add(RdbString::Raw(b"often:x"), 10);
        }
        assert!(!prefixes.is_exact && prefixes.len() <= MOST_PREFIXES);
        assert_eq!(prefixes.top(1), [(&b"often:"[..], Tally { count: 20_000, bytes: 200_000 })]);
        let kept: u64 = prefixes.top(usize::MAX).iter().map(|(_, sum)| sum.count).sum();
        assert_eq!(kept + prefixes.other.count, 40_000);
    }
}
