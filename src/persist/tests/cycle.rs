//! Write, stop, start again: cleanly and not.

use std::sync::Arc;

use super::helpers::{effects, open, options, set, settle, state};
use crate::persist::disk::{CrashMode, Disk, RealDisk, SimDisk};
use crate::persist::{DataDir, Gsn, Log, LogOptions, ShardId};

#[test]
fn what_was_written_is_there_after_a_clean_stop() {
    let disk = SimDisk::new().mount();
    let (data, recovered) = open(&disk).unwrap();
    assert!(effects(&recovered).is_empty());
    let seed = recovered.hash_seed;
    let mut logs = data.start_logs(&options(2)).unwrap();
    set(&mut logs[0], "a", "1");
    logs[1].append(3, &[b"SET", b"b", b"2"]);
    logs[1].append(0, &[b"SET", b"b", b"3"]);
    drop(logs);
    data.close().unwrap();
    drop(data);

    let (_data, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.hash_seed, seed);
    let state = state(&recovered);
    assert_eq!(state[&(0, "a".to_owned())], "1");
    assert_eq!(state[&(3, "b".to_owned())], "2");
    assert_eq!(state[&(0, "b".to_owned())], "3");
    assert_eq!(recovered.report.frames, 2);
    assert!(recovered.report.tails.is_empty());
}

#[test]
fn what_was_durable_is_there_after_a_power_cut_and_so_on() {
    let sim = SimDisk::new();
    for round in 0..4 {
        let (data, recovered) = open(&sim.mount()).unwrap();
        assert_eq!(state(&recovered).len(), round * 100, "round {round}");
        let mut logs = data.start_logs(&options(1)).unwrap();
        for key in 0..100 {
            set(&mut logs[0], &format!("{round}-{key}"), &"x".repeat(500));
            if key % 7 == 0 {
                settle(&mut logs[0]);
            }
        }
        settle(&mut logs[0]);
        assert!(logs[0].shared().metrics().segments.load(std::sync::atomic::Ordering::Relaxed) > 0);
        sim.crash(CrashMode::DropUnsynced);
        drop(logs);
        assert!(data.close().is_err(), "the disk is gone");
    }
}

#[test]
fn a_transaction_is_replayed_without_its_frame_words_and_gsns_go_on() {
    let disk = SimDisk::new().mount();
    let (data, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.next_gsn, Gsn(1));
    let mut logs = data.start_logs(&LogOptions { writers: 1, ..options(2) }).unwrap();
    for log in &mut logs {
        log.begin_transaction(Gsn(7), &[ShardId(0), ShardId(1)]);
        log.append(1, &[b"SET", b"k", b"v"]);
        log.end_transaction();
    }
    drop(logs);
    data.close().unwrap();
    drop(data);

    let (data, recovered) = open(&disk).unwrap();
    assert_eq!(recovered.next_gsn, Gsn(8));
    let args = vec!["SET".to_owned(), "k".to_owned(), "v".to_owned()];
    assert_eq!(effects(&recovered), [(ShardId(0), 1, args.clone()), (ShardId(1), 1, args)]);
    drop(data.start_logs(&options(1)).unwrap());
    data.close().unwrap();
    drop(data);
    assert_eq!(open(&disk).unwrap().1.next_gsn, Gsn(8), "an epoch without frames keeps the number");
}

#[test]
fn a_real_directory_goes_through_the_same_cycle() {
    let temp = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for round in 0..3 {
        let data = DataDir::open(Arc::clone(&disk), &temp.path().join("data")).unwrap();
        assert!(DataDir::open(Arc::clone(&disk), &temp.path().join("data")).is_err(), "a second server");
        let recovered = data.recover().unwrap();
        assert_eq!(state(&recovered).len(), round * 200);
        let options = LogOptions { background_preparer: true, ..options(2) };
        let mut logs: Vec<Log> = data.start_logs(&options).unwrap();
        for key in 0..200 {
            set(&mut logs[key % 2], &format!("{round}-{key}"), &"x".repeat(900));
            if key % 10 < 2 {
                settle(&mut logs[key % 2]);
            }
        }
        drop(logs);
        data.close().unwrap();
    }
}
