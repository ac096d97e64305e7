//! A hash index from command names, in either case, to row numbers.
//!
//! Open addressing over a table four times as large as it needs to be: nearly every look-up is one probe and one
//! comparison. It is built once and never changes.

/// No row.
const EMPTY: u16 = u16::MAX;

pub(super) struct Index {
    /// Row and name by slot; the length is a power of two.
    slots: Box<[(u16, &'static str)]>,
}

impl Index {
    /// `names` are distinct and in lower case.
    pub fn new(names: &[(&'static str, u16)]) -> Index {
        let mut index = Index { slots: vec![(EMPTY, ""); (names.len() * 4).next_power_of_two()].into() };
        for &(name, row) in names {
            let mut slot = index.first_slot(name.as_bytes());
            while index.slots[slot].0 != EMPTY {
                slot = index.next_slot(slot);
            }
            index.slots[slot] = (row, name);
        }
        index
    }

    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<u16> {
        let mut slot = self.first_slot(name);
        loop {
            let (row, known) = self.slots[slot];
            if row == EMPTY {
                return None;
            }
            if known.as_bytes().eq_ignore_ascii_case(name) {
                return Some(row);
            }
            slot = self.next_slot(slot);
        }
    }

    #[inline]
    fn first_slot(&self, name: &[u8]) -> usize {
        // The highest bits of a product depend on all bits of its factors.
        let hash = folded(name).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[inline]
    fn next_slot(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }
}

/// The ends of a name and its length in one number, without case.
#[inline]
fn folded(name: &[u8]) -> u64 {
    let ends = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => lower(*first).rotate_left(7) ^ lower(*last),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => lower_half(*first) << 32 | lower_half(*last),
            _ => name.iter().fold(0, |ends, &byte| ends << 8 | u64::from(byte | 0x20)),
        },
    };
    ends ^ (name.len() as u64) << 56
}

/// Eight letters in lower case; the few other bytes that change with them only cost a comparison.
#[inline]
fn lower(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes) | 0x2020_2020_2020_2020
}

#[inline]
fn lower_half(bytes: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(bytes) | 0x2020_2020)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case_and_nothing_else() {
        let names = ["a", "if", "get", "mget", "psetex", "randomkey", "getkeysandflags"];
        let numbered: Vec<_> = names.iter().enumerate().map(|(row, name)| (*name, row as u16)).collect();
        let index = Index::new(&numbered);
        for (name, row) in numbered {
            assert_eq!(index.find(name.as_bytes()), Some(row));
            assert_eq!(index.find(name.to_uppercase().as_bytes()), Some(row), "{name}");
            let mut longer = name.as_bytes().to_vec();
            longer.push(b'x');
            assert_eq!(index.find(&longer), None);
            assert_eq!(index.find(&longer[1..]), None);
        }
        assert_eq!(index.find(b""), None);
        assert_eq!(index.find(&[b'g'; 70_000]), None);
    }
}
