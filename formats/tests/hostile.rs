//! Files that are meant to exhaust memory or time: they are refused before anything is spent on them.

use formats::rdb::{Decoder, Item, Problem, RdbError, RdbString, Scratch, ValueKind, ValueType, lzf};
use formats::rdb::{Dialect, string::StringBuffer};
use proptest::prelude::*;

fn head(kind: ValueKind) -> Vec<u8> {
    let magic: &[u8] = match kind {
        ValueKind::ValkeyHashExpiring => b"VALKEY080",
        _ => b"REDIS0012",
    };
    [magic, &[kind.byte()], b"\x01k"].concat()
}

fn length64(length: u64) -> Vec<u8> {
    [&[0x81][..], &length.to_be_bytes()].concat()
}

/// The first record of a file, all of it read.
fn read(file: &[u8]) -> Result<u64, RdbError> {
    let mut decoder = Decoder::new(file)?;
    let Some(Item::Key(record)) = decoder.next_item()? else { panic!("no key") };
    let mut scratch = Scratch::default();
    let count = record.value.count(&mut scratch)?;
    record.value.check(&mut scratch)?;
    Ok(count)
}

#[test]
fn a_count_that_cannot_be_there_is_refused_in_every_kind() {
    for &kind in ValueKind::ALL {
        // A module's first number is its name, that of the others an announcement of what follows.
        if matches!(kind, ValueKind::Module | ValueKind::OpaqueModule) {
            continue;
        }
        let expiry: &[u8] =
            if matches!(kind, ValueKind::HashExpiring | ValueKind::HashListpackEx) { &[0; 8] } else { &[] };
        for count in [1 << 16, 1 << 32, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX] {
            let file = [&head(kind)[..], expiry, &length64(count), &[0; 1000]].concat();
            let error = read(&file).expect_err("not so many are there");
            let is_refused = matches!(error.problem(), Problem::Truncated { need, .. } if *need >= count);
            assert!(is_refused, "{kind:?} of {count}: {error}");
        }
    }
}

#[test]
fn counts_within_a_stream_are_refused_as_well() {
    let empty_stream = [0, 0, 0, 0, 0, 0, 0, 0, 0];
    for kind in [ValueKind::Stream1, ValueKind::Stream2, ValueKind::Stream3] {
        let ids = if kind == ValueKind::Stream1 { 4 } else { 9 };
        let group_head = if kind == ValueKind::Stream1 { 3 } else { 4 };
        let (groups, consumers) = ([1, 1, b'g'], [1, 1, b'c']);
        let times = if kind == ValueKind::Stream3 { 16 } else { 8 };
        let stream = &empty_stream[..ids];
        let in_groups = [stream, &groups, &vec![0; group_head - 1]].concat();
        let in_consumers = [&in_groups[..], &[0], &consumers, &vec![0; times]].concat();
        for front in [stream, &in_groups, &in_consumers] {
            let file = [&head(kind)[..], front, &length64(1 << 63), &[0; 100]].concat();
            let error = read(&file).expect_err("not so many are there");
            assert!(error.is_truncation(), "{kind:?}: {error}");
            assert!(
                matches!(error.problem(), Problem::Truncated { need, .. } if *need >= 1 << 62),
                "{error}"
            );
        }
    }
}

#[test]
fn a_string_longer_than_its_compressed_bytes_can_yield_is_refused() {
    for kind in ValueKind::ALL.iter().copied().filter(|kind| kind.value_type() == ValueType::String) {
        for length in [89 * 1000, 1 << 32, 1 << 63, u64::MAX] {
            let bomb = [&head(kind)[..], &[0xC3], &length64(1000), &length64(length), &[0xE0; 1000]].concat();
            let error = read(&bomb).expect_err("it cannot be unpacked");
            assert!(matches!(error.problem(), Problem::Malformed(_)), "{error}");
        }
    }
}

/// 3 bytes stand for 264: a string that honestly has that many is read in pieces.
#[test]
fn the_best_compressed_string_is_read_in_bounded_memory() {
    let copies = 400_000;
    let mut compressed = vec![0, b'x'];
    for _ in 0..copies {
        compressed.extend([0xE0, 0xFF, 0]);
    }
    let length = 1 + copies * 264;
    let string = RdbString::Lzf { compressed: &compressed, length, offset: 0 };
    let (mut total, mut longest) = (0, 0);
    let mut all_x = true;
    string
        .for_each_chunk(|chunk| {
            total += chunk.len();
            longest = longest.max(chunk.len());
            all_x &= chunk.iter().all(|&byte| byte == b'x');
        })
        .unwrap();
    assert_eq!((total, all_x), (length, true));
    assert!(longest <= 80 << 10, "a piece of {longest} bytes");
    // One more than that is not what is there.
    let error =
        RdbString::Lzf { compressed: &compressed, length: length + 1, offset: 0 }.check().unwrap_err();
    assert!(matches!(error.problem(), Problem::Lzf(lzf::LzfError::TooShort { .. })), "{error}");
}

/// Such a length may be claimed by a string that breaks at once: no room is made for what never comes.
#[test]
fn a_compressed_string_that_breaks_early_costs_little_memory() {
    let mut compressed = vec![0; 8 << 20];
    compressed[0] = 0xE0;
    let mut out = Vec::new();
    let claimed = lzf::max_decompressed_len(compressed.len());
    assert!(claimed > 700 << 20);
    let error = lzf::decompress(&compressed, claimed, &mut out).unwrap_err();
    assert!(matches!(error, lzf::LzfError::BadDistance { .. }), "{error}");
    assert!(out.is_empty() && out.capacity() < 4 << 20, "room for {} bytes", out.capacity());
}

/// More than the first piece: steps of any length answer the same as chunks.
#[test]
fn long_strings_are_the_same_whole_and_in_pieces() {
    let mut whole: Vec<u8> = Vec::new();
    let mut number = 1_u64;
    while whole.len() < 5 << 20 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let run = (number >> 40) as usize % 700;
        whole.extend(std::iter::repeat_n((number >> 33) as u8, run));
        whole.extend(number.to_le_bytes());
    }
    for length in [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 264, 2 << 20, (2 << 20) + 100, 5 << 20]
    {
        let mut compressed = Vec::new();
        assert!(lzf::compress(&whole[..length], &mut compressed));
        let mut out = b"before".to_vec();
        lzf::decompress(&compressed, length, &mut out).unwrap();
        assert!(out.strip_prefix(b"before") == Some(&whole[..length]), "{length} bytes");
        for wrong in [length - 1, length + 1] {
            lzf::decompress(&compressed, wrong, &mut out).expect_err("the length is wrong");
            assert_eq!(out.len(), length + 6);
        }
    }
}

/// The id of a stream's node has 16 bytes: another is refused without being unpacked.
#[test]
fn a_compressed_id_of_a_stream_is_not_unpacked() {
    let compressed = [0xE0; 3000];
    let bomb = [0xC3, 0x4B, 0xB8, 0x80, 0, 4, 0, 0]; // 3000 bytes that are said to be 262 144
    let rest = [0; 20];
    let file = [&head(ValueKind::Stream1)[..], &[1], &bomb, &compressed, &rest].concat();
    let error = read(&file).expect_err("an id of that length");
    assert_eq!(error.problem(), &Problem::Malformed("an id has 16 bytes"));
}

/// What a hash of each form says of a field's expiry: none, a time, or that it is wrong.
fn expiry_of(kind: ValueKind, earliest: i64, expiry: i64) -> Result<Option<u64>, String> {
    let field = [&[1, b'f', 1, b'v'][..]].concat();
    let value = match kind {
        ValueKind::HashExpiring => {
            [&earliest.to_le_bytes()[..], &[1], &length64(expiry as u64), &field].concat()
        }
        ValueKind::HashExpiringPreGa => [&[1][..], &length64(expiry as u64), &field].concat(),
        ValueKind::ValkeyHashExpiring => [&[1][..], &field, &expiry.to_le_bytes()].concat(),
        _ => {
            let number = [&[0xF4][..], &expiry.to_le_bytes(), &[9]].concat();
            let entries = [&[0x81, b'f', 2, 0x81, b'v', 2][..], &number, &[0xFF]].concat();
            let list = [&(entries.len() as u32 + 6).to_le_bytes()[..], &[3, 0], &entries].concat();
            let front = if kind == ValueKind::HashListpackEx { &earliest.to_le_bytes()[..] } else { &[] };
            [front, &[list.len() as u8], &list].concat()
        }
    };
    let file = [head(kind), value].concat();
    let mut decoder = Decoder::new(&file).unwrap();
    let Ok(Some(Item::Key(record))) = decoder.next_item() else { panic!("no key") };
    let mut found = None;
    let run = record.value.for_each(&mut Scratch::default(), |element| {
        let formats::rdb::Element::HashField { field, expires_at_ms, .. } = element else { panic!() };
        assert_eq!(field.bytes(&mut StringBuffer::default())?, b"f");
        found = expires_at_ms;
        Ok::<_, RdbError>(())
    });
    run.map(|()| found).map_err(|error| error.to_string())
}

#[test]
fn a_fields_expiry_is_a_time_of_48_bits() {
    use ValueKind::*;
    const LAST: i64 = (1 << 48) - 1;
    for kind in [HashExpiringPreGa, HashListpackExPreGa, HashListpackEx] {
        assert_eq!(expiry_of(kind, 0, 0), Ok(None), "{kind:?}");
        assert_eq!(expiry_of(kind, 0, 1), Ok(Some(1)), "{kind:?}");
        assert_eq!(expiry_of(kind, 0, LAST), Ok(Some(LAST as u64)), "{kind:?}");
        for wrong in [LAST + 1, -1, i64::MIN, i64::MAX] {
            expiry_of(kind, 0, wrong).expect_err("no time");
        }
    }
    assert_eq!(expiry_of(HashExpiring, 1000, 0), Ok(None));
    assert_eq!(expiry_of(HashExpiring, 1000, 1), Ok(Some(1000)));
    assert_eq!(expiry_of(HashExpiring, 1000, 31), Ok(Some(1030)));
    assert_eq!(expiry_of(HashExpiring, LAST, 1), Ok(Some(LAST as u64)));
    for (earliest, distance) in [(LAST, 2), (-1, 3), (i64::MAX, 1), (10, -1), (10, i64::MIN)] {
        expiry_of(HashExpiring, earliest, distance).expect_err("no time");
    }
    assert_eq!(expiry_of(ValkeyHashExpiring, 0, -1), Ok(None));
    assert_eq!(expiry_of(ValkeyHashExpiring, 0, 0), Ok(Some(0)));
    assert_eq!(expiry_of(ValkeyHashExpiring, 0, i64::MAX), Ok(Some(i64::MAX as u64)));
    for wrong in [-2, i64::MIN] {
        expiry_of(ValkeyHashExpiring, 0, wrong).expect_err("no time");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any count or length before few bytes, in any kind: an answer comes, and no count beyond what bytes allow.
    #[test]
    fn any_length_before_few_bytes_is_answered(
        kind in proptest::sample::select(ValueKind::ALL),
        length in prop_oneof![any::<u64>(), (0_u32..64).prop_map(|shift| u64::MAX >> shift), 0_u64..300],
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let dialect = if kind == ValueKind::ValkeyHashExpiring { Dialect::Valkey } else { Dialect::Redis };
        prop_assert_eq!(ValueKind::from_byte(kind.byte(), dialect), Some(kind));
        let file = [&head(kind)[..], &length64(length), &rest].concat();
        if let (Ok(count), false) = (read(&file), kind.value_type() == ValueType::Stream) {
            prop_assert!(count <= 264 * rest.len() as u64, "{count} elements in {} bytes", rest.len());
        }
    }
}
