//! Tests of the frame codec: every cut and every flipped bit of a small frame among them.

use super::*;
use crate::log::effect::{EXEC, MULTI, encode_effect};
use proptest::prelude::*;

const UID: SegmentUid = SegmentUid(0x1234_5678_9abc_def0);

fn sample(values: &[&[u8]], uid: SegmentUid) -> Vec<u8> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    frame.extend_from_slice(MULTI);
    for value in values {
        encode_effect(&mut frame, &[b"SET", b"k", value]);
    }
    frame.extend_from_slice(EXEC);
    let effect_bytes = (frame.len() - FRAME_HEADER_BYTES) as u64;
    let effects = values.len() as u32 + 2;
    let entry = TransactionEntry {
        gsn: Gsn(9),
        first: 0,
        count: effects,
        participants: vec![ShardId(0), ShardId(3)],
    };
    let table_at = frame.len();
    encode_transaction(&mut frame, &entry);
    let table_bytes = (frame.len() - table_at) as u32;
    let fields = FrameFields {
        shard: ShardId(3),
        number: FrameNo(7),
        first: Position(100),
        wall_clock_ms: 1_700_000_000_000,
        durable_frames: FrameNo(5),
        effects,
        effect_bytes,
    };
    seal_frame(&mut frame, table_bytes, &fields, uid);
    frame
}

#[test]
fn a_frame_reads_back() {
    let bytes = sample(&[b"one", b"two"], UID);
    assert_eq!(bytes.len() % FRAME_ALIGN, 0);
    let frame = decode_frame(&bytes, UID).unwrap();
    assert_eq!(frame.header.shard, ShardId(3));
    assert_eq!(frame.header.number, FrameNo(7));
    assert_eq!((frame.header.first, frame.header.end()), (Position(100), Position(104)));
    assert_eq!(frame.header.durable_frames, FrameNo(5));
    assert_eq!(frame.header.frame_bytes(), bytes.len() as u64);
    assert_eq!(frame.transactions.len(), 1);
    assert_eq!(frame.transactions[0].participants, [ShardId(0), ShardId(3)]);
    assert!(frame.effects.starts_with(MULTI) && frame.effects.ends_with(EXEC));
    assert_eq!(decode_checked_frame(&bytes, UID).unwrap(), frame);
}

#[test]
fn a_frame_tells_which_transactions_are_complete() {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    encode_effect(&mut frame, &[b"DEL", b"k"]);
    let effect_bytes = (frame.len() - FRAME_HEADER_BYTES) as u64;
    let table_at = frame.len();
    encode_complete(&mut frame, Gsn(41));
    let table_bytes = (frame.len() - table_at) as u32;
    let (number, durable_frames) = (FrameNo(1), FrameNo(1));
    let fields = FrameFields {
        shard: ShardId(0),
        number,
        first: Position(0),
        wall_clock_ms: 0,
        durable_frames,
        effects: 1,
        effect_bytes,
    };
    seal_frame(&mut frame, table_bytes, &fields, UID);
    let decoded = decode_frame(&frame, UID).unwrap();
    assert_eq!((decoded.complete, decoded.transactions.len()), (Some(Gsn(41)), 0));
    assert_eq!(decode_frame(&sample(&[b"one"], UID), UID).unwrap().complete, None);
}

#[test]
fn every_bit_counts() {
    let bytes = sample(&[b"one"], UID);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_frame(&damaged, UID).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sample(&[b"one"], UID);
    for end in 0..bytes.len() {
        let error = decode_frame(&bytes[..end], UID).unwrap_err();
        let expected =
            matches!(error, FrameError::NeedMore { .. }) || (end == 0 && error == FrameError::EndOfLog);
        assert!(expected, "cut at {end}: {error}");
    }
}

#[test]
fn a_frame_of_another_use_of_the_file_does_not_pass() {
    let bytes = sample(&[b"one"], UID);
    let error = decode_frame(&bytes, SegmentUid(UID.0 + 1)).unwrap_err();
    assert!(matches!(error, FrameError::HeaderChecksum { .. }), "{error}");
}

#[test]
fn sealing_again_for_another_segment_gives_a_frame_of_that_segment() {
    let other = SegmentUid(77);
    let mut bytes = sample(&[b"one"], UID);
    let header = decode_header(&bytes, UID).unwrap();
    let fields = FrameFields {
        shard: header.shard,
        number: FrameNo(8),
        first: header.first,
        wall_clock_ms: header.wall_clock_ms,
        durable_frames: FrameNo(8),
        effects: header.effects,
        effect_bytes: header.effect_bytes,
    };
    seal_frame(&mut bytes, header.table_bytes, &fields, other);
    assert_eq!(decode_frame(&bytes, other).unwrap().header.durable_frames, FrameNo(8));
    assert!(decode_frame(&bytes, UID).is_err());
}

#[test]
fn zeros_are_the_end() {
    assert_eq!(decode_frame(&[0; 64], UID), Err(FrameError::EndOfLog));
    assert_eq!(decode_frame(&[0; 16], UID), Err(FrameError::EndOfLog));
    assert_eq!(decode_frame(&[1; 64], UID), Err(FrameError::NoMagic { found: 0x0101_0101 }));
}

#[test]
fn a_torn_body_still_shows_its_header() {
    let mut bytes = sample(&[b"one"], UID);
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    match decode_frame(&bytes, UID).unwrap_err() {
        FrameError::BodyChecksum { header, .. } => assert_eq!(header.number, FrameNo(7)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_table_that_lies_is_malformed() {
    let entry = |first, count| TransactionEntry { gsn: Gsn(1), first, count, participants: vec![ShardId(0)] };
    for entries in
        [vec![entry(0, 1)], vec![entry(3, 2)], vec![entry(u32::MAX, 2)], vec![entry(0, 3), entry(2, 2)]]
    {
        let mut table = Vec::new();
        entries.iter().for_each(|entry| encode_transaction(&mut table, entry));
        assert!(matches!(read_table(&table, 4), Err(FrameError::Malformed { .. })), "{entries:?}");
    }
    let mut table = Vec::new();
    encode_transaction(&mut table, &entry(0, 2));
    assert_eq!(read_table(&table, 4).unwrap(), (vec![entry(0, 2)], None));
    for end in 1..table.len() {
        assert!(read_table(&table[..end], 4).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn garbage_behind_the_magic_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 64..200)) {
        bytes[..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        prop_assert!(decode_frame(&bytes, UID).is_err());
        let crc = seeded_crc32(UID.0, &bytes[..HEADER_CRC_AT]);
        bytes[HEADER_CRC_AT..64].copy_from_slice(&crc.to_le_bytes());
        let _ = decode_checked_frame(&bytes, UID);
    }
}
