//! A hash index from command names, in either case, to row numbers.
//!
//! Open addressing over a table four times as large as it needs to be: nearly every look-up is one probe. A name is taken
//! as two words, its first and its last bytes, which together are the whole name; so is it hashed and compared.
//! It is built once and never changes.

/// No row.
const EMPTY: u16 = u16::MAX;
/// Longest name: what two words hold.
const MAX_NAME: usize = 16;
/// The bit that tells lower case from upper case.
const LOWER: u64 = 0x2020_2020_2020_2020;

pub(super) struct Index {
    /// The length is a power of two.
    slots: Box<[Slot]>,
}

#[derive(Clone, Copy)]
struct Slot {
    folded: Folded,
    row: u16,
    name: &'static str,
    /// The name consists of letters: what folds into the same is the same, in either case.
    is_letters: bool,
}

impl Index {
    /// `names` are distinct and in lower case, and no longer than 16 bytes.
    pub fn new(names: &[(&'static str, u16)]) -> Index {
        let empty = Slot { folded: Folded::of(b""), row: EMPTY, name: "", is_letters: true };
        let mut index = Index { slots: vec![empty; (names.len() * 4).next_power_of_two()].into() };
        for &(name, row) in names {
            assert!(name.len() <= MAX_NAME, "{name} is too long for the index");
            let folded = Folded::of(name.as_bytes());
            let mut slot = index.first_slot(folded);
            while index.slots[slot].row != EMPTY {
                slot = index.next_slot(slot);
            }
            let is_letters = name.bytes().all(|byte| byte.is_ascii_lowercase());
            index.slots[slot] = Slot { folded, row, name, is_letters };
        }
        index
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u16> {
        let folded = Folded::of(name);
        let mut slot = self.first_slot(folded);
        loop {
            let known = &self.slots[slot];
            if known.row == EMPTY {
                return None;
            }
            if known.folded == folded
                && (known.is_letters || known.name.as_bytes().eq_ignore_ascii_case(name))
            {
                return Some(known.row);
            }
            slot = self.next_slot(slot);
        }
    }

    #[inline]
    fn first_slot(&self, folded: Folded) -> usize {
        // The highest bits of a product depend on all bits of its factors.
        let hash = (folded.first.rotate_left(7) ^ folded.last).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[inline]
    fn next_slot(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

/// A name without case: its first and last eight bytes, which may overlap, and its length. What folds into the same as a
/// name of letters is that name, in either case; among other bytes some fold onto each other.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Folded {
    first: u64,
    last: u64,
    length: usize,
}

impl Folded {
    #[inline]
    fn of(name: &[u8]) -> Folded {
        let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => (name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
            },
        };
        Folded { first: first | LOWER, last: last | LOWER, length: name.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 9] =
        ["a", "if", "get", "mget", "psetex", "randomkey", "getkeysandflags", "a_b", "restore-asking"];

    fn index() -> Index {
        let numbered: Vec<_> = NAMES.iter().enumerate().map(|(row, name)| (*name, row as u16)).collect();
        Index::new(&numbered)
    }

    #[test]
    fn names_are_found_in_either_case() {
        for (row, name) in NAMES.iter().enumerate() {
            assert_eq!(index().find(name.as_bytes()), Some(row as u16));
            assert_eq!(index().find(name.to_uppercase().as_bytes()), Some(row as u16), "{name}");
        }
    }

    #[test]
    fn nothing_else_is_found() {
        let index = index();
        for name in NAMES {
            for at in 0..name.len() {
                for byte in 0..=u8::MAX {
                    let mut other = name.as_bytes().to_vec();
                    other[at] = byte;
                    let same = other.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(index.find(&other).is_some(), same, "{}", other.escape_ascii());
                }
            }
            assert_eq!(index.find(format!("{name}x").as_bytes()), None);
            assert_eq!(index.find(format!("x{name}").as_bytes()), None);
        }
        assert_eq!(index.find(b""), None);
        assert_eq!(index.find(&[b'g'; 70_000]), None);
    }
}
