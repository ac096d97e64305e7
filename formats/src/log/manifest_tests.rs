//! Tests of the manifest's text: round trips, every cut, every flipped bit.

use super::*;
use crate::checksum::crc32;

fn sample() -> Manifest {
    let mut manifest = Manifest::new(0x00c0_ffee_00c0_ffee);
    manifest.next_epoch = Epoch(3);
    manifest.next_log = LogId(5);
    manifest.epochs.push(EpochEntry { number: Epoch(1), shards: 2, first_gsn: Gsn(1) });
    manifest.epochs.push(EpochEntry { number: Epoch(2), shards: 1, first_gsn: Gsn(17) });
    let seal = Seal {
        segment: SegmentNo(1),
        offset: 8192,
        frames: FrameNo(12),
        ends: vec![(ShardId(0), Position(40)), (ShardId(1), Position(7))],
    };
    let shards = vec![ShardId(0), ShardId(1)];
    let begun = vec![(ShardId(0), Position(5)), (ShardId(1), Position(0))];
    let from = LogStart { frames: FrameNo(3), positions: begun.clone() };
    let state = LogState::Sealed(seal);
    manifest.logs.push(LogEntry { id: LogId(1), epoch: Epoch(1), shards, from, state });
    let shards = vec![ShardId(0)];
    let from = LogStart::zero(&shards);
    manifest.logs.push(LogEntry { id: LogId(4), epoch: Epoch(2), shards, from, state: LogState::Open });
    let snapshot =
        |shard, keys| SnapshotEntry { shard: ShardId(shard), bytes: 100 + keys, keys, crc64: keys << 40 };
    let cut = |segment, frames, ends| LogCut {
        log: LogId(1),
        segment: SegmentNo(segment),
        frames: FrameNo(frames),
        ends,
    };
    let later = vec![(ShardId(0), Position(31)), (ShardId(1), Position(2))];
    for (id, gsn, cut) in [(1, 2, cut(0, 3, begun)), (7, 16, cut(1, 9, later))] {
        manifest.checkpoints.push(CheckpointEntry {
            id: CheckpointId(id),
            epoch: Epoch(1),
            gsn: Gsn(gsn),
            time_ms: 1_790_000_000_000 + id,
            snapshots: vec![snapshot(0, 31), snapshot(1, 0)],
            cuts: vec![cut],
        });
    }
    manifest.next_checkpoint = CheckpointId(8);
    manifest.is_whole = false;
    for (log, number, uid, bytes) in [(1, 0, 11, 65536), (4, 0, 13, 4 << 20), (1, 1, 12, 8192)] {
        let (log, number, uid) = (LogId(log), SegmentNo(number), SegmentUid(uid));
        manifest.insert_segment(SegmentEntry { log, number, uid, bytes });
    }
    manifest
}

fn with_checksum(text: &str) -> Vec<u8> {
    format!("{text}crc32 {:08x}\n", crc32(text.as_bytes())).into_bytes()
}

#[test]
fn a_manifest_reads_back() {
    for manifest in [Manifest::new(7), sample()] {
        assert_eq!(UnverifiedManifest(&manifest.encode()).verify().unwrap(), manifest);
    }
}

#[test]
fn every_bit_counts() {
    let bytes = sample().encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(UnverifiedManifest(&damaged).verify().is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sample().encode();
    for end in 0..bytes.len() {
        assert!(UnverifiedManifest(&bytes[..end]).verify().is_err(), "cut at {end}");
    }
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let error = UnverifiedManifest(&with_checksum("everfast-manifest 3\nwhatever\n")).verify().unwrap_err();
    assert_eq!(error, ManifestError::NewerVersion { found: 3 });
    assert!(error.to_string().contains("version 3") && error.to_string().contains("version 2"), "{error}");
}

#[test]
fn unknown_lines_are_told_with_their_number() {
    let text = String::from_utf8(Manifest::new(1).encode()).unwrap();
    let head = &text[..text.len() - 15];
    for line in [
        "shard 1",
        "epoch 1",
        "epoch x shards 1 first-gsn 1",
        "segment 1 1 uid x bytes 1",
        "log 1 epoch 1",
        "snapshot 1 0 bytes 1 keys 1 crc64 0",
        "cut 1 log 1 segment 1 frames 1 ends 0:1",
    ] {
        let error = UnverifiedManifest(&with_checksum(&format!("{head}{line}\n"))).verify().unwrap_err();
        assert!(matches!(error, ManifestError::Syntax { line: 7, .. }), "{line}: {error}");
    }
}

#[test]
fn contradictions_are_refused() {
    type Change = (&'static str, fn(&mut Manifest));
    let break_it: [Change; 38] = [
        ("epoch from the future", |m| m.next_epoch = Epoch(2)),
        ("log from the future", |m| m.next_log = LogId(4)),
        ("log without epoch", |m| m.epochs.truncate(1)),
        ("segment without log", |m| m.logs.truncate(1)),
        ("shard that the epoch lacks", |m| m.logs[1].shards = vec![ShardId(1)]),
        ("sealed segment missing", |m| m.segments.retain(|segment| segment.number == SegmentNo(0))),
        ("uid twice", |m| m.segments[0].uid = SegmentUid(12)),
        ("descending logs", |m| m.logs.reverse()),
        ("epoch without shards", |m| m.epochs[1].shards = 0),
        ("log that begins for another shard", |m| m.logs[1].from.positions[0].0 = ShardId(1)),
        ("log that begins behind its seal", |m| m.logs[0].from.frames = FrameNo(13)),
        ("checkpoint from the future", |m| m.next_checkpoint = CheckpointId(7)),
        ("checkpoints that go back", |m| m.checkpoints[0].gsn = Gsn(17)),
        ("checkpoint without snapshots", |m| m.checkpoints[0].snapshots.clear()),
        ("snapshot of a shard missing", |m| m.checkpoints[0].snapshots.rotate_left(1)),
        ("cut of a log of another epoch", |m| m.checkpoints[0].cuts[0].log = LogId(4)),
        ("cut before the log begins", |m| m.checkpoints[0].cuts[0].frames = FrameNo(2)),
        ("cut behind the seal", |m| m.checkpoints[1].cuts[0].frames = FrameNo(13)),
        ("cut at a segment that is not there", |m| m.checkpoints[0].cuts[0].segment = SegmentNo(5)),
        ("released history without a checkpoint", |m| {
            m.logs[0].from = LogStart::zero(&m.logs[0].shards);
            m.checkpoints.clear();
        }),
        ("log that begins where no checkpoint cut it", |m| m.logs[0].from.frames = FrameNo(2)),
        ("log that begins at other positions", |m| m.logs[0].from.positions[0].1 = Position(4)),
        ("later log that does not begin at zero", |m| m.logs[1].from.frames = FrameNo(1)),
        ("checkpoint that leaves out a log", |m| m.checkpoints[1].cuts.clear()),
        ("epoch at its end", |m| m.next_epoch = Epoch(MAX_NUMBER)),
        ("log at its end", |m| m.next_log = LogId(u32::MAX)),
        ("checkpoint at its end", |m| m.next_checkpoint = CheckpointId(MAX_COUNT)),
        ("first GSN at its end", |m| m.epochs[1].first_gsn = Gsn(u64::MAX)),
        ("GSN of a checkpoint at its end", |m| m.checkpoints[1].gsn = Gsn(MAX_COUNT)),
        ("time at its end", |m| m.checkpoints[1].time_ms = u64::MAX),
        ("frames before a log at their end", |m| {
            m.logs[0].from.frames = FrameNo(MAX_COUNT);
            m.checkpoints.iter_mut().for_each(|c| c.cuts[0].frames = FrameNo(MAX_COUNT));
            seal(m).frames = FrameNo(MAX_COUNT);
        }),
        ("frames of a log at their end", |m| seal(m).frames = FrameNo(u64::MAX)),
        ("positions of a log at their end", |m| seal(m).ends[1].1 = Position(u64::MAX)),
        ("positions of a cut at their end", |m| m.checkpoints[1].cuts[0].ends[0].1 = Position(MAX_COUNT)),
        ("bytes of segments that overflow", |m| {
            m.segments.iter_mut().for_each(|segment| segment.bytes = u64::MAX);
        }),
        ("bytes of snapshots that are too many", |m| {
            m.checkpoints.iter_mut().for_each(|c| c.snapshots[0].bytes = MAX_COUNT / 2);
        }),
        ("keys that overflow", |m| m.checkpoints[1].snapshots[0].keys = u64::MAX),
        ("keys that are too many", |m| m.checkpoints[1].snapshots[0].keys = MAX_COUNT - 31),
    ];
    for (what, change) in break_it {
        let mut manifest = sample();
        change(&mut manifest);
        let result = UnverifiedManifest(&manifest.encode()).verify();
        assert!(matches!(result, Err(ManifestError::Inconsistent(_))), "{what}: {result:?}");
    }
}

fn seal(manifest: &mut Manifest) -> &mut Seal {
    match &mut manifest.logs[0].state {
        LogState::Sealed(seal) => seal,
        LogState::Open => panic!("the first log is sealed"),
    }
}

#[test]
fn numbers_just_below_their_bounds_are_accepted() {
    let mut manifest = sample();
    (manifest.next_epoch, manifest.next_log) = (Epoch(MAX_NUMBER - 1), LogId(MAX_NUMBER - 1));
    manifest.next_checkpoint = CheckpointId(MAX_COUNT - 1);
    manifest.epochs[1].first_gsn = Gsn(MAX_COUNT - 1);
    manifest.checkpoints[1].gsn = Gsn(MAX_COUNT - 1);
    manifest.checkpoints[1].snapshots[0].keys = MAX_COUNT - 32;
    seal(&mut manifest).frames = FrameNo(MAX_COUNT - 1);
    seal(&mut manifest).ends[0].1 = Position(MAX_COUNT - 1);
    assert_eq!(UnverifiedManifest(&manifest.encode()).verify().unwrap(), manifest);
}

#[test]
fn removing_logs_takes_their_segments_and_old_epochs_along() {
    let mut manifest = sample();
    manifest.remove_logs(|log| log.id == LogId(1));
    assert_eq!(manifest.epochs.len(), 1);
    assert!(manifest.segments.iter().all(|segment| segment.log == LogId(4)));
    assert!(manifest.checkpoints.iter().all(|checkpoint| checkpoint.cuts.is_empty()));
    manifest.check().unwrap();
    manifest.remove_logs(|_| true);
    assert_eq!(manifest.epochs[0].first_gsn, Gsn(17));
    manifest.check().unwrap();
}

#[test]
fn releasing_to_a_checkpoint_keeps_what_comes_on_top_of_it() {
    let mut manifest = sample();
    manifest.is_whole = true;
    manifest.release_before(CheckpointId(1));
    assert_eq!(manifest, sample(), "the oldest keeps everything; but what came before it is gone");
    manifest.release_before(CheckpointId(7));
    manifest.check().unwrap();
    assert_eq!(manifest.checkpoints, sample().checkpoints[1..]);
    assert_eq!(manifest.logs[0].from, manifest.checkpoints[0].cuts[0].start());
    let left: Vec<_> = manifest.segments.iter().map(|segment| (segment.log.0, segment.number.0)).collect();
    assert_eq!(left, [(1, 1), (4, 0)]);
    manifest.checkpoints[0].epoch = Epoch(2);
    manifest.checkpoints[0].cuts.clear();
    manifest.release_before(CheckpointId(7));
    manifest.check().unwrap();
    assert!(
        manifest.logs.is_empty() && manifest.segments.is_empty(),
        "a log that it does not cut has nothing behind it"
    );
}

#[test]
fn a_manifest_of_the_first_version_is_read() {
    let text = "everfast-manifest 1\nhash-seed 000000000000000a\nnext-epoch 2\nnext-log 2\n\
        epoch 1 shards 1 first-gsn 1\nlog 1 epoch 1 shards 0 open\nsegment 1 0 uid 000000000000000b bytes 8192\n";
    let manifest = UnverifiedManifest(&with_checksum(text)).verify().unwrap();
    assert_eq!(manifest.next_checkpoint, CheckpointId(1));
    assert_eq!(manifest.logs[0].from, LogStart::zero(&[ShardId(0)]));
    assert!(manifest.checkpoints.is_empty() && manifest.is_whole);
}
