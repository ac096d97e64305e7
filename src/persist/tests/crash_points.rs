//! A small run with several shards, transactions and checkpoints, crashed at every disk call, in every way.
//!
//! Checked after each crash: what was acknowledged is there, what is there is a prefix per shard,
//! transactions are whole; and after more work and another crash nothing of that has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::helpers::{checkpoint, effects, facts, open, options, snapshot_lines};
use crate::persist::disk::{CrashMode, Disk, Fault, SimDisk};
use crate::persist::log::SegmentSizes;
use crate::persist::{Gsn, Log, LogOptions, LogStatus, Recovered, Retention, ShardId, SyncPolicy};

const SHARDS: u16 = 3;
const STEPS: u64 = 14;

/// Number of writers, and when they sync.
type Setup = (u16, SyncPolicy);

/// What a run appended, and how far it was durable when it ended.
#[derive(Default)]
struct History {
    /// Per shard: each effect's key, with the position behind it.
    appended: BTreeMap<u16, Vec<(String, u64)>>,
    /// Per transaction: participants, with the positions before and behind it on each.
    transactions: BTreeMap<u64, BTreeMap<u16, (u64, u64)>>,
    durable: BTreeMap<u16, u64>,
}

impl History {
    /// Whether a transaction is durable on all its participants.
    fn is_durable(&self, gsn: u64) -> bool {
        self.transactions[&gsn]
            .iter()
            .all(|(shard, (_, end))| self.durable.get(shard).is_some_and(|d| d >= end))
    }

    /// The position up to which a shard may have acknowledged: durable, and no transaction before it beyond
    /// R, the highest number up to which all transactions are durable everywhere.
    fn acknowledged(&self, shard: u16) -> u64 {
        let first_open =
            self.transactions.keys().copied().find(|&gsn| !self.is_durable(gsn)).unwrap_or(u64::MAX);
        let beyond = self.transactions.range(first_open..).filter_map(|(_, ends)| ends.get(&shard));
        let bound = beyond.map(|&(start, _)| start).min().unwrap_or(u64::MAX);
        self.durable.get(&shard).copied().unwrap_or(0).min(bound)
    }
}

fn run_options((writers, policy): Setup) -> LogOptions {
    LogOptions {
        writers,
        policy,
        segments: SegmentSizes { first_bytes: 8 << 10, max_bytes: 16 << 10 },
        close_patience_ms: 0,
        background_preparer: writers > 1,
        ..options(SHARDS)
    }
}

fn append(log: &mut Log, history: &mut History, shard: u16, key: String) {
    log.append(0, &[b"SET", key.as_bytes(), &[b'v'; 700]]);
    log.command_boundary();
    history.appended.entry(shard).or_default().push((key, log.appended().0));
}

fn transact(logs: &mut [Log], history: &mut History, gsn: u64, shards: &[u16]) {
    let participants: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
    for &shard in shards {
        let log = &mut logs[usize::from(shard)];
        let start = log.appended().0;
        log.begin_transaction(Gsn(gsn), &participants);
        append(log, history, shard, format!("t{gsn}-{shard}"));
        log.end_transaction();
        history.transactions.entry(gsn).or_default().insert(shard, (start, log.appended().0));
    }
}

/// Waits until the writer has dealt with what was handed over: made it durable (written it, if it does not
/// sync), or failed.
fn wait(log: &Log) {
    let shared = log.shared();
    let done = || if shared.policy() == SyncPolicy::Always { shared.durable() } else { shared.written() };
    while done() < shared.appended() && log.status() == LogStatus::Ok {
        std::thread::yield_now();
    }
}

/// Works until done or until the disk stops. Answers what was appended and acknowledged.
fn work(disk: &Arc<dyn Disk>, setup: Setup, first_gsn: u64) -> History {
    let mut history = History::default();
    let Ok((data, recovered)) = open(disk) else { return history };
    let before = recovered_keys(&recovered);
    drop(recovered);
    let Ok(mut logs) = data.start_logs(&run_options(setup)) else { return history };
    for step in 0..STEPS {
        for shard in 0..SHARDS {
            if (step + u64::from(shard)) % 2 == 0 {
                append(
                    &mut logs[usize::from(shard)],
                    &mut history,
                    shard,
                    format!("s{shard}-{first_gsn}-{step}"),
                );
            }
        }
        let all: &[&[u16]] = &[&[0, 1], &[0, 1, 2], &[1, 2], &[0, 2]];
        transact(&mut logs, &mut history, first_gsn + step, all[step as usize % all.len()]);
        if step % 6 == 4 {
            // What an attempt that fails costs is a segment: the run goes on.
            let rule = Retention { checkpoints: 1 + (step / 6 % 2) as u32, ..Retention::default() };
            let keys = |shard| keys_so_far(&before, &history, shard);
            let _ = checkpoint(&data, &mut logs, facts(first_gsn + step, step), &rule, keys);
        }
        // Shards hand over at different times, so that a crash finds transactions on one and not on the
        // other.
        for shard in 0..SHARDS {
            if (step + 2 * u64::from(shard)) % 3 == 0 {
                logs[usize::from(shard)].submit_all();
                wait(&logs[usize::from(shard)]);
            }
        }
    }
    for log in &logs {
        history.durable.insert(log.shared().shard().0, log.durable().0);
    }
    drop(logs);
    let shared_end = history.durable.clone();
    if data.close().is_ok() {
        // A clean stop vouches for everything.
        for (shard, effects) in &history.appended {
            let end = effects.last().map_or(0, |(_, end)| *end);
            history.durable.insert(*shard, end.max(shared_end[shard]));
        }
        for ends in history.transactions.values() {
            for (shard, (_, end)) in ends {
                let durable = history.durable.entry(*shard).or_default();
                *durable = (*durable).max(*end);
            }
        }
    }
    history
}

/// What a shard's snapshot holds: its keys of all epochs, in order.
fn keys_so_far(before: &BTreeMap<u16, Vec<String>>, history: &History, shard: u16) -> Vec<String> {
    let before = before.get(&shard).into_iter().flatten().cloned();
    let since = history.appended.get(&shard).into_iter().flatten().map(|(key, _)| key.clone());
    before.chain(since).collect()
}

/// Keys per shard, in order, of all epochs.
fn recovered_keys(recovered: &Recovered) -> BTreeMap<u16, Vec<String>> {
    let mut keys: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (shard, key) in snapshot_lines(recovered) {
        keys.entry(shard.0).or_default().push(key);
    }
    for (shard, _, args) in effects(recovered) {
        keys.entry(shard.0).or_default().push(args[1].clone());
    }
    keys
}

/// Checks one history against what was recovered of it; `before`: how many keys per shard came from earlier
/// epochs.
fn check(history: &History, keys: &BTreeMap<u16, Vec<String>>, before: &BTreeMap<u16, usize>, what: &str) {
    let none = Vec::new();
    let kept = |shard: u16| {
        let keys = keys.get(&shard).unwrap_or(&none);
        &keys[before.get(&shard).copied().unwrap_or(0)..]
    };
    for (&shard, appended) in &history.appended {
        let kept = kept(shard);
        let expected: Vec<&String> = appended.iter().map(|(key, _)| key).take(kept.len()).collect();
        assert_eq!(kept.iter().collect::<Vec<_>>(), expected, "{what}: shard {shard} is not a prefix");
        let acknowledged = history.acknowledged(shard);
        let needed = appended.iter().filter(|(_, end)| *end <= acknowledged).count();
        assert!(kept.len() >= needed, "{what}: shard {shard} kept {} of {needed} acknowledged", kept.len());
    }
    for (gsn, ends) in &history.transactions {
        let present = ends.keys().filter(|&&shard| kept(shard).contains(&format!("t{gsn}-{shard}"))).count();
        assert!(present == 0 || present == ends.len(), "{what}: transaction {gsn} is torn");
    }
}

fn counts(keys: &BTreeMap<u16, Vec<String>>) -> BTreeMap<u16, usize> {
    keys.iter().map(|(shard, keys)| (*shard, keys.len())).collect()
}

/// One crash at one call, then more work, and a crash of that.
fn crash_twice(setup: Setup, call: u64, mode: CrashMode) -> bool {
    let what = format!("{setup:?}, crash at call {call}, {mode:?}");
    let sim = SimDisk::new();
    sim.crash_at(call);
    let first = work(&sim.mount(), setup, 1);
    let finished = sim.calls() < call;
    sim.crash(mode);
    let (data, recovered) = open(&sim.mount()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let keys = recovered_keys(&recovered);
    check(&first, &keys, &BTreeMap::new(), &what);
    let next_gsn = recovered.next_gsn.0;
    drop((data, recovered));

    sim.crash_at(sim.calls() + call / 2);
    let second = work(&sim.mount(), setup, next_gsn);
    sim.crash(mode);
    let (_data, recovered) = open(&sim.mount()).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    let again = recovered_keys(&recovered);
    for (shard, keys) in &keys {
        assert!(
            again.get(shard).is_some_and(|again| again.starts_with(keys)),
            "{what}: shard {shard} changed"
        );
    }
    check(&second, &again, &counts(&keys), &format!("{what}, again"));
    finished
}

/// Other seeds than the usual: `EVERFAST_CRASH_SEED=<number>`. A failure prints the seed that it had.
fn random(call: u64, test: u64) -> CrashMode {
    let base = std::env::var("EVERFAST_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0u64);
    CrashMode::KeepRandom(base.wrapping_add(test * 10_000 + call))
}

fn crash_everywhere(setup: Setup, mode: impl Fn(u64) -> CrashMode) {
    let mut call = 0;
    while !crash_twice(setup, call, mode(call)) {
        call += 1;
        assert!(call < 2000, "the run does not end");
    }
    assert!(call > 50, "only {call} calls: the run does not test much");
}

#[test]
fn nothing_unsynced_survives_one_writer() {
    crash_everywhere((1, SyncPolicy::Always), |_| CrashMode::DropUnsynced);
}

#[test]
fn nothing_unsynced_survives_a_writer_per_shard() {
    crash_everywhere((SHARDS, SyncPolicy::Always), |_| CrashMode::DropUnsynced);
}

#[test]
fn some_of_the_unsynced_survives_one_writer() {
    crash_everywhere((1, SyncPolicy::Always), |call| random(call, 0));
}

#[test]
fn some_of_the_unsynced_survives_a_writer_per_shard() {
    crash_everywhere((SHARDS, SyncPolicy::Always), |call| random(call, 1));
}

#[test]
fn without_syncs_what_is_left_is_whole_with_one_writer() {
    crash_everywhere((1, SyncPolicy::No), |call| random(call, 2));
}

#[test]
fn without_syncs_what_is_left_is_whole_with_a_writer_per_shard() {
    crash_everywhere((SHARDS, SyncPolicy::No), |call| random(call, 3));
}

/// Numbers that follow from a seed (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<T: Copy, const SIDES: usize>(&mut self, from: [T; SIDES]) -> T {
        from[self.roll(SIDES as u64) as usize]
    }
}

/// One run with calls that fail, which ends or is crashed somewhere; then another one, and a crash of that.
fn fail_and_crash(seed: u64) {
    let mut dice = Dice::new(seed);
    let policy = dice.pick([SyncPolicy::Always, SyncPolicy::Always, SyncPolicy::Always, SyncPolicy::No]);
    let setup = (dice.pick([1, 2, SHARDS]), policy);
    let sim = SimDisk::new();
    for _ in 0..1 + dice.roll(6) {
        let faults = [Fault::SyncError, Fault::SyncError, Fault::Eio, Fault::Enospc, Fault::ShortWrite];
        sim.fail_at(dice.roll(350), dice.pick(faults));
    }
    let power_fails = dice.roll(2) == 0;
    if power_fails {
        sim.crash_at(30 + dice.roll(400));
    }
    let mode = dice.pick([CrashMode::DropUnsynced, CrashMode::KeepRandom(seed)]);
    let what = format!("seed {seed}, {setup:?}, {mode:?}");
    let first = work(&sim.mount(), setup, 1);
    if power_fails {
        sim.crash(mode);
    }
    // Where the power stayed, a start finds what the page cache has, durable or not; it may meet faults that were left.
    let mut starts = std::iter::repeat_with(|| open(&sim.mount())).take(if power_fails { 1 } else { 8 });
    let (data, recovered) = starts.find_map(Result::ok).unwrap_or_else(|| panic!("{what}: no start"));
    let keys = recovered_keys(&recovered);
    check(&first, &keys, &BTreeMap::new(), &what);
    let next_gsn = recovered.next_gsn.0;
    drop((data, recovered));

    sim.crash_at(sim.calls() + dice.roll(200));
    sim.fail_at(sim.calls() + dice.roll(100), Fault::SyncError);
    let second = work(&sim.mount(), setup, next_gsn);
    sim.crash(mode);
    let (_data, recovered) = open(&sim.mount()).unwrap_or_else(|error| panic!("{what}, again: {error}"));
    let again = recovered_keys(&recovered);
    for (shard, keys) in &keys {
        let kept = again.get(shard).is_some_and(|again| again.starts_with(keys));
        assert!(kept, "{what}: shard {shard} changed");
    }
    check(&second, &again, &counts(&keys), &format!("{what}, again"));
}

/// Another hundred with `EVERFAST_CRASH_SEED=<number>`. A failure prints its seed; the threads may take another turn then.
#[test]
fn calls_that_fail_and_crashes_lose_nothing_that_was_durable() {
    let from = std::env::var("EVERFAST_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    (from..from + 120).for_each(fail_and_crash);
}
