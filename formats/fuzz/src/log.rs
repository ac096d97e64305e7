//! The log: frames, segment headers, effects, MANIFEST. The first byte chooses; checksums are made right, so that the
//! fuzzer gets past them.

use formats::log::frame::{FRAME_HEADER_BYTES, FrameFields, decode_frame, decode_header, seal_frame};
use formats::log::manifest::UnverifiedManifest;
use formats::log::{EffectReader, FrameNo, Position, SegmentHeader, SegmentUid, ShardId};

/// Reads one structure to its end.
pub fn decode(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    match choice % 5 {
        0 => frame_as_it_is(bytes),
        1 => frame_sealed(bytes),
        2 => {
            let _ = SegmentHeader::decode(bytes);
        }
        3 => effects(bytes),
        _ => manifest(bytes),
    }
}

fn frame_as_it_is(bytes: &[u8]) {
    let uid = SegmentUid(7);
    let _ = decode_header(bytes, uid);
    if let Ok(frame) = decode_frame(bytes, uid) {
        effects(frame.effects);
    }
}

/// The bytes become the body of a frame with right checksums: effects, then a transaction table.
fn frame_sealed(bytes: &[u8]) {
    let Some((head, body)) = bytes.split_first_chunk::<4>() else { return };
    let table_bytes = usize::from(u16::from_le_bytes([head[0], head[1]])).min(body.len());
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    frame.extend_from_slice(body);
    let fields = FrameFields {
        shard: ShardId(head[2].into()),
        number: FrameNo(9),
        first: Position(3),
        wall_clock_ms: 1,
        durable_frames: FrameNo(8),
        effects: u32::from(head[3]),
        effect_bytes: (body.len() - table_bytes) as u64,
    };
    seal_frame(&mut frame, table_bytes as u32, &fields, SegmentUid(7));
    if let Ok(decoded) = decode_frame(&frame, SegmentUid(7)) {
        assert_eq!(decoded.effects, &body[..body.len() - table_bytes]);
        effects(decoded.effects);
    }
    assert!(decode_frame(&frame, SegmentUid(8)).is_err(), "a frame passes under another segment's uid");
}

fn effects(bytes: &[u8]) {
    let mut reader = EffectReader::new(bytes);
    let mut args = Vec::new();
    while let Ok(true) = reader.next_into(&mut args) {
        assert!(!args.is_empty());
        args.clear();
    }
    assert!(reader.offset() <= bytes.len());
}

/// What is accepted is encoded again to something that is accepted and the same.
fn manifest(bytes: &[u8]) {
    let mut text = bytes.to_vec();
    let sum = formats::checksum::crc32(&text);
    text.extend_from_slice(format!("crc32 {sum:08x}\n").as_bytes());
    if let Ok(manifest) = UnverifiedManifest(&text).verify() {
        assert_eq!(UnverifiedManifest(&manifest.encode()).verify(), Ok(manifest));
    }
    let _ = UnverifiedManifest(bytes).verify();
}
