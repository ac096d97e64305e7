//! One database of one shard: keys, what they hold, and when they end.
//!
//! Invariants:
//! 1. `len` and `expires_len` are exact after every call.
//! 2. The keyspace never looks at the time: an expired key is there until somebody removes it.
//! 3. A call that changes nothing copies nothing, even while a view is alive.
//! 4. An empty keyspace owns no memory.

use super::expiry::{self, ExpireCycle, ExpirePass};
use super::freeze::Frozen;
use super::hash::{KeyHash, KeyHasher};
use super::page::{MAX_RECORDS, Spot};
use super::record::{Field, MAX_VALUE, NewRecord};
use super::scan;
use super::tree::Tree;
use super::value::{Entry, Object, Type, ValueRef};

/// A value that stands outside its page comes back in when it is no longer than this, in bytes. Half of what is allowed
/// inside, so that a value around the limit does not move to and fro.
const COMES_BACK_IN: usize = MAX_VALUE / 2;
/// Longer values stand outside their page, in bytes.
pub const MAX_INLINE_VALUE_BYTES: usize = MAX_VALUE;
/// Tries of [`Keyspace::random`] to find an even choice before it takes what is near.
const RANDOM_TRIES: usize = 256;
/// A page that lost records looks for a buddy to join when it has no more than this, every fourth time.
const LOOK_FOR_BUDDY: usize = MAX_RECORDS * 3 / 8;

pub struct Keyspace {
    hasher: KeyHasher,
    tree: Option<Box<Tree>>,
    keys: usize,
    keys_with_expiry: usize,
    /// Keys that are on their way: see [`Keyspace::expect_more`].
    expected: usize,
}

/// What [`Keyspace::clear`] left over. Dropping it takes the time: it can go to another thread for that.
pub struct Dropped {
    _tree: Option<Box<Tree>>,
}

// Reading.
impl Keyspace {
    /// An empty keyspace. All hashes that it is given must be `hasher`'s.
    pub fn new(hasher: KeyHasher) -> Self {
        Keyspace { hasher, tree: None, keys: 0, keys_with_expiry: 0, expected: 0 }
    }

    pub fn len(&self) -> usize {
        self.keys
    }

    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Keys that have an expiry.
    pub fn expires_len(&self) -> usize {
        self.keys_with_expiry
    }

    /// An estimate of what the keyspace takes in memory, in bytes: its pages with their slack, and what stands outside them.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.tree.as_ref().map_or(0, |tree| size_of::<Tree>() + tree.heap_bytes())
    }

    /// The entry of `key`, expired or not.
    #[inline]
    pub fn get(&self, hash: KeyHash, key: &[u8]) -> Option<Entry<'_>> {
        let page = self.tree.as_ref()?.page(hash.place());
        Some(page.entry(page.find(hash.tag(), key)?))
    }

    pub fn contains(&self, hash: KeyHash, key: &[u8]) -> bool {
        self.find(hash, key).is_some()
    }

    /// A copy of the value with its expiry; shared with the key when it stands outside the page.
    pub fn get_object(&self, hash: KeyHash, key: &[u8]) -> Option<(Object, Option<u64>)> {
        let page = self.tree.as_ref()?.page(hash.place());
        let spot = page.find(hash.tag(), key)?;
        let entry = page.entry(spot);
        let object = match (page.object(spot), entry.value) {
            (Some(object), _) => object.clone(),
            (None, ValueRef::Str(bytes)) => Object::string(bytes.to_vec()),
        };
        Some((object, entry.expire_at))
    }

    /// An estimate of what `key` takes in memory, in bytes: its record, what of it stands outside the page, and its share
    /// of what the page takes besides. Nothing if there is no such key.
    pub fn memory_of(&self, hash: KeyHash, key: &[u8]) -> Option<usize> {
        let page = self.tree.as_ref()?.page(hash.place());
        Some(page.memory_of(page.find(hash.tag(), key)?))
    }

    /// Visits the entries of one page and gives the next cursor, 0 at the end; a walk starts with 0. A key that is there
    /// during the whole walk is visited at least once, whatever is added and removed meanwhile. A cursor has 48 bits.
    pub fn scan(&self, cursor: u64, visit: impl FnMut(Entry<'_>)) -> u64 {
        self.tree.as_ref().map_or(0, |tree| scan::step(tree, cursor, visit))
    }

    /// Visits all entries.
    pub fn for_each(&self, visit: impl FnMut(Entry<'_>)) {
        if let Some(tree) = &self.tree {
            tree.pages_in_order().flat_map(|page| page.entries()).for_each(visit);
        }
    }

    /// An entry by chance; `random` gives 64 random bits per call.
    ///
    /// A segment, a page number below the highest possible one and a slot are drawn until there is a record: every record
    /// has the same chance. Only the keys of a page that outgrew 64 records and cannot be split share the chances of 64; and when many
    /// draws in a row met nothing (a keyspace whose keys were nearly all removed) the page of a random hash decides.
    pub fn random(&self, mut random: impl FnMut() -> u64) -> Option<Entry<'_>> {
        let tree = self.tree.as_ref()?;
        let segments = tree.segments();
        let widest = if segments.len() == 1 { segments[0].pages().len() } else { 256 };
        let most = if self.keys < MAX_RECORDS { self.keys } else { MAX_RECORDS };
        for _ in 0..RANDOM_TRIES {
            let bits = random();
            let segment = &segments[below(bits >> 32, segments.len())];
            let Some(page) = segment.pages().get(below(bits & 0xFFFF_FFFF, widest)) else { continue };
            let draw = random() >> 32;
            let slot = if page.is_chained() { below(draw, page.len()) } else { below(draw, most) };
            if let Some(entry) = page.nth(slot) {
                return Some(entry);
            }
        }
        self.first_from(tree, KeyHash(random()).place())
    }

    fn first_from<'a>(&self, tree: &'a Tree, place: u64) -> Option<Entry<'a>> {
        let mut place = Some(place);
        while let Some(at) = place {
            if let Some(entry) = tree.page(at).entries().next() {
                return Some(entry);
            }
            place = tree.end_of_page(at);
        }
        tree.pages_in_order().flat_map(|page| page.entries()).next()
    }

    /// Reports keys that have ended at `now_ms`, going over at most `max_pages` pages from where `cycle` stands. The caller
    /// removes them.
    pub fn expired(
        &self,
        cycle: &mut ExpireCycle,
        now_ms: u64,
        max_pages: usize,
        report: impl FnMut(KeyHash, &[u8]),
    ) -> ExpirePass {
        match &self.tree {
            Some(tree) if self.keys_with_expiry > 0 => {
                expiry::pass(tree, &self.hasher, cycle, now_ms, max_pages, report)
            }
            _ => ExpirePass { finished: true, ..ExpirePass::default() },
        }
    }

    fn find(&self, hash: KeyHash, key: &[u8]) -> Option<Spot> {
        self.tree.as_ref()?.page(hash.place()).find(hash.tag(), key)
    }
}

// Writing.
impl Keyspace {
    /// Says that so many keys will be added soon, in the order of their hashes perhaps, as from a snapshot. Pages may then be
    /// told apart from the start by as many bits as all the keys need: by fewer, those of the first keys could not be split
    /// while there are no others. Until the keyspace is empty again.
    pub fn expect_more(&mut self, keys: usize) {
        self.expected = self.expected.saturating_add(keys);
    }

    /// Makes `key` hold a string and end at `expire_at`, whatever it held before.
    #[inline]
    pub fn set_str(&mut self, hash: KeyHash, key: &[u8], value: &[u8], expire_at: Option<u64>) {
        self.put(hash, key, Type::String, Field::string(value), expire_at);
    }

    /// Makes `key` hold `object` and end at `expire_at`, whatever it held before. Small values are copied into the page.
    pub fn set_object(&mut self, hash: KeyHash, key: &[u8], object: Object, expire_at: Option<u64>) {
        let kind = object.kind();
        match &object {
            Object::Str(bytes) if bytes.len() <= MAX_VALUE => {
                self.put(hash, key, kind, Field::Inline(bytes), expire_at);
            }
            Object::Str(_) => self.put(hash, key, kind, Field::Outside(object), expire_at),
        }
    }

    /// Lets `change` work on the string of `key` and keeps its expiry. Nothing if there is no such key or it holds no string.
    /// A long string that no view shares is changed where it is; any other is copied out and in again.
    pub fn update_str<R>(
        &mut self,
        hash: KeyHash,
        key: &[u8],
        change: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Option<R> {
        let place = hash.place();
        let tree = self.tree.as_mut()?;
        let spot = tree.page(place).find(hash.tag(), key)?;
        let Entry { value, expire_at, .. } = tree.page(place).entry(spot);
        let bytes = value.as_str()?;
        if tree.page(place).object(spot).is_none() {
            let mut bytes = bytes.to_vec();
            let result = change(&mut bytes);
            self.set_object(hash, key, Object::string(bytes), expire_at);
            return Some(result);
        }
        let (result, small) = tree.edit(place, |page| {
            page.change_object(spot, |Object::Str(bytes)| {
                let bytes = triomphe::Arc::make_mut(bytes);
                let result = change(bytes);
                (result, (bytes.len() <= COMES_BACK_IN).then(|| bytes.clone()))
            })
        })?;
        if let Some(bytes) = small {
            self.set_str(hash, key, &bytes, expire_at);
        }
        Some(result)
    }

    /// Changes when `key` ends. False if there is no such key.
    pub fn set_expire(&mut self, hash: KeyHash, key: &[u8], at: Option<u64>) -> bool {
        let place = hash.place();
        let Some(tree) = self.tree.as_mut() else { return false };
        let Some(spot) = tree.page(place).find(hash.tag(), key) else { return false };
        let old = tree.page(place).entry(spot).expire_at;
        if old != at {
            tree.edit(place, |page| page.set_expiry(spot, at));
            self.count_expiry(old, at);
        }
        true
    }

    /// Removes `key`. False if it is not there.
    pub fn remove(&mut self, hash: KeyHash, key: &[u8]) -> bool {
        let place = hash.place();
        let Some(tree) = self.tree.as_mut() else { return false };
        let Some(spot) = tree.page(place).find(hash.tag(), key) else { return false };
        let old = tree.page(place).entry(spot).expire_at;
        self.keys -= 1;
        if self.keys == 0 {
            (self.tree, self.expected) = (None, 0);
        } else {
            let left = tree.edit(place, |page| {
                page.remove(spot);
                page.own_len()
            });
            if left <= LOOK_FOR_BUDDY && left.is_multiple_of(4) {
                tree.join(place);
            }
        }
        self.count_expiry(old, None);
        true
    }

    /// Removes all keys for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut cursor = 0;
        loop {
            let mut unwanted: Vec<Vec<u8>> = Vec::new();
            cursor = self.scan(cursor, |entry| {
                if !keep(entry.key) {
                    unwanted.push(entry.key.to_vec());
                }
            });
            for key in &unwanted {
                self.remove(self.hasher.hash(key), key);
            }
            if cursor == 0 {
                break;
            }
        }
    }

    /// Removes everything, at once; the memory goes with what this returns.
    pub fn clear(&mut self) -> Dropped {
        self.keys = 0;
        (self.keys_with_expiry, self.expected) = (0, 0);
        Dropped { _tree: self.tree.take() }
    }

    /// A view of the keyspace as it is now. Takes some nanoseconds per 8,000 keys; the keyspace can be written to as before.
    pub fn freeze(&mut self) -> Frozen {
        match self.tree.as_mut() {
            Some(tree) => Frozen::of(tree, self.keys, self.keys_with_expiry),
            None => Frozen::empty(),
        }
    }

    fn put(&mut self, hash: KeyHash, key: &[u8], kind: Type, value: Field<'_>, expire_at: Option<u64>) {
        let (place, tag) = (hash.place(), hash.tag());
        let tree = self.tree.get_or_insert_with(|| Box::new(Tree::new()));
        let record = NewRecord { kind, key: Field::key(key), value, expire_at };
        let mut splits = true;
        loop {
            let cell = tree.cell(place);
            let spot = cell.page().find(tag, key);
            if splits && !cell.page().has_room(spot, record.len()) {
                splits = tree.split(place, &self.hasher, self.expected);
                continue;
            }
            let old = match spot {
                Some(spot) => cell.edit(|page| page.replace(spot, &record)),
                None => {
                    cell.edit(|page| page.insert(tag, &record));
                    self.keys += 1;
                    None
                }
            };
            return self.count_expiry(old, expire_at);
        }
    }

    fn count_expiry(&mut self, old: Option<u64>, new: Option<u64>) {
        self.keys_with_expiry =
            self.keys_with_expiry + usize::from(new.is_some()) - usize::from(old.is_some());
    }
}

/// A number below `limit` from 32 random bits.
fn below(bits: u64, limit: usize) -> usize {
    ((bits * limit as u64) >> 32) as usize
}

#[cfg(test)]
impl Keyspace {
    /// Compares what is counted along with what is there.
    pub(super) fn assert_accounts(&self) {
        if let Some(tree) = &self.tree {
            tree.assert_accounts();
        }
    }

    /// Pages that a view holds too.
    pub(super) fn shared_pages(&self) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.shared_pages())
    }

    /// Pages whose keys no split could part.
    pub(super) fn chained_pages(&self) -> usize {
        let pages = self.tree.iter().flat_map(|tree| tree.pages_in_order());
        pages.filter(|page| page.is_chained()).count()
    }

    pub(super) fn page_count(&self) -> usize {
        self.tree.as_ref().map_or(0, |tree| tree.page_count())
    }
}
