//! A whole server, sockets and all, on a simulated disk that stops at a given call and then forgets what was not synced.
//! While clients write, another one starts one checkpoint after the other.
//!
//! This finds what SIGKILL cannot, because the page cache survives a kill: replies that left before the sync that
//! covers them, files that were named but not synced, parts of transactions that were acknowledged alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use everfast::config::{AppendFsync, Config, Loaded, LogRetention, LogWriters};
use everfast::persist::disk::{CrashMode, Disk, SimDisk};
use everfast::server::{Server, ServerError};
use everfast::shard::shared::ShutdownRequest;

use crate::client::{Client, keep_saving};
use crate::clients::workload::{End, Workload};
use crate::family::{Counts, Family, Place};
use crate::random::Random;
use crate::server_process::free_port;

/// One run, crashed at one call.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub seed: u64,
    /// Disk calls before the power goes, counted from the start of the server.
    pub call: u64,
    /// Shards before the cut, and after it.
    pub shards: (u16, u16),
    /// Log writers, at most.
    pub writers: u16,
    /// Un-synced data: all of it is lost, or a random part is kept.
    pub keep_some: bool,
}

/// Cases that seeds choose.
pub const FAMILY: Family = Family {
    name: "power-cut",
    about: "a whole server on a simulated disk that stops at a call and forgets what was not synced",
    share: 4,
    round,
};

/// Cuts come before this call; most runs end earlier.
const CALLS: u64 = 400;

fn round(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let shards = (1 + random.below(3) as u16, 1 + random.below(3) as u16);
    let writers = 1 + random.below(u64::from(shards.0)) as u16;
    let keep_some = random.below(2) == 0;
    let case = Case { seed: random.draw(), call: random.below(CALLS), shards, writers, keep_some };
    let finished = run(case)?;
    let mut counts = Counts::default();
    counts.add("power cuts", 2);
    counts.add("after the load", finished.into());
    Ok(counts)
}

const CLIENTS: usize = 3;
const ROUNDS: u64 = 12;

/// Runs a case twice over: load and power cut, start and check, load and another cut, start and check.
/// Returns whether the first load ended before the cut.
///
/// # Errors
/// A violation.
pub fn run(case: Case) -> Result<bool, String> {
    let disk = SimDisk::new();
    let mut random = Random::new(case.seed);
    let mut workloads: Vec<Workload> =
        (0..CLIENTS).map(|index| Workload::new(index, random.draw())).collect();
    load(&disk, case, case.call, &mut workloads)?;
    let finished = disk.calls() < case.call;
    crash(&disk, case, random.draw());
    check(&disk, case, case.shards.1, &mut workloads)?;
    load(&disk, case, disk.calls() + case.call / 2, &mut workloads)?;
    crash(&disk, case, random.draw());
    check(&disk, case, case.shards.1, &mut workloads)?;
    Ok(finished)
}

fn crash(disk: &SimDisk, case: Case, seed: u64) {
    disk.crash(if case.keep_some { CrashMode::KeepRandom(seed) } else { CrashMode::DropUnsynced });
}

fn start(disk: &SimDisk, case: Case, shards: u16) -> Result<(Server, SocketAddr), ServerError> {
    let port = free_port().map_err(ServerError::Thread)?;
    let config = Config {
        port,
        dir: PathBuf::from("/data"),
        shards,
        appendfsync: AppendFsync::Always,
        log_writers: LogWriters::Count(case.writers),
        segment_size_bytes: 64 << 10,
        shutdown_timeout_seconds: 0,
        maxclients: 100,
        // History that is kept, or not.
        log_retention: LogRetention { checkpoints: 1 + (case.seed % 3) as u32, ..LogRetention::default() },
        ..Config::default()
    };
    let disk: Arc<dyn Disk> = disk.mount();
    let server = Server::start(Loaded { config, config_file: None }, &disk)?;
    Ok((server, (Ipv4Addr::LOCALHOST, port).into()))
}

/// Loads a server until the workloads are through or the disk stops, at call `cut`.
fn load(disk: &SimDisk, case: Case, cut: u64, workloads: &mut [Workload]) -> Result<(), String> {
    disk.crash_at(cut);
    let Ok((server, address)) = start(disk, case, case.shards.0) else {
        return Ok(()); // the power went while it started
    };
    let stop = server.stopper();
    let serving = std::thread::spawn(move || server.serve());
    let ends = std::thread::scope(|scope| {
        let clients: Vec<_> = workloads
            .iter_mut()
            .map(|workload| {
                scope.spawn(move || match Client::connect(address) {
                    Ok(mut client) => workload.run_rounds(&mut client, ROUNDS),
                    Err(_) => End::Connection,
                })
            })
            .collect();
        let saves = scope.spawn(|| keep_saving(address, Duration::from_millis(1), || true));
        while disk.calls() < cut && clients.iter().any(|client| !client.is_finished()) {
            std::thread::sleep(Duration::from_micros(200));
        }
        stop(ShutdownRequest { force: true, ..ShutdownRequest::default() });
        drop(saves.join()); // it ends with its connection
        clients.into_iter().map(|client| client.join()).collect::<Vec<_>>()
    });
    let _ = serving.join(); // with its disk gone it cannot end well
    for end in ends {
        match end {
            Ok(End::Wrong(what)) => return Err(format!("{case:?}: {what}")),
            Err(_) => return Err(format!("{case:?}: a client panicked")),
            Ok(End::Connection | End::Finished | End::Refused) => {}
        }
    }
    Ok(())
}

/// Starts a server on what is left, and looks.
fn check(disk: &SimDisk, case: Case, shards: u16, workloads: &mut [Workload]) -> Result<(), String> {
    let (server, address) =
        start(disk, case, shards).map_err(|error| format!("{case:?}: no start: {error}"))?;
    let stop = server.stopper();
    let serving = std::thread::spawn(move || server.serve());
    let mut client = Client::connect(address).map_err(|error| format!("{case:?}: {error}"))?;
    let mut violations = Vec::new();
    for workload in workloads {
        violations.extend(workload.check(&mut client).map_err(|error| format!("{case:?}: {error}"))?);
    }
    stop(ShutdownRequest::default());
    match serving.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => violations.push(format!("the server did not end well: {error}")),
        Err(_) => violations.push("the server panicked".into()),
    }
    if violations.is_empty() { Ok(()) } else { Err(format!("{case:?}:\n  {}", violations.join("\n  "))) }
}
