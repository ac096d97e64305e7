//! Whether a server would take a value: more than that it can be read.
//!
//! Invariants:
//! 1. Memory does not grow with the value: what must be compared is compared by sums, or in several passes.
//! 2. Two elements are called equal if their hashes of 64 bits are and, in another pass, those of 128. Both have seeds of
//!    this run, so that no file can be made to have them collide.
//!
//! Source: what Redis 7.0 to 8.0 refuse in `rdb.c` when they load a file.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use formats::rdb::error::Problem;
use formats::rdb::kind::ValueKind;
use formats::rdb::{Element, RdbError, RdbString, Scratch, StreamId, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed, xxh3_128};

use crate::repeats::Repeats;

/// Checks values, with buffers that are used again.
#[derive(Default)]
pub struct Checker {
    scratch: Scratch,
    repeats: Repeats,
    seeds: Seeds,
}

/// Of the hashes of elements.
#[derive(Clone, Copy)]
struct Seeds {
    hash: u64,
    digest: u64,
}

impl Default for Seeds {
    fn default() -> Seeds {
        let random = RandomState::new();
        Seeds { hash: random.hash_one(0), digest: random.hash_one(1) }
    }
}

/// What a stream's groups say twice, summed up to be compared.
#[derive(Default)]
struct StreamSums {
    entries: u64,
    /// Of the group's pending entries, less those of its consumers.
    pending: u128,
    last_pending: Option<StreamId>,
    in_group: bool,
}

impl Checker {
    /// Checks all content; answers the number of elements: of a stream, its entries.
    #[inline]
    pub fn check(&mut self, value: &Value<'_>) -> Result<u64, RdbError> {
        match value.string() {
            Some(string) => string.check().map(|()| 1),
            None => self.check_collection(value),
        }
    }

    fn check_collection(&mut self, value: &Value<'_>) -> Result<u64, RdbError> {
        let error = |what| RdbError::new(value.offset, "value", Problem::Malformed(what));
        let malformed = |what| Err::<(), _>(error(what));
        let mut elements = 0;
        let mut unique = false;
        let mut stream = StreamSums::default();
        let mut expiries = Expiries::default();
        self.repeats.clear();
        let (repeats, seed) = (&mut self.repeats, self.seeds.hash);
        let mut keep = |name: RdbString<'_>| -> Result<(), RdbError> {
            unique = true;
            repeats.add(hash_with_seed(name, seed)?);
            Ok(())
        };
        value.for_each(&mut self.scratch, |element| {
            elements += 1;
            match element {
                Element::String(string) | Element::ListItem(string) => string.check(),
                Element::SetMember(member) => keep(member),
                Element::SortedSetMember { score, .. } if score.is_nan() => {
                    malformed("a score that is not a number")
                }
                Element::SortedSetMember { member, .. } => keep(member),
                Element::HashField { field, value: content, expires_at_ms } => {
                    expiries.add(value.kind, expires_at_ms).or_else(malformed)?;
                    keep(field).and_then(|()| content.check())
                }
                Element::ModulePart(formats::rdb::value::ModulePart::String(string)) => string.check(),
                Element::ModulePart(_) => Ok(()),
                element => {
                    elements -= u64::from(!matches!(element, Element::StreamEntry { .. }));
                    stream.add(element).or_else(malformed)
                }
            }
        })?;
        stream.end_group().or_else(malformed)?;
        if unique && self.has_repeats(value)? {
            return Err(error("an element stands in it twice"));
        }
        Ok(elements)
    }

    /// Whether two elements are equal.
    fn has_repeats(&mut self, value: &Value<'_>) -> Result<bool, RdbError> {
        let Checker { scratch, repeats, seeds } = self;
        let seed = seeds.hash;
        let found = repeats.find(|visit| {
            each_name(value, scratch, |name| {
                visit(hash_with_seed(name, seed)?);
                Ok(())
            })
        })?;
        let Some(suspect) = found else { return Ok(false) };
        let mut digests = HashSet::new();
        let mut repeated = false;
        each_name(value, scratch, |name| {
            if hash_with_seed(name, seed)? == suspect {
                repeated |= !digests.insert(digest(name, seeds.digest)?);
            }
            Ok(())
        })?;
        Ok(repeated)
    }
}

/// Visits the elements that must differ: members, fields.
fn each_name(
    value: &Value<'_>,
    scratch: &mut Scratch,
    mut visit: impl FnMut(RdbString<'_>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    value.for_each(scratch, |element| match element {
        Element::SetMember(name)
        | Element::SortedSetMember { member: name, .. }
        | Element::HashField { field: name, .. } => visit(name),
        _ => Ok(()),
    })
}

/// Times at which the fields of a hash expire.
#[derive(Default)]
struct Expiries {
    /// Of the field before, if there is one.
    last: Option<Option<u64>>,
}

impl Expiries {
    fn add(&mut self, kind: ValueKind, at: Option<u64>) -> Result<(), &'static str> {
        let is_packed = matches!(kind, ValueKind::HashListpackEx | ValueKind::HashListpackExPreGa);
        let last = self.last.replace(at);
        match (last, at) {
            (Some(last), Some(at)) if is_packed && last.is_none_or(|last| last > at) => {
                Err("fields are not in the order in which they expire")
            }
            _ => Ok(()),
        }
    }
}

impl StreamSums {
    fn add(&mut self, element: Element<'_>) -> Result<(), &'static str> {
        match element {
            Element::StreamEntry { .. } => self.entries += 1,
            Element::StreamInfo(info) if info.length != self.entries => {
                return Err("a stream's length is not the number of its entries");
            }
            Element::StreamGroup(group) => {
                self.end_group()?;
                self.in_group = true;
                group.name.check().map_err(|_| "a group's name cannot be unpacked")?;
            }
            Element::StreamPending(pending) => {
                if self.last_pending.is_some_and(|last| last >= pending.id) {
                    return Err("a group's pending entries do not ascend");
                }
                self.last_pending = Some(pending.id);
                self.pending = self.pending.wrapping_add(id_hash(pending.id));
            }
            Element::StreamConsumer(consumer) => {
                consumer.name.check().map_err(|_| "a consumer's name cannot be unpacked")?;
            }
            Element::StreamConsumerPending(id) => self.pending = self.pending.wrapping_sub(id_hash(id)),
            _ => {}
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), &'static str> {
        let sum = std::mem::take(&mut self.pending);
        self.last_pending = None;
        if self.in_group && sum != 0 {
            return Err("a group's pending entries are not those of its consumers");
        }
        Ok(())
    }
}

fn id_hash(id: StreamId) -> u128 {
    xxh3_128(&(u128::from(id.ms) << 64 | u128::from(id.seq)).to_le_bytes())
}

/// A hash of the string as a client sees it. Where a file must not be able to choose it, the seed is one of this run.
#[inline]
pub fn hash_with_seed(string: RdbString<'_>, seed: u64) -> Result<u64, RdbError> {
    match string {
        RdbString::Raw(bytes) => Ok(xxh3_64_with_seed(bytes, seed)),
        string => {
            let mut state = Xxh3::with_seed(seed);
            string.for_each_chunk(|chunk| state.update(chunk))?;
            Ok(state.digest())
        }
    }
}

/// The same of 128 bits.
pub fn digest(string: RdbString<'_>, seed: u64) -> Result<u128, RdbError> {
    let mut state = Xxh3::with_seed(seed);
    string.for_each_chunk(|chunk| state.update(chunk))?;
    Ok(state.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_string_has_one_hash_whatever_its_form() {
        for length in [60, 100, 200, 300, 5000, 300_000] {
            let plain = b"compressible ".repeat(length / 13 + 1)[..length].to_vec();
            let mut compressed = Vec::new();
            assert!(formats::rdb::lzf::compress(&plain, &mut compressed));
            let (raw, lzf) =
                (RdbString::Raw(&plain), RdbString::Lzf { compressed: &compressed, length, offset: 0 });
            assert_eq!(hash_with_seed(raw, 7).ok(), hash_with_seed(lzf, 7).ok(), "{length}");
            assert_ne!(hash_with_seed(raw, 7).ok(), hash_with_seed(raw, 8).ok(), "{length}");
            assert_eq!(digest(raw, 7).ok(), digest(lzf, 7).ok(), "{length}");
        }
    }
}
