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
    manifest.logs.push(LogEntry { id: LogId(1), epoch: Epoch(1), shards, state: LogState::Sealed(seal) });
    let shards = vec![ShardId(0)];
    manifest.logs.push(LogEntry { id: LogId(4), epoch: Epoch(2), shards, state: LogState::Open });
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
    let error = UnverifiedManifest(&with_checksum("everfast-manifest 2\nwhatever\n")).verify().unwrap_err();
    assert_eq!(error, ManifestError::NewerVersion { found: 2 });
    assert!(error.to_string().contains("version 2") && error.to_string().contains("version 1"), "{error}");
}

#[test]
fn unknown_lines_are_told_with_their_number() {
    let text = String::from_utf8(Manifest::new(1).encode()).unwrap();
    let head = &text[..text.len() - 15];
    for line in
        ["shard 1", "epoch 1", "epoch x shards 1 first-gsn 1", "segment 1 1 uid x bytes 1", "log 1 epoch 1"]
    {
        let error = UnverifiedManifest(&with_checksum(&format!("{head}{line}\n"))).verify().unwrap_err();
        assert!(matches!(error, ManifestError::Syntax { line: 5, .. }), "{line}: {error}");
    }
}

#[test]
fn contradictions_are_refused() {
    type Change = (&'static str, fn(&mut Manifest));
    let break_it: [Change; 9] = [
        ("epoch from the future", |m| m.next_epoch = Epoch(2)),
        ("log from the future", |m| m.next_log = LogId(4)),
        ("log without epoch", |m| m.epochs.truncate(1)),
        ("segment without log", |m| m.logs.truncate(1)),
        ("shard that the epoch lacks", |m| m.logs[1].shards = vec![ShardId(1)]),
        ("sealed segment missing", |m| m.segments.retain(|segment| segment.number == SegmentNo(0))),
        ("uid twice", |m| m.segments[0].uid = SegmentUid(12)),
        ("descending logs", |m| m.logs.reverse()),
        ("epoch without shards", |m| m.epochs[1].shards = 0),
    ];
    for (what, change) in break_it {
        let mut manifest = sample();
        change(&mut manifest);
        let result = UnverifiedManifest(&manifest.encode()).verify();
        assert!(matches!(result, Err(ManifestError::Inconsistent(_))), "{what}: {result:?}");
    }
}

#[test]
fn removing_logs_takes_their_segments_and_old_epochs_along() {
    let mut manifest = sample();
    manifest.remove_logs(|log| log.id == LogId(1));
    assert_eq!(manifest.epochs.len(), 1);
    assert!(manifest.segments.iter().all(|segment| segment.log == LogId(4)));
    manifest.remove_logs(|_| true);
    assert_eq!(manifest.epochs[0].first_gsn, Gsn(17));
    manifest.check().unwrap();
}
