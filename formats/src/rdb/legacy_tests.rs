//! The decoder on forms that today's servers no longer write, one by one and at the sizes where they change.

use proptest::prelude::*;

use super::legacy_writers::*;
use super::test_elements::{Seen, elements, owned};
use super::value::{StreamInfo, StreamPending};
use super::{Decoder, Item, Scratch, StreamId};
use crate::checksum::Crc64;

type Bytes = Vec<u8>;

/// The elements of the only key of a file, once it has been walked through to its end.
fn only_key(file: &[u8]) -> Vec<Seen> {
    let mut decoder = Decoder::new(file).unwrap();
    let mut seen = None;
    while let Some(item) = decoder.next_item().unwrap() {
        match item {
            Item::Key(record) => {
                assert_eq!(owned(record.key).unwrap(), b"k");
                let elements = elements(&record.value).unwrap();
                record.value.check(&mut Scratch::default()).unwrap();
                assert!(seen.replace(elements).is_none());
            }
            Item::End { checksum: Some(checksum) } => {
                let mut crc = Crc64::new();
                crc.update(&file[..file.len() - 8]);
                assert_eq!(checksum, crc.value());
            }
            Item::End { checksum: None } => assert!(file[8] < b'5'),
            item => panic!("{item:?}"),
        }
    }
    assert!(decoder.rest().is_empty());
    seen.unwrap()
}

fn value(magic: &str, type_byte: u8, value: &[u8]) -> Vec<Seen> {
    let mut file = LegacyFile::new(magic);
    file.key(type_byte, b"k", value);
    only_key(&file.finish())
}

fn field(field: &[u8], value: &[u8], expiry: Option<u64>) -> Seen {
    Seen::Field(field.to_vec(), value.to_vec(), expiry)
}

#[test]
fn files_of_every_version_are_read() {
    for number in 1..=12 {
        let magic = format!("REDIS{number:04}");
        assert_eq!(value(&magic, 0, &string(b"v")), [Seen::String(b"v".to_vec())], "{magic}");
    }
    assert_eq!(value("VALKEY080", 0, &string(b"v")), [Seen::String(b"v".to_vec())]);
}

#[test]
fn expiry_in_seconds_is_told_in_milliseconds() {
    let mut file = LegacyFile::new("REDIS0002");
    file.raw(&[253]);
    file.raw(&1_000_000_000i32.to_le_bytes());
    file.key(0, b"k", &string(b"v"));
    let file = file.finish();
    let Some(Item::Key(record)) = Decoder::new(&file).unwrap().next_item().unwrap() else { panic!() };
    assert_eq!(record.expires_at_ms, Some(1_000_000_000_000));
}

#[test]
fn scores_as_text() {
    let scores = [0.0, -1.5, 1e300, 17.0, f64::INFINITY, f64::NEG_INFINITY];
    let members: Vec<_> = scores.iter().map(|&score| [string(b"m"), text_double(score)].concat()).collect();
    let expected = scores.map(|score| Seen::Scored(b"m".to_vec(), score));
    assert_eq!(value("REDIS0006", 3, &counted(&members)), expected);
}

#[test]
fn zipmaps_with_unused_bytes_and_long_parts() {
    let (edge, long, longer) = (vec![b'e'; 253], vec![b'l'; 254], vec![b'm'; 70_000]);
    let fields: &[(&[u8], &[u8], u8)] =
        &[(b"f", b"v", 0), (b"g", b"", 4), (&edge, &long, 255), (&long, &edge, 1), (b"", &longer, 2)];
    let expected: Vec<_> = fields.iter().map(|(name, value, _)| field(name, value, None)).collect();
    assert_eq!(value("REDIS0003", 9, &string(&zipmap(fields))), expected);
}

#[test]
fn zipmaps_that_do_not_know_their_count() {
    let names: Vec<_> = (0..300u32).map(|i| format!("f{i}").into_bytes()).collect();
    let fields: Vec<_> = names.iter().map(|name| (name.as_slice(), &b"v"[..], 0)).collect();
    assert_eq!(value("REDIS0003", 9, &string(&zipmap(&fields))).len(), 300);
}

#[test]
fn intsets_of_each_width() {
    for (width, members) in
        [(2, [-32_768, 0, 32_767]), (4, [-(1 << 31), 0, (1 << 31) - 1]), (8, [i64::MIN, 0, i64::MAX])]
    {
        let expected = members.map(|member| Seen::SetMember(member.to_string().into_bytes()));
        assert_eq!(value("REDIS0004", 11, &string(&intset(width, &members))), expected);
    }
}

#[test]
fn ziplists_at_the_limits_of_their_lengths() {
    // A previous length of 253, 254, 255 bytes, in its short and its long form; strings where their length grows.
    for len in [0, 63, 64, 249, 250, 251, 252, 253, 254, 16_383, 16_384] {
        let item = vec![b'x'; len];
        let items: &[&[u8]] = &[b"before", &item, b"after", b"12"];
        let expected: Vec<_> = items.iter().map(|item| Seen::ListItem(item.to_vec())).collect();
        assert_eq!(value("REDIS0006", 10, &string(&ziplist(items))), expected, "{len}");
    }
}

#[test]
fn a_ziplist_of_more_entries_than_its_head_can_count() {
    let items = vec![&b"1"[..]; 70_000];
    assert_eq!(value("REDIS0006", 10, &string(&ziplist(&items))).len(), 70_000);
}

#[test]
fn hashes_whose_fields_expire() {
    let fields: &[ExpiringField<'_>] =
        &[(b"a", b"1", Some(1_700_000_000_000)), (b"b", b"2", Some(1_700_000_000_001)), (b"c", b"", None)];
    let expected: Vec<_> = fields.iter().map(|&(name, value, expiry)| field(name, value, expiry)).collect();
    assert_eq!(value("REDIS0012", 22, &hash_metadata_pre_ga(fields)), expected);
    assert_eq!(value("REDIS0012", 23, &hash_listpack_ex(fields)), expected);
    assert_eq!(value("REDIS0012", 24, &hash_metadata(fields)), expected);
    let listpack = [&1_700_000_000_000u64.to_le_bytes()[..], &hash_listpack_ex(fields)].concat();
    assert_eq!(value("REDIS0012", 25, &listpack), expected);
    assert_eq!(value("VALKEY080", 22, &valkey_hash(fields)), expected);
}

#[test]
fn streams_of_redis_5() {
    let node: &[&[u8]] =
        &[b"1", b"1", b"1", b"f", b"0", b"2", b"0", b"0", b"v", b"4", b"3", b"1", b"-9", b"x", b"4"];
    let id = StreamId { ms: 5, seq: 9 };
    let last_id = StreamId { ms: 6, seq: 0 };
    let info = StreamInfo { length: 1, last_id, first_id: None, max_deleted_id: None, entries_added: None };
    let expected = [
        Seen::Entry(id, vec![(b"f".to_vec(), b"v".to_vec())]),
        Seen::Info(info),
        Seen::Group(b"g".to_vec(), id, None),
        Seen::Pending(StreamPending { id, delivered_at_ms: 7, deliveries: 3 }),
        Seen::Consumer(b"c".to_vec(), 8, None),
        Seen::ConsumerPending(id),
    ];
    assert_eq!(value("REDIS0009", 15, &stream1(node, 1)), expected);
}

#[test]
fn values_of_modules() {
    let parts = [
        length(module_id("tree-Type", 3)),
        length(1),
        length(-5i64 as u64),
        length(2),
        length(1 << 40),
        length(3),
        1.5f32.to_le_bytes().to_vec(),
        length(4),
        (-0.25f64).to_le_bytes().to_vec(),
        length(5),
        string(b"text"),
        length(0),
    ];
    let expected =
        ["tree-Type 3", "signed -5", "unsigned 1099511627776", "float 1.5", "double -0.25", "string text"];
    let expected = expected.map(|part| Seen::Module(part.to_owned()));
    assert_eq!(value("REDIS0008", 7, &parts.concat()), expected);
}

fn item() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        (any::<i64>(), 0u32..64).prop_map(|(number, shift)| (number >> shift).to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..300),
    ]
}

fn slices(items: &[Bytes]) -> Vec<&[u8]> {
    items.iter().map(Vec::as_slice).collect()
}

proptest! {
    #[test]
    fn quicklists_of_ziplists(nodes in prop::collection::vec(prop::collection::vec(item(), 0..20), 0..4)) {
        let blobs: Vec<_> = nodes.iter().map(|items| string(&ziplist(&slices(items)))).collect();
        let expected: Vec<_> = nodes.concat().into_iter().map(Seen::ListItem).collect();
        prop_assert_eq!(value("REDIS0007", 14, &counted(&blobs)), expected);
    }

    #[test]
    fn hashes_in_ziplists_and_zipmaps(fields in prop::collection::vec((item(), item(), any::<u8>()), 0..20)) {
        let expected: Vec<_> = fields.iter().map(|(name, value, _)| field(name, value, None)).collect();
        let flat: Vec<_> = fields.iter().flat_map(|(name, value, _)| [name.as_slice(), value]).collect();
        prop_assert_eq!(value("REDIS0006", 13, &string(&ziplist(&flat))), &expected[..]);
        let parts: Vec<_> = fields.iter().map(|(name, value, free)| (name.as_slice(), value.as_slice(), *free)).collect();
        prop_assert_eq!(value("REDIS0003", 9, &string(&zipmap(&parts))), expected);
    }

    #[test]
    fn sorted_sets_in_ziplists(members in prop::collection::vec((item(), any::<i32>(), any::<bool>()), 0..20)) {
        let scores: Vec<_> = members.iter().map(|&(_, score, half)| f64::from(score) + if half { 0.5 } else { 0.0 }).collect();
        let texts: Vec<_> = scores.iter().map(|score| score.to_string().into_bytes()).collect();
        let flat: Vec<_> = members.iter().zip(&texts).flat_map(|(member, text)| [member.0.as_slice(), text]).collect();
        let expected: Vec<_> = members.iter().zip(&scores).map(|(member, &score)| Seen::Scored(member.0.clone(), score)).collect();
        prop_assert_eq!(value("REDIS0006", 12, &string(&ziplist(&flat))), expected);
    }
}
