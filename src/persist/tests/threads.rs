//! The writer threads: timers, wakes, policies, and stopping.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::helpers::{effects, open, options, set, settle, state};
use crate::persist::disk::{CrashMode, Disk, SimDisk, SlowFlushDisk};
use crate::persist::{LogOptions, LogStatus, PersistError, ShardId, SyncPolicy};

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn every_second_the_thread_syncs_by_itself() {
    let (data, _) = open(&SimDisk::new().mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { policy: SyncPolicy::EverySecond, ..options(1) }).unwrap();
    set(&mut logs[0], "a", "1");
    logs[0].submit_all();
    let log = &logs[0];
    until("written", || log.written() == log.appended());
    assert!(log.durable() < log.appended(), "not synced at once");
    let started = Instant::now();
    until("durable", || log.durable() == log.appended());
    assert!(started.elapsed() > Duration::from_millis(300), "the sync waited for its time");
}

#[test]
fn a_requested_sync_does_not_wait_for_its_time() {
    let (data, _) = open(&SimDisk::new().mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { policy: SyncPolicy::No, ..options(1) }).unwrap();
    set(&mut logs[0], "a", "1");
    logs[0].request_sync();
    logs[0].submit(1);
    until("durable", || logs[0].is_idle());
}

#[test]
fn switching_to_always_syncs_what_was_written() {
    let (data, _) = open(&SimDisk::new().mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { policy: SyncPolicy::No, ..options(1) }).unwrap();
    set(&mut logs[0], "a", "1");
    logs[0].submit_all();
    until("written", || logs[0].written() == logs[0].appended());
    data.set_policy(SyncPolicy::Always);
    until("durable", || logs[0].is_idle());
}

#[test]
fn a_shard_is_woken_when_its_effects_are_durable() {
    let woken = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&woken);
    let wake = Arc::new(move |shard| noted.lock().unwrap().push(shard));
    let (data, _) = open(&SimDisk::new().mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { wake, writers: 1, ..options(3) }).unwrap();
    set(&mut logs[1], "a", "1");
    settle(&mut logs[1]);
    until("woken", || !woken.lock().unwrap().is_empty());
    assert_eq!(*woken.lock().unwrap(), [ShardId(1)]);
}

#[test]
fn a_full_disk_is_told_and_gets_over_by_itself() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(1)).unwrap();
    sim.set_disk_full(true);
    set(&mut logs[0], "a", "1");
    logs[0].submit_all();
    until("refusing", || matches!(logs[0].status(), LogStatus::Refusing(_)));
    sim.set_disk_full(false);
    until("ok and durable", || logs[0].is_idle() && logs[0].status() == LogStatus::Ok);
}

#[test]
fn a_stop_on_a_full_disk_says_what_is_missing_and_loses_nothing_else() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&options(2)).unwrap();
    set(&mut logs[0], "a", "1");
    settle(&mut logs[0]);
    sim.set_disk_full(true);
    set(&mut logs[0], "b", "1");
    drop(logs);
    match data.close() {
        Err(PersistError::Unclosed { bytes, why, .. }) => {
            assert!(bytes > 0 && why.contains("writing"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    drop(data);
    sim.set_disk_full(false);
    assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 1);
}

#[test]
fn dropped_without_close_a_directory_is_free_and_whole() {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let mut logs = data.start_logs(&LogOptions { background_preparer: true, ..options(2) }).unwrap();
    for key in 0..50 {
        set(&mut logs[key % 2], &format!("{key}"), &"x".repeat(1000));
    }
    drop(logs);
    drop(data);
    let (data, recovered) = open(&sim.mount()).unwrap();
    assert_eq!(state(&recovered).len(), 50);
    drop((data, recovered));
    sim.crash(CrashMode::DropUnsynced);
    assert_eq!(effects(&open(&sim.mount()).unwrap().1).len(), 50);
}

#[test]
fn shards_of_one_slow_writer_share_its_syncs() {
    // Eight shards in lockstep, each with one command in flight: a sync should carry nearly all of them.
    let disk: Arc<dyn Disk> = Arc::new(SlowFlushDisk::new(SimDisk::new().mount(), Duration::from_millis(4)));
    let threads: Arc<Mutex<Vec<Option<std::thread::Thread>>>> = Arc::new(Mutex::new(vec![None; 8]));
    let sleepers = Arc::clone(&threads);
    let wake = Arc::new(move |shard: ShardId| {
        if let Some(thread) = &sleepers.lock().unwrap()[usize::from(shard.0)] {
            thread.unpark();
        }
    });
    let (data, _) = open(&disk).unwrap();
    let logs = data.start_logs(&LogOptions { wake, writers: 1, ..options(8) }).unwrap();
    let shared = logs[0].shared();
    std::thread::scope(|scope| {
        for mut log in logs {
            let threads = Arc::clone(&threads);
            scope.spawn(move || {
                threads.lock().unwrap()[usize::from(log.shared().shard().0)] = Some(std::thread::current());
                for step in 0..40 {
                    set(&mut log, "k", "v");
                    log.submit(step);
                    while log.durable() < log.appended() {
                        std::thread::park_timeout(Duration::from_millis(20));
                        log.submit(step);
                    }
                }
            });
        }
    });
    let syncs = shared.metrics().syncs.load(Ordering::Relaxed);
    // Alone each command would cost a sync, in half groups every other one: 320 and 80.
    assert!(syncs < 70, "{syncs} syncs for 40 rounds of 8 shards");
}

#[test]
fn a_stop_while_a_spare_is_being_made_leaves_a_directory_that_starts() {
    for pause_ms in 0..8 {
        let sim = SimDisk::new();
        let slow = |sim: &SimDisk| -> Arc<dyn Disk> {
            Arc::new(SlowFlushDisk::new(sim.mount(), Duration::from_millis(2)))
        };
        let (data, _) = open(&slow(&sim)).unwrap();
        let mut logs = data.start_logs(&LogOptions { background_preparer: true, ..options(1) }).unwrap();
        set(&mut logs[0], "a", &"x".repeat(3000));
        settle(&mut logs[0]);
        std::thread::sleep(Duration::from_millis(pause_ms));
        drop(logs);
        data.close().unwrap();
        drop(data);
        sim.crash(CrashMode::DropUnsynced);
        assert_eq!(state(&open(&sim.mount()).unwrap().1).len(), 1);
    }
}
