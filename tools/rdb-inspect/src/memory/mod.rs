//! How much memory a key takes once its file is loaded: in Redis 7.0, and in Everfast.
//!
//! ```text
//! KeyRecord ──> redis (which encoding, which allocations) ──> allocator (size classes) ──> bytes
//!          └──> everfast (record, page)                                                ──> bytes
//! ```
//!
//! The model of Redis adds up the heap blocks that 64-bit Redis 7.0 with default limits has for the key right after it has
//! loaded the file, each rounded up to the size class of jemalloc: the entry in the table of keys with its share of the
//! buckets, the key, the value, and the entry in the table of expiries. So the sum over all keys is what `used_memory`
//! grows by. `MEMORY USAGE` differs: it leaves out buckets and expiries, counts an object for integers that are shared,
//! and has a rough guess for streams.
//!
//! Not in the model: replication and client buffers, scripts, `activedefrag`, fragmentation, what later writes leave
//! unused, and the options `maxmemory` with LRU or LFU (which stops the sharing of small integers) and cluster mode
//! (16 bytes more for each key).
//!
//! Invariants:
//! 1. Memory does not grow with the key: elements are added up one at a time.
//! 2. Packed values are not looked into where their length is enough.

mod allocator;
mod dict;
mod everfast;
mod listpack;
mod rax;
mod redis;
mod stream;

#[cfg(test)]
mod calibration;

use formats::rdb::{Item, KeyRecord, RdbError, Scratch, ValueType};

pub use allocator::Allocator;
use redis::Redis;

/// What a key is and takes after loading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// As `OBJECT ENCODING` names it in Redis 7.0; `damaged` where the value cannot be read.
    pub encoding: &'static str,
    /// Items, members, fields or entries; 1 for a string or a module's value.
    pub elements: u64,
    pub redis_bytes: u64,
    pub everfast_bytes: u64,
}

/// A value apart from its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measure {
    encoding: &'static str,
    elements: u64,
    /// Of all blocks in Redis, the object itself included.
    redis_bytes: u64,
    /// Of the elements one after the other, with a few bytes of length each.
    packed_bytes: u64,
}

/// Estimates keys one after the other.
pub struct Model {
    redis: Redis,
    keys: Table,
    expires: Table,
    scratch: Scratch,
}

/// A hash table of keys: how much of its buckets is one key's.
#[derive(Clone, Copy)]
struct Table {
    bucket_share: u64,
}

impl Table {
    const BUCKET: u64 = 8;

    /// Buckets are a power of two, and at least as many as keys. Where the number of keys is not known, any number is
    /// as likely as its double: then there are 1 / ln 2 = 1.44 buckets for each.
    fn of(keys: Option<u64>) -> Table {
        let per_key = match keys.filter(|&keys| keys > 0) {
            Some(keys) => keys.checked_next_power_of_two().unwrap_or(1 << 63).max(4) as f64 / keys as f64,
            None => std::f64::consts::LOG2_E,
        };
        // A table of one key has four buckets.
        Table { bucket_share: (Self::BUCKET as f64 * per_key).round() as u64 }
    }
}

impl Model {
    pub fn new(allocator: Allocator) -> Model {
        Model {
            redis: Redis::new(allocator),
            keys: Table::of(None),
            expires: Table::of(None),
            scratch: Scratch::default(),
        }
    }

    /// To be shown every record that is no key: some say how many keys will follow, and with that how large the tables are.
    pub fn note(&mut self, item: &Item<'_>) {
        match *item {
            Item::SelectDb(_) => (self.keys, self.expires) = (Table::of(None), Table::of(None)),
            Item::ResizeDb { keys, expires } => {
                (self.keys, self.expires) = (Table::of(Some(keys)), Table::of(Some(expires)));
            }
            _ => {}
        }
    }

    /// What the key takes.
    ///
    /// # Errors
    /// If the value cannot be read; see [`Model::damaged`].
    #[inline]
    pub fn key(&mut self, record: &KeyRecord<'_>) -> Result<Footprint, RdbError> {
        let value = self.redis.value(&record.value, &mut self.scratch)?;
        Ok(self.footprint(record, value))
    }

    /// A guess for a key whose value cannot be read: as many bytes as in the file.
    pub fn damaged(&self, record: &KeyRecord<'_>) -> Footprint {
        let bytes = record.value.bytes.len() as u64;
        let value = Measure { encoding: "damaged", elements: 0, redis_bytes: bytes, packed_bytes: bytes };
        self.footprint(record, value)
    }

    #[inline]
    fn footprint(&self, record: &KeyRecord<'_>, value: Measure) -> Footprint {
        let key_length = record.key.len();
        let entry = self.redis.table_entry();
        let mut redis_bytes = value.redis_bytes + self.redis.key(key_length) + entry + self.keys.bucket_share;
        if record.expires_at_ms.is_some() {
            redis_bytes += entry + self.expires.bucket_share;
        }
        Footprint {
            encoding: value.encoding,
            elements: value.elements,
            redis_bytes,
            everfast_bytes: everfast::key(key_length, value.packed_bytes, record.expires_at_ms.is_some()),
        }
    }

    /// Bytes of the longest element of `record`, of a hash's field and value together; of what can be read of it.
    pub fn longest_element(&mut self, record: &KeyRecord<'_>) -> u64 {
        redis::longest_element(&record.value, &mut self.scratch)
    }
}

/// Whether Everfast stores the type yet. The others are estimated as if their elements were packed into one string.
pub fn everfast_stores(value_type: ValueType) -> bool {
    value_type == ValueType::String
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_shared_by_the_keys_there_are() {
        assert_eq!(Table::of(Some(1 << 20)).bucket_share, 8);
        assert_eq!(Table::of(Some((1 << 20) + 1)).bucket_share, 16);
        assert_eq!(Table::of(Some(1)).bucket_share, 32);
        assert_eq!(Table::of(None).bucket_share, 12);
        assert_eq!(Table::of(Some(u64::MAX)).bucket_share, 4, "a hostile count does no harm");
    }
}
