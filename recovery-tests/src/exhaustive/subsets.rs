//! Each recorded state of the disk × each subset of what was not synced: a crash there, and what a start finds.
//!
//! Where the subsets are too many, those are taken that tell most: nothing, everything, one thing kept, one thing lost,
//! everything up to a moment, everything since a moment, and random ones.
//!
//! Invariants:
//! 1. Found is a prefix per shard that has what was acknowledged, transactions whole.
//! 2. A crash at any call of the start that found it, and another start: the same is found.
//! 3. A kill at the crash point, a start, and a crash then: the same is found again, because what a start serves is durable.
//! 4. Work goes on after it, and another crash: what was found is still there, and nothing else but the new work.

use everfast::persist::SyncPolicy;
use everfast::persist::disk::{SimDisk, Unsynced};

use super::Progress;
use super::history::{Found, History};
use super::run::{Epoch, Recorded, Setup, alone, record, run_epoch, start};
use crate::family::{Counts, FAULTS, Family, Place};
use crate::random::Random;

/// A share of the crash points of a run, which the seed chooses.
pub const FAMILY: Family = Family {
    name: "subsets",
    about: "logs on a simulated disk: every crash point x every subset of what was not synced",
    share: 4,
    round,
};

/// How thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Up to so many things all subsets are tried.
    pub full_up_to: usize,
    /// Beyond, so many random ones, beside the chosen ones.
    pub random: usize,
    /// Every so many crashes one is followed by crashes in the start that comes after it.
    pub recovery_stride: u64,
    /// Every so many crashes one is followed by more work.
    pub work_stride: u64,
}

/// Rounds try one of so many crash points.
const SLICES: u64 = 8;

fn round(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let setup = match random.below(6) {
        0 => Setup::usual(1 + random.below(2) as u16, SyncPolicy::Always),
        1 | 2 => Setup::random(&mut random).with_fault(&mut random),
        _ => Setup::random(&mut random),
    };
    let depth = Depth { full_up_to: 7, random: 24, recovery_stride: 151, work_stride: 61 };
    let slice = random.below(SLICES);
    sweep(&setup, depth, &mut random, |call| call % SLICES == slice)
}

/// Runs a setup and tries the crash points that `wanted` says.
///
/// # Errors
/// A violation, with the crash that showed it.
pub fn sweep(
    setup: &Setup,
    depth: Depth,
    random: &mut Random,
    wanted: impl Fn(u64) -> bool,
) -> Result<Counts, String> {
    alone(random.draw(), || sweep_alone(setup, depth, random, wanted))
}

fn sweep_alone(
    setup: &Setup,
    depth: Depth,
    random: &mut Random,
    wanted: impl Fn(u64) -> bool,
) -> Result<Counts, String> {
    let recorded = record(setup).map_err(|what| format!("{setup:?}: without a crash: {what}"))?;
    let mut sweep =
        Sweep { setup, recorded: &recorded, depth, random, counts: Counts::default(), crashes: 0 };
    sweep.counts.add("runs", 1);
    if recorded.states.last().is_some_and(|disk| disk.faults_fired() > 0) {
        sweep.counts.add(FAULTS, 1);
    }
    for (call, state) in recorded.states.iter().enumerate() {
        if wanted(call as u64) {
            sweep.crash_point(call as u64, state)?;
        }
    }
    Ok(sweep.counts)
}

struct Sweep<'a> {
    setup: &'a Setup,
    recorded: &'a Recorded,
    depth: Depth,
    random: &'a mut Random,
    counts: Counts,
    crashes: u64,
}

impl Sweep<'_> {
    fn crash_point(&mut self, call: u64, state: &SimDisk) -> Result<(), String> {
        self.counts.add("crash points", 1);
        self.kill(call, state).map_err(|what| {
            format!("{what}\na kill before disk call {call}, a start, a crash\nrun: {:?}", self.setup)
        })?;
        let items = state.unsynced();
        for keep in subsets(&items, self.depth, self.random) {
            self.crashes += 1;
            let device = crashed(state, &keep);
            let wrong = match check(&self.recorded.history, call, &device.fork()) {
                Ok(found) => self.follow(&device, &found, has_two_names(&items, &keep)).err(),
                Err(what) => Some(what),
            };
            if let Some(what) = wrong {
                return Err(self.violation(call, state, keep, what));
            }
        }
        Ok(())
    }

    /// Only the process ends: what was written is still seen by the next one, and after that comes a crash.
    fn kill(&mut self, call: u64, state: &SimDisk) -> Result<(), String> {
        self.counts.add("kills", 1);
        let device = state.fork();
        let first = check(&self.recorded.history, call, &device)?;
        let depth = Depth { full_up_to: 3, random: 2, ..self.depth };
        for keep in subsets(&device.unsynced(), depth, self.random) {
            let second =
                start(&crashed(&device, &keep)).map_err(|what| format!("(a, i) a start after it: {what}"))?;
            if second != first {
                return Err(format!("(i) what a start has shown stays: {}", difference(&first, &second)));
            }
        }
        Ok(())
    }

    /// What is tried after some crashes. `works`: more work in any case.
    fn follow(&mut self, device: &SimDisk, found: &Found, works: bool) -> Result<(), String> {
        self.counts.add("crashes", 1);
        if self.crashes.is_multiple_of(self.depth.recovery_stride) {
            self.crash_in_recovery(device, found)?;
        }
        if works || self.crashes.is_multiple_of(self.depth.work_stride) {
            self.work_on(&device.fork(), found)?;
        }
        Ok(())
    }

    fn crash_in_recovery(&mut self, device: &SimDisk, found: &Found) -> Result<(), String> {
        let first = device.fork();
        first.start_record();
        start(&first)?;
        let mut states = first.take_record();
        states.push(first);
        let depth = Depth { full_up_to: 4, random: 4, ..self.depth };
        for (call, state) in states.iter().enumerate() {
            for keep in subsets(&state.unsynced(), depth, self.random) {
                self.counts.add("crashes in recovery", 1);
                let again = crashed(state, &keep);
                let second =
                    start(&again).map_err(|what| format!("(f) crash at call {call} of the start: {what}"))?;
                if second != *found {
                    return Err(format!(
                        "(f) a start that is cut off changes nothing: crash at its call {call}, keeping {}: {}",
                        describe(&state.unsynced(), &keep),
                        difference(found, &second)
                    ));
                }
            }
        }
        Ok(())
    }

    fn work_on(&mut self, device: &SimDisk, found: &Found) -> Result<(), String> {
        let mut history = History::from_recovered(found.keys.clone());
        let mut setup = self.setup.clone();
        (setup.policy, setup.fault) = (SyncPolicy::Always, None);
        setup.value_bytes = 20 + self.random.below(900) as usize;
        for epoch in 0..2 {
            let mut work = Epoch::random(self.random, setup.shards);
            work.closes = false;
            let name = format!("w{epoch}");
            device.start_record();
            run_epoch(device, &setup, &work, &name, &mut history)
                .map_err(|what| format!("then {work:?}: {what}"))?;
            let mut states = device.take_record();
            let first_call = device.calls() - states.len() as u64;
            states.push(device.fork());
            for _ in 0..3 {
                let place = self.random.below(states.len() as u64);
                let (state, call) = (&states[place as usize], first_call + place);
                let keep: Vec<bool> = state.unsynced().iter().map(|_| self.random.below(2) == 0).collect();
                self.counts.add("crashes after more work", 1);
                check(&history, call, &crashed(state, &keep)).map_err(|what| {
                    let kept = describe(&state.unsynced(), &keep);
                    format!("{what}\nthen {work:?}, crash before call {call}, keeping {kept}")
                })?;
            }
        }
        Ok(())
    }

    /// The violation with as little kept as still shows it.
    fn violation(&mut self, call: u64, state: &SimDisk, mut keep: Vec<bool>, mut what: String) -> String {
        let items = state.unsynced();
        for item in 0..keep.len() {
            let mut less = keep.clone();
            less[item] = false;
            if keep[item]
                && let Err(still) = check(&self.recorded.history, call, &crashed(state, &less))
            {
                (keep, what) = (less, still);
            }
        }
        format!(
            "{what}\ncrash before disk call {call} of {}, keeping of {} things: {}\nrun: {:?}",
            self.recorded.states.len() - 1,
            items.len(),
            describe(&items, &keep),
            self.setup
        )
    }
}

fn crashed(state: &SimDisk, keep: &[bool]) -> SimDisk {
    let device = state.fork();
    device.crash_keeping(keep);
    device
}

/// Starts on a crashed disk, and checks what is found.
fn check(history: &History, call: u64, device: &SimDisk) -> Result<Found, String> {
    let found = start(device).map_err(|what| format!("(a) what is left can be started on: {what}"))?;
    history.check(call, &found)?;
    Ok(found)
}

fn describe(items: &[Unsynced], keep: &[bool]) -> String {
    let kept: Vec<String> =
        items.iter().zip(keep).filter(|(_, keep)| **keep).map(|(item, _)| item.to_string()).collect();
    if kept.is_empty() { "nothing".into() } else { kept.join(", ") }
}

fn difference(first: &Found, second: &Found) -> String {
    let counts = |found: &Found| -> Vec<usize> { found.keys.values().map(Vec::len).collect() };
    format!(
        "{:?} keys and number {} became {:?} and {}",
        counts(first),
        first.next_gsn,
        counts(second),
        second.next_gsn
    )
}

/// What to keep, one crash each.
fn subsets(items: &[Unsynced], depth: Depth, random: &mut Random) -> Vec<Vec<bool>> {
    let count = items.len();
    if count <= depth.full_up_to {
        let keep = |mask: u32| -> Vec<bool> { (0..count).map(|item| mask >> item & 1 == 1).collect() };
        let all = (0..1u32 << count).map(keep);
        return all.filter(|keep| !is_repeated(items, keep)).collect();
    }
    let mut chosen: Vec<Vec<bool>> = vec![vec![false; count], vec![true; count]];
    for place in 0..count {
        chosen.push((0..count).map(|item| item == place).collect());
        chosen.push((0..count).map(|item| item != place).collect());
        chosen.push((0..count).map(|item| item <= place).collect());
        chosen.push((0..count).map(|item| item > place).collect());
    }
    chosen.extend((0..depth.random).map(|_| (0..count).map(|_| random.below(2) == 0).collect()));
    chosen
}

/// Whether a file was renamed twice, and the second name is kept while the first one stays: what is written under one of
/// them shows under the other.
fn has_two_names(items: &[Unsynced], keep: &[bool]) -> bool {
    let renames = items.iter().zip(keep).filter_map(|(item, keep)| match item {
        Unsynced::Names { removed: Some(from), added: Some(to) } => Some((from, to, *keep)),
        _ => None,
    });
    let renames: Vec<_> = renames.collect();
    renames.iter().enumerate().any(|(place, (from, _, kept))| {
        *kept && renames[..place].iter().any(|(_, to, earlier_kept)| to == from && !earlier_kept)
    })
}

/// Whether another subset leaves the same: a sector's earlier write is kept together with a later one.
fn is_repeated(items: &[Unsynced], keep: &[bool]) -> bool {
    let is_sector = |item: &Unsynced| matches!(item, Unsynced::Sector { .. });
    let kept = |place: usize| keep[place] && is_sector(&items[place]);
    (0..items.len()).any(|place| {
        kept(place) && (place + 1..items.len()).any(|later| kept(later) && items[later] == items[place])
    })
}

/// Every crash point of every usual run; see [`Depth`] for the subsets.
///
/// # Errors
/// A violation.
pub fn everything(depth: Depth, tell: Progress<'_>) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for (writers, policy) in
        [(1, SyncPolicy::Always), (2, SyncPolicy::Always), (1, SyncPolicy::No), (2, SyncPolicy::No)]
    {
        let (setup, mut random) = (Setup::usual(writers, policy), Random::new(u64::from(writers)));
        let all = |call| {
            tell(&format!(
                "subsets: {writers} log writers, policy {policy:?}: crash before disk call {call}"
            ));
            true
        };
        counts.merge(&sweep(&setup, depth, &mut random, all)?);
    }
    Ok(counts)
}
