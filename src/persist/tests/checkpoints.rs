//! Checkpoints: what a start begins with, what is kept and released, points in time, and what goes wrong.

use std::path::PathBuf;
use std::sync::Arc;

use formats::rdb::encode::{EncodeVersion, Encoder};

use super::helpers::{
    checkpoint, cut, dir, effects, facts, open, options, set, settle, state, write_snapshots,
};
use crate::persist::disk::{CrashMode, Disk, Fault, SimDisk};
use crate::persist::file_names::FileKind;
use crate::persist::fresh::FreshDir;
use crate::persist::read_only::ReadOnlyDir;
use crate::persist::{
    CheckpointId, DataDir, Finished, Gsn, Limit, Log, LogOptions, LogStatus, PersistError, Recovered,
    Retention, ShardId,
};

const NEWEST: Retention = Retention { checkpoints: 1, seconds: 0, max_bytes: 0 };
const ALL: Retention = Retention { checkpoints: 99, seconds: 0, max_bytes: 0 };

/// A server with one log per shard on a simulated disk, and what it holds.
struct Bench {
    sim: SimDisk,
    data: DataDir,
    logs: Vec<Log>,
    /// Per shard, in order.
    keys: Vec<Vec<String>>,
    gsn: u64,
}

fn bench(options: &LogOptions) -> Bench {
    let sim = SimDisk::new();
    let (data, _) = open(&sim.mount()).unwrap();
    let logs = data.start_logs(options).unwrap();
    let keys = vec![Vec::new(); logs.len()];
    Bench { sim, data, logs, keys, gsn: 0 }
}

impl Bench {
    /// Durable when this returns.
    fn write(&mut self, shard: usize, key: &str) {
        self.write_soon(shard, key);
        settle(&mut self.logs[shard]);
    }

    fn write_soon(&mut self, shard: usize, key: &str) {
        set(&mut self.logs[shard], key, "v");
        self.keys[shard].push(format!("{key}=v"));
    }

    fn checkpoint(&mut self, rule: &Retention) -> Finished {
        let (keys, facts) = (self.keys.clone(), facts(self.gsn, crate::clock::unix_ms()));
        let lines = |shard| keys[usize::from(shard)].clone();
        checkpoint(&self.data, &mut self.logs, facts, rule, lines).unwrap()
    }

    fn close(self) -> SimDisk {
        drop(self.logs);
        self.data.close().unwrap();
        self.sim
    }

    /// The power fails.
    fn crash(self, mode: CrashMode) -> SimDisk {
        self.sim.crash(mode);
        drop((self.logs, self.data));
        self.sim
    }

    fn names(&self) -> Vec<String> {
        names(&self.sim)
    }
}

fn names(sim: &SimDisk) -> Vec<String> {
    let mut names = sim.mount().list(&dir()).unwrap();
    names.sort();
    names
}

fn keys_of(recovered: &Recovered) -> Vec<String> {
    state(recovered).into_keys().map(|(_, key)| key).collect()
}

#[test]
fn a_start_begins_with_the_newest_checkpoint_and_reads_the_logs_behind_its_cuts() {
    for stop in [Bench::close as fn(Bench) -> SimDisk, |bench| bench.crash(CrashMode::DropUnsynced)] {
        let mut bench = bench(&options(2));
        bench.write(0, "a");
        bench.write(1, "b");
        bench.checkpoint(&NEWEST);
        bench.write(1, "c");
        bench.write_soon(0, "d"); // handed over by the cut at the latest
        bench.checkpoint(&NEWEST);
        bench.write(0, "e");
        let sim = stop(bench);

        let (data, recovered) = open(&sim.mount()).unwrap();
        assert_eq!(keys_of(&recovered), ["a", "b", "c", "d", "e"]);
        assert_eq!(effects(&recovered).len(), 1, "only what is behind the cut is replayed");
        assert_eq!(recovered.base, Some(CheckpointId(2)));
        assert_eq!((recovered.report.snapshots, recovered.report.snapshot_keys), (2, 4));
        drop(recovered);
        let logs = data.start_logs(&options(1)).unwrap();
        drop(logs);
        data.close().unwrap();
        drop(data);
        assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["a", "b", "c", "d", "e"]);
    }
}

#[test]
fn what_a_checkpoint_replaces_is_given_back() {
    let mut bench = bench(&LogOptions { background_preparer: true, ..options(1) });
    for round in 0..5 {
        for key in 0..40 {
            set(&mut bench.logs[0], &format!("{round}-{key}"), &"x".repeat(1000));
            bench.keys[0].push(format!("{round}-{key}=x"));
        }
        settle(&mut bench.logs[0]);
        bench.checkpoint(&NEWEST);
        let names = bench.names();
        let kinds: Vec<FileKind> = names.iter().map(|name| FileKind::of(name)).collect();
        let snapshots = kinds.iter().filter(|kind| matches!(kind, FileKind::Snapshot(..))).count();
        let segments = kinds.iter().filter(|kind| matches!(kind, FileKind::Segment(..))).count();
        let pool = kinds.iter().filter(|kind| matches!(kind, FileKind::Pool(_))).count();
        assert_eq!(snapshots, 1, "{names:?}");
        assert!(segments <= 2 && pool >= 1, "{names:?}");
        assert_eq!(bench.data.manifest().checkpoints.len(), 1);
    }
    let sim = bench.close();
    assert_eq!(open(&sim.mount()).unwrap().1.report.snapshot_keys, 200);
}

#[test]
fn one_log_of_several_shards_is_cut_once_for_all() {
    let mut bench = bench(&LogOptions { writers: 1, ..options(3) });
    bench.write_soon(0, "a");
    bench.write_soon(1, "b");
    let mut checkpoint = bench.data.begin_checkpoint().unwrap();
    cut(&checkpoint, &mut bench.logs[1..2]);
    let before = bench.keys.clone();
    set(&mut bench.logs[1], "behind", "v");
    bench.logs[1].submit_all();
    set(&mut bench.logs[0], "still-before", "v");
    settle(&mut bench.logs[0]);
    assert!(!bench.logs[1].is_idle(), "what is behind the cut waits for the other shards' cuts");
    cut(&checkpoint, &mut bench.logs[0..1]);
    cut(&checkpoint, &mut bench.logs[2..3]);
    settle(&mut bench.logs[1]);
    let lines = |shard: u16| {
        let more = (shard == 0).then(|| "still-before=v".to_owned());
        before[usize::from(shard)].iter().cloned().chain(more).collect()
    };
    let entries = write_snapshots(&mut checkpoint, 3, lines).unwrap();
    checkpoint.finish(facts(0, 1), entries, &NEWEST, 1, || false).unwrap();
    let sim = bench.crash(CrashMode::DropUnsynced);
    let recovered = open(&sim.mount()).unwrap().1;
    assert_eq!(keys_of(&recovered), ["a", "b", "behind", "still-before"]);
    assert_eq!(effects(&recovered).len(), 1);
}

#[test]
fn a_checkpoint_that_is_given_up_leaves_nothing_and_the_log_goes_on() {
    let mut bench = bench(&options(1));
    bench.write(0, "a");
    let mut given_up = bench.data.begin_checkpoint().unwrap();
    cut(&given_up, &mut bench.logs);
    bench.write(0, "b");
    write_snapshots(&mut given_up, 1, |_| vec!["wrong=1".to_owned()]).unwrap();
    drop(given_up);
    assert!(bench.names().iter().all(|name| !matches!(FileKind::of(name), FileKind::Snapshot(..))));
    bench.checkpoint(&NEWEST);
    bench.write(0, "c");
    let sim = bench.crash(CrashMode::DropUnsynced);
    assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["a", "b", "c"]);
}

#[test]
fn an_unfinished_checkpoint_is_not_read_and_swept_by_the_next_start() {
    let mut bench = bench(&options(1));
    bench.write(0, "a");
    let mut unfinished = bench.data.begin_checkpoint().unwrap();
    cut(&unfinished, &mut bench.logs);
    write_snapshots(&mut unfinished, 1, |_| vec!["wrong=1".to_owned()]).unwrap();
    let sim = bench.sim.clone();
    sim.mount().sync_dir(&dir()).unwrap();
    sim.crash(CrashMode::DropUnsynced);
    drop((unfinished, bench)); // too late for it to clean up
    let left =
        |names: Vec<String>| names.iter().any(|name| matches!(FileKind::of(name), FileKind::Snapshot(..)));
    assert!(left(names(&sim)));
    let (data, recovered) = open(&sim.mount()).unwrap();
    assert_eq!(keys_of(&recovered), ["a"]);
    drop(data.start_logs(&options(1)).unwrap());
    assert!(!left(names(&sim)));
}

/// Three stretches of history with a checkpoint between each two, one transaction in each.
fn history() -> SimDisk {
    let mut bench = bench(&options(2));
    for (round, names) in [["a", "b"], ["c", "d"], ["e", "f"]].into_iter().enumerate() {
        bench.write(0, names[0]);
        bench.gsn += 1;
        for log in &mut bench.logs {
            log.begin_transaction(Gsn(bench.gsn), &[ShardId(0), ShardId(1)]);
            log.append(0, &[b"SET", format!("t{}", bench.gsn).as_bytes(), b"v"]);
            log.end_transaction();
            settle(log);
        }
        let key = format!("t{}=v", bench.gsn);
        bench.keys.iter_mut().for_each(|keys| keys.push(key.clone()));
        bench.write(1, names[1]);
        if round < 2 {
            bench.checkpoint(&ALL);
        }
    }
    bench.close()
}

fn look(sim: &SimDisk, limit: Option<Limit>) -> Result<Recovered, PersistError> {
    ReadOnlyDir::open(sim.mount(), &dir()).unwrap().recover(limit)
}

#[test]
fn kept_history_is_recovered_to_any_number() {
    let sim = history();
    let (all, calls) = (["a", "b", "c", "d", "e", "f", "t1", "t2", "t3"], sim.calls());
    let found = |limit| keys_of(&look(&sim, Some(Limit::Gsn(Gsn(limit)))).unwrap());
    assert_eq!(keys_of(&look(&sim, None).unwrap()), all);
    assert_eq!(found(3), all);
    assert_eq!(found(2), ["a", "b", "c", "d", "e", "t1", "t2"]);
    assert_eq!(found(1), ["a", "b", "c", "t1"]);
    assert_eq!(found(0), ["a"], "from the empty beginning");
    let report = look(&sim, Some(Limit::Gsn(Gsn(1)))).unwrap().report;
    assert_eq!(report.checkpoint, Some(CheckpointId(1)));
    assert!(report.effects_beyond_limit > 0 && report.transactions_cut.is_empty(), "{report:?}");
    let manifest = look_manifest(&sim);
    assert!(manifest.is_whole && manifest.checkpoints.len() == 2);
    assert_eq!(sim.calls(), calls, "looking writes nothing");
}

fn look_manifest(sim: &SimDisk) -> formats::log::Manifest {
    ReadOnlyDir::open(sim.mount(), &dir()).unwrap().manifest()
}

#[test]
fn kept_history_is_recovered_to_any_moment() {
    let mut bench = bench(&options(1));
    let mut moments = Vec::new();
    for key in ["a", "b", "c"] {
        bench.logs[0].submit(crate::clock::unix_ms());
        set(&mut bench.logs[0], key, "v");
        bench.keys[0].push(format!("{key}=v"));
        bench.logs[0].submit(crate::clock::unix_ms()); // so that the frame knows the time
        settle(&mut bench.logs[0]);
        moments.push(crate::clock::unix_ms());
        std::thread::sleep(std::time::Duration::from_millis(10));
        if key != "c" {
            bench.checkpoint(&ALL);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    let sim = bench.close();
    for (count, moment) in moments.into_iter().enumerate() {
        let found = keys_of(&look(&sim, Some(Limit::Time(moment))).unwrap());
        assert_eq!(found, ["a", "b", "c"][..=count], "moment {count}");
    }
    assert_eq!(keys_of(&look(&sim, Some(Limit::Time(0))).unwrap()), [""; 0]);
}

#[test]
fn what_was_released_cannot_be_recovered_and_that_is_said() {
    let mut bench = bench(&options(1));
    bench.gsn = 4;
    bench.write(0, "a");
    bench.checkpoint(&NEWEST);
    bench.write(0, "b");
    let sim = bench.close();
    let error = look(&sim, Some(Limit::Gsn(Gsn(3)))).err().expect("it is gone").to_string();
    assert!(error.contains("history begins at checkpoint 1") && error.contains("behind number 4"), "{error}");
    assert!(matches!(look(&sim, Some(Limit::Time(5))), Err(PersistError::BeforeHistory { .. })));
    assert_eq!(keys_of(&look(&sim, Some(Limit::Gsn(Gsn(4)))).unwrap()), ["a", "b"]);
}

#[test]
fn kept_history_survives_a_start_without_new_frames() {
    let mut bench = bench(&options(1));
    bench.write(0, "a");
    bench.checkpoint(&ALL);
    let sim = bench.crash(CrashMode::DropUnsynced);
    for _ in 0..2 {
        let (data, recovered) = open(&sim.mount()).unwrap();
        assert_eq!(keys_of(&recovered), ["a"]);
        drop(recovered);
        drop(data.start_logs(&options(1)).unwrap());
        data.close().unwrap();
    }
    let found = look(&sim, Some(Limit::Time(0))).unwrap();
    assert_eq!(
        (keys_of(&found), found.base),
        (vec!["a".to_owned()], None),
        "the log before it is still there"
    );
}

#[test]
fn a_start_refuses_what_is_wrong_with_a_snapshot_and_names_it() {
    let written = || {
        let mut bench = bench(&options(2));
        bench.write(0, "a");
        bench.write(1, "b");
        bench.checkpoint(&NEWEST);
        bench.close()
    };
    let path: PathBuf = dir().join("checkpoint-1-shard-1.rdb");
    type Damage<'a> = (&'a str, Box<dyn Fn(&SimDisk)>);
    let change = |change: fn(&mut Vec<u8>)| {
        let path = path.clone();
        Box::new(move |sim: &SimDisk| sim.damage(&path, change))
    };
    let gone = path.clone();
    let cases: [Damage<'_>; 5] = [
        ("it is not there", Box::new(move |sim| sim.mount().remove(&gone).unwrap())),
        ("expected a file of", change(|bytes| bytes.push(0))),
        ("expected a file of", change(Vec::clear)),
        ("expected checksum", change(|bytes| bytes[1] ^= 4)),
        ("not its checksum", change(|bytes| *bytes.last_mut().unwrap() ^= 1)),
    ];
    for (why, damage) in cases {
        let sim = written();
        damage(&sim);
        let error = match open(&sim.mount()) {
            Err(PersistError::Refused(refusal)) => refusal,
            _ => panic!("{why}: not refused"),
        };
        assert_eq!(error.file, path);
        assert!(error.why.contains(why) && error.lost.contains("1 keys of shard 1"), "{error}");
        assert!(open(&sim.mount()).is_err(), "and again");
    }
}

#[test]
fn snapshots_without_manifest_are_refused() {
    let mut bench = bench(&options(1));
    bench.write(0, "a");
    bench.checkpoint(&NEWEST);
    let sim = bench.close();
    for name in names(&sim).iter().filter(|name| !name.ends_with(".rdb")) {
        sim.mount().remove(&dir().join(name)).unwrap();
    }
    assert!(matches!(DataDir::open(sim.mount(), &dir()), Err(PersistError::Refused(_))));
}

fn poisoned(keys: usize) -> Bench {
    let mut bench = bench(&options(2));
    for key in 0..keys {
        bench.write(0, &format!("durable{key}"));
    }
    bench.write(1, "other");
    bench.sim.fail_at(bench.sim.calls() + 1, Fault::SyncError);
    bench.write_soon(0, "held");
    bench.logs[0].submit_all();
    while !matches!(bench.logs[0].status(), LogStatus::Poisoned(_)) {
        std::thread::yield_now();
    }
    bench
}

#[test]
fn a_checkpoint_heals_a_poisoned_log() {
    let mut bench = poisoned(1);
    let (held, durable) = (bench.logs[0].appended(), bench.logs[0].durable());
    assert!(durable < held);
    let mut checkpoint = bench.data.begin_checkpoint().unwrap();
    cut(&checkpoint, &mut bench.logs);
    let keys = bench.keys.clone();
    let entries = write_snapshots(&mut checkpoint, 2, |shard| keys[usize::from(shard)].clone()).unwrap();
    set(&mut bench.logs[0], "behind", "v");
    bench.logs[0].submit_all();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(bench.logs[0].durable(), durable, "nothing counts before the checkpoint does");
    checkpoint.finish(facts(0, 1), entries, &ALL, 1, || false).unwrap();
    settle(&mut bench.logs[0]);
    assert_eq!(bench.logs[0].status(), LogStatus::Ok);
    bench.write(0, "later");
    let manifest = bench.data.manifest();
    assert!(!manifest.is_whole, "what came before has a gap: it is not kept");
    let sim = bench.crash(CrashMode::DropUnsynced);
    assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["behind", "durable0", "held", "later", "other"]);
}

#[test]
fn a_crash_before_the_healing_checkpoint_counts_leaves_what_was_durable() {
    for mode in [CrashMode::DropUnsynced, CrashMode::KeepRandom(3), CrashMode::KeepRandom(4)] {
        let mut bench = poisoned(1);
        let mut checkpoint = bench.data.begin_checkpoint().unwrap();
        cut(&checkpoint, &mut bench.logs);
        set(&mut bench.logs[0], "behind", "v");
        bench.logs[0].submit_all();
        let keys = bench.keys.clone();
        write_snapshots(&mut checkpoint, 2, |shard| keys[usize::from(shard)].clone()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let sim = bench.sim.clone();
        sim.crash(mode);
        drop((checkpoint, bench));
        assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["durable0", "other"], "{mode:?}");
    }
}

#[test]
fn a_poisoned_log_costs_the_history_before_its_checkpoint() {
    for (rule, history_lost) in [(ALL, true), (NEWEST, false)] {
        let mut bench = poisoned(1);
        assert_eq!(bench.checkpoint(&rule), Finished { history_lost }, "{rule:?}");
        let manifest = bench.data.manifest();
        assert!(!manifest.is_whole && manifest.checkpoints.len() == 1);
        let names = bench.names();
        let pooled = names.iter().filter(|name| matches!(FileKind::of(name), FileKind::Pool(_))).count();
        assert_eq!(pooled, 1, "only the sound log's segment is used again: {names:?}");
        settle(&mut bench.logs[0]);
        assert_eq!(bench.checkpoint(&ALL), Finished { history_lost: false });
        assert_eq!(bench.data.manifest().checkpoints.len(), 2);
    }
}

#[test]
fn a_file_renamed_by_somebody_else_counts_as_well() {
    let bench = bench(&options(1));
    let checkpoint = bench.data.begin_checkpoint().unwrap();
    let names = ["dump.tmp", "dump.rdb"].map(|name| dir().join(name));
    bench.sim.mount().create(&names[0]).unwrap();
    bench.sim.fail_at(bench.sim.calls() + 1, Fault::SyncError);
    assert!(bench.data.rename(&names[0], &names[1]).is_err());
    let mut logs = bench.logs;
    cut(&checkpoint, &mut logs);
    assert!(checkpoint.finish(facts(0, 1), Vec::new(), &NEWEST, 1, || false).is_err());
}

#[test]
fn a_poisoned_log_without_room_is_healed_too() {
    let mut bench = poisoned(1);
    for key in 0..40 {
        let key = format!("more{key}");
        set(&mut bench.logs[0], &key, &"x".repeat(1000));
        bench.keys[0].push(format!("{key}=x"));
        bench.logs[0].submit_all();
    }
    assert!(bench.logs[0].queue_bytes() > 0);
    bench.checkpoint(&NEWEST);
    settle(&mut bench.logs[0]);
    bench.write(0, "later");
    let sim = bench.crash(CrashMode::DropUnsynced);
    assert_eq!(open(&sim.mount()).unwrap().1.report.snapshot_keys, 43);
}

#[test]
fn a_poisoned_log_that_cannot_be_written_is_healed_too() {
    let mut bench = poisoned(1);
    let mut checkpoint = bench.data.begin_checkpoint().unwrap();
    bench.write_soon(0, "unwritten");
    let keys = bench.keys.clone();
    let entries = write_snapshots(&mut checkpoint, 2, |shard| keys[usize::from(shard)].clone()).unwrap();
    bench.sim.set_disk_full(true); // stands for blocks of the segment that went bad
    bench.logs[0].submit_all();
    let log = bench.logs[0].shared();
    wait_until(|| log.is_retrying());
    assert!(matches!(log.status(), LogStatus::Poisoned(_)) && log.written() < log.appended());
    cut(&checkpoint, &mut bench.logs);
    wait_until(|| log.written() == log.appended() && !log.is_retrying());
    bench.sim.set_disk_full(false);
    checkpoint.finish(facts(0, 1), entries, &NEWEST, 1, || false).unwrap();
    bench.write(0, "later");
    let sim = bench.crash(CrashMode::DropUnsynced);
    let keys = keys_of(&open(&sim.mount()).unwrap().1);
    assert_eq!(keys, ["durable0", "held", "later", "other", "unwritten"]);
}

#[test]
fn a_checkpoint_of_a_poisoned_log_that_finds_no_segment_is_given_up() {
    let mut bench = poisoned(1);
    let checkpoint = bench.data.begin_checkpoint().unwrap();
    cut(&checkpoint, &mut bench.logs); // takes the spare
    let log = bench.logs[0].shared();
    wait_until(|| bench.logs[0].is_idle() || log.written() == log.appended());
    drop(checkpoint);
    let checkpoint = bench.data.begin_checkpoint().unwrap();
    bench.write_soon(0, "behind");
    bench.sim.set_disk_full(true);
    cut(&checkpoint, &mut bench.logs);
    let shared: Vec<_> = bench.logs.iter().map(Log::shared).collect();
    wait_until(|| shared.iter().any(|log| log.is_retrying()));
    assert!(matches!(log.status(), LogStatus::Poisoned(_)));
    let result =
        checkpoint.finish(facts(0, 1), Vec::new(), &NEWEST, 1, || shared.iter().any(|log| log.is_retrying()));
    assert!(result.is_err());
}

fn wait_until(is_so: impl Fn() -> bool) {
    let until = crate::clock::now() + std::time::Duration::from_secs(5);
    while !is_so() {
        assert!(crate::clock::now() < until, "not so after five seconds");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_log_that_is_poisoned_again_behind_the_cut_needs_another_checkpoint() {
    let mut bench = poisoned(1);
    let mut checkpoint = bench.data.begin_checkpoint().unwrap();
    cut(&checkpoint, &mut bench.logs);
    let keys = bench.keys.clone();
    let entries = write_snapshots(&mut checkpoint, 2, |shard| keys[usize::from(shard)].clone()).unwrap();
    bench.sim.fail_at(bench.sim.calls() + 1, Fault::SyncError);
    bench.write_soon(0, "behind");
    bench.logs[0].submit_all();
    std::thread::sleep(std::time::Duration::from_millis(20));
    checkpoint.finish(facts(0, 1), entries, &NEWEST, 1, || false).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(matches!(bench.logs[0].status(), LogStatus::Poisoned(_)), "the sync behind the cut failed");
    bench.checkpoint(&NEWEST);
    settle(&mut bench.logs[0]);
    let sim = bench.crash(CrashMode::DropUnsynced);
    assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["behind", "durable0", "held", "other"]);
}

#[test]
fn a_full_disk_fails_the_checkpoint_and_not_the_log() {
    let mut bench = bench(&options(1));
    bench.write(0, "a");
    let facts = facts(0, 1);
    bench.sim.set_disk_full(true);
    let keys = bench.keys.clone();
    assert!(checkpoint(&bench.data, &mut bench.logs, facts, &NEWEST, |_| keys[0].clone()).is_err());
    bench.sim.set_disk_full(false);
    bench.write(0, "b");
    bench.checkpoint(&NEWEST);
    let sim = bench.close();
    assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["a", "b"]);
}

#[test]
fn a_fresh_directory_of_snapshots_is_one_that_a_server_starts_on() {
    let sim = SimDisk::new();
    let fresh = FreshDir::create(sim.mount(), &dir(), 7).unwrap();
    let mut bytes = b"a=v".to_vec();
    let mut crc = formats::checksum::Crc64::new();
    crc.update(&bytes);
    bytes.extend_from_slice(&crc.value().to_le_bytes());
    let mut file = fresh.create_snapshot(ShardId(0)).unwrap();
    file.write_all_at(0, &bytes).unwrap();
    file.sync_data().unwrap();
    assert!(matches!(DataDir::open(sim.mount(), &dir()), Err(PersistError::Locked { .. })));
    let entry = super::super::SnapshotEntry { shard: ShardId(0), bytes: 11, keys: 1, crc64: crc.value() };
    fresh.finish(facts(9, 5), vec![entry]).unwrap();
    sim.crash(CrashMode::DropUnsynced);
    let (data, recovered) = open(&sim.mount()).unwrap();
    assert_eq!(
        (keys_of(&recovered), recovered.hash_seed, recovered.next_gsn),
        (vec!["a".to_owned()], 7, Gsn(10))
    );
    drop(recovered);
    let mut logs = data.start_logs(&options(2)).unwrap();
    set(&mut logs[1], "b", "v");
    drop(logs);
    data.close().unwrap();
    drop(data);
    assert_eq!(keys_of(&open(&sim.mount()).unwrap().1), ["a", "b"]);
    assert!(FreshDir::create(sim.mount(), &dir(), 7).is_err(), "there is data");
    let disk: Arc<dyn Disk> = sim.mount();
    disk.remove(&dir().join("MANIFEST")).unwrap();
    assert!(FreshDir::create(disk, &dir(), 7).is_err(), "there is still data");
}

#[test]
fn a_failed_sync_of_the_directory_fails_whoever_made_names_before_it() {
    let mut met = 0;
    for call in 0..40 {
        let mut bench = bench(&options(2));
        bench.write(0, "a");
        bench.write(1, "b");
        let mut checkpoint = bench.data.begin_checkpoint().unwrap();
        cut(&checkpoint, &mut bench.logs);
        let keys = bench.keys.clone();
        let entries = write_snapshots(&mut checkpoint, 2, |shard| keys[usize::from(shard)].clone()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        bench.sim.fail_at(bench.sim.calls() + call, Fault::SyncError);
        // Stands for what makes spares meanwhile.
        let other = bench.data.begin_checkpoint().map(drop);
        let finished = checkpoint.finish(facts(0, 1), entries, &NEWEST, 1, || false);
        met += u64::from(other.is_err() && finished.is_err());
        let sim = bench.crash(CrashMode::DropUnsynced);
        let (_, recovered) = open(&sim.mount()).unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(keys_of(&recovered), ["a", "b"], "call {call}");
    }
    assert!(met > 0, "no sync of the directory failed for both");
}

/// The process ends behind a failed sync, the power stays; what the next one finds may be in the page cache alone. Then
/// the power fails while it starts.
#[test]
fn a_start_makes_durable_what_an_earlier_process_could_not() {
    for (call, stop) in (0..40).flat_map(|call| (0..24).map(move |stop| (call, stop))) {
        let sim = SimDisk::new();
        sim.fail_at(call, Fault::SyncError);
        let mut durable = false;
        if let Ok((data, _)) = open(&sim.mount())
            && let Ok(mut logs) = data.start_logs(&options(1))
        {
            let _ = checkpoint(&data, &mut logs, facts(0, 1), &NEWEST, |_| Vec::new());
            set(&mut logs[0], "a", "v");
            logs[0].submit_all();
            let log = logs[0].shared();
            while log.durable() < log.appended() && log.is_ok() {
                std::thread::yield_now();
            }
            durable = log.durable() == log.appended();
            let _ = checkpoint(&data, &mut logs, facts(0, 1), &NEWEST, |_| vec!["a=v".to_owned()]);
        }
        sim.crash_at(sim.calls() + stop);
        if let Ok((data, recovered)) = open(&sim.mount()) {
            drop(recovered);
            let _ = data.start_logs(&options(1));
        }
        sim.crash(CrashMode::DropUnsynced);
        let (_, recovered) = open(&sim.mount()).unwrap_or_else(|error| panic!("{call}, {stop}: {error}"));
        assert!(!durable || keys_of(&recovered) == ["a"], "{call}, {stop}");
    }
}

#[test]
fn what_an_unfinished_import_left_is_named() {
    let sim = SimDisk::new();
    let fresh = FreshDir::create(sim.mount(), &dir(), 7).unwrap();
    let mut encoder = Encoder::new(EncodeVersion::V10, false);
    encoder.aux(b"everfast-epoch", b"0").unwrap();
    let mut file = fresh.create_snapshot(ShardId(0)).unwrap();
    file.write_all_at(0, &encoder.take()).unwrap();
    fresh.create_snapshot(ShardId(1)).unwrap();
    drop(fresh);
    let why = || FreshDir::create(sim.mount(), &dir(), 7).err().unwrap().to_string();
    let (first, text) = (dir().join("checkpoint-1-shard-0.rdb"), why());
    assert!(text.contains("an earlier import did not finish"), "{text}");
    assert!(text.contains("checkpoint-1-shard-0.rdb, checkpoint-1-shard-1.rdb"), "{text}");
    // Of a server's own checkpoint that is not said.
    encoder.aux(b"everfast-epoch", b"1").unwrap();
    sim.mount().create(&first).unwrap().write_all_at(0, &encoder.take()).unwrap();
    assert!(!why().contains("earlier import"), "{}", why());
}
