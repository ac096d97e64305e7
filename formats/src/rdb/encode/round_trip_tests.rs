//! What the encoder writes, the decoder reads: every type, in every form, at every size.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::rdb::test_elements::{Seen, elements, owned};
use crate::rdb::value::{StreamInfo, StreamPending};
use crate::rdb::{Decoder, Item, StreamId};

type Bytes = Vec<u8>;
/// Id, whether it was deleted, fields.
type Entry = (StreamId, bool, Vec<(Bytes, Bytes)>);

/// A value, and in which of its forms it is written.
#[derive(Clone, Debug)]
enum Model {
    String(Bytes, bool),
    List(Vec<Bytes>, bool),
    Set(BTreeSet<Bytes>, bool),
    IntSet(BTreeSet<i64>),
    SortedSet(BTreeMap<Bytes, f64>, bool),
    Hash(BTreeMap<Bytes, Bytes>, bool),
    Stream(Vec<Entry>),
}

fn string() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..30),
        2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        2 => any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        1 => (any::<u8>(), 0usize..40_000).prop_map(|(byte, len)| vec![byte; len]),
        1 => prop::collection::vec(any::<u8>(), 4000..9000),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        any::<i32>().prop_map(f64::from),
        Just(f64::INFINITY),
    ]
}

fn stream() -> impl Strategy<Value = Model> {
    let names = prop::collection::vec(prop_oneof![Just(b"a".to_vec()), Just(b"b".to_vec()), string()], 0..3);
    let entry = (0u64..3, 1u64..1000, any::<bool>(), names, string());
    prop::collection::vec(entry, 0..250).prop_map(|entries| {
        let mut last = StreamId { ms: 1 << 40, seq: u64::MAX - 20 };
        let entries = entries.into_iter().map(|(ms, seq, deleted, names, value)| {
            let next_seq = last.seq.checked_add(seq).filter(|_| ms == 0);
            last = match next_seq {
                Some(seq) => StreamId { ms: last.ms, seq },
                None => StreamId { ms: last.ms + ms.max(1), seq },
            };
            (last, deleted, names.into_iter().map(|name| (name, value.clone())).collect())
        });
        Model::Stream(entries.collect())
    })
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![
        (string(), any::<bool>()).prop_map(|(string, chunks)| Model::String(string, chunks)),
        (prop::collection::vec(string(), 1..40), any::<bool>())
            .prop_map(|(list, packed)| Model::List(list, packed)),
        (prop::collection::btree_set(string(), 1..40), any::<bool>())
            .prop_map(|(set, packed)| Model::Set(set, packed)),
        (prop::collection::btree_set(any::<i64>(), 1..40), 0u32..64)
            .prop_map(|(set, shift)| Model::IntSet(set.into_iter().map(|number| number >> shift).collect())),
        (prop::collection::btree_map(string(), score(), 1..40), any::<bool>())
            .prop_map(|(set, packed)| Model::SortedSet(set, packed)),
        (prop::collection::btree_map(string(), string(), 1..40), any::<bool>())
            .prop_map(|(hash, packed)| Model::Hash(hash, packed)),
        stream(),
    ]
}

impl Model {
    fn write(&self, encoder: &mut Encoder, name: &[u8], meta: KeyMeta) -> Result<(), EncodeError> {
        let key = encoder.key(name, meta)?;
        match self {
            Model::String(string, false) => key.string(string),
            Model::String(string, true) => {
                key.begin_string(string.len() as u64)?;
                string.chunks(1000).try_for_each(|chunk| encoder.string_chunk(chunk))
            }
            Model::List(items, true) => key.packed_list(items.iter().map(Vec::as_slice)),
            Model::List(items, false) => {
                key.begin_list(items.len() as u64)?;
                items.iter().try_for_each(|item| encoder.list_item(item))
            }
            Model::Set(members, true) => {
                key.small_set(&members.iter().map(Vec::as_slice).collect::<Vec<_>>())
            }
            Model::Set(members, false) => {
                key.begin_set(members.len() as u64)?;
                members.iter().try_for_each(|member| encoder.set_member(member))
            }
            Model::IntSet(members) => key.int_set(&members.iter().copied().collect::<Vec<_>>()),
            Model::SortedSet(members, true) => key.small_sorted_set(&ascending(members)),
            Model::SortedSet(members, false) => {
                key.begin_sorted_set(members.len() as u64)?;
                members.iter().try_for_each(|(member, score)| encoder.sorted_set_member(member, *score))
            }
            Model::Hash(fields, true) => key.small_hash(&slices(fields.iter())),
            Model::Hash(fields, false) => {
                key.begin_hash(fields.len() as u64)?;
                fields.iter().try_for_each(|(field, value)| encoder.hash_field(field, value))
            }
            Model::Stream(entries) => write_stream(encoder, name, meta, entries),
        }
    }

    /// What the decoder should see.
    fn seen(&self, version: EncodeVersion) -> Vec<Seen> {
        match self {
            Model::String(string, _) => vec![Seen::String(string.clone())],
            Model::List(items, _) => items.iter().cloned().map(Seen::ListItem).collect(),
            Model::Set(members, _) => members.iter().cloned().map(Seen::SetMember).collect(),
            Model::IntSet(members) => {
                members.iter().map(|member| Seen::SetMember(member.to_string().into_bytes())).collect()
            }
            Model::SortedSet(members, true) => ascending(members)
                .iter()
                .map(|(member, score)| Seen::Scored(member.to_vec(), *score))
                .collect(),
            Model::SortedSet(members, false) => {
                members.iter().map(|(member, score)| Seen::Scored(member.clone(), *score)).collect()
            }
            Model::Hash(fields, _) => {
                fields.iter().map(|(field, value)| Seen::Field(field.clone(), value.clone(), None)).collect()
            }
            Model::Stream(entries) => seen_stream(entries, version),
        }
    }
}

fn slices<'a>(pairs: impl Iterator<Item = (&'a Bytes, &'a Bytes)>) -> Vec<(&'a [u8], &'a [u8])> {
    pairs.map(|(field, value)| (field.as_slice(), value.as_slice())).collect()
}

fn ascending(members: &BTreeMap<Bytes, f64>) -> Vec<(&[u8], f64)> {
    let mut members: Vec<_> = members.iter().map(|(member, score)| (member.as_slice(), *score)).collect();
    members.sort_by(|(a, a_score), (b, b_score)| a_score.partial_cmp(b_score).unwrap().then(a.cmp(b)));
    members
}

fn meta_of(entries: &[Entry]) -> StreamMeta {
    StreamMeta {
        length: entries.iter().filter(|(_, deleted, _)| !deleted).count() as u64,
        last_id: StreamId { ms: u64::MAX, seq: 3 },
        first_id: StreamId { ms: 1, seq: 2 },
        max_deleted_id: StreamId { ms: 1 << 33, seq: 1 << 32 },
        entries_added: entries.len() as u64,
        groups: 2,
    }
}

const PENDING: [PendingEntry; 2] = [
    PendingEntry { id: StreamId { ms: 1, seq: 2 }, delivered_at_ms: 1 << 41, deliveries: 70 },
    PendingEntry { id: StreamId { ms: 1 << 60, seq: 2 }, delivered_at_ms: -5, deliveries: 1 << 40 },
];

fn write_stream(
    encoder: &mut Encoder,
    name: &[u8],
    meta: KeyMeta,
    entries: &[Entry],
) -> Result<(), EncodeError> {
    let mut counter = StreamNodeCounter::default();
    for (id, deleted, fields) in entries {
        let fields = slices(fields.iter().map(|(field, value)| (field, value)));
        counter.entry(&StreamEntry { id: *id, deleted: *deleted, fields: &fields })?;
    }
    encoder.key(name, meta)?.begin_stream(counter.nodes())?;
    for (id, deleted, fields) in entries {
        let fields = slices(fields.iter().map(|(field, value)| (field, value)));
        encoder.stream_entry(&StreamEntry { id: *id, deleted: *deleted, fields: &fields })?;
    }
    encoder.stream_meta(&meta_of(entries))?;
    let consumers = [
        StreamConsumer { name: b"c", seen_at_ms: 8, active_at_ms: 9, pending: &[PENDING[1].id] },
        StreamConsumer { name: b"d", seen_at_ms: 8, active_at_ms: -1, pending: &[] },
    ];
    let last_id = StreamId { ms: 64, seq: 1 << 14 };
    let first =
        StreamGroup { name: b"17", last_id, entries_read: Some(3), pending: &PENDING, consumers: &consumers };
    encoder.stream_group(&first)?;
    let name = b"second";
    encoder.stream_group(&StreamGroup { name, entries_read: None, pending: &[], consumers: &[], ..first })
}

fn seen_stream(entries: &[Entry], version: EncodeVersion) -> Vec<Seen> {
    let live = entries.iter().filter(|(_, deleted, _)| !deleted);
    let mut seen: Vec<_> = live.map(|(id, _, fields)| Seen::Entry(*id, fields.clone())).collect();
    let meta = meta_of(entries);
    seen.push(Seen::Info(StreamInfo {
        length: meta.length,
        last_id: meta.last_id,
        first_id: Some(meta.first_id),
        max_deleted_id: Some(meta.max_deleted_id),
        entries_added: Some(meta.entries_added),
    }));
    let last_id = StreamId { ms: 64, seq: 1 << 14 };
    seen.push(Seen::Group(b"17".to_vec(), last_id, Some(3)));
    for PendingEntry { id, delivered_at_ms, deliveries } in PENDING {
        seen.push(Seen::Pending(StreamPending { id, delivered_at_ms, deliveries }));
    }
    let active = if version == EncodeVersion::V11 { Some(9) } else { None };
    seen.push(Seen::Consumer(b"c".to_vec(), 8, active));
    seen.push(Seen::ConsumerPending(PENDING[1].id));
    seen.push(Seen::Consumer(b"d".to_vec(), 8, None));
    seen.push(Seen::Group(b"second".to_vec(), last_id, None));
    seen
}

fn meta() -> impl Strategy<Value = KeyMeta> {
    let idle = prop::option::of(0u64..1 << 40);
    (prop::option::of(any::<i64>()), idle, prop::option::of(any::<u8>())).prop_map(
        |(expires_at_ms, idle_seconds, frequency)| KeyMeta { expires_at_ms, idle_seconds, frequency },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(
        keys in prop::collection::vec((string(), meta(), model()), 0..5),
        new in any::<bool>(),
        compress in any::<bool>(),
    ) {
        let version = if new { EncodeVersion::V11 } else { EncodeVersion::V10 };
        let mut encoder = Encoder::new(version, compress);
        encoder.aux(b"name", b"value").unwrap();
        encoder.select_db(3).unwrap();
        for (name, meta, model) in &keys {
            model.write(&mut encoder, name, *meta).unwrap();
        }
        encoder.finish().unwrap();
        let file = encoder.take();

        let mut decoder = Decoder::new(&file).unwrap();
        prop_assert_eq!(decoder.version(), version.version());
        prop_assert!(matches!(decoder.next_item().unwrap(), Some(Item::Aux { .. })), "aux first");
        prop_assert!(matches!(decoder.next_item().unwrap(), Some(Item::SelectDb(3))), "then the database");
        let mut copy = Encoder::new(version, compress);
        for (name, meta, model) in &keys {
            let Some(Item::Key(record)) = decoder.next_item().unwrap() else { panic!("a key is missing") };
            prop_assert_eq!(&owned(record.key).unwrap(), name);
            prop_assert_eq!(record.db, 3);
            prop_assert_eq!(record.expires_at_ms, meta.expires_at_ms);
            prop_assert_eq!(record.idle_seconds, meta.idle_seconds);
            prop_assert_eq!(record.frequency, meta.frequency);
            prop_assert_eq!(elements(&record.value).unwrap(), model.seen(version));
            record.value.check(&mut crate::rdb::Scratch::default()).unwrap();

            copy.clear_pending();
            copy.key(name, *meta).unwrap().raw(record.value.kind, record.value.bytes).unwrap();
            prop_assert_eq!(copy.pending(), record.bytes);
            copy.copy_key(record.value.kind, record.bytes).unwrap();
            prop_assert_eq!(copy.pending(), [record.bytes, record.bytes].concat());
        }
        let Some(Item::End { checksum }) = decoder.next_item().unwrap() else { panic!("no end") };
        let mut crc = Crc64::new();
        crc.update(&file[..file.len() - 8]);
        prop_assert_eq!(checksum, Some(crc.value()));
        prop_assert!(decoder.rest().is_empty());
    }
}
