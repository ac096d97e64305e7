//! Ends of logs after a crash: torn, zeroed, stale, incomplete. Cut once, reported, and never seen again.

use std::path::PathBuf;

use super::helpers::{checkpoint, dir, effects, facts, open, options, set, settle, state};
use crate::persist::disk::{CrashMode, Fault, SimDisk};
use crate::persist::{Gsn, LogOptions, PersistError, Retention, ShardId, SyncPolicy};

fn path(name: &str) -> PathBuf {
    dir().join(name)
}

/// A crash after ten frames; answers the offset behind the last one.
fn ten_frames(sim: &SimDisk) -> usize {
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    for key in 0..10 {
        set(&mut logs[0], &format!("key-{key}"), &"x".repeat(500));
        settle(&mut logs[0]);
    }
    sim.crash(CrashMode::DropUnsynced);
    let file = sim.contents(&path("log-1-0.seg")).unwrap();
    file.iter().rposition(|&byte| byte != 0).unwrap() + 1
}

/// Writes one key, crashes, and starts again; answers the number of keys found.
fn write_one_and_crash(sim: &SimDisk, key: &str) -> usize {
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    set(&mut logs[0], key, "1");
    settle(&mut logs[0]);
    sim.crash(CrashMode::DropUnsynced);
    drop((logs, data));
    let keys = state(&open(&sim.mount()).unwrap().1).len();
    sim.crash(CrashMode::DropUnsynced);
    keys
}

#[test]
fn a_torn_last_frame_is_cut_and_reported_and_what_comes_after_stays() {
    for tear in [9usize, 100, 300] {
        let sim = SimDisk::new();
        let end = ten_frames(&sim);
        sim.damage(&path("log-1-0.seg"), |bytes| bytes[end - tear] ^= 1);
        let (data, recovered) = open(&sim.mount()).unwrap();
        assert_eq!(state(&recovered).len(), 9);
        let tail = &recovered.report.tails[0];
        assert_eq!(tail.file, path("log-1-0.seg"));
        assert!(tail.bytes > 500 && tail.offset + tail.bytes >= end as u64, "{tail:?}");
        drop((data, recovered));
        sim.crash(CrashMode::DropUnsynced);
        assert_eq!(write_one_and_crash(&sim, "after"), 10);
        assert_eq!(write_one_and_crash(&sim, "and again"), 11);
        let (_, recovered) = open(&sim.mount()).unwrap();
        assert!(recovered.report.tails.is_empty(), "the cut was sealed");
    }
}

#[test]
fn a_tail_of_zeros_is_cut() {
    let sim = SimDisk::new();
    let end = ten_frames(&sim);
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[end - 530..].fill(0));
    assert_eq!(write_one_and_crash(&sim, "after"), 10);
}

#[test]
fn a_cut_tail_does_not_come_back() {
    // The torn frame's missing bytes turn up after the cut: they are behind the seal.
    let sim = SimDisk::new();
    let end = ten_frames(&sim);
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[end - 20] ^= 1);
    let whole = sim.contents(&path("log-1-0.seg")).unwrap();
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 9);
    sim.damage(&path("log-1-0.seg"), |bytes| {
        *bytes = whole;
        bytes[end - 20] ^= 1;
    });
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 9);
}

#[test]
fn frames_of_an_earlier_use_of_the_file_are_never_read() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    for key in 0..20 {
        set(&mut logs[0], &format!("key-{key}"), &"x".repeat(400));
    }
    settle(&mut logs[0]);
    // Nothing needs the segment any more, so that its file is recycled.
    checkpoint(&data, &mut logs, facts(0, 1), &Retention::default(), |_| Vec::new()).unwrap();
    sim.crash(CrashMode::DropUnsynced);
    let (data, recovered) = open(&sim.mount()).unwrap();
    assert!(effects(&recovered).is_empty());
    let mut logs = data.start_logs(&options(1)).unwrap();
    set(&mut logs[0], "new", "1");
    settle(&mut logs[0]);
    sim.crash(CrashMode::DropUnsynced);
    let file = sim.contents(&path("log-2-0.seg")).unwrap();
    assert!(file.windows(6).any(|bytes| bytes == b"key-19"), "the file was recycled, not filled with zeros");
    let (_data, recovered) = open(&sim.mount()).unwrap();
    assert_eq!(effects(&recovered).len(), 1);
    assert!(recovered.report.tails.is_empty());
}

/// Writes enough for some segments, behind a checkpoint that has filled the pool; two calls in a row fail.
fn segments_with_failing_calls(sim: &SimDisk, first: u64) {
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    set(&mut logs[0], "before", &"x".repeat(4000));
    settle(&mut logs[0]);
    checkpoint(&data, &mut logs, facts(0, 1), &Retention::default(), |_| Vec::new()).unwrap();
    for call in [first, first + 1] {
        sim.fail_at(sim.calls() + call, Fault::Eio);
    }
    for key in 0..12 {
        set(&mut logs[0], &format!("key-{key}"), &"x".repeat(4000));
        logs[0].submit_all();
        let gives_up = crate::clock::now() + std::time::Duration::from_millis(200);
        while !logs[0].is_idle() && crate::clock::now() < gives_up {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        if !logs[0].is_idle() {
            break; // poisoned
        }
    }
    drop(logs);
    let _ = data.close(); // a log may be poisoned
}

#[test]
fn two_failing_calls_leave_no_file_with_two_names() {
    for first in 0..45 {
        let sim = SimDisk::new();
        segments_with_failing_calls(&sim, first);
        sim.crash(CrashMode::DropUnsynced);
        let (data, _) = open(&sim.mount()).unwrap_or_else(|error| panic!("call {first}: {error}"));
        let mut logs = data.start_logs(&options(3)).unwrap();
        logs.iter_mut().for_each(|log| set(log, "k", "v"));
        logs.iter_mut().for_each(settle);
        sim.crash(CrashMode::DropUnsynced);
        open(&sim.mount()).map(drop).unwrap_or_else(|error| panic!("call {first}, then a crash: {error}"));
    }
}

#[test]
fn an_incomplete_transaction_is_cut_on_every_shard_and_reported() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(3)).unwrap();
    set(&mut logs[0], "before", "1");
    for (gsn, shards) in [(4, [0u16, 1]), (9, [0, 2])] {
        for shard in shards {
            let log = &mut logs[usize::from(shard)];
            log.begin_transaction(Gsn(gsn), &shards.map(ShardId));
            set(log, &format!("gsn-{gsn}-{shard}"), "1");
            log.end_transaction();
        }
    }
    set(&mut logs[0], "behind", "1");
    set(&mut logs[2], "elsewhere", "1");
    settle(&mut logs[0]);
    settle(&mut logs[1]);
    sim.crash(CrashMode::DropUnsynced);
    let (_data, recovered) = open(&sim.mount()).unwrap();
    let keys: Vec<String> = state(&recovered).into_keys().map(|(_, key)| key).collect();
    assert_eq!(keys, ["before", "gsn-4-0", "gsn-4-1"]);
    assert_eq!(recovered.report.transactions_cut, [Gsn(9)]);
    assert_eq!(recovered.next_gsn, Gsn(10), "a cut number is not given twice");
}

#[test]
fn a_copy_of_old_frames_within_a_value_vouches_for_nothing() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    for key in 0..5 {
        set(&mut logs[0], &format!("key-{key}"), "v");
        settle(&mut logs[0]);
    }
    let frames = sim.contents(&path("log-1-0.seg")).unwrap()[4096..5000].to_vec();
    // At each alignment, so that one copy lies where frames may.
    for shift in 0..8 {
        logs[0].append(0, &[b"SET", b"copy", &[&vec![b'.'; shift], frames.as_slice()].concat()]);
        settle(&mut logs[0]);
    }
    sim.crash(CrashMode::DropUnsynced);
    let end = sim.contents(&path("log-1-0.seg")).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[end - 50] ^= 1);
    let (_data, recovered) = open(&sim.mount()).unwrap();
    assert_eq!(effects(&recovered).len(), 12, "only the last frame is cut");
}

#[test]
fn a_failed_sync_leaves_an_open_log_whose_end_is_found_and_made_durable() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { policy: SyncPolicy::No, ..options(1) }).unwrap();
    set(&mut logs[0], "a", "1");
    logs[0].submit_all();
    while logs[0].written() < logs[0].appended() {
        std::thread::yield_now();
    }
    sim.fail_at(sim.calls(), Fault::SyncError);
    drop(logs);
    assert!(matches!(data.close(), Err(PersistError::Unclosed { .. })));
    drop(data);
    // The process ended, the machine did not: the page cache still shows the frame, the disk never got it.
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 1);
    sim.crash(CrashMode::DropUnsynced);
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 1, "what was served once is durable");
}

#[test]
fn a_seal_whose_truncation_a_crash_prevented_is_accepted() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    set(&mut logs[0], "a", "1");
    drop(logs);
    data.close().unwrap();
    drop(data);
    assert!(sim.contents(&path("log-1-0.seg")).unwrap().len() < 8192, "the tail of zeros was cut off");
    sim.crash(CrashMode::DropUnsynced);
    assert_eq!(sim.contents(&path("log-1-0.seg")).unwrap().len(), 16 << 10, "but not durably");
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 1);
}
