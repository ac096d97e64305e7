//! The blocks that Redis 7.0 allocates for a value, once it has loaded it.
//!
//! Which encoding a value gets depends on what the file says and on the limits, which are taken to be the default ones:
//!
//! | type | form in the file | after loading |
//! |---|---|---|
//! | string | any | `int` if it is an integer of 64 bits (0 to 9999 are shared: no block at all), `embstr` up to 44 bytes, else `raw` |
//! | list | any | `quicklist`: nodes as in the file, or of 8 KiB where it has none of the present kind |
//! | set | intset | `intset` up to 512 members, else `hashtable` |
//! | set | other | `intset` if all are integers and there are at most 512, else `hashtable` |
//! | hash | listpack, ziplist | `listpack` up to 512 fields, else `hashtable` |
//! | hash | other | `listpack` up to 512 fields of at most 64 bytes, else `hashtable` |
//! | zset | listpack, ziplist | `listpack` up to 128 members, else `skiplist` |
//! | zset | other | `listpack` up to 128 members of at most 64 bytes, else `skiplist` |
//!
//! What Redis 7.0 cannot load, such as fields that expire, is taken as what it would be without that.
//!
//! Sources: Redis' `server.h`, `sds.h`, `dict.h`, `quicklist.h`, `rdb.c`.

use formats::rdb::listpack::Listpack;
use formats::rdb::string::StringBuffer;
use formats::rdb::value::ModulePart;
use formats::rdb::{Element, Node, RdbError, RdbString, Scratch, Value, ValueKind, ValueType};

use super::dict::{Growing, buckets};
use super::listpack::{HEAD_AND_END, entry, integer_of, intset_width, score_entry};
use super::{Allocator, Measure};

/// A value's object.
pub(super) const OBJECT: u64 = 16;
const DICT: u64 = 56;
const DICT_ENTRY: u64 = 24;
const QUICKLIST: u64 = 40;
const QUICKLIST_NODE: u64 = 40;
/// A sorted set's pair of table and list, the list, and its head of 32 levels.
const ZSET: u64 = 16;
const SKIPLIST: u64 = 32;
const SKIPLIST_HEAD: u64 = 24 + 32 * SKIPLIST_LEVEL;
const SKIPLIST_LEVEL: u64 = 16;
const INTSET_HEAD: u64 = 8;
const MODULE_VALUE: u64 = 16;

const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const EMBEDDED_BYTES: usize = 44;
const HASH_LISTPACK_ENTRIES: u64 = 512;
const ZSET_LISTPACK_ENTRIES: u64 = 128;
const LISTPACK_ELEMENT: usize = 64;
const INTSET_ENTRIES: u64 = 512;
/// Bytes of a list's node, and what Redis adds to an element when it asks whether there is room.
const NODE_BYTES: u64 = 8192;
const NODE_OVERHEAD: u64 = 8;

/// Sizes for one allocator.
pub(super) struct Redis {
    allocator: Allocator,
    /// For blocks that hold one structure; `MEMORY USAGE` counts those without slack.
    structures: Allocator,
    /// Mean block of a skip list's node.
    skiplist_node: f64,
}

impl Redis {
    pub(super) fn new(allocator: Allocator) -> Redis {
        Redis::with_structures(allocator, allocator)
    }

    pub(super) fn with_structures(allocator: Allocator, structures: Allocator) -> Redis {
        // A node has one level, and one more with a probability of a quarter, again and again.
        let block = |levels: i32| allocator.class(24 + levels as u64 * SKIPLIST_LEVEL) as f64;
        let skiplist_node = (1..=32).map(|levels| 0.75 * 0.25f64.powi(levels - 1) * block(levels)).sum();
        Redis { allocator, structures, skiplist_node }
    }

    #[inline]
    pub(super) fn class(&self, bytes: u64) -> u64 {
        self.allocator.class(bytes)
    }

    #[inline]
    pub(super) fn structure(&self, bytes: u64) -> u64 {
        self.structures.class(bytes)
    }

    /// A string with its head: how wide that is depends on the length.
    #[inline]
    pub(super) fn sds(&self, length: usize) -> u64 {
        let head = match length {
            1..32 => 1,
            0..256 => 3,
            256..0x1_0000 => 5,
            0x1_0000..0x1_0000_0000 => 9,
            _ => 17,
        };
        self.class(head + length as u64 + 1)
    }

    pub(super) fn key(&self, length: usize) -> u64 {
        self.sds(length)
    }

    pub(super) fn table_entry(&self) -> u64 {
        self.structure(DICT_ENTRY)
    }

    #[inline]
    pub(super) fn value(&self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Measure, RdbError> {
        match value.string() {
            Some(string) => Ok(self.string(&string)),
            None => self.collection(value, scratch),
        }
    }

    #[inline]
    fn string(&self, string: &RdbString<'_>) -> Measure {
        let length = string.len();
        let (encoding, redis_bytes) = match integer_of(string) {
            Some(number) if SHARED_INTEGERS.contains(&number) => ("int", 0),
            Some(_) => ("int", self.structure(OBJECT)),
            None if length <= EMBEDDED_BYTES => ("embstr", self.class(OBJECT + 3 + length as u64 + 1)),
            None => ("raw", self.structure(OBJECT) + self.sds(length)),
        };
        Measure { encoding, elements: 1, redis_bytes, packed_bytes: length as u64 }
    }

    fn collection(&self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Measure, RdbError> {
        use ValueKind::{HashListpack, ListQuicklist2, SetIntset, SortedSetListpack};
        let limit = match value.kind {
            HashListpack => HASH_LISTPACK_ENTRIES,
            SortedSetListpack => ZSET_LISTPACK_ENTRIES,
            SetIntset => INTSET_ENTRIES,
            ListQuicklist2 => return self.quicklist_as_it_is(value, scratch),
            _ => 0,
        };
        if limit > 0 {
            let elements = value.count(scratch)?;
            if elements <= limit {
                return self.packed_as_it_is(value, elements);
            }
        }
        match value.value_type() {
            ValueType::Stream => self.stream(value),
            ValueType::List => self.list(value, scratch),
            ValueType::Module | ValueType::String => Ok(self.module(value)),
            _ => self.elements(value, scratch),
        }
    }

    /// A packed value that is loaded as it stands in the file.
    fn packed_as_it_is(&self, value: &Value<'_>, elements: u64) -> Result<Measure, RdbError> {
        let mut packed_bytes = 0;
        value.for_each_node(|node| {
            if let Node::Packed(blob) = node {
                packed_bytes += blob.len() as u64;
            }
        })?;
        let encoding = if value.kind == ValueKind::SetIntset { "intset" } else { "listpack" };
        let redis_bytes = self.structure(OBJECT) + self.class(packed_bytes);
        Ok(Measure { encoding, elements, redis_bytes, packed_bytes })
    }

    fn quicklist_as_it_is(&self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Measure, RdbError> {
        let mut buffer = StringBuffer::default();
        let (mut elements, mut packed_bytes) = (Some(0), 0);
        let mut redis_bytes = self.structure(OBJECT) + self.structure(QUICKLIST);
        value.for_each_node(|node| {
            let (count, bytes) = match node {
                Node::Packed(blob) => (entries(&blob, &mut buffer), blob.len() as u64),
                Node::Plain(blob) | Node::Stream { listpack: blob, .. } => (Some(1), blob.len() as u64),
            };
            elements = elements.zip(count).map(|(sum, count)| sum + count);
            packed_bytes += bytes;
            redis_bytes += self.structure(QUICKLIST_NODE) + self.class(bytes);
        })?;
        let elements = match elements {
            Some(elements) => elements,
            None => value.count(scratch)?,
        };
        Ok(Measure { encoding: "quicklist", elements, redis_bytes, packed_bytes })
    }

    /// A list whose elements are added one after the other.
    fn list(&self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Measure, RdbError> {
        let (mut elements, mut packed_bytes, mut node) = (0, 0, 0);
        let mut redis_bytes = self.structure(OBJECT) + self.structure(QUICKLIST);
        let block = |node: u64| if node > 0 { self.structure(QUICKLIST_NODE) + self.class(node) } else { 0 };
        value.for_each(scratch, |element| {
            let Element::ListItem(item) = element else { return Ok(()) };
            elements += 1;
            if node == 0 || node + item.len() as u64 + NODE_OVERHEAD > NODE_BYTES {
                redis_bytes += block(node);
                packed_bytes += node;
                node = HEAD_AND_END;
            }
            node += entry(&item);
            Ok::<_, RdbError>(())
        })?;
        redis_bytes += block(node);
        packed_bytes += node;
        Ok(Measure { encoding: "quicklist", elements, redis_bytes, packed_bytes })
    }

    fn module(&self, value: &Value<'_>) -> Measure {
        let packed_bytes = value.bytes.len() as u64;
        let redis_bytes = self.structure(OBJECT) + self.structure(MODULE_VALUE) + packed_bytes;
        Measure { encoding: "module", elements: 1, redis_bytes, packed_bytes }
    }

    /// A set, hash or sorted set whose elements have to be looked at.
    fn elements(&self, value: &Value<'_>, scratch: &mut Scratch) -> Result<Measure, RdbError> {
        let mut sums = Sums::of(self);
        value.for_each(scratch, |element| {
            sums.add(&element);
            Ok::<_, RdbError>(())
        })?;
        let packs_long_elements = matches!(value.kind, ValueKind::HashZiplist | ValueKind::SortedSetZiplist);
        let packs = packs_long_elements || sums.before_long.is_none();
        Ok(match value.value_type() {
            ValueType::Set if sums.before_text.is_none() && sums.count <= INTSET_ENTRIES => sums.intset(),
            ValueType::Set => sums.set(value.kind),
            ValueType::SortedSet if packs && sums.count <= ZSET_LISTPACK_ENTRIES => sums.listpack(),
            ValueType::SortedSet => sums.skiplist(),
            _ if packs && sums.count <= HASH_LISTPACK_ENTRIES => sums.listpack(),
            _ => sums.hash(value.kind),
        })
    }

    /// A table and its entries, without what they hold.
    fn dict(&self, elements: u64, buckets: u64) -> u64 {
        self.structure(DICT) + buckets + elements * self.structure(DICT_ENTRY)
    }
}

/// Entries of a listpack, where its head knows them.
fn entries(blob: &RdbString<'_>, buffer: &mut StringBuffer) -> Option<u64> {
    let listpack = Listpack::new(blob.bytes(buffer).ok()?).ok()?;
    listpack.count().map(|count| count as u64)
}

/// What has to be known of the elements to tell which encoding they get and what they take in it.
struct Sums<'r> {
    redis: &'r Redis,
    count: u64,
    /// Blocks of all strings, each by itself.
    strings: u64,
    /// Entries of all in one listpack.
    packed: u64,
    /// Elements before the first that is too long to be packed.
    before_long: Option<u64>,
    /// Elements before the first that is no integer.
    before_text: Option<u64>,
    /// Bytes for each in an intset.
    integer_width: u64,
}

impl<'r> Sums<'r> {
    fn of(redis: &'r Redis) -> Sums<'r> {
        Sums {
            redis,
            count: 0,
            strings: 0,
            packed: 0,
            before_long: None,
            before_text: None,
            integer_width: 2,
        }
    }

    #[inline]
    fn add(&mut self, element: &Element<'_>) {
        match element {
            Element::SetMember(member) => {
                self.string(member);
                match integer_of(member) {
                    Some(number) => self.integer_width = self.integer_width.max(intset_width(number)),
                    None => self.before_text = self.before_text.or(Some(self.count)),
                }
            }
            Element::SortedSetMember { member, score } => {
                self.string(member);
                if self.count <= ZSET_LISTPACK_ENTRIES {
                    self.packed += score_entry(*score);
                } else {
                    self.packed += 10; // beyond what may be packed, what a score is at most will do
                }
            }
            Element::HashField { field, value, .. } => {
                self.string(field);
                self.string(value);
            }
            _ => return,
        }
        self.count += 1;
    }

    #[inline]
    fn string(&mut self, string: &RdbString<'_>) {
        let length = string.len();
        self.strings += self.redis.sds(length);
        self.packed += entry(string);
        if length > LISTPACK_ELEMENT {
            self.before_long = self.before_long.or(Some(self.count));
        }
    }

    fn measure(&self, encoding: &'static str, blocks: u64) -> Measure {
        Measure {
            encoding,
            elements: self.count,
            redis_bytes: self.redis.structure(OBJECT) + blocks,
            packed_bytes: HEAD_AND_END + self.packed,
        }
    }

    fn listpack(&self) -> Measure {
        self.measure("listpack", self.redis.class(HEAD_AND_END + self.packed))
    }

    fn intset(&self) -> Measure {
        self.measure("intset", self.redis.class(INTSET_HEAD + self.count * self.integer_width))
    }

    fn hash(&self, kind: ValueKind) -> Measure {
        let mut table = Growing::with(0);
        match self.before_long {
            // It starts as a listpack, and is told about the remaining fields when that ends.
            Some(before) if kind == ValueKind::Hash && self.count <= HASH_LISTPACK_ENTRIES => {
                table = Growing::with(before);
                table.add();
                table.reserve(self.count - before - 1);
                (before + 1..self.count).for_each(|_| table.add());
            }
            _ => table.reserve(self.count),
        }
        self.table(&table)
    }

    fn set(&self, kind: ValueKind) -> Measure {
        let mut table = Growing::with(0);
        match self.before_text {
            // It starts as an intset.
            Some(before) if kind == ValueKind::Set && self.count <= INTSET_ENTRIES => {
                table = Growing::with(before);
                table.reserve(self.count);
                (before..self.count).for_each(|_| table.add());
            }
            _ => table.reserve(self.count),
        }
        self.table(&table)
    }

    fn table(&self, table: &Growing) -> Measure {
        let buckets = table.bytes(self.redis.allocator);
        self.measure("hashtable", self.redis.dict(self.count, buckets) + self.strings)
    }

    fn skiplist(&self) -> Measure {
        let structure = |bytes| self.redis.structure(bytes);
        let nodes = (self.count as f64 * self.redis.skiplist_node).round() as u64;
        let buckets = buckets(self.count, self.redis.allocator);
        let list = structure(ZSET) + structure(SKIPLIST) + self.redis.class(SKIPLIST_HEAD) + nodes;
        self.measure("skiplist", list + self.redis.dict(self.count, buckets) + self.strings)
    }
}

/// Bytes of the longest element, of a hash's field and value together; of what can be read.
pub(super) fn longest_element(value: &Value<'_>, scratch: &mut Scratch) -> u64 {
    let mut longest = 0;
    let _damage = value.for_each(scratch, |element| {
        let length = match element {
            Element::String(string) | Element::ListItem(string) | Element::SetMember(string) => string.len(),
            Element::SortedSetMember { member, .. } => member.len(),
            Element::HashField { field, value, .. } => field.len() + value.len(),
            Element::StreamEntry { fields, .. } => {
                fields.map(|(field, value)| field.len() + value.len()).sum()
            }
            Element::ModulePart(ModulePart::String(string)) => string.len(),
            _ => 0,
        };
        longest = longest.max(length as u64);
        Ok::<_, RdbError>(())
    });
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(kind: ValueKind, bytes: &[u8]) -> Measure {
        let redis = Redis::new(Allocator::Bundled);
        redis.value(&Value { kind, bytes, offset: 0 }, &mut Scratch::default()).unwrap()
    }

    fn strings(count: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0x40 | (count >> 8) as u8, count as u8];
        for i in 0..count {
            bytes.extend_from_slice(&[0x40 | (length >> 8) as u8, length as u8]);
            bytes.extend_from_slice(format!("{i:x>length$}").as_bytes());
        }
        bytes
    }

    #[test]
    fn strings_are_integers_embedded_or_apart() {
        for (text, encoding, bytes) in [
            ("9999", "int", 0),
            ("10000", "int", 16),
            ("-1", "int", 16),
            ("", "embstr", 24),
            ("a", "embstr", 24),
            (&"x".repeat(44), "embstr", 64),
            (&"x".repeat(45), "raw", 16 + 56),
            ("12345678901234567890", "embstr", 40),
        ] {
            let mut value = vec![text.len() as u8];
            value.extend_from_slice(text.as_bytes());
            let measure = measure(ValueKind::String, &value);
            assert_eq!((measure.encoding, measure.redis_bytes), (encoding, bytes), "{text}");
        }
    }

    #[test]
    fn limits_choose_the_encoding() {
        let hash = |fields: usize, length| {
            let mut bytes = strings(2 * fields, length);
            bytes[..2].copy_from_slice(&[0x40 | (fields >> 8) as u8, fields as u8]);
            measure(ValueKind::Hash, &bytes)
        };
        assert_eq!((hash(512, 64).encoding, hash(512, 64).elements), ("listpack", 512));
        assert_eq!((hash(513, 64).encoding, hash(513, 64).elements), ("hashtable", 513));
        assert_eq!(hash(1, 65).encoding, "hashtable");
        assert_eq!(measure(ValueKind::Set, &strings(3, 5)).encoding, "hashtable");
        assert_eq!(measure(ValueKind::Set, &[2, 1, b'1', 2, b'-', b'7']).encoding, "intset");
        assert_eq!(measure(ValueKind::List, &strings(200, 60)).elements, 200);
        // A node has room for 131 entries of 62 bytes; four are left for the next.
        let list = |items| measure(ValueKind::List, &strings(items, 60)).redis_bytes;
        assert_eq!(list(131), 16 + 40 + 40 + 8192);
        assert_eq!(list(135), 16 + 40 + 2 * 40 + 8192 + 256);
    }
}
