//! Whether a server would take a value: more than that it can be read.
//!
//! Invariants:
//! 1. Memory does not grow with the value: what must be compared is compared by sums, or in several passes.
//! 2. Two elements are called equal if their 64-bit hashes are: in a collection of a million that is wrong once in
//!    forty million collections.
//!
//! Source: what Redis 7.0 to 8.0 refuse in `rdb.c` when they load a file.

use formats::rdb::error::Problem;
use formats::rdb::kind::ValueKind;
use formats::rdb::{Element, RdbError, RdbString, Scratch, StreamId, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

/// Hashes that are compared in one pass: 16 MiB.
const HASHES_IN_ONE_PASS: u64 = 2 << 20;

/// Checks values, with buffers that are used again.
#[derive(Default)]
pub struct Checker {
    scratch: Scratch,
    hashes: Vec<u64>,
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
        self.hashes.clear();
        let hashes = &mut self.hashes;
        let mut keep = |name: RdbString<'_>| -> Result<(), RdbError> {
            unique = true;
            match (hashes.len() as u64) < HASHES_IN_ONE_PASS {
                true => hashes.push(hash(name)?),
                false => name.check()?,
            }
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
        if unique && self.has_repeats(value, elements)? {
            return Err(error("an element stands in it twice"));
        }
        Ok(elements)
    }

    /// Whether two of the hashes are equal: of those that were kept if they are all, else of all in several passes.
    fn has_repeats(&mut self, value: &Value<'_>, elements: u64) -> Result<bool, RdbError> {
        let passes = elements.div_ceil(HASHES_IN_ONE_PASS);
        if passes <= 1 {
            return Ok(sort_and_find_repeat(&mut self.hashes));
        }
        for pass in 0..passes {
            self.hashes.clear();
            let hashes = &mut self.hashes;
            value.for_each(&mut self.scratch, |element| {
                let (Element::SetMember(name)
                | Element::SortedSetMember { member: name, .. }
                | Element::HashField { field: name, .. }) = element
                else {
                    return Ok(());
                };
                let hash = hash(name)?;
                if hash % passes == pass {
                    hashes.push(hash);
                }
                Ok::<_, RdbError>(())
            })?;
            if sort_and_find_repeat(hashes) {
                return Ok(true);
            }
        }
        Ok(false)
    }
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

fn sort_and_find_repeat(hashes: &mut [u64]) -> bool {
    hashes.sort_unstable();
    hashes.windows(2).any(|pair| pair[0] == pair[1])
}

/// A hash of the string as a client sees it.
pub fn hash(string: RdbString<'_>) -> Result<u64, RdbError> {
    match string {
        RdbString::Raw(bytes) => Ok(xxh3_64(bytes)),
        string => {
            let mut state = Xxh3::new();
            string.for_each_chunk(|chunk| state.update(chunk))?;
            Ok(state.digest())
        }
    }
}
