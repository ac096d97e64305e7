//! One load on one server, and the figures that come of it.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use super::CompareError;
use super::scenario::{Metric, Scenario, Work};
use super::server::Server;
use crate::load::{KeyOrder, LoadError, Mark, Outcome, Timing, Workload, run};
use crate::process;

pub type Figures = BTreeMap<Metric, f64>;

/// Commands per batch while a server is filled.
const FILL_PIPELINE: usize = 64;
/// A server that was filled writes its log out, gives back buffers and syncs: `everysec` promises two seconds at most.
pub const SETTLE_AFTER_FILL: Duration = Duration::from_secs(3);
/// Between two measurements.
const SETTLE: Duration = Duration::from_millis(150);

/// Sizes of one measurement.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub measured: Duration,
    /// Keys that a load uses.
    pub keys: u64,
}

/// Writes every key once.
pub fn fill(server: &Server, keys: u64, scenario: &'static str) -> Result<(), CompareError> {
    write_each(server, "SET {key} {value}", keys, scenario)?;
    check_key_count(server, keys, scenario)
}

/// Sends `command` once for each of the first `keys` keys.
pub fn write_each(
    server: &Server,
    command: &str,
    keys: u64,
    scenario: &'static str,
) -> Result<(), CompareError> {
    let workload = Workload {
        key_order: KeyOrder::Ascending,
        keys,
        ..Workload::new(server.address, command).pipeline(FILL_PIPELINE)
    };
    let outcomes = run(&[workload], Timing::Commands(keys), |_| ());
    let outcomes = outcomes.map_err(|source| load_error(server, scenario, source))?;
    check(server, scenario, &outcomes)
}

/// Puts a load on a server that holds all keys.
pub fn load(server: &Server, scenario: &Scenario, extent: Extent) -> Result<Figures, CompareError> {
    let Work::Load { command, clients, pipeline, probe } = scenario.work else {
        return Err(wrong(server, scenario.name, "not a load".to_owned()));
    };
    let base = |command| Workload { keys: extent.keys, ..Workload::new(server.address, command) };
    let groups: Vec<Workload> = std::iter::once(base(command).clients(clients).pipeline(pipeline))
        .chain(probe.map(|command| base(command).clients(1)))
        .collect();
    level_the_field();
    let timing = Timing::For { warm_up: extent.measured / 5, measured: extent.measured };
    let mut cpu = Vec::new();
    let outcomes = run(&groups, timing, |_: Mark| cpu.push(process::cpu_time(server.pid())));
    let outcomes = outcomes.map_err(|source| load_error(server, scenario.name, source))?;
    check(server, scenario.name, &outcomes)?;
    let cpu: Vec<Duration> =
        cpu.into_iter().collect::<Result<_, _>>().map_err(|source| server.process_error(source))?;
    let used = match cpu[..] {
        [before, after] => after.saturating_sub(before),
        _ => Duration::ZERO,
    };
    let replies: u64 = outcomes.iter().map(|outcome| outcome.replies).sum();
    let microseconds = |latency: Duration| latency.as_secs_f64() * 1e6;
    let mut figures = Figures::from([
        (Metric::OpsPerSecond, outcomes[0].replies_per_second()),
        (Metric::CpuMicrosecondsPerOp, microseconds(used) / replies.max(1) as f64),
        (Metric::P99Microseconds, microseconds(outcomes[0].latency(0.99))),
    ]);
    if let Some(probe) = outcomes.get(1) {
        figures.insert(Metric::ProbeP99Microseconds, microseconds(probe.latency(0.99)));
    }
    Ok(figures)
}

/// Fills an empty server, measures its memory, kills it and starts it again.
pub fn fill_and_restart(
    server: &mut Server,
    scenario: &Scenario,
    keys: u64,
) -> Result<Figures, CompareError> {
    let resident =
        |server: &Server| process::resident_bytes(server.pid()).map_err(|error| server.process_error(error));
    let empty = resident(server)?;
    fill(server, keys, scenario.name)?;
    thread::sleep(SETTLE_AFTER_FILL);
    let full = resident(server)?;
    let restart = server.crash_and_restart()?;
    check_key_count(server, keys, scenario.name)?;
    Ok(Figures::from([
        (Metric::BytesPerKey, full.saturating_sub(empty) as f64 / keys as f64),
        (Metric::RestartSeconds, restart.as_secs_f64()),
    ]))
}

/// What the server before wrote must not be written back while this one is measured.
pub fn level_the_field() {
    rustix::fs::sync();
    thread::sleep(SETTLE);
}

/// Every reply came and none was an error or null.
pub fn check(server: &Server, scenario: &'static str, outcomes: &[Outcome]) -> Result<(), CompareError> {
    for outcome in outcomes {
        if let Some(error) = &outcome.first_error {
            return Err(wrong(server, scenario, format!("{} replies are errors: {error}", outcome.errors)));
        }
        if outcome.nulls > 0 {
            return Err(wrong(server, scenario, format!("{} keys are missing", outcome.nulls)));
        }
        if outcome.replies == 0 {
            return Err(wrong(server, scenario, "no reply in the measured time".to_owned()));
        }
    }
    Ok(())
}

/// What was acknowledged is there.
pub fn check_key_count(server: &Server, keys: u64, scenario: &'static str) -> Result<(), CompareError> {
    let found = server.key_count()?;
    if u64::try_from(found) == Ok(keys) {
        return Ok(());
    }
    Err(wrong(server, scenario, format!("{keys} keys were acknowledged, {found} are there")))
}

pub fn wrong(server: &Server, scenario: &'static str, what: String) -> CompareError {
    CompareError::Wrong { peer: server.peer.name.clone(), scenario, what }
}

pub fn load_error(server: &Server, scenario: &'static str, source: LoadError) -> CompareError {
    CompareError::Load { peer: server.peer.name.clone(), scenario, source }
}
