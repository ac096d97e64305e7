//! A file written anew, every value decoded and encoded again: packed where it is small, element by element where not.

use formats::rdb::encode::{
    EncodeVersion, Encoder, INTSET_MAX_MEMBERS, KeyMeta, PendingEntry, StreamConsumer, StreamEntry,
    StreamGroup, StreamMeta, StreamNodeCounter, is_small,
};
use formats::rdb::listpack_writer::canonical_integer;
use formats::rdb::value::{StreamInfo, StreamPending};
use formats::rdb::{Decoder, Element, Item, KeyRecord, RdbError, RdbString, Scratch, StreamId, ValueType};

type Bytes = Vec<u8>;

/// A value in memory.
#[derive(Default)]
struct Owned {
    /// Items, members, or fields.
    elements: Vec<Bytes>,
    /// Of fields.
    values: Vec<Bytes>,
    scores: Vec<f64>,
    entries: Vec<(StreamId, Vec<(Bytes, Bytes)>)>,
    info: Option<StreamInfo>,
    groups: Vec<OwnedGroup>,
}

struct OwnedGroup {
    name: Bytes,
    last_id: StreamId,
    entries_read: Option<u64>,
    pending: Vec<PendingEntry>,
    consumers: Vec<(Bytes, i64, Vec<StreamId>)>,
}

/// All of `file`, encoded in `version`.
pub fn rewrite(file: &[u8], version: EncodeVersion) -> Vec<u8> {
    let mut decoder = Decoder::new(file).expect("a server wrote it");
    let mut encoder = Encoder::new(version, true);
    let mut scratch = Scratch::default();
    while let Some(item) = decoder.next_item().expect("a server wrote it") {
        match item {
            Item::SelectDb(db) => encoder.select_db(db).unwrap(),
            Item::ResizeDb { keys, expires } => encoder.resize_db(keys, expires).unwrap(),
            Item::Aux { name, value } => encoder.aux(&bytes(name), &bytes(value)).unwrap(),
            Item::Function { code } => encoder.function(&bytes(code)).unwrap(),
            Item::Key(record) => key(&record, &mut encoder, &mut scratch),
            Item::End { .. } => encoder.finish().unwrap(),
            other => panic!("{other:?} was not expected"),
        }
    }
    encoder.take()
}

fn bytes(string: RdbString<'_>) -> Bytes {
    let mut all = Vec::new();
    string.for_each_chunk(|chunk| all.extend_from_slice(chunk)).expect("it can be unpacked");
    all
}

fn key(record: &KeyRecord<'_>, encoder: &mut Encoder, scratch: &mut Scratch) {
    let mut value = Owned::default();
    let read = record.value.for_each(scratch, |element| {
        value.add(&element);
        Ok::<_, RdbError>(())
    });
    read.expect("it can be read");
    let name = bytes(record.key);
    let meta = KeyMeta {
        expires_at_ms: record.expires_at_ms,
        idle_seconds: record.idle_seconds,
        frequency: record.frequency,
    };
    let all: Vec<&[u8]> = value.elements.iter().map(Vec::as_slice).collect();
    let count = all.len() as u64;
    match record.value.value_type() {
        ValueType::String => encoder.key(&name, meta).and_then(|key| key.string(all[0])).unwrap(),
        ValueType::List => {
            encoder.key(&name, meta).and_then(|key| key.packed_list(all.iter().copied())).unwrap()
        }
        ValueType::Set => set(encoder, &name, meta, &all),
        ValueType::SortedSet => {
            let mut members: Vec<(&[u8], f64)> =
                all.iter().copied().zip(value.scores.iter().copied()).collect();
            members.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
            if is_small(all.len(), all.iter().copied()) {
                return encoder.key(&name, meta).and_then(|key| key.small_sorted_set(&members)).unwrap();
            }
            encoder.key(&name, meta).and_then(|key| key.begin_sorted_set(count)).unwrap();
            members.iter().for_each(|(member, score)| encoder.sorted_set_member(member, *score).unwrap());
        }
        ValueType::Hash => {
            let values: Vec<&[u8]> = value.values.iter().map(Vec::as_slice).collect();
            let fields: Vec<(&[u8], &[u8])> = all.iter().copied().zip(values.iter().copied()).collect();
            if is_small(all.len(), all.iter().chain(&values).copied()) {
                return encoder.key(&name, meta).and_then(|key| key.small_hash(&fields)).unwrap();
            }
            encoder.key(&name, meta).and_then(|key| key.begin_hash(count)).unwrap();
            fields.iter().for_each(|(field, value)| encoder.hash_field(field, value).unwrap());
        }
        ValueType::Stream => stream(encoder, &name, meta, &value),
        ValueType::Module => panic!("no modules here"),
    }
}

fn set(encoder: &mut Encoder, name: &[u8], meta: KeyMeta, members: &[&[u8]]) {
    let integers: Option<Vec<i64>> = members.iter().map(|member| canonical_integer(member)).collect();
    if let Some(mut integers) = integers.filter(|integers| integers.len() <= INTSET_MAX_MEMBERS) {
        integers.sort_unstable();
        return encoder.key(name, meta).and_then(|key| key.int_set(&integers)).unwrap();
    }
    if is_small(members.len(), members.iter().copied()) {
        return encoder.key(name, meta).and_then(|key| key.small_set(members)).unwrap();
    }
    encoder.key(name, meta).and_then(|key| key.begin_set(members.len() as u64)).unwrap();
    members.iter().for_each(|member| encoder.set_member(member).unwrap());
}

fn stream<'a>(encoder: &mut Encoder, name: &[u8], meta: KeyMeta, value: &'a Owned) {
    type Fields<'a> = Vec<(&'a [u8], &'a [u8])>;
    let borrowed =
        |fields: &'a [(Bytes, Bytes)]| fields.iter().map(|(field, value)| (&field[..], &value[..])).collect();
    let entries: Vec<(StreamId, Fields<'a>)> =
        value.entries.iter().map(|(id, fields)| (*id, borrowed(fields))).collect();
    let each = || entries.iter().map(|(id, fields)| StreamEntry { id: *id, deleted: false, fields });
    let mut counter = StreamNodeCounter::default();
    each().for_each(|entry| counter.entry(&entry).unwrap());
    encoder.key(name, meta).and_then(|key| key.begin_stream(counter.nodes())).unwrap();
    each().for_each(|entry| encoder.stream_entry(&entry).unwrap());
    let info = value.info.expect("a stream tells of itself");
    let meta = StreamMeta {
        length: info.length,
        last_id: info.last_id,
        first_id: info.first_id.unwrap(),
        max_deleted_id: info.max_deleted_id.unwrap(),
        entries_added: info.entries_added.unwrap(),
        groups: value.groups.len() as u64,
    };
    encoder.stream_meta(&meta).unwrap();
    for group in &value.groups {
        let consumers: Vec<StreamConsumer<'_>> = group
            .consumers
            .iter()
            .map(|(name, seen, pending)| StreamConsumer {
                name,
                seen_at_ms: *seen,
                active_at_ms: *seen,
                pending,
            })
            .collect();
        let group = StreamGroup {
            name: &group.name,
            last_id: group.last_id,
            entries_read: group.entries_read,
            pending: &group.pending,
            consumers: &consumers,
        };
        encoder.stream_group(&group).unwrap();
    }
}

impl Owned {
    fn add(&mut self, element: &Element<'_>) {
        match *element {
            Element::String(string) | Element::ListItem(string) | Element::SetMember(string) => {
                self.elements.push(bytes(string));
            }
            Element::SortedSetMember { member, score } => {
                self.elements.push(bytes(member));
                self.scores.push(score);
            }
            Element::HashField { field, value, .. } => {
                self.elements.push(bytes(field));
                self.values.push(bytes(value));
            }
            Element::StreamEntry { id, fields } => {
                self.entries.push((id, fields.map(|(field, value)| (bytes(field), bytes(value))).collect()));
            }
            Element::StreamInfo(info) => self.info = Some(info),
            Element::StreamGroup(group) => self.groups.push(OwnedGroup {
                name: bytes(group.name),
                last_id: group.last_id,
                entries_read: group.entries_read,
                pending: Vec::new(),
                consumers: Vec::new(),
            }),
            Element::StreamPending(pending) => {
                let StreamPending { id, delivered_at_ms, deliveries } = pending;
                self.groups.last_mut().unwrap().pending.push(PendingEntry {
                    id,
                    delivered_at_ms,
                    deliveries,
                });
            }
            Element::StreamConsumer(consumer) => {
                let consumer = (bytes(consumer.name), consumer.seen_at_ms, Vec::new());
                self.groups.last_mut().unwrap().consumers.push(consumer);
            }
            Element::StreamConsumerPending(id) => {
                self.groups.last_mut().unwrap().consumers.last_mut().unwrap().2.push(id);
            }
            Element::ModulePart(_) => panic!("no modules here"),
        }
    }
}
