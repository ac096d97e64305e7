//! LZF: each instruction and error, round trips, streams against the whole.

use proptest::prelude::*;

use super::*;

fn decompressed(compressed: &[u8], expected_len: usize) -> Result<Vec<u8>, LzfError> {
    let mut out = b"kept".to_vec();
    let result = decompress(compressed, expected_len, &mut out);
    assert_eq!(&out[..4], b"kept");
    if result.is_err() {
        assert_eq!(out.len(), 4, "an error must leave the output as it was");
    }
    let mut streamed = Vec::new();
    let stream = Decompressor::new(compressed, expected_len)
        .and_then(|mut stream| stream.for_each_chunk(|chunk| streamed.extend_from_slice(chunk)));
    assert_eq!(stream, result);
    if result.is_ok() {
        assert_eq!(streamed, out[4..]);
    }
    result.map(|()| out.split_off(4))
}

#[test]
fn reads_each_instruction() {
    // Literals "abc", a copy of 4 from 3 back, a copy of 10 from 1 back.
    let bytes = [2, b'a', b'b', b'c', 2 << 5, 2, 7 << 5, 1, 0];
    assert_eq!(decompressed(&bytes, 17).unwrap(), b"abcabcaaaaaaaaaaa");
    assert_eq!(decompressed(&[], 0).unwrap(), b"");
    assert_eq!(decompressed(&[0, b'x'], 1).unwrap(), b"x");
}

#[test]
fn copies_every_length_from_every_kind_of_distance() {
    let start: Vec<u8> = (0..WINDOW_BYTES).map(|i| (i % 251) as u8).collect();
    let literals: Vec<u8> = start.chunks(32).flat_map(|run| [&[31][..], run].concat()).collect();
    for distance in (1..=40).chain([255, 256, 257, 4097, WINDOW_BYTES - 1, WINDOW_BYTES]) {
        for count in (3..=80).chain(250..=MAX_COPY) {
            let (high, low) = (((distance - 1) >> 8) as u8, (distance - 1) as u8);
            let copy = match count {
                3..=8 => vec![(count as u8 - 2) << 5 | high, low],
                _ => vec![7 << 5 | high, (count - 9) as u8, low],
            };
            let mut expected = start.clone();
            for _ in 0..count {
                expected.push(expected[expected.len() - distance]);
            }
            // With and without room behind it for a copy of more than asked.
            for tail in [0, 40] {
                let tail = vec![b't'; tail];
                let runs: Vec<u8> = tail.iter().flat_map(|&byte| [0, byte]).collect();
                let bytes = [&literals[..], &copy, &runs].concat();
                let whole = [&expected[..], &tail].concat();
                assert_eq!(decompressed(&bytes, whole.len()).unwrap(), whole, "{distance}, {count}");
            }
        }
    }
}

#[test]
fn tells_what_is_wrong() {
    let cases: &[(&[u8], usize, LzfError)] = &[
        (&[], 1, LzfError::Unreachable { declared: 1, compressed: 0 }),
        (&[0, b'a', 7 << 5], usize::MAX, LzfError::Unreachable { declared: usize::MAX, compressed: 3 }),
        (&[0, b'a', 7 << 5, 255, 0], 273, LzfError::Unreachable { declared: 273, compressed: 5 }),
        (&[0, b'a', 7 << 5, 255, 0], 266, LzfError::TooShort { declared: 266, found: 265 }),
        (&[3, b'a', b'b'], 4, LzfError::EndsEarly { offset: 0 }),
        (&[0, b'a', 7 << 5], 9, LzfError::EndsEarly { offset: 2 }),
        (&[0, b'a', 7 << 5, 0], 9, LzfError::EndsEarly { offset: 2 }),
        (&[0, b'a', 1 << 5], 9, LzfError::EndsEarly { offset: 2 }),
        (&[0, b'a', 1 << 5, 1], 4, LzfError::BadDistance { offset: 2, distance: 2, have: 1 }),
        (&[0, b'a', 1 << 5, 0], 3, LzfError::TooLong { offset: 2, declared: 3 }),
        (&[0, b'a', 1 << 5, 0], 5, LzfError::TooShort { declared: 5, found: 4 }),
        (&[0, b'a', 0, b'b'], 1, LzfError::TooLong { offset: 2, declared: 1 }),
        (&[0, b'a'], 0, LzfError::TooLong { offset: 0, declared: 0 }),
    ];
    for &(bytes, declared, error) in cases {
        assert_eq!(decompressed(bytes, declared), Err(error), "{bytes:?}");
    }
}

#[test]
fn a_repeated_byte_compresses_to_almost_nothing_and_streams_in_little_memory() {
    let input = vec![b'x'; 10 << 20];
    let mut out = Vec::new();
    assert!(compress(&input, &mut out));
    assert!(out.len() < input.len() / 80, "{}", out.len());
    let mut stream = Decompressor::new(&out, input.len()).unwrap();
    assert!(stream.buffer.capacity() < 80 << 10);
    let mut at = 0;
    stream
        .for_each_chunk(|chunk| {
            assert_eq!(chunk, &input[at..at + chunk.len()]);
            at += chunk.len();
        })
        .unwrap();
    assert_eq!(at, input.len());
}

#[test]
fn does_not_compress_what_would_not_get_shorter() {
    let mut out = b"kept".to_vec();
    assert!(!compress(b"", &mut out));
    assert!(!compress(b"abcdefghijklmnopqrstuvwxyz", &mut out));
    assert!(!compress(b"abcdabcd", &mut out), "saves less than four bytes");
    assert_eq!(out, b"kept");
    let mut exact = Vec::new();
    assert!(compress(b"abababababababababababab", &mut exact));
    let saved = exact.len();
    let mut compressor = Compressor::new();
    assert!(compressor.compress(b"abababababababababababab", &mut Vec::new(), saved));
    assert!(!compressor.compress(b"abababababababababababab", &mut Vec::new(), saved - 1));
}

#[test]
fn a_compressor_whose_positions_run_over_starts_afresh() {
    let input = b"a string that repeats: a string that repeats".as_slice();
    let mut compressor = Compressor { base: u32::MAX - 60, ..Compressor::new() };
    for _ in 0..4 {
        let mut out = Vec::new();
        assert!(compressor.compress(input, &mut out, input.len() - 4));
        assert_eq!(decompressed(&out, input.len()).unwrap(), input);
    }
    assert!(compressor.base < 1000);
}

/// Strings with repeats at all kinds of distances and lengths.
fn repetitive() -> impl Strategy<Value = Vec<u8>> {
    let piece = (prop::collection::vec(0u8..4, 1..60), 1usize..40, any::<u8>());
    prop::collection::vec(piece, 0..60).prop_map(|pieces| {
        let mut string = Vec::new();
        for (bytes, times, shift) in pieces {
            for _ in 0..times {
                string.extend(bytes.iter().map(|byte| byte.wrapping_add(shift)));
            }
        }
        string
    })
}

proptest! {
    #[test]
    fn comes_back(input in repetitive()) {
        let mut out = Vec::new();
        let mut compressor = Compressor::new();
        prop_assert!(compressor.compress(&input, &mut out, usize::MAX));
        prop_assert_eq!(decompressed(&out, input.len()).unwrap(), &input[..]);
        // With what is left in the table from before.
        let mut again = Vec::new();
        prop_assert!(compressor.compress(&input, &mut again, usize::MAX));
        prop_assert_eq!(decompressed(&again, input.len()).unwrap(), &input[..]);
    }

    #[test]
    fn random_bytes_come_back(input in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut out = Vec::new();
        prop_assert!(Compressor::new().compress(&input, &mut out, usize::MAX));
        prop_assert_eq!(decompressed(&out, input.len()).unwrap(), &input[..]);
    }

    #[test]
    fn bytes_of_any_kind_do_no_harm(
        bytes in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..200),
        declared in 0usize..20_000,
    ) {
        if let Ok(out) = decompressed(&bytes, declared) {
            prop_assert_eq!(out.len(), declared);
        }
    }

    #[test]
    fn a_cut_string_is_an_error(input in repetitive(), cut in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        Compressor::new().compress(&input, &mut out, usize::MAX);
        prop_assume!(!out.is_empty());
        prop_assert!(decompressed(&out[..cut.index(out.len())], input.len()).is_err());
    }
}
