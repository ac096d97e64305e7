//! The bytes of each record and form, and what a caller can do wrong.

use proptest::prelude::*;

use super::*;
use crate::rdb::StreamId;

fn encoder(version: EncodeVersion) -> Encoder {
    Encoder::new(version, true)
}

fn plain(key: &[u8]) -> (&[u8], KeyMeta) {
    (key, KeyMeta::default())
}

/// What `write` appends, drained in between.
fn written(version: EncodeVersion, write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut encoder = encoder(version);
    encoder.clear_pending();
    write(&mut encoder);
    encoder.end_value().unwrap();
    encoder.take()
}

/// The value that follows the type byte and the key "k".
fn value(version: EncodeVersion, write: impl FnOnce(KeyEncoder<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    let (key, meta) = plain(b"k");
    let mut bytes = written(version, |encoder| write(encoder.key(key, meta).unwrap()).unwrap());
    assert_eq!(bytes[1..3], [1, b'k']);
    bytes.drain(1..3);
    bytes
}

fn v10(write: impl FnOnce(KeyEncoder<'_>) -> Result<(), EncodeError>) -> Vec<u8> {
    value(EncodeVersion::V10, write)
}

#[test]
fn the_smallest_file() {
    let mut encoder = encoder(EncodeVersion::V10);
    encoder.finish().unwrap();
    let mut expected = b"REDIS0010\xFF".to_vec();
    let mut crc = Crc64::new();
    crc.update(&expected);
    expected.extend_from_slice(&crc.value().to_le_bytes());
    assert_eq!(encoder.pending(), expected);
    assert_eq!(Encoder::new(EncodeVersion::V11, false).pending(), b"REDIS0011");
}

#[test]
fn records_have_their_bytes() {
    let records = written(EncodeVersion::V10, |encoder| {
        encoder.aux(b"a", b"12").unwrap();
        encoder.select_db(64).unwrap();
        encoder.resize_db(16_384, 1 << 32).unwrap();
        encoder.function(b"#!lua").unwrap();
    });
    let mut expected = b"\xFA\x01a\xC0\x0C\xFE\x40\x40\xFB\x80\x00\x00\x40\x00".to_vec();
    expected.extend_from_slice(b"\x81\x00\x00\x00\x01\x00\x00\x00\x00\xF5\x05#!lua");
    assert_eq!(records, expected);
}

#[test]
fn what_a_file_says_of_a_key_precedes_it() {
    let meta = KeyMeta { expires_at_ms: Some(0x0102), idle_seconds: Some(5), frequency: Some(200) };
    let bytes = written(EncodeVersion::V10, |encoder| {
        encoder.key(b"17", meta).unwrap().string(b"v").unwrap();
    });
    assert_eq!(bytes, b"\xFC\x02\x01\0\0\0\0\0\0\xF8\x05\xF9\xC8\x00\xC0\x11\x01v");
}

#[test]
fn strings_take_the_form_that_redis_gives_them() {
    let string = |text: &[u8]| v10(|key| key.string(text))[1..].to_vec();
    assert_eq!(string(b""), [0]);
    assert_eq!(string(b"-128"), [0xC0, 0x80]);
    assert_eq!(string(b"128"), [0xC1, 0x80, 0]);
    assert_eq!(string(b"-32769"), [0xC2, 0xFF, 0x7F, 0xFF, 0xFF]);
    assert_eq!(string(b"-2147483648"), [0xC2, 0, 0, 0, 0x80]);
    assert_eq!(string(b"2147483648"), b"\x0A2147483648");
    assert_eq!(string(b"007"), b"\x03007");
    assert_eq!(string(&[b'x'; 20]), [&[20][..], &[b'x'; 20]].concat());
    let compressed = string(&[b'x'; 21]);
    assert_eq!(compressed[0], 0xC3);
    assert_eq!(usize::from(compressed[1]), compressed.len() - 3);
    assert_eq!(compressed[2], 21);
    let random: Vec<u8> = (0..64u8).collect();
    assert_eq!(string(&random), [&[0x40, 64][..], &random].concat());
}

#[test]
fn without_compression_strings_stay_as_they_are() {
    let mut encoder = Encoder::new(EncodeVersion::V10, false);
    encoder.clear_pending();
    encoder.key(b"k", KeyMeta::default()).unwrap().string(&[b'x'; 21]).unwrap();
    assert_eq!(encoder.pending(), [&b"\x00\x01k\x15"[..], &[b'x'; 21]].concat());
}

#[test]
fn collections_are_announced_and_then_given() {
    let bytes = written(EncodeVersion::V10, |encoder| {
        encoder.key(b"l", KeyMeta::default()).unwrap().begin_list(2).unwrap();
        encoder.list_item(b"a").unwrap();
        encoder.list_item(b"7").unwrap();
        encoder.key(b"s", KeyMeta::default()).unwrap().begin_set(1).unwrap();
        encoder.set_member(b"m").unwrap();
        encoder.key(b"z", KeyMeta::default()).unwrap().begin_sorted_set(1).unwrap();
        encoder.sorted_set_member(b"m", 1.5).unwrap();
        encoder.key(b"h", KeyMeta::default()).unwrap().begin_hash(1).unwrap();
        encoder.hash_field(b"f", b"v").unwrap();
        encoder.key(b"t", KeyMeta::default()).unwrap().begin_string(5).unwrap();
        encoder.string_chunk(b"he").unwrap();
        encoder.string_chunk(b"llo").unwrap();
    });
    let expected = b"\x01\x01l\x02\x01a\xC0\x07\x02\x01s\x01\x01m\x05\x01z\x01\x01m\0\0\0\0\0\0\xF8\x3F\
        \x04\x01h\x01\x01f\x01v\x00\x01t\x05hello";
    assert_eq!(bytes, expected);
}

#[test]
fn a_wrong_number_of_elements_is_an_error_and_writes_nothing() {
    let mut encoder = encoder(EncodeVersion::V10);
    encoder.key(b"l", KeyMeta::default()).unwrap().begin_list(2).unwrap();
    encoder.list_item(b"a").unwrap();
    let before = encoder.pending().to_vec();
    let incomplete = EncodeError::Incomplete { part: Part::ListItems, missing: 1 };
    assert_eq!(encoder.end_value(), Err(incomplete.clone()));
    assert_eq!(encoder.key(b"k", KeyMeta::default()).map(|_| ()), Err(incomplete.clone()));
    assert_eq!(encoder.aux(b"a", b"b"), Err(incomplete.clone()));
    assert_eq!(encoder.select_db(1), Err(incomplete.clone()));
    assert_eq!(encoder.finish(), Err(incomplete));
    let out_of_place = EncodeError::OutOfPlace { expected: Part::ListItems, found: Part::HashFields };
    assert_eq!(encoder.hash_field(b"f", b"v"), Err(out_of_place));
    assert_eq!(encoder.pending(), before);
    encoder.list_item(b"b").unwrap();
    let exceeds = EncodeError::Exceeds { part: Part::ListItems, left: 0, found: 1 };
    assert_eq!(encoder.list_item(b"c"), Err(exceeds));
    encoder.key(b"t", KeyMeta::default()).unwrap().begin_string(3).unwrap();
    let exceeds = EncodeError::Exceeds { part: Part::StringBytes, left: 3, found: 4 };
    assert_eq!(encoder.string_chunk(b"four"), Err(exceeds));
    encoder.string_chunk(b"abc").unwrap();
    encoder.finish().unwrap();
    assert_eq!(encoder.aux(b"a", b"b"), Err(EncodeError::Finished));
    assert_eq!(encoder.finish(), Err(EncodeError::Finished));
    assert_eq!(encoder.list_item(b"c"), Err(EncodeError::Finished));
}

#[test]
fn what_redis_would_not_load_is_refused() {
    let mut encoder = encoder(EncodeVersion::V10);
    let before = encoder.pending().to_vec();
    let mut refused = |write: &dyn Fn(KeyEncoder<'_>) -> Result<(), EncodeError>| {
        let meta = KeyMeta { expires_at_ms: Some(1), ..KeyMeta::default() };
        let error = write(encoder.key(b"k", meta).unwrap()).unwrap_err();
        assert_eq!(encoder.pending(), before);
        error
    };
    assert_eq!(refused(&|key| key.begin_list(0)), EncodeError::Empty);
    assert_eq!(refused(&|key| key.small_hash(&[])), EncodeError::Empty);
    assert_eq!(refused(&|key| key.small_set(&[])), EncodeError::Empty);
    assert_eq!(refused(&|key| key.int_set(&[])), EncodeError::Empty);
    assert_eq!(refused(&|key| key.packed_list([].into_iter())), EncodeError::Empty);
    assert_eq!(refused(&|key| key.small_sorted_set(&[(b"m", f64::NAN)])), EncodeError::NotANumber);
    assert_eq!(refused(&|key| key.int_set(&[1, 1])), EncodeError::NotAscending);
    assert_eq!(refused(&|key| key.small_sorted_set(&[(b"b", 1.0), (b"a", 1.0)])), EncodeError::NotAscending);
    for kind in [ValueKind::SetListpack, ValueKind::Stream3, ValueKind::HashExpiring] {
        assert_eq!(refused(&|key| key.raw(kind, b"")), EncodeError::NotInVersion { kind, version: 10 });
    }
    encoder.key(b"k", KeyMeta::default()).unwrap().begin_sorted_set(1).unwrap();
    assert_eq!(encoder.sorted_set_member(b"m", f64::NAN), Err(EncodeError::NotANumber));
    encoder.sorted_set_member(b"m", f64::INFINITY).unwrap();
    encoder.key(b"k", KeyMeta::default()).unwrap().raw(ValueKind::HashListpack, b"\x01x").unwrap();
}

/// The listpack of these elements as a string of the file.
fn listpack(elements: &[&[u8]]) -> Vec<u8> {
    let mut writer = ListpackWriter::new();
    elements.iter().for_each(|element| writer.push(element).unwrap());
    let mut bytes = Vec::new();
    StringWriter::new(true).put(&mut bytes, &writer.finish());
    bytes
}

#[test]
fn small_collections_are_packed() {
    let hash = v10(|key| key.small_hash(&[(b"f", b"1"), (b"g", b"two")]));
    assert_eq!(hash, [&[16][..], &listpack(&[b"f", b"1", b"g", b"two"])].concat());
    let set: &[&[u8]] = &[b"a", b"7"];
    assert_eq!(v10(|key| key.small_set(set)), b"\x02\x02\x01a\xC0\x07");
    let packed = value(EncodeVersion::V11, |key| key.small_set(set));
    assert_eq!(packed, [&[20][..], &listpack(set)].concat());
    assert_eq!(v10(|key| key.int_set(&[-1, 2])), b"\x0B\x0C\x02\0\0\0\x02\0\0\0\xFF\xFF\x02\0");
    assert_eq!(v10(|key| key.int_set(&[40_000])), b"\x0B\x0C\x04\0\0\0\x01\0\0\0\x40\x9C\0\0");
    assert_eq!(v10(|key| key.int_set(&[-1 << 40]))[2..10], *b"\x08\0\0\0\x01\0\0\0");
}

#[test]
fn scores_are_integers_where_they_can_and_read_back_exactly() {
    let members: &[(&[u8], f64, &[u8])] = &[
        (b"a", f64::NEG_INFINITY, b"-inf"),
        (b"b", -1e300, b"-1e300"),
        (b"c", -3.0, b"-3"),
        (b"d", -0.0, b"-0"),
        (b"e", 1e-9, b"1e-9"),
        (b"f", 0.1, b"0.1"),
        (b"g", 4503599627370496.0, b"4503599627370496"),
        (b"h", f64::MAX, b"1.7976931348623157e308"),
        (b"i", f64::INFINITY, b"inf"),
    ];
    let set: Vec<_> = members.iter().map(|&(member, score, _)| (member, score)).collect();
    let elements: Vec<&[u8]> = members.iter().flat_map(|&(member, _, text)| [member, text]).collect();
    assert_eq!(v10(|key| key.small_sorted_set(&set)), [&[17][..], &listpack(&elements)].concat());
}

#[test]
fn the_nodes_of_a_list_are_cut_at_8_kib() {
    let (small, large) = (vec![b'a'; 3000], vec![b'b'; 20_000]);
    let items = [&small[..], &small, &small, &large, b"last"];
    let expected = [
        &[18, 4][..],
        &[2],
        &listpack(&[&small, &small]),
        &[2],
        &listpack(&[&small]),
        &[2],
        &listpack(&[&large]),
        &[2],
        &listpack(&[b"last"]),
    ];
    assert_eq!(v10(|key| key.packed_list(items.into_iter())), expected.concat());
}

#[test]
fn small_is_what_redis_packs_by_default() {
    let (fits, exceeds) = ([b'x'; 64], [b'x'; 65]);
    assert!(is_small(128, [&fits[..]]));
    assert!(!is_small(129, [&fits[..]]));
    assert!(!is_small(1, [&exceeds[..]]));
}

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId { ms, seq }
}

#[test]
fn a_stream_has_nodes_then_facts_then_groups() {
    let fields: &[(&[u8], &[u8])] = &[(b"f", b"1")];
    let entry = |ms, seq, deleted, fields| StreamEntry { id: id(ms, seq), deleted, fields };
    let write = |encoder: &mut Encoder| {
        encoder.key(b"x", KeyMeta::default()).unwrap().begin_stream(1).unwrap();
        encoder.stream_entry(&entry(5, 9, false, fields)).unwrap();
        encoder.stream_entry(&entry(6, 0, true, &[(b"g", b"v")])).unwrap();
        let meta = StreamMeta {
            length: 1,
            last_id: id(6, 0),
            first_id: id(5, 9),
            max_deleted_id: id(6, 0),
            entries_added: 2,
            groups: 1,
        };
        encoder.stream_meta(&meta).unwrap();
        let pending = [PendingEntry { id: id(5, 9), delivered_at_ms: 7, deliveries: 3 }];
        let consumer = StreamConsumer { name: b"c", seen_at_ms: 8, active_at_ms: -1, pending: &[id(5, 9)] };
        let group = StreamGroup {
            name: b"g",
            last_id: id(5, 9),
            entries_read: None,
            pending: &pending,
            consumers: &[consumer],
        };
        encoder.stream_group(&group).unwrap();
    };
    let node = listpack(&[
        b"1", b"1", b"1", b"f", b"0", // master entry
        b"2", b"0", b"0", b"1", b"4", // the same fields
        b"1", b"1", b"-9", b"1", b"g", b"v", b"6", // deleted, other fields
    ]);
    let five_nine = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9];
    let expected = |kind: u8, active: &[u8]| {
        let parts: [&[u8]; 13] = [
            &[kind, 1, b'x', 1, 16],
            &five_nine,
            &node,
            &[1, 6, 0, 5, 9, 6, 0, 2, 1],
            &[1, b'g', 5, 9, 0x81],
            &[0xFF; 8],
            &[1],
            &five_nine,
            &[7, 0, 0, 0, 0, 0, 0, 0, 3],
            &[1, 1, b'c', 8, 0, 0, 0, 0, 0, 0, 0],
            active,
            &[1],
            &five_nine,
        ];
        parts.concat()
    };
    assert_eq!(written(EncodeVersion::V10, write), expected(19, &[]));
    assert_eq!(written(EncodeVersion::V11, write), expected(21, &[0xFF; 8]));
}

#[test]
fn a_stream_is_cut_into_nodes_of_100_entries_or_4_kib() {
    let nodes = |entries: u64, value: &[u8]| {
        let mut counter = StreamNodeCounter::default();
        for seq in 1..=entries {
            let fields: &[(&[u8], &[u8])] = &[(b"f", value)];
            counter.entry(&StreamEntry { id: id(0, seq), deleted: false, fields }).unwrap();
        }
        counter.nodes()
    };
    assert_eq!(nodes(0, b""), 0);
    assert_eq!(nodes(100, b"v"), 1);
    assert_eq!(nodes(101, b"v"), 2);
    assert_eq!(nodes(2, &[b'x'; 2030]), 1);
    assert_eq!(nodes(2, &[b'x'; 2040]), 2);
    assert_eq!(nodes(3, &[b'x'; 9000]), 3);
}

#[test]
fn a_stream_that_is_not_as_announced_is_an_error() {
    let fields: &[(&[u8], &[u8])] = &[(b"f", b"v")];
    let entry = |seq| StreamEntry { id: id(0, seq), deleted: false, fields };
    let mut encoder = encoder(EncodeVersion::V10);
    let nodes = |missing| EncodeError::Incomplete { part: Part::StreamNodes, missing };
    encoder.key(b"x", KeyMeta::default()).unwrap().begin_stream(1).unwrap();
    assert_eq!(encoder.stream_meta(&StreamMeta::default()), Err(nodes(1)));
    assert_eq!(encoder.end_value(), Err(nodes(1)));
    for seq in 1..=100 {
        encoder.stream_entry(&entry(seq)).unwrap();
    }
    assert_eq!(encoder.stream_entry(&entry(100)), Err(EncodeError::NotAscending));
    let exceeds = |part| EncodeError::Exceeds { part, left: 0, found: 1 };
    assert_eq!(encoder.stream_entry(&entry(101)), Err(exceeds(Part::StreamNodes)));
    let meta = StreamMeta { length: 101, ..StreamMeta::default() };
    let missing = EncodeError::Incomplete { part: Part::StreamEntries, missing: 1 };
    assert_eq!(encoder.stream_meta(&meta), Err(missing));
    let group =
        StreamGroup { name: b"g", last_id: id(0, 0), entries_read: Some(0), pending: &[], consumers: &[] };
    let early = EncodeError::OutOfPlace { expected: Part::StreamEntries, found: Part::StreamGroups };
    assert_eq!(encoder.stream_group(&group), Err(early));
    encoder.stream_meta(&StreamMeta { length: 100, groups: 1, ..meta }).unwrap();
    let late = EncodeError::OutOfPlace { expected: Part::StreamGroups, found: Part::StreamEntries };
    assert_eq!(encoder.stream_entry(&entry(200)), Err(late));
    assert_eq!(encoder.end_value(), Err(EncodeError::Incomplete { part: Part::StreamGroups, missing: 1 }));
    encoder.stream_group(&group).unwrap();
    assert_eq!(encoder.stream_group(&group), Err(exceeds(Part::StreamGroups)));
    encoder.end_value().unwrap();
}

#[test]
fn records_are_copied_in_any_pieces_but_not_into_a_value() {
    let mut whole = encoder(EncodeVersion::V10);
    let start = whole.pending().len();
    for key in [b"one", b"two"] {
        whole
            .key(key, KeyMeta { expires_at_ms: Some(7), ..KeyMeta::default() })
            .unwrap()
            .string(key)
            .unwrap();
    }
    let records = whole.pending()[start..].to_vec();
    let mut copy = encoder(EncodeVersion::V10);
    for piece in records.chunks(5) {
        copy.copy_records(piece).unwrap();
    }
    [&mut whole, &mut copy].into_iter().for_each(|encoder| encoder.finish().unwrap());
    assert_eq!(copy.pending(), whole.pending());
    assert_eq!(copy.copy_records(&records), Err(EncodeError::Finished));
    let mut open = encoder(EncodeVersion::V10);
    open.key(b"k", KeyMeta::default()).unwrap().begin_string(1).unwrap();
    let incomplete = EncodeError::Incomplete { part: Part::StringBytes, missing: 1 };
    assert_eq!(open.copy_records(&records), Err(incomplete));
}

proptest! {
    #[test]
    fn the_file_is_the_same_however_its_bytes_are_taken_out(
        steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..100), 0u8..4), 0..40),
    ) {
        let (mut whole, mut drained) = (encoder(EncodeVersion::V10), encoder(EncodeVersion::V10));
        let mut out = Vec::new();
        for (bytes, drain) in &steps {
            for encoder in [&mut whole, &mut drained] {
                encoder.key(bytes, KeyMeta::default()).unwrap().begin_list(1).unwrap();
                encoder.list_item(bytes).unwrap();
            }
            match drain {
                0 => out.extend(drained.take()),
                1 => {
                    out.extend_from_slice(drained.pending());
                    drained.clear_pending();
                }
                _ => {}
            }
        }
        whole.finish().unwrap();
        drained.finish().unwrap();
        out.extend(drained.take());
        prop_assert_eq!(whole.bytes_written(), drained.bytes_written());
        prop_assert_eq!(whole.pending(), &out[..]);
        let (body, sum) = out.split_last_chunk::<8>().unwrap();
        let mut crc = Crc64::new();
        crc.update(body);
        prop_assert_eq!(u64::from_le_bytes(*sum), crc.value());
    }
}
