//! What a file holds, owned, so that it can be compared; and the decoder's answer to that.

use std::collections::{BTreeMap, BTreeSet};

use formats::rdb::string::StringBuffer;
use formats::rdb::value::ModulePart;
use formats::rdb::{Decoder, Element, Item, KeyRecord, RdbError, RdbString, Scratch, StreamId, ValueKind};

pub type Bytes = Vec<u8>;

/// All of a file.
#[derive(Debug, Default)]
pub struct Contents {
    pub keys: Vec<(Key, ValueKind)>,
    pub libraries: Vec<Bytes>,
    /// From the file's end.
    pub checksum: Option<u64>,
    /// Bytes up to the end, without the checksum.
    pub checked_bytes: usize,
    pub trailing_bytes: usize,
    pub slots: Vec<(u64, u64, u64)>,
    pub aux: BTreeMap<Bytes, Bytes>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub db: u64,
    pub name: Bytes,
    pub type_name: String,
    pub expires_at_ms: Option<i64>,
    pub idle_seconds: Option<u64>,
    pub frequency: Option<u8>,
    pub value: Holds,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    String(Bytes),
    List(Vec<Bytes>),
    Set(BTreeSet<Bytes>),
    /// Scores are compared as numbers: zeros of either sign are equal, and there is no NaN.
    SortedSet(BTreeMap<Bytes, f64>),
    Hash(BTreeMap<Bytes, (Bytes, Option<u64>)>),
    Stream(Stream),
    Module,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    pub entries: Vec<(StreamId, Vec<(Bytes, Bytes)>)>,
    pub length: u64,
    pub last_id: StreamId,
    pub first_id: Option<StreamId>,
    pub max_deleted_id: Option<StreamId>,
    pub entries_added: Option<u64>,
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: Bytes,
    pub last_id: StreamId,
    pub entries_read: Option<u64>,
    /// When and how often each entry was delivered; servers before Redis 7 do not tell when.
    pub pending: BTreeMap<StreamId, (Option<i64>, u64)>,
    pub consumers: Vec<Consumer>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Consumer {
    pub name: Bytes,
    pub seen_at_ms: Option<i64>,
    pub active_at_ms: Option<i64>,
    pub pending: Vec<StreamId>,
}

/// Reads all of a file, and checks that each value has as many elements as its count says.
pub fn decode(file: &[u8]) -> Result<Contents, RdbError> {
    let mut decoder = Decoder::new(file)?;
    let mut contents = Contents::default();
    let mut scratch = Scratch::default();
    while let Some(item) = decoder.next_item()? {
        match item {
            Item::Key(record) => contents.keys.push((key(&record, &mut scratch)?, record.value.kind)),
            Item::Function { code } => contents.libraries.push(owned(code)?),
            Item::SlotInfo { slot, keys, expires } => contents.slots.push((slot, keys, expires)),
            Item::Aux { name, value } => {
                contents.aux.insert(owned(name)?, owned(value)?);
            }
            Item::End { checksum } => {
                contents.checksum = checksum;
                contents.checked_bytes = decoder.offset() as usize - if checksum.is_some() { 8 } else { 0 };
                contents.trailing_bytes = decoder.rest().len();
            }
            _ => {}
        }
    }
    Ok(contents)
}

pub fn owned(string: RdbString<'_>) -> Result<Bytes, RdbError> {
    let bytes = string.bytes(&mut StringBuffer::default())?.to_vec();
    assert_eq!(string.len(), bytes.len());
    Ok(bytes)
}

/// A key and all of its value.
pub fn key(record: &KeyRecord<'_>, scratch: &mut Scratch) -> Result<Key, RdbError> {
    let value = &record.value;
    let mut holds = empty(value.kind);
    value.for_each(scratch, |element| add(&mut holds, element))?;
    value.check(scratch)?;
    assert_eq!(value.count(scratch)?, count(&holds), "the count of {:?}", record);
    Ok(Key {
        db: record.db,
        name: owned(record.key)?,
        type_name: value.value_type().name().into(),
        expires_at_ms: record.expires_at_ms,
        idle_seconds: record.idle_seconds,
        frequency: record.frequency,
        value: holds,
    })
}

fn empty(kind: ValueKind) -> Holds {
    match kind.value_type().name() {
        "string" => Holds::String(Bytes::new()),
        "list" => Holds::List(Vec::new()),
        "set" => Holds::Set(BTreeSet::new()),
        "zset" => Holds::SortedSet(BTreeMap::new()),
        "hash" => Holds::Hash(BTreeMap::new()),
        "stream" => Holds::Stream(Stream::default()),
        _ => Holds::Module,
    }
}

fn count(holds: &Holds) -> u64 {
    let count = match holds {
        Holds::String(_) | Holds::Module => 1,
        Holds::List(items) => items.len(),
        Holds::Set(members) => members.len(),
        Holds::SortedSet(members) => members.len(),
        Holds::Hash(fields) => fields.len(),
        Holds::Stream(stream) => stream.entries.len(),
    };
    count as u64
}

/// An element that is there twice makes the count wrong.
fn add(holds: &mut Holds, element: Element<'_>) -> Result<(), RdbError> {
    match (holds, element) {
        (Holds::String(bytes), Element::String(string)) => *bytes = owned(string)?,
        (Holds::List(items), Element::ListItem(item)) => items.push(owned(item)?),
        (Holds::Set(members), Element::SetMember(member)) => {
            members.insert(owned(member)?);
        }
        (Holds::SortedSet(members), Element::SortedSetMember { member, score }) => {
            members.insert(owned(member)?, score);
        }
        (Holds::Hash(fields), Element::HashField { field, value, expires_at_ms }) => {
            fields.insert(owned(field)?, (owned(value)?, expires_at_ms));
        }
        (Holds::Stream(stream), element) => add_to_stream(stream, element)?,
        (Holds::Module, Element::ModulePart(part)) => {
            if let ModulePart::String(string) = part {
                owned(string)?;
            }
        }
        (holds, element) => panic!("{element:?} in {holds:?}"),
    }
    Ok(())
}

fn add_to_stream(stream: &mut Stream, element: Element<'_>) -> Result<(), RdbError> {
    match element {
        Element::StreamEntry { id, fields } => {
            let fields = fields.map(|(field, value)| Ok((owned(field)?, owned(value)?)));
            stream.entries.push((id, fields.collect::<Result<_, RdbError>>()?));
        }
        Element::StreamInfo(info) => {
            stream.length = info.length;
            stream.last_id = info.last_id;
            stream.first_id = info.first_id;
            stream.max_deleted_id = info.max_deleted_id;
            stream.entries_added = info.entries_added;
        }
        Element::StreamGroup(group) => stream.groups.push(Group {
            name: owned(group.name)?,
            last_id: group.last_id,
            entries_read: group.entries_read,
            pending: BTreeMap::new(),
            consumers: Vec::new(),
        }),
        Element::StreamPending(pending) => {
            let group = stream.groups.last_mut().expect("a group is open");
            let times = (Some(pending.delivered_at_ms), pending.deliveries);
            assert_eq!(group.pending.insert(pending.id, times), None, "pending twice");
        }
        Element::StreamConsumer(consumer) => {
            let group = stream.groups.last_mut().expect("a group is open");
            group.consumers.push(Consumer {
                name: owned(consumer.name)?,
                seen_at_ms: Some(consumer.seen_at_ms),
                active_at_ms: consumer.active_at_ms,
                pending: Vec::new(),
            });
        }
        Element::StreamConsumerPending(id) => {
            let consumer = stream.groups.last_mut().and_then(|group| group.consumers.last_mut());
            consumer.expect("a consumer is open").pending.push(id);
        }
        element => panic!("{element:?} in a stream"),
    }
    Ok(())
}
