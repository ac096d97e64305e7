//! Values: where one ends (framing), and the elements in it (content).
//!
//! Invariants:
//! 1. A [`Value`] was framed: its bytes are there, and nothing of the next record is in them.
//! 2. Elements are visited in the order of the file, one at a time; only a compressed packed blob is unpacked whole.

mod content;
mod framing;
mod nodes;
mod stream;

use super::StreamId;
use super::error::RdbError;
use super::input::Input;
use super::kind::{ValueKind, ValueType};
use super::stream::StreamFields;
use super::string::{RdbString, StringBuffer};

pub(super) use framing::{skip_module_parts, skip_value};
pub use nodes::Node;

/// A value in its file, framed but not looked into.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    pub kind: ValueKind,
    /// The value as encoded, without its type byte.
    pub bytes: &'a [u8],
    /// Where `bytes` start in the file.
    pub offset: u64,
}

/// A part of a value.
#[derive(Clone, Copy, Debug)]
pub enum Element<'e> {
    /// The whole value of type string.
    String(RdbString<'e>),
    ListItem(RdbString<'e>),
    SetMember(RdbString<'e>),
    SortedSetMember {
        member: RdbString<'e>,
        score: f64,
    },
    HashField {
        field: RdbString<'e>,
        value: RdbString<'e>,
        /// Milliseconds since 1970.
        expires_at_ms: Option<u64>,
    },
    StreamEntry {
        id: StreamId,
        fields: StreamFields<'e>,
    },
    /// Behind all entries.
    StreamInfo(StreamInfo),
    /// Opens a consumer group: its pending entries and consumers follow.
    StreamGroup(StreamGroup<'e>),
    /// An entry that a consumer of the group has not acknowledged.
    StreamPending(StreamPending),
    StreamConsumer(StreamConsumer<'e>),
    /// An entry pending for the last consumer; one of the group's.
    StreamConsumerPending(StreamId),
    /// A part of a module's value.
    ModulePart(ModulePart<'e>),
}

/// What a stream remembers beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    pub length: u64,
    pub last_id: StreamId,
    /// The three below are kept since Redis 7.0.
    pub first_id: Option<StreamId>,
    pub max_deleted_id: Option<StreamId>,
    pub entries_added: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub struct StreamGroup<'e> {
    pub name: RdbString<'e>,
    pub last_id: StreamId,
    /// Kept since Redis 7.0; `None` also where the group has lost count.
    pub entries_read: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPending {
    pub id: StreamId,
    /// Milliseconds since 1970.
    pub delivered_at_ms: i64,
    pub deliveries: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct StreamConsumer<'e> {
    pub name: RdbString<'e>,
    /// Milliseconds since 1970.
    pub seen_at_ms: i64,
    /// Kept since Redis 7.2; `None` also where it never was active.
    pub active_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub enum ModulePart<'e> {
    /// The module's name and the version of its encoding: first of all parts.
    Id(ModuleId),
    Signed(u64),
    Unsigned(u64),
    Float(f32),
    Double(f64),
    String(RdbString<'e>),
}

/// Names a module's type: nine characters of six bits, and ten bits of version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleId(pub u64);

impl ModuleId {
    /// The name of the module's type.
    pub fn name(self) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..9).map(|i| char::from(LETTERS[(self.0 >> (58 - 6 * i) & 63) as usize])).collect()
    }

    /// The version of its encoding.
    pub fn version(self) -> u64 {
        self.0 & 1023
    }
}

/// Buffers that reading values uses again and again.
#[derive(Default)]
pub struct Scratch {
    blob: StringBuffer,
    id: StringBuffer,
}

impl<'a> Value<'a> {
    pub fn value_type(&self) -> ValueType {
        self.kind.value_type()
    }

    /// Visits all elements. Ends at the first error, be it of the content or of `visit`.
    pub fn for_each<E: From<RdbError>>(
        &self,
        scratch: &mut Scratch,
        visit: impl FnMut(Element<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        content::for_each(self, scratch, visit)
    }

    /// Reads all content and forgets it: strings are unpacked, packed structures walked through.
    pub fn check(&self, scratch: &mut Scratch) -> Result<(), RdbError> {
        self.for_each(scratch, |element| match element {
            Element::String(string) | Element::ListItem(string) | Element::SetMember(string) => {
                string.check()
            }
            Element::SortedSetMember { score, .. } if score.is_nan() => {
                Err(self.malformed("a score that is not a number"))
            }
            Element::SortedSetMember { member, .. } => member.check(),
            Element::HashField { field, value, .. } => field.check().and_then(|()| value.check()),
            Element::StreamGroup(group) => group.name.check(),
            Element::StreamConsumer(consumer) => consumer.name.check(),
            Element::ModulePart(ModulePart::String(string)) => string.check(),
            _ => Ok(()),
        })
    }

    /// Number of elements as Redis' `LLEN`, `SCARD`, `ZCARD`, `HLEN`, `XLEN` would answer; 1 for a string or a module's
    /// value. Costs a look at the head, except for chains of packed nodes and packed blobs that do not know.
    pub fn count(&self, scratch: &mut Scratch) -> Result<u64, RdbError> {
        content::count(self, scratch)
    }

    /// The string, if that is the type.
    #[inline]
    pub fn string(&self) -> Option<RdbString<'a>> {
        if self.kind != ValueKind::String {
            return None;
        }
        self.input().string("string").ok()
    }

    /// The type of a module's value.
    pub fn module_id(&self) -> Option<ModuleId> {
        if self.kind != ValueKind::Module {
            return None;
        }
        self.input().length("module id").ok().map(ModuleId)
    }

    fn input(&self) -> Input<'a> {
        Input::new(self.bytes, self.offset)
    }

    #[cold]
    fn malformed(&self, what: &'static str) -> RdbError {
        RdbError::new(self.offset, "value", super::error::Problem::Malformed(what))
    }
}
