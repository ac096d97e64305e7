//! The kinds of runs: without a crash, with power cuts of a simulated disk, with killed processes.
//!
//! All run with `appendfsync always` where there is a crash: what was acknowledged, or seen, is there afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use everfast::config::{AppendFsync, Config};
use everfast::persist::disk::{CrashMode, Disk, SimDisk};
use everfast::shard::shared::ShutdownRequest;
use formats::resp::Value;

use super::checker::{Verdict, check};
use super::history::PipelineOrder;
use super::record::Recorder;
use super::script::Mix;
use super::shrink::explain;
use crate::client::keep_saving;
use crate::family::{Counts, Family, Place};
use crate::in_process::{InProcess, config};
use crate::random::Random;
use crate::server_process::ServerProcess;

/// The kinds of runs that look for linearizability.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "linear",
        about: "concurrent clients of a whole server see one order of all operations",
        share: 2,
        round: without_crash,
    },
    Family {
        name: "linear-power-cut",
        about: "the same across power cuts at any disk call, and restarts with other numbers of shards",
        share: 4,
        round: power_cuts,
    },
    Family {
        name: "linear-kill",
        about: "the same across kill -9 of a real process",
        share: 2,
        round: kills,
    },
];

/// Between two checkpoints.
const SAVE_PAUSE: Duration = Duration::from_millis(2);

/// Checks a finished history and counts it.
fn judge(recorder: Recorder, counts: &mut Counts) -> Result<(), String> {
    let (history, refused) = recorder.finish();
    counts.add("histories", 1);
    counts.add("operations", history.operations.len() as u64);
    counts.add("crashes", history.crashes.len() as u64);
    counts.add("refused", refused);
    match check(&history) {
        Verdict::Linearizable => Ok(()),
        Verdict::Undecided => {
            counts.add("undecided", 1);
            Ok(())
        }
        Verdict::NotLinearizable(violation) => {
            let property =
                if history.crashes.is_empty() { "" } else { " (a, d, i: `always` loses nothing seen)" };
            Err(format!("not linearizable{property}: {}", explain(&history, &violation)))
        }
    }
}

/// Most shards that a history's servers have, and what that makes of pipelines: often one, because one promises more.
fn most_shards(random: &mut Random) -> (u16, PipelineOrder) {
    match random.below(4) {
        0 => (1, PipelineOrder::Always),
        _ => (4, PipelineOrder::OnEachKey),
    }
}

fn draw_shards(most: u16, random: &mut Random) -> u16 {
    1 + random.below(u64::from(most)) as u16
}

const HISTORIES_WITHOUT_CRASH: u64 = 40;

/// Many small histories on one server.
fn without_crash(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let policies = [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No];
    let (most, pipelines) = most_shards(&mut random);
    let config = config(draw_shards(most, &mut random), policies[random.below(3) as usize]);
    let saves = random.below(2) == 0;
    let disk: Arc<dyn Disk> = SimDisk::new().mount();
    let server = InProcess::start(&disk, config).map_err(|error| format!("no start: {error}"))?;
    let address = server.address();
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        if saves {
            scope.spawn(move || keep_saving(address, SAVE_PAUSE));
        }
        // Whatever comes of the histories, the server has to end, and the saving with it.
        let found = histories(&server, pipelines, &mut random, &mut counts);
        let end = server.stop(ShutdownRequest::default());
        found.and(end.map_err(|error| format!("the server did not end well: {error}")))
    })?;
    Ok(counts)
}

fn histories(
    server: &InProcess,
    pipelines: PipelineOrder,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), String> {
    let mut control = server.client();
    for _ in 0..HISTORIES_WITHOUT_CRASH {
        match control.call(&["FLUSHALL"]) {
            Ok(Value::Simple(_)) => {}
            other => return Err(format!("FLUSHALL is answered with {other:?}")),
        }
        let mut recorder = Recorder::new(Mix::new(random, 40), pipelines, random);
        let ((), end) = recorder.run_clients(server.address(), random, |_| ());
        end.map_err(|error| format!("a connection ended: {error}"))?;
        recorder.read_all(server.address()).map_err(|error| format!("no reply to a read: {error}"))?;
        judge(recorder, counts)?;
    }
    Ok(())
}

const HISTORIES_WITH_POWER_CUTS: u64 = 8;
const LONGEST_ERA_CALLS: u64 = 160;

/// Histories of several eras, each on a disk of its own.
fn power_cuts(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    for _ in 0..HISTORIES_WITH_POWER_CUTS {
        let (most, pipelines) = most_shards(&mut random);
        let mut recorder = Recorder::new(Mix::new(&mut random, 30), pipelines, &mut random);
        let disk = SimDisk::new();
        for _ in 0..1 + random.below(3) {
            era_until_power_cut(&disk, most, &mut recorder, &mut random)?;
        }
        let server = InProcess::start(&disk.mount(), small(most, &mut random))
            .map_err(|error| format!("no start after a power cut: {error}"))?;
        recorder
            .read_all(server.address())
            .map_err(|error| format!("no reply after a power cut: {error}"))?;
        server
            .stop(ShutdownRequest::default())
            .map_err(|error| format!("the server did not end well: {error}"))?;
        judge(recorder, &mut counts)?;
    }
    Ok(counts)
}

/// Any number of shards and log writers, segments so small that there are many.
fn small(most: u16, random: &mut Random) -> Config {
    let shards = draw_shards(most, random);
    Config {
        segment_size_bytes: 64 << 10,
        log_writers: everfast::config::LogWriters::Count(1 + random.below(u64::from(shards)) as u16),
        ..config(shards, AppendFsync::Always)
    }
}

/// Starts a server, loads it until the power goes at some disk call or its clients are through, and cuts the power then.
fn era_until_power_cut(
    disk: &SimDisk,
    most: u16,
    recorder: &mut Recorder,
    random: &mut Random,
) -> Result<(), String> {
    let cut = disk.calls() + random.below(LONGEST_ERA_CALLS);
    let config = small(most, random);
    let (saves, mode) = (
        random.below(2) == 0,
        match random.below(3) {
            0 => CrashMode::DropUnsynced,
            _ => CrashMode::KeepRandom(random.draw()),
        },
    );
    let mut choices = Random::new(random.draw());
    disk.crash_at(cut);
    let server = match InProcess::start(&disk.mount(), config) {
        Ok(server) => server,
        Err(error) if disk.calls() < cut => return Err(format!("no start: {error}")),
        Err(_) => {
            // The power went while it started.
            disk.crash(mode);
            recorder.crash();
            return Ok(());
        }
    };
    let address = server.address();
    let _ = recorder.read_all(address); // the power may go meanwhile
    std::thread::scope(|scope| {
        if saves {
            scope.spawn(move || keep_saving(address, SAVE_PAUSE));
        }
        let ((), _) = recorder.run_clients(address, &mut choices, |progress| {
            while disk.calls() < cut && !progress().1 {
                std::thread::sleep(Duration::from_micros(100));
            }
            disk.crash(mode);
            drop(server.stop(ShutdownRequest { force: true, ..ShutdownRequest::default() })); // it cannot end well
        });
    });
    recorder.crash();
    Ok(())
}

const KILLS: u64 = 3;

/// One history of several processes on one directory.
fn kills(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let dir = place.scratch.join("data");
    let (most, pipelines) = most_shards(&mut random);
    let mut recorder = Recorder::new(Mix::new(&mut random, 150), pipelines, &mut random);
    for _ in 0..KILLS {
        let mut server = start(&place.server, &dir, most, &mut random)?;
        let address = server.address();
        recorder.read_all(address).map_err(|error| format!("no reply after a kill: {error}"))?;
        let saves = random.below(2) == 0;
        let moments = random.below(600);
        let mut choices = Random::new(random.draw());
        std::thread::scope(|scope| {
            if saves {
                scope.spawn(move || keep_saving(address, SAVE_PAUSE));
            }
            let (killed, _) = recorder.run_clients(address, &mut choices, |progress| {
                let first = progress().0;
                while progress().0 < first + moments && !progress().1 {
                    std::thread::sleep(Duration::from_micros(50));
                }
                server.kill()
            });
            killed.map_err(|error| format!("cannot kill the server: {error}"))
        })?;
        recorder.crash();
    }
    let server = start(&place.server, &dir, most, &mut random)?;
    recorder.read_all(server.address()).map_err(|error| format!("no reply after a kill: {error}"))?;
    judge(recorder, &mut counts)?;
    Ok(counts)
}

fn start(binary: &Path, dir: &Path, most: u16, random: &mut Random) -> Result<ServerProcess, String> {
    let shards = draw_shards(most, random).to_string();
    let args = ["--shards", &shards, "--appendfsync", "always"].map(str::to_owned);
    ServerProcess::start(binary, dir, &args).map_err(|error| format!("no start: {error}"))
}
