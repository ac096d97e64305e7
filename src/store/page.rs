//! A page: at most 64 records, packed without gaps, and what finds them.
//!
//! ```text
//! one block of 256 bytes with the reference count          one growing block
//! +------+--------+--------+----------+--------+------+     +--------+--------+-----+--------+-------+
//! | data | beside | ends   | tags     | starts | count|     | record | record | ... | record | slack |
//! | 24 B | 8 B    | 8 B    | 64 x u8  | 64xu16 | 1 B  |     +--------+--------+-----+--------+-------+
//! +------+--------+--------+----------+--------+------+     0        starts[1]
//! ```
//!
//! Invariants:
//! 1. `starts[0] == 0`, `starts` ascends in `0..count`, and a record ends where the next starts or `data` ends.
//! 2. A change of size moves the bytes behind it: no garbage, no compaction, no tombstones.
//! 3. `ends` is the earliest expiry of this page's own records, exactly, or `u64::MAX`.
//! 4. Each object beside the page belongs to one record.
//! 5. [`MAX_BYTES`] is where a page asks to be split. `data` may pass it by one `expire_at` per record, and by no more,
//!    so that starts fit in 16 bits.
//! 6. Only a page that no split can relieve (equal hashes) has a `next`.

use triomphe::Arc;

use super::record::{self, EXPIRY, NewRecord, Record, Stored};
use super::value::{Entry, Object, ValueRef};

/// Records of one page.
pub(super) const MAX_RECORDS: usize = 64;
/// A page that would hold more bytes of records is split.
pub(super) const MAX_BYTES: usize = 6144;
/// What the page takes itself, with its reference count.
const BLOCK_BYTES: usize = 256;
const NEVER: u64 = u64::MAX;

const _: () = assert!(size_of::<Page>() + size_of::<usize>() <= BLOCK_BYTES);
const _: () = assert!(MAX_BYTES + MAX_RECORDS * EXPIRY + record::MAX_RECORD <= u16::MAX as usize);

// The order of the fields keeps what every lookup reads, the header and the tags, in one pair of cache lines.
#[repr(C)]
pub(super) struct Page {
    data: Vec<u8>,
    beside: Option<Box<Beside>>,
    ends: u64,
    count: u8,
    tags: [u8; MAX_RECORDS],
    starts: [u16; MAX_RECORDS],
}

/// What few pages have.
#[derive(Clone, Default)]
struct Beside {
    objects: Vec<Option<Object>>,
    next: Option<Arc<Page>>,
    object_bytes: usize,
}

/// A record of a page: the number of `next`s to follow, and the slot there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    level: u32,
    slot: u8,
}

impl Default for Page {
    fn default() -> Self {
        Page { data: Vec::new(), beside: None, ends: NEVER, count: 0, tags: [0; 64], starts: [0; 64] }
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        // A copy is made to be written to: room like that of the original spares it a second copy.
        let mut data = Vec::with_capacity(self.data.capacity());
        data.extend_from_slice(&self.data);
        Page { data, beside: self.beside.clone(), ..*self }
    }
}

// Reading.
impl Page {
    /// An empty page with room for `bytes` of records.
    pub(super) fn with_room(bytes: usize) -> Page {
        Page { data: Vec::with_capacity(size_class(bytes)), ..Page::default() }
    }

    /// Finds the record of `key`, whose hash has this tag.
    #[inline]
    pub(super) fn find(&self, tag: u8, key: &[u8]) -> Option<Spot> {
        let (mut page, mut level) = (self, 0);
        loop {
            if let Some(slot) = page.find_slot(tag, key) {
                return Some(Spot { level, slot });
            }
            page = page.next()?;
            level += 1;
        }
    }

    #[inline]
    fn find_slot(&self, tag: u8, key: &[u8]) -> Option<u8> {
        let mut candidates = equal_tags(&self.tags, tag);
        while candidates != 0 {
            let slot = slot_of_bit(candidates.trailing_zeros() as usize);
            if slot < self.count as usize && self.has_key(slot, key) {
                return Some(slot as u8);
            }
            candidates &= candidates - 1;
        }
        None
    }

    #[inline]
    fn has_key(&self, slot: usize, key: &[u8]) -> bool {
        if record::key_stands_inside(key) {
            return record::has_inline_key(&self.data[self.starts[slot] as usize..], key);
        }
        matches!(self.record(slot).key(), Stored::Outside(_)) && self.entry_at(slot).key == key
    }

    pub(super) fn entry(&self, spot: Spot) -> Entry<'_> {
        self.level(spot.level).entry_at(spot.slot as usize)
    }

    /// The object of a value that stands outside.
    pub(super) fn object(&self, spot: Spot) -> Option<&Object> {
        let page = self.level(spot.level);
        match page.record(spot.slot as usize).value() {
            Stored::Outside(number) => Some(page.object_at(number)),
            Stored::Inline(_) => None,
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.levels().flat_map(|page| (0..page.count as usize).map(move |slot| page.entry_at(slot)))
    }

    /// The entry at place `n` of [`Page::entries`].
    pub(super) fn nth(&self, mut n: usize) -> Option<Entry<'_>> {
        for page in self.levels() {
            if n < page.count as usize {
                return Some(page.entry_at(n));
            }
            n -= page.count as usize;
        }
        None
    }

    /// Records, those of all `next`s included.
    pub(super) fn len(&self) -> usize {
        self.levels().map(|page| page.count as usize).sum()
    }

    /// Records that stand in this page itself, at most [`MAX_RECORDS`].
    pub(super) fn own_len(&self) -> usize {
        self.count as usize
    }

    /// Bytes of records in this page itself.
    pub(super) fn own_bytes(&self) -> usize {
        self.data.len()
    }

    pub(super) fn is_chained(&self) -> bool {
        self.next().is_some()
    }

    /// The earliest expiry, if any record has one.
    pub(super) fn earliest_expiry(&self) -> Option<u64> {
        self.levels().map(|page| page.ends).min().filter(|&at| at != NEVER)
    }

    /// An estimate of what the page takes in memory, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let beside = self.beside.as_ref().map_or(0, |beside| {
            let next = beside.next.as_ref().map_or(0, |next| next.heap_bytes());
            size_of::<Beside>()
                + beside.objects.capacity() * size_of::<Option<Object>>()
                + beside.object_bytes
                + next
        });
        BLOCK_BYTES + self.data.capacity() + beside
    }

    /// What the record at `spot` takes in memory, in bytes: with its objects, and its share of what no record takes.
    pub(super) fn memory_of(&self, spot: Spot) -> usize {
        let page = self.level(spot.level);
        let record = page.bytes(spot.slot as usize).len();
        let objects =
            page.record(spot.slot as usize).outside().map(|number| page.object_at(number).heap_bytes());
        record + objects.sum::<usize>() + (page.own_heap_bytes() - page.data.len()).div_ceil(page.own_len())
    }

    /// What this page alone takes in memory, in bytes: without the objects beside it, and without a `next`. Does not depend on
    /// whether the objects were taken.
    pub(super) fn own_heap_bytes(&self) -> usize {
        let beside = self.beside.as_ref().map_or(0, |_| size_of::<Beside>());
        BLOCK_BYTES + self.data.capacity() + beside
    }

    #[inline]
    pub(super) fn has_objects(&self) -> bool {
        self.beside.is_some()
    }

    /// The objects beside this page itself, each at its number.
    pub(super) fn objects(&self) -> impl Iterator<Item = Option<&Object>> {
        self.beside.iter().flat_map(|beside| beside.objects.iter().map(Option::as_ref))
    }

    /// Takes the objects beside this page out, on the way to the page's own end.
    pub(super) fn take_objects(&mut self) -> Vec<Object> {
        let objects = self.beside.as_mut().map(|beside| std::mem::take(&mut beside.objects));
        objects.into_iter().flatten().flatten().collect()
    }

    fn levels(&self) -> impl Iterator<Item = &Page> {
        std::iter::successors(Some(self), |page| page.next())
    }

    fn level(&self, level: u32) -> &Page {
        if level == 0 {
            self
        } else {
            self.levels().nth(level as usize).expect("a spot names a level that is there")
        }
    }

    #[inline]
    fn next(&self) -> Option<&Page> {
        self.beside.as_ref()?.next.as_deref()
    }

    #[inline]
    fn end(&self, slot: usize) -> usize {
        if slot + 1 < self.count as usize { self.starts[slot + 1] as usize } else { self.data.len() }
    }

    #[inline]
    fn bytes(&self, slot: usize) -> &[u8] {
        &self.data[self.starts[slot] as usize..self.end(slot)]
    }

    fn record(&self, slot: usize) -> Record<'_> {
        Record::parse(self.bytes(slot))
    }

    #[inline]
    fn entry_at(&self, slot: usize) -> Entry<'_> {
        let record = self.record(slot);
        let key = match record.key() {
            Stored::Inline(key) => key,
            Stored::Outside(number) => match self.object_at(number) {
                Object::Str(key) => key.as_slice(),
            },
        };
        let value = match record.value() {
            Stored::Inline(bytes) => ValueRef::Str(bytes),
            Stored::Outside(number) => self.object_at(number).as_ref(),
        };
        Entry { key, value, expire_at: record.expire_at, kind: record.kind() }
    }

    fn object_at(&self, number: u16) -> &Object {
        self.beside
            .as_ref()
            .and_then(|beside| beside.objects[number as usize].as_ref())
            .expect("a record names an object that is there")
    }
}

// Writing.
impl Page {
    /// Whether a record of `bytes` finds room, in place of the one at `replaced` if that is given, without a new `next`.
    pub(super) fn has_room(&self, replaced: Option<Spot>, bytes: usize) -> bool {
        let Some(spot) = replaced else {
            return self.levels().any(|page| page.has_room_for_new(bytes));
        };
        let page = self.level(spot.level);
        let old = page.bytes(spot.slot as usize).len();
        bytes <= old || page.data.len() - old + bytes <= MAX_BYTES
    }

    fn has_room_for_new(&self, bytes: usize) -> bool {
        (self.count as usize) < MAX_RECORDS && self.data.len() + bytes <= MAX_BYTES
    }

    /// Adds a record; a page that is full gets a `next`.
    pub(super) fn insert(&mut self, tag: u8, record: &NewRecord<'_>) {
        let page = self.level_with_room(record.len());
        let slot = page.open(tag, record.len());
        page.write(slot, record);
    }

    /// Writes `record` over the one at `spot`, whose key is the same. Gives the old expiry.
    #[inline]
    pub(super) fn replace(&mut self, spot: Spot, record: &NewRecord<'_>) -> Option<u64> {
        let slot = spot.slot as usize;
        // The most frequent write: nothing moves, and no other page and no object is touched.
        if self.beside.is_none() && self.bytes(slot).len() == record.len() {
            let (old, new) = (self.record(slot).expire_at, record.expire_at);
            self.write(slot, record);
            self.note_expiry(old, new);
            return old;
        }
        self.replace_any(spot, record)
    }

    fn replace_any(&mut self, spot: Spot, record: &NewRecord<'_>) -> Option<u64> {
        let in_place = self.has_room(Some(spot), record.len());
        let page = self.level_mut(spot.level);
        let slot = spot.slot as usize;
        let (old, new) = (page.record(slot).expire_at, record.expire_at);
        if in_place {
            page.release_objects(slot);
            page.resize(slot, 0, page.bytes(slot).len(), record.len());
            page.write(slot, record);
            page.note_expiry(old, new);
            page.give_back();
        } else {
            let tag = page.tags[slot];
            self.remove(spot);
            self.insert(tag, record);
        }
        old
    }

    pub(super) fn remove(&mut self, spot: Spot) {
        let page = self.level_mut(spot.level);
        let slot = spot.slot as usize;
        page.release_objects(slot);
        let expiry = page.record(slot).expire_at;
        page.resize(slot, 0, page.bytes(slot).len(), 0);
        let count = page.count as usize;
        page.tags.copy_within(slot + 1..count, slot);
        page.starts.copy_within(slot + 1..count, slot);
        page.count -= 1;
        page.note_expiry(expiry, None);
        page.give_back();
        if spot.level > 0 || self.count == 0 {
            self.unchain_empty();
        }
    }

    /// Changes the expiry alone. The page may pass [`MAX_BYTES`] by it.
    pub(super) fn set_expiry(&mut self, spot: Spot, at: Option<u64>) {
        let page = self.level_mut(spot.level);
        let slot = spot.slot as usize;
        let record = page.record(slot);
        let (old, position) = (record.expire_at, record.expiry_position());
        let width = |at: Option<u64>| if at.is_some() { EXPIRY } else { 0 };
        page.resize(slot, position, width(old), width(at));
        let start = page.starts[slot] as usize;
        record::mark_expiry(&mut page.data[start..], at.is_some());
        if let Some(at) = at {
            page.data[start + position..][..EXPIRY].copy_from_slice(&at.to_le_bytes());
        }
        page.note_expiry(old, at);
    }

    /// Lets `change` work on the object of a value that stands outside, and keeps account of its size.
    pub(super) fn change_object<R>(
        &mut self,
        spot: Spot,
        change: impl FnOnce(&mut Object) -> R,
    ) -> Option<R> {
        let page = self.level_mut(spot.level);
        let Stored::Outside(number) = page.record(spot.slot as usize).value() else { return None };
        let beside = page.beside.as_mut()?;
        let object = beside.objects[number as usize].as_mut()?;
        let before = object.heap_bytes();
        let result = change(object);
        beside.object_bytes = beside.object_bytes - before + object.heap_bytes();
        Some(result)
    }

    /// Adds copies of the records of `from`, all levels, for which `choose` says so, given their place in the walk.
    pub(super) fn absorb(&mut self, from: &Page, mut choose: impl FnMut(usize) -> bool) {
        let mut walked = 0;
        for page in from.levels() {
            for slot in 0..page.count as usize {
                if choose(walked) {
                    self.absorb_one(page, slot);
                }
                walked += 1;
            }
        }
    }

    fn absorb_one(&mut self, from: &Page, from_slot: usize) {
        let bytes = from.bytes(from_slot);
        let page = self.level_with_room(bytes.len());
        let slot = page.open(from.tags[from_slot], bytes.len());
        let start = page.starts[slot] as usize;
        page.data[start..].copy_from_slice(bytes);
        if record::owns_objects(bytes) {
            let beside = page.beside.get_or_insert_default();
            record::renumber(&mut page.data[start..], |number| beside.put(from.object_at(number).clone()));
        }
        page.note_expiry(None, Record::parse(bytes).expire_at);
    }

    fn level_with_room(&mut self, bytes: usize) -> &mut Page {
        let mut page = self;
        while !page.has_room_for_new(bytes) {
            let next =
                page.beside.get_or_insert_default().next.get_or_insert_with(|| Arc::new(Page::default()));
            page = Arc::make_mut(next);
        }
        page
    }

    fn level_mut(&mut self, level: u32) -> &mut Page {
        let mut page = self;
        for _ in 0..level {
            let next = page.beside.as_mut().and_then(|beside| beside.next.as_mut());
            page = Arc::make_mut(next.expect("a spot names a level that is there"));
        }
        page
    }

    /// Takes empty pages out of the chain.
    fn unchain_empty(&mut self) {
        while self.count == 0 {
            let Some(next) = self.beside.as_mut().and_then(|beside| beside.next.take()) else { break };
            *self = Arc::unwrap_or_clone(next);
        }
        let mut page = self;
        while let Some(beside) = page.beside.as_mut() {
            while let Some(next) = beside.next.as_mut().filter(|next| next.count == 0) {
                beside.next = Arc::make_mut(next).beside.as_mut().and_then(|beside| beside.next.take());
            }
            let Some(next) = beside.next.as_mut() else { break };
            page = Arc::make_mut(next);
        }
    }

    /// A new slot of `bytes` at the page's end.
    fn open(&mut self, tag: u8, bytes: usize) -> usize {
        let slot = self.count as usize;
        self.tags[slot] = tag;
        self.starts[slot] = self.data.len() as u16;
        self.count += 1;
        self.reserve(bytes);
        self.data.resize(self.data.len() + bytes, 0);
        slot
    }

    #[inline]
    fn write(&mut self, slot: usize, record: &NewRecord<'_>) {
        let (start, end) = (self.starts[slot] as usize, self.end(slot));
        let expiry = record.expire_at;
        let beside = &mut self.beside;
        record.write(&mut self.data[start..end], |object| beside.get_or_insert_default().put(object));
        self.ends = self.ends.min(expiry.unwrap_or(NEVER));
    }

    /// Makes `old` bytes at `position` of a record `new` bytes long, and moves what stands behind them.
    fn resize(&mut self, slot: usize, position: usize, old: usize, new: usize) {
        if old == new {
            return;
        }
        let from = self.starts[slot] as usize + position + old;
        let to = from - old + new;
        let end = self.data.len();
        if new > old {
            self.reserve(new - old);
            self.data.resize(end + new - old, 0);
        }
        self.data.copy_within(from..end, to);
        self.data.truncate(end - old + new);
        let shift = (new as u16).wrapping_sub(old as u16);
        for start in &mut self.starts[slot + 1..self.count as usize] {
            *start = start.wrapping_add(shift);
        }
    }

    /// Room for `more` bytes: to the end of the allocator's size class and no further, for doubling would waste a quarter.
    fn reserve(&mut self, more: usize) {
        let needed = self.data.len() + more;
        if needed > self.data.capacity() {
            self.data.reserve_exact(size_class(needed) - self.data.len());
        }
    }

    /// Gives memory back when at least a third of it is idle. Sooner would keep pages tighter, but the allocator's slabs
    /// fill worse when more pages change their size class: what is gained here is lost there, and more.
    fn give_back(&mut self) {
        let class = size_class(self.data.len());
        if self.data.capacity() >= class + class / 2 {
            self.data.shrink_to(class);
        }
    }

    fn release_objects(&mut self, slot: usize) {
        let Some(mut beside) = self.beside.take() else { return };
        self.record(slot).outside().for_each(|number| beside.take(number));
        if beside.next.is_some() || !beside.objects.is_empty() {
            self.beside = Some(beside);
        }
    }

    /// Keeps the earliest expiry when a record's changes.
    #[inline]
    fn note_expiry(&mut self, old: Option<u64>, new: Option<u64>) {
        if old.is_some() && old != new && old == Some(self.ends) {
            let all = (0..self.count as usize).filter_map(|slot| self.record(slot).expire_at);
            self.ends = all.min().unwrap_or(NEVER);
        }
        self.ends = self.ends.min(new.unwrap_or(NEVER));
    }
}

impl Beside {
    fn put(&mut self, object: Object) -> u16 {
        self.object_bytes += object.heap_bytes();
        let free = self.objects.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.objects.push(None);
            self.objects.len() - 1
        });
        self.objects[number] = Some(object);
        number as u16
    }

    fn take(&mut self, number: u16) {
        if let Some(object) = self.objects[number as usize].take() {
            self.object_bytes -= object.heap_bytes();
        }
        while let Some(None) = self.objects.last() {
            self.objects.pop();
        }
    }
}

/// The slots whose tags equal `tag`, as bits that [`slot_of_bit`] tells apart; slots beyond the count may be among them.
///
/// Looks at eight tags at a time, never branches, and is short, so that a lookup's cache misses overlap with the next's.
#[inline]
fn equal_tags(tags: &[u8; MAX_RECORDS], tag: u8) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let wanted = u64::from(tag) * 0x0101_0101_0101_0101;
    let mut found = 0;
    for (row, eight) in tags.as_chunks::<8>().0.iter().enumerate() {
        let differs = u64::from_le_bytes(*eight) ^ wanted;
        // The top bit of each byte that is zero: the sum carries into it from any other bit.
        let equal = !(((differs & LOW) + LOW) | differs | LOW);
        found |= equal >> (7 - row);
    }
    found
}

/// Bit `8 j + i` stands for tag `j` of the eight in row `i`.
#[inline]
fn slot_of_bit(bit: usize) -> usize {
    (bit & 7) << 3 | bit >> 3
}

/// The allocator's size class for `bytes`: four to each doubling, and steps of 16 below 128.
fn size_class(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 8).max(16);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
impl Page {
    /// Compares what is counted along with what is there.
    pub(super) fn assert_accounts(&self) {
        for page in self.levels() {
            assert!(page.count > 0 || !self.is_chained(), "an empty page stays in a chain");
            let records = || (0..page.count as usize).map(|slot| page.record(slot));
            assert_eq!(page.ends, records().filter_map(|record| record.expire_at).min().unwrap_or(NEVER));
            let Some(beside) = &page.beside else { continue };
            let objects = || beside.objects.iter().flatten();
            assert_eq!(objects().count(), records().flat_map(|record| record.outside()).count());
            assert_eq!(objects().map(Object::heap_bytes).sum::<usize>(), beside.object_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equal_tags_agrees_with_a_loop() {
        let mut seed = 1u64;
        for _ in 0..20_000 {
            let mut tags = [0u8; 64];
            for tag in &mut tags {
                seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                *tag = [0, 1, 0x7F, 0x80, 0x81, 0xFF, 0xFE, (seed >> 50) as u8][(seed >> 60) as usize % 8];
            }
            for tag in [0, 1, 0x7F, 0x80, 0x81, 0xFF] {
                let found = equal_tags(&tags, tag);
                let slots = (0..64).filter(|bit| found >> bit & 1 == 1).map(slot_of_bit);
                let expected = (0..64).filter(|&slot| tags[slot] == tag);
                assert_eq!(slots.collect::<BTreeSet<_>>(), expected.collect(), "{tags:?} {tag}");
            }
        }
    }

    #[test]
    fn size_classes_have_four_steps_to_a_doubling() {
        for (bytes, class) in [
            (0, 0),
            (1, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (1025, 1280),
            (5121, 6144),
            (6145, 7168),
        ] {
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
    }
}
