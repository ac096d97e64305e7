//! Listpacks against a reader of their own that checks every length.

use proptest::prelude::*;

use super::*;

/// Reads what the writer wrote, independently of the crate's decoder: forward by encodings, checking each
/// backward length.
fn read(listpack: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(u32::from_le_bytes(listpack[..4].try_into().unwrap()) as usize, listpack.len());
    let mut elements = Vec::new();
    let mut at = HEADER_BYTES;
    while listpack[at] != END {
        let data = &listpack[at..];
        let int = |width: usize| {
            let mut bytes = if data[width] & 0x80 != 0 { [0xFF; 8] } else { [0; 8] };
            bytes[..width].copy_from_slice(&data[1..=width]);
            (i64::from_le_bytes(bytes).to_string().into_bytes(), 1 + width)
        };
        let string = |head: usize, len: usize| (data[head..head + len].to_vec(), head + len);
        let (element, len) = match data[0] {
            byte @ 0..0x80 => (byte.to_string().into_bytes(), 1),
            byte @ 0x80..0xC0 => string(1, usize::from(byte & 0x3F)),
            byte @ 0xC0..0xE0 => {
                let raw = i64::from(byte & 0x1F) << 8 | i64::from(data[1]);
                ((if raw >= 0x1000 { raw - 0x2000 } else { raw }).to_string().into_bytes(), 2)
            }
            byte @ 0xE0..0xF0 => string(2, usize::from(byte & 0x0F) << 8 | usize::from(data[1])),
            0xF0 => string(5, u32::from_le_bytes(data[1..5].try_into().unwrap()) as usize),
            0xF1 => int(2),
            0xF2 => int(3),
            0xF3 => int(4),
            0xF4 => int(8),
            other => panic!("no encoding: {other:02x}"),
        };
        elements.push(element);
        at += len;
        at += check_backward_len(&listpack[at..], len);
    }
    assert_eq!(at + 1, listpack.len());
    let count = u16::from_le_bytes(listpack[4..6].try_into().unwrap());
    assert_eq!(usize::from(count), elements.len().min(65_535));
    elements
}

/// How many bytes the length takes; reads it from its end.
fn check_backward_len(bytes: &[u8], expected: usize) -> usize {
    let size = match expected {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        _ => 4,
    };
    let found = bytes[..size].iter().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7F));
    assert_eq!(found, expected);
    assert!(bytes[0] & 0x80 == 0 && bytes[1..size].iter().all(|byte| byte & 0x80 != 0));
    size
}

fn round_trip(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = ListpackWriter::new();
    for element in elements {
        let before = writer.byte_len();
        writer.push(element).unwrap();
        assert_eq!(writer.byte_len(), before + element_len(element));
    }
    assert_eq!(writer.byte_len(), writer.finish().len());
    let listpack = writer.finish();
    writer.with_finished(|lent| assert_eq!(lent, listpack));
    assert_eq!(read(&listpack), elements);
    listpack
}

#[test]
fn an_empty_listpack_is_a_header_and_an_end() {
    assert_eq!(ListpackWriter::new().finish(), [7, 0, 0, 0, 0, 0, 0xFF]);
}

#[test]
fn each_encoding_has_its_bytes() {
    let cases: &[(&[u8], &[u8])] = &[
        (b"", &[0x80, 1]),
        (b"0", &[0, 1]),
        (b"127", &[127, 1]),
        (b"128", &[0xC0, 128, 2]),
        (b"-1", &[0xDF, 0xFF, 2]),
        (b"-4096", &[0xD0, 0, 2]),
        (b"4095", &[0xCF, 0xFF, 2]),
        (b"4096", &[0xF1, 0, 0x10, 3]),
        (b"-4097", &[0xF1, 0xFF, 0xEF, 3]),
        (b"32768", &[0xF2, 0, 0x80, 0, 4]),
        (b"-8388609", &[0xF3, 0xFF, 0xFF, 0x7F, 0xFF, 5]),
        (b"2147483648", &[0xF4, 0, 0, 0, 0x80, 0, 0, 0, 0, 9]),
        (b"abc", &[0x83, b'a', b'b', b'c', 4]),
        (b"007", &[0x83, b'0', b'0', b'7', 4]),
    ];
    for (string, bytes) in cases {
        let listpack = round_trip(&[string.to_vec()]);
        assert_eq!(&listpack[6..listpack.len() - 1], *bytes, "{}", string.escape_ascii());
    }
}

#[test]
fn lengths_at_the_limits_come_back() {
    for len in [63, 64, 4095, 4096, 125, 126, 127, 16_377, 16_378, 16_379, 2_097_145, 2_097_146, 2_097_147] {
        round_trip(&[b"before".to_vec(), vec![b'x'; len], b"after".to_vec()]);
    }
}

#[test]
fn many_elements_are_not_counted() {
    let elements = vec![b"1".to_vec(); 65_536];
    assert_eq!(&round_trip(&elements)[4..6], [0xFF, 0xFF]);
    assert_eq!(&round_trip(&elements[..65_534])[4..6], [0xFE, 0xFF]);
}

#[test]
fn only_the_printed_form_is_an_integer() {
    for text in ["0", "7", "-7", "9223372036854775807", "-9223372036854775808"] {
        assert_eq!(canonical_integer(text.as_bytes()), text.parse().ok(), "{text}");
    }
    for text in [
        "",
        "-",
        "-0",
        "00",
        "01",
        "+1",
        " 1",
        "1 ",
        "1a",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551617",
    ] {
        assert_eq!(canonical_integer(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn what_would_exceed_the_limit_is_refused() {
    let mut writer = ListpackWriter::new();
    assert_eq!(writer.reserve(MAX_LISTPACK_BYTES), Err(ListpackTooLarge));
    assert_eq!(writer.reserve(MAX_LISTPACK_BYTES - 17), Ok(()));
    assert_eq!(writer.reserve(MAX_LISTPACK_BYTES - 16), Err(ListpackTooLarge));
    writer.push(b"1").unwrap();
    assert_eq!(writer.count(), 1);
}

proptest! {
    #[test]
    fn comes_back(elements in prop::collection::vec(prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        (any::<i64>(), 0u32..63).prop_map(|(number, shift)| (number >> shift).to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..300),
        "[-0-9]{0,21}".prop_map(String::into_bytes),
    ], 0..50)) {
        round_trip(&elements);
    }

    #[test]
    fn integers_are_those_that_print_the_same(text in "-?[0-9]{1,20}") {
        let expected = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        prop_assert_eq!(canonical_integer(text.as_bytes()), expected);
    }
}
