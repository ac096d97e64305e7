//! Writes values element by element, in forms that announce no more than a number of elements.
//!
//! ```text
//! list, set     count, strings
//! sorted set    count, then member and score (f64, little endian)
//! hash          count, then field and value
//!   Redis 12    earliest expiry i64, count, then expiry less the earliest plus one (0: none), field, value
//!   Valkey 80   count, then field, value, expiry i64 (-1: none)
//! ```
//!
//! The number comes first, so elements are gone through twice.

use formats::rdb::input::Input;
use formats::rdb::kind::ValueKind;
use formats::rdb::{Dialect, Element, Scratch, Value, ValueType, Version};

use super::{RdbFile, Sink};
use crate::content::Stop;
use crate::failure::Failure;

/// What of a value will be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub elements: u64,
    /// The earliest time, milliseconds since 1970, at which a field expires.
    pub earliest_ms: Option<u64>,
    /// Fields expire, and the version cannot hold that.
    pub loses_expiries: bool,
}

/// How hashes with fields that expire are written, if at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiries {
    None,
    Redis,
    Valkey,
}

fn expiries(version: Version) -> Expiries {
    match version.dialect {
        Dialect::Valkey => Expiries::Valkey,
        Dialect::Redis if version.number >= ValueKind::HashExpiring.since() => Expiries::Redis,
        Dialect::Redis => Expiries::None,
    }
}

impl Kept {
    /// Counts an element; whether it is to be written.
    pub fn add(&mut self, element: &Element<'_>, version: Version, now_ms: i64) -> bool {
        if let Element::HashField { expires_at_ms: Some(at), .. } = *element {
            let lost = expiries(version) == Expiries::None;
            self.loses_expiries |= lost;
            if lost && at <= now_ms as u64 {
                return false;
            }
            self.earliest_ms = Some(self.earliest_ms.map_or(at, |earliest| earliest.min(at)));
        }
        self.elements += 1;
        true
    }

    /// The form in which the version holds such a value.
    pub fn kind(&self, value_type: ValueType, version: Version) -> ValueKind {
        match value_type {
            ValueType::List => ValueKind::List,
            ValueType::Set => ValueKind::Set,
            ValueType::SortedSet if ValueKind::SortedSet.is_in(version) => ValueKind::SortedSet,
            ValueType::SortedSet => ValueKind::SortedSetText,
            ValueType::Hash => match (self.earliest_ms, expiries(version)) {
                (Some(_), Expiries::Redis) => ValueKind::HashExpiring,
                (Some(_), Expiries::Valkey) => ValueKind::ValkeyHashExpiring,
                _ => ValueKind::Hash,
            },
            _ => ValueKind::String,
        }
    }
}

/// Counts the elements that `version` can hold.
pub fn count(
    value: &Value<'_>,
    scratch: &mut Scratch,
    version: Version,
    now_ms: i64,
) -> Result<Kept, Failure> {
    let mut kept = Kept::default();
    let result = value.for_each(scratch, |element| {
        kept.add(&element, version, now_ms);
        Ok::<_, Stop>(())
    });
    result.map_err(Stop::into_failure).map(|()| kept)
}

/// Writes type, key and the elements that were counted.
pub fn write<S: Sink>(
    file: &mut RdbFile<S>,
    key: &[u8],
    value: &Value<'_>,
    scratch: &mut Scratch,
    kept: &Kept,
    now_ms: i64,
) -> Result<(), Failure> {
    let kind = begin(file, key, value.value_type(), kept)?;
    let version = file.version();
    let result = value.for_each(scratch, |element| {
        if Kept::default().add(&element, version, now_ms) {
            put(file, kind, kept, &element)?;
        }
        Ok::<_, Stop>(())
    });
    result.map_err(Stop::into_failure)
}

/// Writes type, key and the number of elements; the form in which these must follow.
pub fn begin<S: Sink>(
    file: &mut RdbFile<S>,
    key: &[u8],
    value_type: ValueType,
    kept: &Kept,
) -> Result<ValueKind, Failure> {
    let kind = kept.kind(value_type, file.version());
    file.byte(kind.byte());
    file.raw(key)?;
    if let (ValueKind::HashExpiring, Some(earliest)) = (kind, kept.earliest_ms) {
        file.raw(&earliest.to_le_bytes())?;
    }
    if kind != ValueKind::String {
        file.length(kept.elements);
    }
    Ok(kind)
}

/// Writes one element.
pub fn put<S: Sink>(
    file: &mut RdbFile<S>,
    kind: ValueKind,
    kept: &Kept,
    element: &Element<'_>,
) -> Result<(), Failure> {
    match *element {
        Element::String(string) | Element::ListItem(string) | Element::SetMember(string) => {
            file.string(string)
        }
        Element::SortedSetMember { member, score } => {
            file.string(member)?;
            match kind {
                ValueKind::SortedSetText => text_score(file, score),
                _ => file.raw(&score.to_le_bytes()),
            }
        }
        Element::HashField { field, value, expires_at_ms } => {
            if kind == ValueKind::HashExpiring {
                let earliest = kept.earliest_ms.unwrap_or(0);
                file.length(expires_at_ms.map_or(0, |at| at.wrapping_sub(earliest).wrapping_add(1)));
            }
            file.string(field)?;
            file.string(value)?;
            match (kind, expires_at_ms) {
                (ValueKind::ValkeyHashExpiring, at) => file.raw(&at.map_or(-1, |at| at as i64).to_le_bytes()),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn text_score<S: Sink>(file: &mut RdbFile<S>, score: f64) -> Result<(), Failure> {
    match score {
        f64::INFINITY => file.raw(&[254]),
        f64::NEG_INFINITY => file.raw(&[255]),
        score => {
            let digits = format!("{score:e}");
            file.byte(digits.len() as u8);
            file.raw(digits.as_bytes())
        }
    }
}

/// Writes a stream of the third form in the second, which lacks the times at which consumers were active: copies all
/// between these.
pub fn stream_without_active_times<S: Sink>(
    file: &mut RdbFile<S>,
    key: &[u8],
    value: &Value<'_>,
) -> Result<(), Failure> {
    file.byte(ValueKind::Stream2.byte());
    file.raw(key)?;
    let mut input = Input::new(value.bytes, value.offset);
    let mut copied = 0;
    let gaps = active_times(&mut input, |at| {
        let at = (at - value.offset) as usize;
        file.raw(&value.bytes[copied..at])?;
        copied = at + ACTIVE_TIME_BYTES;
        Ok(())
    });
    gaps.map_err(Stop::into_failure)?;
    file.raw(&value.bytes[copied..])
}

const ACTIVE_TIME_BYTES: usize = 8;
/// Length, last id, first id, largest deleted id, entries added.
const STREAM_NUMBERS: usize = 8;
/// Last id, entries read.
const GROUP_NUMBERS: usize = 3;

/// Calls `each` with the offset of every consumer's active time in a stream of the third form.
fn active_times(input: &mut Input<'_>, mut each: impl FnMut(u64) -> Result<(), Failure>) -> Result<(), Stop> {
    for _ in 0..input.length("stream nodes")? {
        input.string("stream node id")?;
        input.string("stream node")?;
    }
    for _ in 0..STREAM_NUMBERS {
        input.length("stream's length and ids")?;
    }
    for _ in 0..input.length("consumer groups")? {
        input.string("group name")?;
        for _ in 0..GROUP_NUMBERS {
            input.length("group's last id")?;
        }
        for _ in 0..input.length("pending entries")? {
            input.take(24, "pending entry")?;
            input.length("deliveries")?;
        }
        for _ in 0..input.length("consumers")? {
            input.string("consumer name")?;
            input.take(8, "consumer's time")?;
            each(input.offset())?;
            input.take(ACTIVE_TIME_BYTES as u64, "consumer's time")?;
            let pending = input.length("consumer's pending entries")?;
            input.take(pending.saturating_mul(16), "pending id")?;
        }
    }
    Ok(())
}
