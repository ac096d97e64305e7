//! Whether two values are the same, and in what they differ.
//!
//! Invariants:
//! 1. Values whose bytes are equal are not looked into.
//! 2. What differs is found with a table of one side's parts, in several passes where it would exceed [`TABLE_PARTS`]; only
//!    those that are shown are kept as text.

use std::collections::HashMap;

use formats::rdb::{RdbError, Value, ValueType};

use super::parts::{Common, PartReader};

/// Parts that are compared in one pass: 24 MiB, or 36 while the table grows.
const TABLE_PARTS: u64 = 1 << 18;
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

#[derive(Default)]
pub(super) struct ValueComparer {
    readers: [PartReader; 2],
}

/// A part of the first value in the table of a pass.
struct Before {
    content_hash: u128,
    found: Found,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Not,
    Same,
    /// Shown at this place.
    Shown(usize),
    Changed,
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
        let [first, second] = &mut self.readers;
        let (count, _) = first.digest(a, common)?;
        let passes = count.div_ceil(TABLE_PARTS).max(1);
        for pass in 0..passes {
            let here = |name_hash: u128| (name_hash as u64) % passes == pass;
            let mut table: HashMap<u128, Before> = HashMap::new();
            first.for_each(a, common, |part| {
                if here(part.name_hash) {
                    let before = Before { content_hash: part.content_hash, found: Found::Not };
                    table.insert(part.name_hash, before);
                }
                Ok::<_, RdbError>(())
            })?;
            second.for_each(b, common, |part| {
                if here(part.name_hash) {
                    match table.get_mut(&part.name_hash) {
                        Some(before) if before.content_hash == part.content_hash => {
                            before.found = Found::Same
                        }
                        Some(before) => {
                            before.found = change.changed(part.name(), || part.content(), limit);
                        }
                        None => change.added(part.name(), || part.content(), limit),
                    }
                }
                Ok::<_, RdbError>(())
            })?;
            first.for_each(a, common, |part| {
                match table.get(&part.name_hash).map(|before| before.found) {
                    Some(Found::Not) => change.removed(part.name(), || part.content(), limit),
                    Some(Found::Shown(index)) => change.parts[index].before = part.content(),
                    _ => {}
                }
                Ok::<_, RdbError>(())
            })?;
        }
        Ok(change)
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
                change.removed(part.name(), || part.content(), limit.div_ceil(2));
            }
            index += 1;
            Ok::<_, RdbError>(())
        })?;
        index = 0;
        second.for_each(b, common, |part| {
            if added.contains(&index) {
                change.added(part.name(), || part.content(), limit);
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
    fn push(&mut self, change: PartChange, limit: usize) -> Found {
        if self.parts.len() >= limit {
            return Found::Changed;
        }
        self.parts.push(change);
        Found::Shown(self.parts.len() - 1)
    }

    fn added(&mut self, name: String, content: impl FnOnce() -> String, limit: usize) {
        self.added += 1;
        if self.parts.len() < limit {
            self.push(PartChange { sign: '+', name, before: String::new(), after: content() }, limit);
        }
    }

    fn removed(&mut self, name: String, content: impl FnOnce() -> String, limit: usize) {
        self.removed += 1;
        if self.parts.len() < limit {
            self.push(PartChange { sign: '-', name, before: content(), after: String::new() }, limit);
        }
    }

    fn changed(&mut self, name: String, content: impl FnOnce() -> String, limit: usize) -> Found {
        self.changed += 1;
        if self.parts.len() >= limit {
            return Found::Changed;
        }
        self.push(PartChange { sign: '~', name, before: String::new(), after: content() }, limit)
    }
}
