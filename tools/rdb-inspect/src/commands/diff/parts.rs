//! A value as a set of parts, each with a name and a content: what two values have in common, whatever their encodings.
//!
//! | type | name | content |
//! |---|---|---|
//! | string, module | — or number | bytes |
//! | list | position | item |
//! | set | member | — |
//! | sorted set | member | score |
//! | hash | field | value, expiry |
//! | stream | entry's id | fields and values |
//! | | info, group, pending entry, consumer | what is kept of it |
//!
//! Invariants:
//! 1. Parts are visited one at a time; hashes of 128 bits stand for names and contents, with a seed of the run, so that no
//!    file can be made to have two collide.
//! 2. The sum over all parts does not depend on their order, and is that of another value only by chance: 2^-128.
//! 3. What one of two forms cannot hold (a consumer's active time, the first id of a stream) is left out for both.

use formats::rdb::kind::ValueKind;
use formats::rdb::string::StringBuffer;
use formats::rdb::value::ModulePart;
use formats::rdb::{Element, RdbError, RdbString, Scratch, StreamId, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

use crate::dates::utc;
use crate::names;

/// What both of two values can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common {
    stream_second: bool,
    stream_third: bool,
}

impl Common {
    pub(super) fn of(a: ValueKind, b: ValueKind) -> Common {
        let lacks = |kind| a == kind || b == kind;
        let stream_second = !lacks(ValueKind::Stream1);
        Common { stream_second, stream_third: stream_second && !lacks(ValueKind::Stream2) }
    }
}

/// What tells one kind of part from another: the seed of its name's hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PartKind {
    Whole = 1,
    Item,
    Member,
    Field,
    Entry,
    Info,
    Group,
    Pending,
    Consumer,
    ConsumerPending,
    Module,
}

/// A part of a value.
pub(super) struct Part<'p> {
    pub(super) kind: PartKind,
    pub(super) name_hash: u128,
    pub(super) content_hash: u128,
    name: Name<'p>,
    content: &'p Content<'p>,
}

enum Name<'p> {
    None,
    Index(u64),
    String(RdbString<'p>),
    Id(StreamId),
    Text(&'p str),
}

enum Content<'p> {
    None,
    String(RdbString<'p>),
    Score(f64),
    Value(RdbString<'p>, Option<u64>),
    Text(String),
    Fields(formats::rdb::stream::StreamFields<'p>),
}

impl Part<'_> {
    /// Its share of the value's sum.
    pub(super) fn digest(&self) -> u128 {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.name_hash.to_le_bytes());
        bytes[16..].copy_from_slice(&self.content_hash.to_le_bytes());
        xxh3_128_with_seed(&bytes, 0)
    }

    /// The name for people.
    pub(super) fn name(&self) -> String {
        let name = match self.name {
            Name::None => String::new(),
            Name::Index(index) => format!("[{index}]"),
            Name::String(string) => names::of(string),
            Name::Id(id) => id.to_string(),
            Name::Text(text) => text.to_owned(),
        };
        match self.kind {
            PartKind::Group => format!("group {name}"),
            PartKind::Consumer => format!("consumer {name}"),
            PartKind::Pending => format!("pending {name}"),
            PartKind::ConsumerPending => format!("consumer's pending {name}"),
            PartKind::Entry => format!("entry {name}"),
            _ => name,
        }
    }

    /// The content for people; empty if there is none.
    pub(super) fn content(&self) -> String {
        match self.content {
            Content::None => String::new(),
            Content::String(string) => names::of(*string),
            Content::Score(score) => score.to_string(),
            Content::Value(value, None) => names::of(*value),
            Content::Value(value, Some(at)) => format!("{} expires {}", names::of(*value), utc(*at as i64)),
            Content::Text(text) => text.clone(),
            Content::Fields(fields) => {
                let mut text = String::new();
                for (field, value) in fields.take(4) {
                    let space = if text.is_empty() { "" } else { ", " };
                    text.push_str(&format!("{space}{}: {}", names::of(field), names::of(value)));
                }
                text
            }
        }
    }
}

/// Visits the parts of values, with buffers that are used again.
pub(super) struct PartReader {
    scratch: Scratch,
    hasher: Hasher,
}

/// Hashes names and contents.
struct Hasher {
    seed: u64,
    buffer: StringBuffer,
    bytes: Vec<u8>,
    group: u64,
    consumer: u64,
}

impl PartReader {
    /// Values that are compared need readers of one seed.
    pub(super) fn new(seed: u64) -> PartReader {
        let hasher =
            Hasher { seed, buffer: StringBuffer::default(), bytes: Vec::new(), group: 0, consumer: 0 };
        PartReader { scratch: Scratch::default(), hasher }
    }

    /// Visits all parts. Ends at the first error.
    pub(super) fn for_each<E: From<RdbError>>(
        &mut self,
        value: &Value<'_>,
        common: Common,
        mut visit: impl FnMut(&Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let hasher = &mut self.hasher;
        let mut index = 0;
        value.for_each(&mut self.scratch, |element| {
            hasher.part(&element, index, common, &mut visit)?;
            index += 1;
            Ok(())
        })
    }

    /// Number of parts, and their sum.
    pub(super) fn digest(&mut self, value: &Value<'_>, common: Common) -> Result<(u64, u128), RdbError> {
        let (mut count, mut sum) = (0, 0u128);
        self.for_each(value, common, |part| {
            count += 1;
            sum = sum.wrapping_add(part.digest());
            Ok::<_, RdbError>(())
        })?;
        Ok((count, sum))
    }
}

impl Hasher {
    fn hash(&mut self, string: RdbString<'_>, seed: u64) -> Result<u128, RdbError> {
        const IN_ONE_PIECE: usize = 1 << 20;
        let seed = seed.wrapping_add(self.seed);
        if string.len() <= IN_ONE_PIECE {
            return Ok(xxh3_128_with_seed(string.bytes(&mut self.buffer)?, seed));
        }
        let mut state = Xxh3::with_seed(seed);
        string.for_each_chunk(|chunk| state.update(chunk))?;
        Ok(state.digest128())
    }

    fn numbers(&mut self, kind: PartKind, numbers: &[u64]) -> u128 {
        self.bytes.clear();
        numbers.iter().for_each(|number| self.bytes.extend_from_slice(&number.to_le_bytes()));
        xxh3_128_with_seed(&self.bytes, kind as u64)
    }

    fn part<E: From<RdbError>>(
        &mut self,
        element: &Element<'_>,
        index: u64,
        common: Common,
        visit: &mut impl FnMut(&Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match *element {
            Element::String(string) => {
                let content_hash = self.hash(string, 0)?;
                visit(&part(PartKind::Whole, Name::None, 0, &Content::String(string), content_hash))
            }
            Element::ListItem(item) => {
                let content_hash = self.hash(item, 0)?;
                let name_hash = self.numbers(PartKind::Item, &[index]);
                visit(&part(
                    PartKind::Item,
                    Name::Index(index),
                    name_hash,
                    &Content::String(item),
                    content_hash,
                ))
            }
            Element::SetMember(member) => {
                let name_hash = self.hash(member, PartKind::Member as u64)?;
                visit(&part(PartKind::Member, Name::String(member), name_hash, &Content::None, 0))
            }
            Element::SortedSetMember { member, score } => {
                let name_hash = self.hash(member, PartKind::Member as u64)?;
                // Both zeros are one score.
                let bits = if score == 0.0 { 0 } else { score.to_bits() };
                let content = Content::Score(score);
                visit(&part(PartKind::Member, Name::String(member), name_hash, &content, u128::from(bits)))
            }
            Element::HashField { field, value, expires_at_ms } => {
                let name_hash = self.hash(field, PartKind::Field as u64)?;
                let expiry = expires_at_ms.map_or(0, |at| at.wrapping_add(1));
                let content_hash = self.hash(value, expiry)?;
                let content = Content::Value(value, expires_at_ms);
                visit(&part(PartKind::Field, Name::String(field), name_hash, &content, content_hash))
            }
            Element::StreamEntry { id, fields } => {
                let mut content_hash = 0u128;
                for (field, value) in fields {
                    let pair = [self.hash(field, 1)?, self.hash(value, 2)?];
                    content_hash =
                        content_hash.rotate_left(1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
                            ^ pair[0]
                            ^ pair[1].rotate_left(64);
                }
                let name_hash = self.numbers(PartKind::Entry, &[id.ms, id.seq]);
                visit(&part(PartKind::Entry, Name::Id(id), name_hash, &Content::Fields(fields), content_hash))
            }
            Element::ModulePart(module) => {
                let content_hash = match module {
                    ModulePart::String(string) => self.hash(string, 0)?,
                    other => self.numbers(PartKind::Module, &module_numbers(other)),
                };
                let name_hash = self.numbers(PartKind::Module, &[index]);
                visit(&part(PartKind::Module, Name::Index(index), name_hash, &Content::None, content_hash))
            }
            _ => self.stream_part(element, common, visit),
        }
    }

    /// Parts of a stream beside its entries.
    fn stream_part<E: From<RdbError>>(
        &mut self,
        element: &Element<'_>,
        common: Common,
        visit: &mut impl FnMut(&Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match *element {
            Element::StreamInfo(info) => {
                let mut facts = vec![("last id", info.last_id.to_string())];
                if common.stream_second {
                    let id = |id: Option<StreamId>| id.unwrap_or_default().to_string();
                    facts.push(("largest deleted id", id(info.max_deleted_id)));
                    facts.push(("entries added", info.entries_added.unwrap_or(0).to_string()));
                }
                facts.into_iter().try_for_each(|(name, text)| {
                    let name_hash = xxh3_128_with_seed(name.as_bytes(), PartKind::Info as u64);
                    self.text_part(PartKind::Info, Name::Text(name), name_hash, text, visit)
                })
            }
            Element::StreamGroup(group) => {
                let name_hash = self.hash(group.name, PartKind::Group as u64)?;
                self.group = name_hash as u64;
                let read = group.entries_read.filter(|_| common.stream_second);
                let text = match read {
                    Some(read) => format!("last id {}, {read} entries read", group.last_id),
                    None => format!("last id {}", group.last_id),
                };
                self.text_part(PartKind::Group, Name::String(group.name), name_hash, text, visit)
            }
            Element::StreamPending(pending) => {
                let id = pending.id;
                let name_hash = self.numbers(PartKind::Pending, &[self.group, id.ms, id.seq]);
                let text =
                    format!("delivered {}, {} times", utc(pending.delivered_at_ms), pending.deliveries);
                self.text_part(PartKind::Pending, Name::Id(id), name_hash, text, visit)
            }
            Element::StreamConsumer(consumer) => {
                let name_hash = self.hash(consumer.name, self.group ^ PartKind::Consumer as u64)?;
                self.consumer = name_hash as u64;
                let text = match consumer.active_at_ms.filter(|_| common.stream_third) {
                    Some(active) => format!("seen {}, active {}", utc(consumer.seen_at_ms), utc(active)),
                    None => format!("seen {}", utc(consumer.seen_at_ms)),
                };
                self.text_part(PartKind::Consumer, Name::String(consumer.name), name_hash, text, visit)
            }
            Element::StreamConsumerPending(id) => {
                let kind = PartKind::ConsumerPending;
                let name_hash = self.numbers(kind, &[self.group, self.consumer, id.ms, id.seq]);
                visit(&part(kind, Name::Id(id), name_hash, &Content::None, 0))
            }
            _ => Ok(()),
        }
    }

    fn text_part<E>(
        &mut self,
        kind: PartKind,
        name: Name<'_>,
        name_hash: u128,
        text: String,
        visit: &mut impl FnMut(&Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let content_hash = xxh3_128_with_seed(text.as_bytes(), 0);
        visit(&part(kind, name, name_hash, &Content::Text(text), content_hash))
    }
}

fn part<'p>(
    kind: PartKind,
    name: Name<'p>,
    name_hash: u128,
    content: &'p Content<'p>,
    content_hash: u128,
) -> Part<'p> {
    Part { kind, name_hash, content_hash, name, content }
}

fn module_numbers(part: ModulePart<'_>) -> [u64; 2] {
    match part {
        ModulePart::Id(id) => [1, id.0],
        ModulePart::Signed(number) => [2, number],
        ModulePart::Unsigned(number) => [3, number],
        ModulePart::Float(number) => [4, u64::from(number.to_bits())],
        ModulePart::Double(number) => [5, number.to_bits()],
        ModulePart::String(_) => [6, 0],
    }
}
