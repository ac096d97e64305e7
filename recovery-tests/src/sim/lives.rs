//! The lives of a server on one disk: start, load, end, check.

use std::panic::{AssertUnwindSafe, catch_unwind};

use everfast::config::AppendFsync;
use everfast::persist::disk::CrashMode;
use everfast::persist::log::journal;

use super::checker::{self, Before, Keys};
use super::choices::Choices;
use super::world::{Placement, World, within};
use crate::family::{Counts, FAULTS, panicked};

/// Starts on a disk whose calls fail now and then, until one succeeds.
const STARTS: usize = 12;
/// What `everysec` may lose, in ms of simulated time.
const EVERYSEC_LOSS_MS: u64 = 2000;

/// What a run made.
pub struct Ran {
    pub choices: Vec<u64>,
    pub violation: Option<String>,
    pub counts: Counts,
    pub trace: Vec<String>,
}

/// One run. `traced`: tells what happened.
pub fn run(choices: Choices, traced: bool) -> Ran {
    within(choices, traced, |world| {
        let mut counts = Counts::default();
        let lived = catch_unwind(AssertUnwindSafe(|| lives(world, &mut counts)));
        let lived = lived.unwrap_or_else(|panic| Err(panicked(&*panic)));
        let violation = lived.err().or_else(|| world.violation());
        counts.add("runs", 1);
        counts.add("disk calls", world.disk.calls());
        counts.add("commands", world.commands.get());
        counts.add("acknowledged", world.acknowledged.get());
        counts.add("saves", world.saves.get());
        counts.add(FAULTS, world.disk.faults_fired());
        Ran { choices: world.choices(), violation, counts, trace: world.trace() }
    })
}

impl End {
    fn name(self, is_closed: bool) -> &'static str {
        match self {
            End::PowerCut => "power cuts",
            End::Proper if is_closed => "proper ends",
            End::Kill | End::Proper => "kills",
        }
    }
}

/// What is known of a life that has ended, and where its keys were.
struct Ended {
    before: Before,
    placement: Placement,
    /// Nothing was acknowledged or shown before it was durable.
    is_whole: bool,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerCut,
    Kill,
    Proper,
}

fn lives(world: &World, counts: &mut Counts) -> Result<(), String> {
    begin(world, counts)?;
    let lives = 1 + world.below(4);
    for _ in 0..lives {
        let before = live(world, counts)?;
        world.draw_setup();
        begin(world, counts)?;
        check(world, &before, counts)?;
    }
    Ok(())
}

/// Loads the server until its end; answers what is known of that life.
fn live(world: &World, counts: &mut Counts) -> Result<Ended, String> {
    let base = world.keys();
    let end = world.of(&[End::PowerCut, End::PowerCut, End::PowerCut, End::Kill, End::Proper]);
    let faults = if world.once_in(4) { 1 + world.below(4) } else { 0 };
    let (steps, calls) = (world.below(400), world.below(600));
    world.is_faulty.set(false);
    if end == End::PowerCut {
        world.power_fails_in(calls);
    }
    world.plan_faults(faults, 300);
    world.live(steps);
    if world.once_in(8) {
        world.calm_down();
    }
    if let Some(violation) = world.violation() {
        return Err(violation);
    }
    let now = everfast::clock::unix_ms();
    let mut before = Before { base, journal: Vec::new(), released: world.released(), kept_until_ms: 0 };
    let placement = world.placement();
    // It never became weaker than it began.
    if world.setup().policy != AppendFsync::No {
        // Where writing failed, what came shortly before may be lost as well.
        before.kept_until_ms = world.first_refusal.get().unwrap_or(now).min(now) - EVERYSEC_LOSS_MS;
    }
    let is_closed = end == End::Proper && world.close().is_ok();
    if is_closed {
        before.kept_until_ms = u64::MAX;
    }
    match end {
        End::PowerCut => world.disk.crash_at(world.disk.calls()),
        End::Kill | End::Proper => world.disk.kill_process(),
    }
    counts.add(end.name(is_closed), 1);
    before.journal = journal::set(false);
    checker::tells_the_same(&before, &world.keys(), |key| placement.shard_of(key))?;
    world.vanish();
    world.power_stays();
    // What a proper end left is durable.
    if end == End::PowerCut || is_closed && world.once_in(2) {
        power_cut(world);
    }
    Ok(Ended { before, placement, is_whole: world.was_always.get() })
}

fn power_cut(world: &World) {
    let seed = world.below(1 << 32);
    let mode = if seed.is_multiple_of(3) { CrashMode::DropUnsynced } else { CrashMode::KeepRandom(seed) };
    world.tell(|| format!("the power goes: {mode:?}"));
    world.disk.crash(mode);
    world.disk.set_disk_full(false);
}

/// Starts a server; the power may go meanwhile, several times.
fn begin(world: &World, counts: &mut Counts) -> Result<(), String> {
    let mut refusal = String::new();
    for start in 0..STARTS {
        let fails = start < 3 && world.once_in(4);
        if fails {
            let calls = world.below(60);
            world.power_fails_in(calls);
        }
        let started = world.start();
        let failed = world.power_has_failed();
        world.power_stays();
        if failed {
            counts.add("power cuts in recovery", 1);
            world.vanish();
            power_cut(world);
            continue;
        }
        world.disk.crash_at(u64::MAX);
        match started {
            Ok(()) => return Ok(()),
            Err(error) if world.is_faulty.get() => {
                world.disk.set_disk_full(false);
                refusal = error;
            }
            Err(error) => return Err(format!("no start: {error}")),
        }
    }
    Err(format!("no start though the disk works again: {refusal}"))
}

fn check(
    world: &World,
    Ended { before, placement, is_whole }: &Ended,
    counts: &mut Counts,
) -> Result<(), String> {
    let found: Keys = world.keys();
    counts.add("effects lost", checker::check(before, &found, |key| placement.shard_of(key))?);
    counts.add("effects", before.journal.len() as u64);
    let now = everfast::clock::unix_ms();
    for item in world.items.borrow_mut().iter_mut() {
        let key = |key: &String| found.get(&(item.database, key.as_bytes().to_vec())).cloned();
        let state: Vec<_> = item.keys.iter().map(key).collect();
        item.found(&state, now, *is_whole)?;
    }
    Ok(())
}
