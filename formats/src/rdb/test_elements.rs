//! For tests: what a decoder sees of a value, owned, so that it can be compared.

use super::value::{ModulePart, StreamInfo, StreamPending};
use super::{Element, RdbError, RdbString, Scratch, StreamId, Value};
use crate::rdb::string::StringBuffer;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    String(Vec<u8>),
    ListItem(Vec<u8>),
    SetMember(Vec<u8>),
    Scored(Vec<u8>, f64),
    Field(Vec<u8>, Vec<u8>, Option<u64>),
    Entry(StreamId, Vec<(Vec<u8>, Vec<u8>)>),
    Info(StreamInfo),
    Group(Vec<u8>, StreamId, Option<u64>),
    Pending(StreamPending),
    Consumer(Vec<u8>, i64, Option<i64>),
    ConsumerPending(StreamId),
    Module(String),
}

pub(super) fn owned(string: RdbString<'_>) -> Result<Vec<u8>, RdbError> {
    Ok(string.bytes(&mut StringBuffer::default())?.to_vec())
}

/// All elements of a value.
pub(super) fn elements(value: &Value<'_>) -> Result<Vec<Seen>, RdbError> {
    let mut seen = Vec::new();
    value.for_each(&mut Scratch::default(), |element| {
        seen.push(see(element)?);
        Ok::<_, RdbError>(())
    })?;
    Ok(seen)
}

fn see(element: Element<'_>) -> Result<Seen, RdbError> {
    Ok(match element {
        Element::String(string) => Seen::String(owned(string)?),
        Element::ListItem(item) => Seen::ListItem(owned(item)?),
        Element::SetMember(member) => Seen::SetMember(owned(member)?),
        Element::SortedSetMember { member, score } => Seen::Scored(owned(member)?, score),
        Element::HashField { field, value, expires_at_ms } => {
            Seen::Field(owned(field)?, owned(value)?, expires_at_ms)
        }
        Element::StreamEntry { id, fields } => {
            let fields = fields.map(|(field, value)| Ok((owned(field)?, owned(value)?)));
            Seen::Entry(id, fields.collect::<Result<_, RdbError>>()?)
        }
        Element::StreamInfo(info) => Seen::Info(info),
        Element::StreamGroup(group) => Seen::Group(owned(group.name)?, group.last_id, group.entries_read),
        Element::StreamPending(pending) => Seen::Pending(pending),
        Element::StreamConsumer(consumer) => {
            Seen::Consumer(owned(consumer.name)?, consumer.seen_at_ms, consumer.active_at_ms)
        }
        Element::StreamConsumerPending(id) => Seen::ConsumerPending(id),
        Element::ModulePart(part) => Seen::Module(see_module_part(part)?),
    })
}

fn see_module_part(part: ModulePart<'_>) -> Result<String, RdbError> {
    Ok(match part {
        ModulePart::Id(id) => format!("{} {}", id.name(), id.version()),
        ModulePart::Signed(number) => format!("signed {}", number as i64),
        ModulePart::Unsigned(number) => format!("unsigned {number}"),
        ModulePart::Float(number) => format!("float {number}"),
        ModulePart::Double(number) => format!("double {number}"),
        ModulePart::String(string) => format!("string {}", owned(string)?.escape_ascii()),
    })
}
