//! Finds keys again that were seen before, in a table of 16 bytes a key and in as many passes as its budget asks for.
//!
//! ```text
//! slot:  hash of database and key, 64 bits │ seen again 1 bit │ database 19 bits │ offset of the record 44 bits
//! ```
//!
//! Invariants:
//! 1. Equal hashes are only a hint: the caller compares keys.
//! 2. The hash has a seed of its own in every run, so that no file can be made to collide.
//! 3. Keys of one hash are in one partition: nothing need be compared across passes.
//! 4. Long names are hashed and compared in pieces: a compressed one is never unpacked whole.

use std::hash::{BuildHasher, RandomState};

use clap::Args;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, RdbString, Version};

use crate::content::PIECE_BYTES;
use crate::soundness::{digest, hash_with_seed};

use crate::select::parse_bytes;

/// Memory of a table unless the user says otherwise.
pub const DEFAULT_BUDGET: u64 = 48 << 20;
/// Fewer keys are never shared out over passes.
const LEAST_ROOM: u64 = 1024;
const OFFSET_BITS: u32 = 44;
const DB_BITS: u32 = 19;
const SEEN: u64 = 1 << 63;
const EMPTY: u64 = u64::MAX;
/// Room for so many slots per eight keys.
const SLOTS_PER_EIGHT: u64 = 12;

/// How large a table may be, from the command line.
#[derive(Args, Clone, Copy, Debug)]
pub struct TableMemory {
    /// Memory for the table of keys, 24 bytes a key; with less, more passes
    #[arg(long = "memory", value_name = "BYTES", value_parser = parse_bytes, default_value_t = DEFAULT_BUDGET)]
    pub bytes: u64,
}

#[cfg(test)]
impl Default for TableMemory {
    fn default() -> TableMemory {
        TableMemory { bytes: DEFAULT_BUDGET }
    }
}

/// Hashes keys with a seed of this run.
pub struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    pub fn new() -> KeyHasher {
        KeyHasher { seed: RandomState::new().hash_one(0) }
    }

    #[inline]
    pub fn hash(&self, record: &KeyRecord<'_>) -> Result<u64, RdbError> {
        hash_with_seed(record.key, self.seed ^ record.db.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// How keys are shared out over passes.
#[derive(Clone, Copy, Debug)]
pub struct Partitions {
    count: u64,
    keys_in_each: u64,
}

impl Partitions {
    /// So many that a table of each fits `budget` bytes.
    pub fn new(keys: u64, budget: u64) -> Partitions {
        let room = (budget / 16 * 8 / SLOTS_PER_EIGHT).max(LEAST_ROOM);
        let count = keys.div_ceil(room).max(1);
        Partitions { count, keys_in_each: keys.div_ceil(count) }
    }

    pub fn count(self) -> u64 {
        self.count
    }

    /// Taken from the low bits: the table uses the high ones.
    #[inline]
    pub fn of(self, hash: u64) -> u64 {
        ((hash & 0xFFFF_FFFF) * self.count) >> 32
    }

    pub fn table(self) -> KeyTable {
        let slots = self.keys_in_each.max(16) * SLOTS_PER_EIGHT / 8;
        KeyTable { slots: vec![Slot { hash: 0, place: EMPTY }; slots as usize], len: 0 }
    }
}

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub offset: u64,
    /// The database, modulo 2^19.
    pub db: u64,
}

impl Place {
    pub fn of(record: &KeyRecord<'_>) -> Place {
        Place { offset: record.offset, db: record.db & ((1 << DB_BITS) - 1) }
    }

    /// Reads the record again.
    pub fn record(self, file: &[u8], version: Version) -> Option<KeyRecord<'_>> {
        let mut decoder = Decoder::resume(file, self.offset as usize, version, self.db);
        match decoder.next_item() {
            Ok(Some(Item::Key(record))) => Some(record),
            _ => None,
        }
    }

    fn pack(self) -> u64 {
        self.offset & ((1 << OFFSET_BITS) - 1) | self.db << OFFSET_BITS
    }

    fn unpack(packed: u64) -> Place {
        let db = (packed & !SEEN) >> OFFSET_BITS;
        Place { offset: packed & ((1 << OFFSET_BITS) - 1), db }
    }
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    place: u64,
}

/// Keys of one partition, by hash.
pub struct KeyTable {
    slots: Vec<Slot>,
    len: usize,
}

impl KeyTable {
    pub fn clear(&mut self) {
        self.slots.fill(Slot { hash: 0, place: EMPTY });
        self.len = 0;
    }

    fn index(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> 64) as usize
    }

    pub fn insert(&mut self, hash: u64, place: Place) {
        if self.len * 10 >= self.slots.len() * 9 {
            self.grow();
        }
        self.put(Slot { hash, place: place.pack() });
        self.len += 1;
    }

    fn put(&mut self, slot: Slot) {
        let mut index = self.index(slot.hash);
        while self.slots[index].place != EMPTY {
            index = (index + 1) % self.slots.len();
        }
        self.slots[index] = slot;
    }

    fn grow(&mut self) {
        let larger = vec![Slot { hash: 0, place: EMPTY }; self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot.place != EMPTY {
                self.put(slot);
            }
        }
    }

    /// The first place with this hash for which `is_it` says yes, and whether it was found before; now it is.
    pub fn find(&mut self, hash: u64, mut is_it: impl FnMut(Place) -> bool) -> Option<(Place, bool)> {
        let mut index = self.index(hash);
        loop {
            let slot = self.slots[index];
            if slot.place == EMPTY {
                return None;
            }
            let place = Place::unpack(slot.place);
            if slot.hash == hash && is_it(place) {
                self.slots[index].place |= SEEN;
                return Some((place, slot.place & SEEN != 0));
            }
            index = (index + 1) % self.slots.len();
        }
    }

    /// Places that were never found, in the order of the file. Ends the use of the table until it is cleared.
    pub fn drain_unseen(&mut self) -> impl Iterator<Item = Place> {
        self.slots.sort_unstable_by_key(|slot| {
            if slot.place & SEEN == 0 { slot.place & ((1 << OFFSET_BITS) - 1) } else { u64::MAX }
        });
        self.slots.iter().take_while(|slot| slot.place & SEEN == 0).map(|slot| Place::unpack(slot.place))
    }
}

/// Compares the keys of records.
#[derive(Default)]
pub struct KeyComparer {
    buffers: [StringBuffer; 2],
    random: RandomState,
}

impl KeyComparer {
    /// Whether database and key are the same. Long names that are compressed are told apart by hashes of 128 bits.
    pub fn same(&mut self, place: Place, there: Option<KeyRecord<'_>>, record: &KeyRecord<'_>) -> bool {
        let Some(there) = there else { return false };
        place.db == Place::of(record).db && self.same_name(there.key, record.key).unwrap_or(false)
    }

    fn same_name(&mut self, a: RdbString<'_>, b: RdbString<'_>) -> Result<bool, RdbError> {
        if a.len() != b.len() {
            return Ok(false);
        }
        if let (RdbString::Raw(a), RdbString::Raw(b)) = (a, b) {
            return Ok(a == b);
        }
        if a.len() > PIECE_BYTES {
            let seed = self.random.hash_one(0);
            return Ok(digest(a, seed)? == digest(b, seed)?);
        }
        let [first, second] = &mut self.buffers;
        Ok(a.bytes(first)? == b.bytes(second)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_found_once_and_the_rest_is_left() {
        let mut table = Partitions::new(4, 1 << 20).table();
        let hash = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for i in 0..1000 {
            table.insert(hash(i), Place { offset: 5000 - i, db: i % 16 });
        }
        for i in (0..1000).filter(|i| i % 3 != 0) {
            let place = Place { offset: 5000 - i, db: i % 16 };
            assert_eq!(table.find(hash(i), |found| found == place), Some((place, false)));
            assert_eq!(table.find(hash(i), |found| found == place), Some((place, true)));
        }
        assert_eq!(table.find(hash(1), |_| false), None);
        let left: Vec<u64> = table.drain_unseen().map(|place| place.offset).collect();
        let expected: Vec<u64> = (0..1000).rev().filter(|i| i % 3 == 0).map(|i| 5000 - i).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn partitions_cover_all_hashes() {
        let partitions = Partitions::new(10_000_000, DEFAULT_BUDGET);
        assert!(partitions.count() > 1);
        assert_eq!(partitions.of(0), 0);
        assert_eq!(partitions.of(u64::MAX), partitions.count() - 1);
    }
}
