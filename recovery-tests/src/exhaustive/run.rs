//! A small run of the persist layer: logs, transactions over them, checkpoints, restarts; recorded at every disk call.
//!
//! Invariants:
//! 1. Nothing but the setup and the seed of [`alone`] decides what happens: log writers take their turns on this thread, the
//!    clock stands still until somebody waits, uids follow from the seed.
//! 2. Frames and segments are small, so that a run makes few disk calls and every kind of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use everfast::persist::disk::{Fault, SimDisk};
use everfast::persist::log::SegmentSizes;
use everfast::persist::{
    CutFacts, DataDir, Gsn, Log, LogOptions, LogShared, LogStatus, PersistError, Recovered, Retention,
    ShardId, SnapshotEntry, SyncPolicy, simulated_random,
};
use everfast::{clock, waiting};
use formats::checksum::Crc64;

use super::history::{Found, History, next_gsn, value};
use crate::random::Random;

/// Where the simulated directory lies.
pub const DIR: &str = "/data";

/// Where the clock begins: Unix time.
const BEGIN: Duration = Duration::from_secs(1_700_000_000);
/// Of the simulated clock: longest wait for what must come, and for what a fault may have stopped.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_AFTER_FAULT: Duration = Duration::from_millis(50);
/// How long somebody waits for writers that have nothing to do now.
const IDLE: Duration = Duration::from_millis(1);

/// What one run is like.
#[derive(Clone, Debug)]
pub struct Setup {
    pub shards: u16,
    pub policy: SyncPolicy,
    /// Checkpoints that are kept.
    pub retention: u32,
    /// Length of most values.
    pub value_bytes: usize,
    /// Keys that are appended on each shard while a checkpoint is written.
    pub during_checkpoints: usize,
    /// Log writers take turns between the steps of a checkpoint, not only when they are waited for.
    pub eager: bool,
    /// A disk call that fails, counted from 0. The run ends with what cannot go on after it.
    pub fault: Option<(u64, Fault)>,
    /// One after the other, on the same directory.
    pub epochs: Vec<Epoch>,
}

/// From a start to the next.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Log writers.
    pub writers: u16,
    pub steps: Vec<Step>,
    /// Closed in the end, or dropped.
    pub closes: bool,
}

/// What happens in an epoch.
#[derive(Clone, Debug)]
pub enum Step {
    /// So many keys are appended on a shard.
    Write(u16, usize),
    /// A transaction of a key on each of these shards.
    Transact(Vec<u16>),
    /// A shard hands over what it has gathered; it becomes durable.
    HandOver(u16),
    Checkpoint,
}

/// A run of which every state of the disk is known.
pub struct Recorded {
    /// The disk before each call, and after the last one.
    pub states: Vec<SimDisk>,
    pub history: History,
}

impl Setup {
    /// All kinds of steps, on two shards.
    pub fn usual(writers: u16, policy: SyncPolicy) -> Setup {
        use Step::{Checkpoint, HandOver, Transact, Write};
        let first = vec![
            Write(0, 1),
            HandOver(0),
            Transact(vec![0, 1]),
            HandOver(1),
            Write(0, 1),
            HandOver(0),
            Write(1, 2),
            Checkpoint,
            HandOver(1),
            Write(0, 3),
            HandOver(0),
            Transact(vec![0, 1]),
            HandOver(0),
            Write(0, 2),
            HandOver(0),
            HandOver(1),
        ];
        let second =
            vec![Transact(vec![0, 1]), HandOver(1), Write(1, 1), HandOver(0), HandOver(1), Write(0, 1)];
        let third = vec![
            Write(1, 1),
            HandOver(1),
            Transact(vec![0, 1]),
            HandOver(0),
            Checkpoint,
            Write(0, 1),
            HandOver(0),
            Transact(vec![0, 1]),
            HandOver(1),
            Write(1, 1),
            HandOver(1),
        ];
        let epoch = |writers, steps, closes| Epoch { writers, steps, closes };
        let epochs = vec![
            epoch(writers, first, true),
            epoch(3 - writers, second, false),
            epoch(writers, third, false),
        ];
        let (shards, retention, value_bytes) = (2, 1, 700);
        Setup {
            shards,
            policy,
            retention,
            value_bytes,
            during_checkpoints: 0,
            eager: true,
            fault: None,
            epochs,
        }
    }

    /// What a seed chooses.
    pub fn random(random: &mut Random) -> Setup {
        let shards = 2 + random.below(2) as u16;
        let policy = if random.below(4) == 0 { SyncPolicy::No } else { SyncPolicy::Always };
        let epochs = (0..2 + random.below(2)).map(|_| Epoch::random(random, shards)).collect();
        let (retention, value_bytes) = (1 + random.below(2) as u32, 20 + random.below(1000) as usize);
        let (during_checkpoints, eager) = (random.below(8) as usize, random.below(2) == 0);
        Setup { shards, policy, retention, value_bytes, during_checkpoints, eager, fault: None, epochs }
    }

    /// The same, with a call that fails.
    pub fn with_fault(self, random: &mut Random) -> Setup {
        let kinds = [Fault::SyncError, Fault::TornSync, Fault::Eio, Fault::Enospc, Fault::ShortWrite];
        let fault = Some((20 + random.below(200), kinds[random.below(5) as usize]));
        Setup { fault, ..self }
    }

    fn options(&self, writers: u16, complete: &Arc<AtomicU64>) -> LogOptions {
        let complete = Arc::clone(complete);
        LogOptions {
            writers,
            policy: self.policy,
            segments: SegmentSizes { first_bytes: 8 << 10, max_bytes: 16 << 10 },
            close_patience_ms: 0,
            background_preparer: false,
            writer_threads: false,
            complete: Arc::new(move || Gsn(complete.load(Ordering::SeqCst))),
            ..LogOptions::new(self.shards, Arc::new(|_| {}))
        }
    }
}

impl Epoch {
    /// A few steps; each shard is handed over now and then.
    pub fn random(random: &mut Random, shards: u16) -> Epoch {
        let steps = (0..6 + random.below(10)).map(|_| Step::random(random, shards)).collect();
        Epoch { writers: 1 + random.below(u64::from(shards)) as u16, steps, closes: random.below(2) == 0 }
    }
}

impl Step {
    fn random(random: &mut Random, shards: u16) -> Step {
        let shard = random.below(u64::from(shards)) as u16;
        match random.below(12) {
            0 => Step::Checkpoint,
            1..4 => Step::Write(shard, 1 + random.below(3) as usize),
            4 => Step::Transact((0..shards).collect()),
            5 | 6 => Step::Transact((0..shards).filter(|other| *other != shard || shards < 3).collect()),
            _ => Step::HandOver(shard),
        }
    }
}

/// While it lives, this thread's clock and random numbers are simulated.
struct Simulated;

impl Drop for Simulated {
    fn drop(&mut self) {
        clock::simulated::set(None);
        simulated_random::set_seed(None);
    }
}

/// Runs `work` where the seed decides the uids of files, and nobody but `work` the time.
pub fn alone<T>(seed: u64, work: impl FnOnce() -> T) -> T {
    let _simulated = Simulated;
    clock::simulated::set(Some(BEGIN));
    simulated_random::set_seed(Some(seed));
    work()
}

/// While it lives, whoever waits on this thread lets log writers take their turns.
struct Turns;

impl Turns {
    fn of(data: &Rc<DataDir>, writers: u16) -> Turns {
        let data = Rc::downgrade(data);
        let turn = move || data.upgrade().is_some_and(|data| turn_writers(&data, writers));
        waiting::simulated::set_turn(Some(Rc::new(turn)));
        Turns
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        waiting::simulated::set_turn(None);
    }
}

/// Each writer takes a turn; time passes where none has anything to do. Always answers that there is somebody to wait for.
fn turn_writers(data: &DataDir, writers: u16) -> bool {
    let turns = (0..usize::from(writers)).map(|writer| data.turn_writer(writer));
    if turns.filter(|did_something| *did_something).count() == 0 {
        clock::simulated::advance(IDLE);
    }
    true
}

/// Opens and recovers.
pub fn open(sim: &SimDisk) -> Result<(DataDir, Recovered), PersistError> {
    let data = DataDir::open(sim.mount(), Path::new(DIR))?;
    let recovered = data.recover()?;
    Ok((data, recovered))
}

/// What a start on this disk finds. It changes the disk.
///
/// # Errors
/// It is refused.
pub fn start(sim: &SimDisk) -> Result<Found, String> {
    let (_data, recovered) = open(sim).map_err(|error| format!("no start: {error}"))?;
    Found::read(&recovered)
}

/// Runs a setup on an empty disk.
///
/// # Errors
/// Something failed, though the disk is sound.
pub fn record(setup: &Setup) -> Result<Recorded, String> {
    let sim = SimDisk::new();
    sim.start_record();
    if let Some((call, fault)) = setup.fault {
        sim.fail_at(call, fault);
    }
    let mut history = History::default();
    for (number, epoch) in setup.epochs.iter().enumerate() {
        if !run_epoch(&sim, setup, epoch, &format!("e{number}"), &mut history)? {
            break;
        }
    }
    let mut states = sim.take_record();
    states.push(sim);
    Ok(Recorded { states, history })
}

/// One epoch; `name` makes its keys its own. Answers whether it came to its end: a fault may stop it.
///
/// # Errors
/// A start found something wrong, or something failed without a fault.
pub fn run_epoch(
    sim: &SimDisk,
    setup: &Setup,
    epoch: &Epoch,
    name: &str,
    history: &mut History,
) -> Result<bool, String> {
    let (data, recovered) = match open(sim) {
        Ok(opened) => opened,
        Err(_) if setup.fault.is_some() => return Ok(false),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let found = Found::read(&recovered)?;
    history.check(sim.calls(), &found).map_err(|what| format!("at the start of {name}: {what}"))?;
    // What was neither acknowledged nor kept is gone for good.
    history.keys = found.keys;
    let gsn = recovered.next_gsn.0.max(next_gsn(history).0);
    drop(recovered);
    history.begin_epoch();
    let complete = Arc::new(AtomicU64::new(0));
    let logs = match data.start_logs(&setup.options(epoch.writers, &complete)) {
        Ok(logs) => logs,
        Err(_) if setup.fault.is_some() => return Ok(false),
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let shared = logs.iter().map(Log::shared).collect();
    let (data, writers) = (Rc::new(data), epoch.writers);
    let turns = Turns::of(&data, writers);
    let mut life = Life { sim, setup, name, turns, data, writers, logs, shared, complete, gsn, history };
    for step in &epoch.steps {
        let done = life.step(step);
        life.observe();
        match done {
            Ok(()) => {}
            Err(_) if setup.fault.is_some() => return life.end(false).map(|_| false),
            Err(error) => return Err(format!("{name}, {step:?}: {error}")),
        }
    }
    life.end(epoch.closes)
}

/// Running logs.
struct Life<'a> {
    sim: &'a SimDisk,
    setup: &'a Setup,
    name: &'a str,
    turns: Turns,
    data: Rc<DataDir>,
    writers: u16,
    logs: Vec<Log>,
    shared: Vec<Arc<LogShared>>,
    complete: Arc<AtomicU64>,
    /// The next transaction's number.
    gsn: u64,
    history: &'a mut History,
}

impl Life<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Write(shard, count) => (0..*count).for_each(|_| self.write(*shard)),
            Step::Transact(shards) => self.transact(shards),
            Step::HandOver(shard) => {
                self.logs[usize::from(*shard)].submit_all();
                self.settle(*shard)?;
            }
            Step::Checkpoint => self.checkpoint().map_err(|error| error.to_string())?,
        }
        Ok(())
    }

    fn write(&mut self, shard: u16) {
        let key = format!("{}-{shard}-{}", self.name, self.history.count(shard));
        let log = &mut self.logs[usize::from(shard)];
        log.append(0, &[b"SET", key.as_bytes(), &value(&key, self.setup.value_bytes)]);
        log.command_boundary();
        self.history.append(shard, key, log.appended().0);
    }

    fn transact(&mut self, shards: &[u16]) {
        let participants: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
        for &shard in shards {
            let start = self.logs[usize::from(shard)].appended().0;
            self.logs[usize::from(shard)].begin_transaction(Gsn(self.gsn), &participants);
            self.write(shard);
            let log = &mut self.logs[usize::from(shard)];
            log.end_transaction();
            self.history.note_part(self.gsn, shard, start, log.appended().0);
        }
        self.gsn += 1;
    }

    fn turn_writers(&self) {
        turn_writers(&self.data, self.writers);
    }

    /// Lets the writers take turns until what was handed over is dealt with.
    fn settle(&self, shard: u16) -> Result<(), String> {
        let log = &self.shared[usize::from(shard)];
        let since = clock::now();
        loop {
            let done = if log.policy() == SyncPolicy::Always { log.durable() } else { log.written() };
            if done >= log.appended() {
                return Ok(());
            }
            if log.status() != LogStatus::Ok || clock::elapsed(since) > PATIENCE {
                return Err(format!("shard {shard} does not become durable: {:?}", log.status()));
            }
            self.turn_writers();
        }
    }

    fn checkpoint(&mut self) -> Result<(), PersistError> {
        let mut checkpoint = self.data.begin_checkpoint()?;
        let request = checkpoint.cut_request();
        for shard in 0..self.logs.len() {
            self.logs[shard].cut(request.clone());
            self.turn_eager_writers();
        }
        drop(request);
        let frozen = self.history.keys.clone();
        let facts = CutFacts { gsn: Gsn(self.gsn - 1), time_ms: self.gsn };
        let mut entries = Vec::new();
        for shard in (0..self.setup.shards).map(ShardId) {
            let (path, mut file) = checkpoint.create_snapshot(shard)?;
            let keys = frozen.get(&shard.0).map_or(&[][..], Vec::as_slice);
            let (bytes, crc64) = snapshot(keys);
            let written = file.write_all_at(0, &bytes).and_then(|()| file.sync_data());
            written.map_err(|source| PersistError::Io { action: "write", path, source })?;
            entries.push(SnapshotEntry { shard, bytes: bytes.len() as u64, keys: keys.len() as u64, crc64 });
            self.turn_eager_writers();
        }
        self.write_meanwhile();
        let rule = Retention { checkpoints: self.setup.retention, ..Retention::default() };
        let since = clock::now();
        let patience = if self.setup.fault.is_some() { PATIENCE_AFTER_FAULT } else { PATIENCE };
        let is_stuck = || clock::elapsed(since) > patience;
        checkpoint.finish(facts, entries, &rule, self.gsn, is_stuck).map(drop)
    }

    fn turn_eager_writers(&self) {
        if self.setup.eager {
            self.turn_writers();
        }
    }

    /// What comes while a checkpoint is written. Where a fault stops it, the checkpoint goes on.
    fn write_meanwhile(&mut self) {
        for shard in 0..self.setup.shards {
            (0..self.setup.during_checkpoints).for_each(|_| self.write(shard));
            self.logs[usize::from(shard)].submit_all();
            let _ = self.settle(shard);
        }
        self.observe();
    }

    /// Notes what is acknowledged by now.
    fn observe(&mut self) {
        if let Some(gsn) = observe(self.sim, &self.shared, self.history) {
            self.complete.store(gsn, Ordering::SeqCst);
        }
    }

    fn end(self, closes: bool) -> Result<bool, String> {
        let Life { sim, setup, name, turns, data, logs, shared, history, .. } = self;
        drop((logs, turns));
        if closes {
            match data.close() {
                Ok(()) => history.acknowledge_all(sim.calls()),
                Err(_) if setup.fault.is_some() => return Ok(false),
                Err(error) => return Err(format!("{name}: {error}")),
            }
        } else {
            drop(data); // the writers write the rest
            observe(sim, &shared, history);
        }
        Ok(true)
    }
}

fn observe(sim: &SimDisk, shared: &[Arc<LogShared>], history: &mut History) -> Option<u64> {
    let durable: BTreeMap<u16, u64> = shared.iter().map(|log| (log.shard().0, log.durable().0)).collect();
    history.acknowledge(sim.calls(), &durable)
}

/// What stands for an RDB file here, where nobody looks into one: lines, and their checksum.
fn snapshot(lines: &[String]) -> (Vec<u8>, u64) {
    let mut bytes = lines.join("\n").into_bytes();
    let mut crc = Crc64::new();
    crc.update(&bytes);
    bytes.extend_from_slice(&crc.value().to_le_bytes());
    (bytes, crc.value())
}

/// A file of the directory.
pub fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}
