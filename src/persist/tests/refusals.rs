//! What a start must refuse, row by row, naming the file and what is lost.

use std::path::PathBuf;
use std::sync::Arc;

use super::helpers::{dir, open, options, set, settle, state};
use crate::persist::disk::{CrashMode, Disk, SimDisk};
use crate::persist::{DataDir, Gsn, LogOptions, PersistError, Refusal, ShardId};

/// A directory with one log of several segments, closed cleanly or not.
fn written(clean: bool) -> SimDisk {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    for key in 0..60 {
        set(&mut logs[0], &format!("key-{key}"), &"x".repeat(1000));
        settle(&mut logs[0]);
    }
    if clean {
        drop(logs);
        data.close().unwrap();
    } else {
        sim.crash(CrashMode::DropUnsynced);
    }
    sim
}

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

fn refusal(disk: &Arc<dyn Disk>) -> Refusal {
    match open(disk) {
        Err(PersistError::Refused(refusal)) => refusal,
        Err(other) => panic!("not a refusal: {other}"),
        Ok((_, recovered)) => panic!("started with {} keys", state(&recovered).len()),
    }
}

#[test]
fn the_untouched_directory_starts() {
    for clean in [false, true] {
        assert_eq!(state(&open(&written(clean).mount()).unwrap().1).len(), 60);
    }
}

#[test]
fn a_second_server_is_refused() {
    let disk = SimDisk::new().mount();
    let first = open(&disk).unwrap();
    assert!(matches!(DataDir::open(Arc::clone(&disk), &dir()), Err(PersistError::Locked { .. })));
    drop(first);
    open(&disk).unwrap();
}

#[test]
fn data_files_without_manifest_are_refused() {
    let sim = written(true);
    sim.mount().remove(&path("MANIFEST")).unwrap();
    let refusal = refusal(&sim.mount());
    assert!(refusal.why.contains("no MANIFEST"), "{refusal}");
    assert!(sim.contents(&path("MANIFEST")).is_none(), "nothing was begun over the data");
}

#[test]
fn a_damaged_manifest_is_refused_at_every_byte() {
    let sim = written(true);
    let whole = sim.contents(&path("MANIFEST")).unwrap();
    for at in 0..whole.len() {
        sim.damage(&path("MANIFEST"), |bytes| bytes[at] ^= 4);
        assert!(
            matches!(DataDir::open(sim.mount(), &dir()), Err(PersistError::Manifest { .. })),
            "byte {at}"
        );
        sim.damage(&path("MANIFEST"), |bytes| *bytes = whole.clone());
    }
    open(&sim.mount()).unwrap();
}

#[test]
fn a_newer_manifest_is_refused_naming_both_versions() {
    let sim = written(true);
    sim.damage(&path("MANIFEST"), |bytes| {
        let text = "everfast-manifest 9\n";
        *bytes = format!("{text}crc32 {:08x}\n", formats::checksum::crc32(text.as_bytes())).into_bytes();
    });
    let error = DataDir::open(sim.mount(), &dir()).err().expect("a newer format").to_string();
    assert!(error.contains("version 9") && error.contains("version 2"), "{error}");
}

#[test]
fn a_missing_segment_is_refused() {
    for name in ["log-1-0.seg", "log-1-1.seg"] {
        let sim = written(true);
        sim.mount().remove(&path(name)).unwrap();
        let refusal = refusal(&sim.mount());
        assert_eq!(refusal.file, path(name));
        assert!(refusal.why.contains("missing"), "{refusal}");
    }
}

#[test]
fn a_segment_of_the_wrong_size_is_refused() {
    for change in [-1i64, 1] {
        let sim = written(false);
        sim.damage(&path("log-1-0.seg"), |bytes| bytes.resize((bytes.len() as i64 + change) as usize, 0));
        let refusal = refusal(&sim.mount());
        assert!(refusal.why.contains("expected a file of 16384 bytes"), "{refusal}");
    }
}

#[test]
fn a_segment_of_another_uid_is_refused() {
    let sim = written(false);
    let other = written(false).contents(&path("log-1-0.seg")).unwrap();
    sim.damage(&path("log-1-0.seg"), |bytes| *bytes = other);
    let refusal = refusal(&sim.mount());
    assert!(refusal.why.contains("uid"), "{refusal}");
}

#[test]
fn a_damaged_segment_header_is_refused() {
    let sim = written(false);
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[30] ^= 1);
    assert!(refusal(&sim.mount()).why.contains("checksum"));
}

#[test]
fn a_newer_segment_is_refused_naming_both_versions() {
    let sim = written(false);
    sim.damage(&path("log-1-0.seg"), |bytes| {
        bytes[8] = 9;
        let crc = formats::checksum::crc32(&bytes[..4092]);
        bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    });
    let refusal = refusal(&sim.mount());
    assert!(refusal.why.contains("version 9") && refusal.why.contains("version 2"), "{refusal}");
}

#[test]
fn rot_below_a_durable_position_is_refused_with_its_place() {
    let sim = written(false);
    let at = 4096 + 2500;
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[at] ^= 1);
    let refusal = refusal(&sim.mount());
    assert_eq!(refusal.file, path("log-1-0.seg"));
    let offset = refusal.offset.expect("an offset") as usize;
    assert!(offset <= at && at < offset + 1200, "damage at {at}, told at {offset}");
    assert!(refusal.lost.contains("frames 2 to 58"), "{refusal}");
}

#[test]
fn zeros_below_a_durable_position_are_rot_too() {
    let sim = written(false);
    sim.damage(&path("log-1-1.seg"), |bytes| bytes[4096..8192].fill(0));
    assert!(refusal(&sim.mount()).why.contains("vouches"));
}

#[test]
fn damage_anywhere_is_refused_or_costs_the_last_frame_at_most() {
    let sim = written(false);
    let names = sim.mount().list(&dir()).unwrap();
    let files: Vec<_> = names.iter().filter(|name| name.starts_with("log")).map(|name| path(name)).collect();
    let wholes: Vec<Vec<u8>> = files.iter().map(|file| sim.contents(file).unwrap()).collect();
    let manifest = sim.contents(&path("MANIFEST")).unwrap();
    let (mut refused, mut cut) = (0, 0);
    for (file, whole) in files.iter().zip(&wholes) {
        for at in (0..whole.len()).step_by(173) {
            sim.damage(file, |bytes| bytes[at] = !bytes[at]);
            match open(&sim.mount()) {
                Err(PersistError::Refused(refusal)) => {
                    assert_eq!(&refusal.file, file);
                    refused += 1;
                }
                Err(other) => panic!("{}, byte {at}: {other}", file.display()),
                Ok((_, recovered)) => {
                    let keys = state(&recovered).len();
                    assert!(keys >= 59, "{}, byte {at}: {keys} keys", file.display());
                    cut += 60 - keys;
                }
            }
            sim.damage(&path("MANIFEST"), |bytes| bytes.clone_from(&manifest));
            for (file, whole) in files.iter().zip(&wholes) {
                sim.damage(file, |bytes| bytes.clone_from(whole));
            }
        }
    }
    assert!(refused > 300 && (1..10).contains(&cut), "refused {refused}, cut {cut}");
}

#[test]
fn rot_anywhere_below_a_seal_is_refused() {
    let sim = written(true);
    let manifest = DataDir::open(sim.mount(), &dir()).unwrap().manifest();
    let last = manifest.segments.last().unwrap().number;
    assert!(last.0 >= 1);
    for segment in &manifest.segments {
        let name = path(&format!("log-1-{}.seg", segment.number));
        let whole = sim.contents(&name).unwrap();
        // The very last frame too: the seal vouches for it.
        let end = if segment.number == last { whole.len() - 1 } else { 9000 };
        for at in [4096, 4096 + 70, 5000, end] {
            sim.damage(&name, |bytes| bytes[at] ^= 1);
            assert!(refusal(&sim.mount()).why.contains("MANIFEST vouches for 60 frames"), "byte {at}");
            sim.damage(&name, |bytes| *bytes = whole.clone());
        }
    }
    open(&sim.mount()).unwrap();
}

/// No header is left in that segment that could tell: the seal does.
#[test]
fn damage_to_the_only_frame_of_the_last_sealed_segment_is_found_there() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    let segments = || logs_segments(&sim);
    for key in 0.. {
        set(&mut logs[0], &format!("key-{key}"), &"x".repeat(1000));
        settle(&mut logs[0]);
        if segments() == 2 {
            break;
        }
    }
    drop(logs);
    data.close().unwrap();
    drop(data);
    sim.damage(&path("log-1-1.seg"), |bytes| bytes[4096] ^= 1);
    let refusal = refusal(&sim.mount());
    assert_eq!((refusal.file.clone(), refusal.offset), (path("log-1-1.seg"), Some(4096)), "{refusal}");
}

fn logs_segments(sim: &SimDisk) -> usize {
    (0..9).take_while(|number| sim.contents(&path(&format!("log-1-{number}.seg"))).is_some()).count()
}

#[test]
fn a_log_that_lost_all_its_frames_is_named() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let complete = Arc::new(|| Gsn(1));
    let mut logs = data.start_logs(&LogOptions { complete, ..options(2) }).unwrap();
    for log in &mut logs {
        log.begin_transaction(Gsn(1), &[ShardId(0), ShardId(1)]);
        log.append(0, &[b"SET", b"k", b"v"]);
        log.end_transaction();
        settle(log);
    }
    sim.crash(CrashMode::DropUnsynced);
    sim.damage(&path("log-2-0.seg"), |bytes| bytes[4096] ^= 1);
    let refusal = refusal(&sim.mount());
    assert_eq!((refusal.file.clone(), refusal.offset), (path("log-2-0.seg"), Some(4096)), "{refusal}");
}

#[test]
fn logs_need_a_recovery_first_and_only_once() {
    let data = DataDir::open(SimDisk::new().mount(), &dir()).unwrap();
    assert!(matches!(data.start_logs(&options(1)), Err(PersistError::NotRecovered)));
    data.recover().unwrap();
    let impossible = LogOptions { writers: 3, ..options(2) };
    assert!(matches!(data.start_logs(&impossible), Err(PersistError::Options(_))));
    let _logs = data.start_logs(&options(2)).unwrap();
    assert!(matches!(data.start_logs(&options(2)), Err(PersistError::NotRecovered)));
    assert!(matches!(data.recover(), Err(PersistError::Running)), "it would seal logs that are written to");
}
