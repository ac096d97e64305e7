//! Whether two values are the same, and in what they differ.
//!
//! Invariants:
//! 1. Values whose bytes are equal are not looked into.
//! 2. Parts are shared out over buckets by their names; those whose sums are equal hold no difference, and are not looked
//!    into. What differs is found with a table of one side's parts, in several passes where it would exceed
//!    [`TABLE_PARTS`]; only those that are shown are kept as text.

use std::hash::{BuildHasher, RandomState};

use formats::rdb::{RdbError, Value, ValueType};

use super::parts::{Common, Part, PartReader};

/// Parts that are compared in one pass: 16 MiB, or 24 while the table grows.
const TABLE_PARTS: u64 = 1 << 19;
/// Buckets of a value: 2 MiB.
const BUCKETS: usize = 1 << 16;
/// Items of two lists that are compared: their hashes take 16 MiB.
const MAX_LIST_ITEMS: u64 = 1 << 20;

/// A part that is in only one of two values, or differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartChange {
    /// `+`, `-` or `~`.
    pub(super) sign: char,
    pub(super) name: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// In what two values of one type differ.
#[derive(Debug, Default)]
pub(super) struct ValueChange {
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) changed: u64,
    /// The first of them.
    pub(super) parts: Vec<PartChange>,
    /// Lists too long to say what differs.
    pub(super) too_long: bool,
}

pub(super) struct ValueComparer {
    readers: [PartReader; 2],
}

impl Default for ValueComparer {
    fn default() -> ValueComparer {
        let seed = RandomState::new().hash_one(0);
        ValueComparer { readers: [PartReader::new(seed), PartReader::new(seed)] }
    }
}

/// The parts of one bucket.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// Of the parts of the first value, less those of the second.
    sum: u128,
    /// Parts of the first value.
    count: u32,
    /// The pass in which it is compared; 0 if nothing in it differs.
    pass: u32,
}

/// Where a part is: taken from the high half of its name's hash, the table uses the low one.
fn bucket_of(name_hash: u128) -> usize {
    (name_hash >> (128 - BUCKETS.trailing_zeros())) as usize
}

/// A part of the first value in the table of a pass.
struct Before {
    /// Half of the hash; its bucket is known by the other half.
    name_hash: u64,
    content_hash: u128,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Not,
    Same,
    /// Shown at this place.
    Shown(u32),
    Changed,
}

/// The parts of a pass, by name.
#[derive(Default)]
struct Table(Vec<Before>);

impl Table {
    fn sort(&mut self) {
        self.0.sort_unstable_by_key(|before| before.name_hash);
    }

    fn get(&mut self, name_hash: u128) -> Option<&mut Before> {
        let index = self.0.binary_search_by_key(&(name_hash as u64), |before| before.name_hash).ok()?;
        Some(&mut self.0[index])
    }
}

impl ValueComparer {
    /// Whether two values of the same type have the same parts.
    #[inline]
    pub(super) fn same(&mut self, a: &Value<'_>, b: &Value<'_>) -> Result<bool, RdbError> {
        if a.kind == b.kind && a.bytes == b.bytes {
            return Ok(true);
        }
        let common = Common::of(a.kind, b.kind);
        let [first, second] = &mut self.readers;
        Ok(first.digest(a, common)? == second.digest(b, common)?)
    }

    /// In what they differ; at most `limit` parts are named.
    pub(super) fn change(
        &mut self,
        a: &Value<'_>,
        b: &Value<'_>,
        limit: usize,
    ) -> Result<ValueChange, RdbError> {
        match a.value_type() {
            ValueType::List => self.list_change(a, b, limit),
            _ => self.parts_change(a, b, limit),
        }
    }

    fn parts_change(&mut self, a: &Value<'_>, b: &Value<'_>, limit: usize) -> Result<ValueChange, RdbError> {
        let common = Common::of(a.kind, b.kind);
        let mut change = ValueChange::default();
        let (buckets, passes) = self.buckets(a, b, common)?;
        let [first, second] = &mut self.readers;
        let mut table = Table::default();
        for pass in 1..=passes {
            let here = |name_hash: u128| buckets[bucket_of(name_hash)].pass == pass;
            table.0.clear();
            first.for_each(a, common, |part| {
                if here(part.name_hash) {
                    let Part { name_hash, content_hash, .. } = *part;
                    table.0.push(Before { name_hash: name_hash as u64, content_hash, found: Found::Not });
                }
                Ok::<_, RdbError>(())
            })?;
            table.sort();
            second.for_each(b, common, |part| {
                if here(part.name_hash) {
                    match table.get(part.name_hash) {
                        Some(before) if before.content_hash == part.content_hash => {
                            before.found = Found::Same;
                        }
                        Some(before) => before.found = change.changed(part, limit),
                        None => change.added(part, limit),
                    }
                }
                Ok::<_, RdbError>(())
            })?;
            let removed = table.0.iter().filter(|before| before.found == Found::Not).count() as u64;
            let some_to_show = removed > 0 && change.parts.len() < limit;
            if !some_to_show && !table.0.iter().any(|before| matches!(before.found, Found::Shown(_))) {
                change.removed += removed;
                continue;
            }
            first.for_each(a, common, |part| {
                let found =
                    here(part.name_hash).then(|| table.get(part.name_hash).map(|before| before.found));
                match found.flatten() {
                    Some(Found::Not) => change.removed(part, limit),
                    Some(Found::Shown(index)) => change.parts[index as usize].before = part.content(),
                    _ => {}
                }
                Ok::<_, RdbError>(())
            })?;
        }
        Ok(change)
    }

    /// The buckets, those that differ shared out over passes; and how many passes that are.
    fn buckets(
        &mut self,
        a: &Value<'_>,
        b: &Value<'_>,
        common: Common,
    ) -> Result<(Vec<Bucket>, u32), RdbError> {
        let mut buckets = vec![Bucket::default(); BUCKETS];
        let [first, second] = &mut self.readers;
        first.for_each(a, common, |part| {
            let bucket = &mut buckets[bucket_of(part.name_hash)];
            bucket.sum = bucket.sum.wrapping_add(part.digest());
            bucket.count = bucket.count.saturating_add(1);
            Ok::<_, RdbError>(())
        })?;
        second.for_each(b, common, |part| {
            let bucket = &mut buckets[bucket_of(part.name_hash)];
            bucket.sum = bucket.sum.wrapping_sub(part.digest());
            Ok::<_, RdbError>(())
        })?;
        let (mut passes, mut in_pass) = (1, 0);
        for bucket in buckets.iter_mut().filter(|bucket| bucket.sum != 0) {
            let count = u64::from(bucket.count);
            if in_pass > 0 && in_pass + count > TABLE_PARTS {
                (passes, in_pass) = (passes + 1, 0);
            }
            in_pass += count;
            bucket.pass = passes;
        }
        Ok((buckets, passes))
    }

    /// Lists: what they have in common at the head and at the tail is the same, what lies between was replaced.
    fn list_change(&mut self, a: &Value<'_>, b: &Value<'_>, limit: usize) -> Result<ValueChange, RdbError> {
        let common = Common::of(a.kind, b.kind);
        let [first, second] = &mut self.readers;
        let (Some(before), Some(after)) = (list_hashes(first, a, common)?, list_hashes(second, b, common)?)
        else {
            return Ok(ValueChange { too_long: true, ..ValueChange::default() });
        };
        let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        let rest = before[head..].iter().rev().zip(after[head..].iter().rev());
        let tail = rest.take_while(|(a, b)| a == b).count();
        let (removed, added) = (head..before.len() - tail, head..after.len() - tail);
        let mut change = ValueChange::default();
        let mut index = 0;
        first.for_each(a, common, |part| {
            if removed.contains(&index) {
                change.removed(part, limit.div_ceil(2));
            }
            index += 1;
            Ok::<_, RdbError>(())
        })?;
        index = 0;
        second.for_each(b, common, |part| {
            if added.contains(&index) {
                change.added(part, limit);
            }
            index += 1;
            Ok::<_, RdbError>(())
        })?;
        Ok(change)
    }
}

/// Hashes of a list's items; `None` if they are too many.
fn list_hashes(
    reader: &mut PartReader,
    value: &Value<'_>,
    common: Common,
) -> Result<Option<Vec<u64>>, RdbError> {
    let mut hashes = Vec::new();
    let mut count = 0;
    reader.for_each(value, common, |part| {
        count += 1;
        if count <= MAX_LIST_ITEMS {
            hashes.push(part.content_hash as u64);
        }
        Ok::<_, RdbError>(())
    })?;
    Ok((count <= MAX_LIST_ITEMS).then_some(hashes))
}

impl ValueChange {
    /// Keeps a part that is to be shown; where.
    fn show(&mut self, sign: char, part: &Part<'_>, limit: usize) -> Option<usize> {
        if self.parts.len() >= limit {
            return None;
        }
        let (before, after) = match sign {
            '-' => (part.content(), String::new()),
            _ => (String::new(), part.content()),
        };
        self.parts.push(PartChange { sign, name: part.name(), before, after });
        Some(self.parts.len() - 1)
    }

    fn added(&mut self, part: &Part<'_>, limit: usize) {
        self.added += 1;
        self.show('+', part, limit);
    }

    fn removed(&mut self, part: &Part<'_>, limit: usize) {
        self.removed += 1;
        self.show('-', part, limit);
    }

    /// Counts a part that differs; what it was is to be filled in.
    fn changed(&mut self, part: &Part<'_>, limit: usize) -> Found {
        self.changed += 1;
        let shown = self.show('~', part, limit).and_then(|index| u32::try_from(index).ok());
        shown.map_or(Found::Changed, Found::Shown)
    }
}
