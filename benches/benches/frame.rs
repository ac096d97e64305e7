//! Log frames: making one from effects, and checking and reading it as replay does.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use formats::log::effect::encode_effect;
use formats::log::frame::{FRAME_HEADER_BYTES, FrameFields, decode_frame, seal_frame};
use formats::log::{EffectReader, FrameNo, Position, SegmentUid, ShardId};

const UID: SegmentUid = SegmentUid(0x1234_5678_9abc_def0);
const VALUE: [u8; 64] = [b'v'; 64];
/// Effects in a frame: one client alone, a pipeline of 16, a busy `everysec` log.
const COUNTS: [u32; 3] = [1, 16, 640];

/// Room for the header and `count` effects behind it, as a shard gathers them.
fn gather(frame: &mut Vec<u8>, count: u32) {
    frame.clear();
    frame.resize(FRAME_HEADER_BYTES, 0);
    for _ in 0..count {
        encode_effect(frame, &[b"SET", b"key:000000123456", &VALUE]);
    }
}

fn seal(frame: &mut Vec<u8>, effects: u32, effect_bytes: u64) {
    let fields = FrameFields {
        shard: ShardId(0),
        number: FrameNo(7),
        first: Position(1000),
        wall_clock_ms: 1_700_000_000_000,
        durable_frames: FrameNo(6),
        effects,
        effect_bytes,
    };
    seal_frame(frame, 0, &fields, UID);
}

/// Reads all effects; tells how many.
fn read(frame: &[u8]) -> u32 {
    let frame = decode_frame(frame, UID).expect("a frame that was just made");
    let mut reader = EffectReader::new(frame.effects);
    let mut args = Vec::new();
    let mut effects = 0;
    while reader.next_into(&mut args).expect("effects that were just made") {
        black_box(&args);
        effects += 1;
    }
    effects
}

fn frames(criterion: &mut Criterion) {
    for count in COUNTS {
        let mut frame = Vec::new();
        gather(&mut frame, count);
        let effect_bytes = (frame.len() - FRAME_HEADER_BYTES) as u64;
        let mut group = criterion.benchmark_group("frame");
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(format!("gather {count} effects"), |bencher| {
            let mut frame = Vec::with_capacity(1 << 20);
            bencher.iter(|| {
                gather(&mut frame, count);
                black_box(frame.len())
            });
        });
        group.bench_function(format!("seal {count} effects"), |bencher| {
            bencher.iter(|| seal(black_box(&mut frame), count, effect_bytes));
        });
        seal(&mut frame, count, effect_bytes);
        assert_eq!(read(&frame), count);
        group.bench_function(format!("check and read {count} effects"), |bencher| {
            bencher.iter(|| read(black_box(&frame)));
        });
    }
}

criterion_group!(benches, frames);
criterion_main!(benches);
