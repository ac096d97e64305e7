//! The kinds of runs: without a crash, with power cuts of a simulated disk, with killed processes.
//!
//! With `appendfsync always`, what was acknowledged, or seen, is there after a crash. With `everysec`, what is there
//! is what was there at some moment, as far as the checker can tell: see [`Durability::Buffered`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use everfast::config::{AppendFsync, Config, LogWriters};
use everfast::persist::disk::{CrashMode, Disk, SimDisk};
use everfast::server::ServerError;
use everfast::shard::shared::ShutdownRequest;
use formats::resp::Value;

use super::checker::{Verdict, check};
use super::history::{Durability, PipelineOrder, Promise};
use super::record::Recorder;
use super::script::Mix;
use super::shrink::explain;
use crate::client::keep_saving;
use crate::family::{Counts, Family, Place};
use crate::in_process::{InProcess, config};
use crate::random::Random;
use crate::server_process::{Launch, ServerProcess};
use crate::switch_disk::{Call, Effect, Switches};

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
            let property = match (history.crashes.is_empty(), history.promise.durability) {
                (true, _) => "all see one order of the operations",
                (_, Durability::Strict) => {
                    "(a, c, d, i) `always`: what was acknowledged or seen outlives a crash"
                }
                (_, Durability::Buffered) => {
                    "(b, c) what outlives a crash is what was there at some moment before it"
                }
            };
            Err(format!("{property}, but {}", explain(&history, &violation)))
        }
    }
}

/// What a round draws first.
#[derive(Clone, Copy, Debug)]
struct Setting {
    /// The servers of a history have up to so many shards. Often one, because one promises more.
    most_shards: u16,
    appendfsync: AppendFsync,
}

impl Setting {
    fn draw(random: &mut Random, policies: &[AppendFsync]) -> Self {
        Self {
            most_shards: if random.below(4) == 0 { 1 } else { 4 },
            appendfsync: policies[random.below(policies.len() as u64) as usize],
        }
    }

    fn shards(&self, random: &mut Random) -> u16 {
        1 + random.below(u64::from(self.most_shards)) as u16
    }

    fn is_strict(&self) -> bool {
        self.appendfsync == AppendFsync::Always
    }

    fn promise(&self) -> Promise {
        Promise {
            pipelines: if self.most_shards == 1 { PipelineOrder::Always } else { PipelineOrder::OnEachKey },
            durability: if self.is_strict() { Durability::Strict } else { Durability::Buffered },
        }
    }

    /// A recorder of clients that send what is promised something. A third of the histories has keys that nothing joins:
    /// short searches, so that more can be under way.
    fn recorder(&self, operations: u64, random: &mut Random) -> Recorder {
        let single_keys = random.below(3) == 0 || (!self.is_strict() && self.most_shards > 1);
        let mix = Mix::new(random, operations, single_keys);
        Recorder::new(mix, self.promise(), random)
    }
}

const HISTORIES_WITHOUT_CRASH: u64 = 20;

/// Many small histories on one server.
fn without_crash(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let setting = Setting::draw(&mut random, &[AppendFsync::Always, AppendFsync::Everysec, AppendFsync::No]);
    let config = config(setting.shards(&mut random), setting.appendfsync);
    let saves = random.below(2) == 0;
    let disk: Arc<dyn Disk> = SimDisk::new().mount();
    let server = serve(&disk, config).map_err(|error| format!("no start: {error}"))?;
    let address = server.address();
    let mut counts = Counts::default();
    std::thread::scope(|scope| {
        if saves {
            scope.spawn(move || keep_saving(address, SAVE_PAUSE, || true));
        }
        // Whatever comes of the histories, the server has to end, and the saving with it.
        let found = histories(&server, setting, &mut random, &mut counts);
        let end = server.stop(ShutdownRequest::default());
        found.and(end.map_err(|error| format!("the server did not end well: {error}")))
    })?;
    Ok(counts)
}

fn histories(
    server: &InProcess,
    setting: Setting,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<(), String> {
    let mut control = server.client();
    for _ in 0..HISTORIES_WITHOUT_CRASH {
        match control.call(&["FLUSHALL"]) {
            Ok(Value::Simple(_)) => {}
            other => return Err(format!("FLUSHALL is answered with {other:?}")),
        }
        // Without a crash there is nothing that a policy takes away.
        let setting = Setting { appendfsync: AppendFsync::Always, ..setting };
        let mut recorder = setting.recorder(120, random);
        let ((), end) = recorder.run_clients(server.address(), random, |_| ());
        end.map_err(|error| format!("a connection ended: {error}"))?;
        recorder.read_all(server.address()).map_err(|error| format!("no reply to a read: {error}"))?;
        judge(recorder, counts)?;
    }
    Ok(())
}

const HISTORIES_WITH_POWER_CUTS: u64 = 8;
const LONGEST_ERA_CALLS: u64 = 160;

/// An era and its end, for the text of a violation.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "shown whole")]
struct Cut {
    shards: u16,
    writers: LogWriters,
    /// Calls of the disk before the power goes.
    call: u64,
    mode: CrashMode,
    saves: bool,
    holds_syncs: bool,
}

/// Histories of several eras, each on a disk of its own.
fn power_cuts(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    for _ in 0..HISTORIES_WITH_POWER_CUTS {
        let policies = [AppendFsync::Always, AppendFsync::Always, AppendFsync::Always, AppendFsync::Everysec];
        let setting = Setting::draw(&mut random, &policies);
        let mut cuts = Vec::new();
        history_with_power_cuts(setting, &mut random, &mut cuts, &mut counts).map_err(|what| {
            let cuts: String = cuts.iter().map(|cut| format!("\n  {cut:?}")).collect();
            format!("{what}\nwith {setting:?} and cuts{cuts}")
        })?;
    }
    Ok(counts)
}

fn history_with_power_cuts(
    setting: Setting,
    random: &mut Random,
    cuts: &mut Vec<Cut>,
    counts: &mut Counts,
) -> Result<(), String> {
    let mut recorder = setting.recorder(30, random);
    let disk = SimDisk::new();
    for _ in 0..1 + random.below(3) {
        era_until_power_cut(&disk, setting, &mut recorder, random, cuts)?;
    }
    let server = serve(&disk.mount(), small(setting, random))
        .map_err(|error| format!("no start after a power cut: {error}"))?;
    recorder.read_all(server.address()).map_err(|error| format!("no reply after a power cut: {error}"))?;
    server
        .stop(ShutdownRequest::default())
        .map_err(|error| format!("the server did not end well: {error}"))?;
    judge(recorder, counts)
}

/// Any number of shards and log writers, segments so small that there are many.
fn small(setting: Setting, random: &mut Random) -> Config {
    let shards = setting.shards(random);
    Config {
        segment_size_bytes: 64 << 10,
        log_writers: LogWriters::Count(1 + random.below(u64::from(shards)) as u16),
        ..config(shards, setting.appendfsync)
    }
}

/// Starts a server, loads it until the power goes at some disk call or its clients are through, and cuts the power then.
fn era_until_power_cut(
    disk: &SimDisk,
    setting: Setting,
    recorder: &mut Recorder,
    random: &mut Random,
    cuts: &mut Vec<Cut>,
) -> Result<(), String> {
    let cut = disk.calls() + random.below(LONGEST_ERA_CALLS);
    let config = small(setting, random);
    // Without checkpoints hardly anything outlives a cut that no sync went before.
    let saves = random.below(2) == 0 || !setting.is_strict();
    let mode = match random.below(3) {
        0 => CrashMode::DropUnsynced,
        _ => CrashMode::KeepRandom(random.draw()),
    };
    let switches = (random.below(2) == 0).then(Switches::default);
    let mut choices = Random::new(random.draw());
    let (shards, writers, holds_syncs) = (config.shards, config.log_writers, switches.is_some());
    cuts.push(Cut { shards, writers, call: cut, mode, saves, holds_syncs });
    disk.crash_at(cut);
    let mount = match &switches {
        Some(switches) => switches.before(disk.mount()),
        None => disk.mount(),
    };
    let server = match serve(&mount, config) {
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
    std::thread::scope(|scope| {
        if saves {
            scope.spawn(move || keep_saving(address, SAVE_PAUSE, || true));
        }
        let ((), _) = recorder.run_clients(address, &mut choices, |progress| {
            while disk.calls() < cut && !progress().1 {
                hold_syncs(switches.as_ref());
            }
            disk.crash(mode);
            drop(server.stop(ShutdownRequest { force: true, ..ShutdownRequest::default() })); // it cannot end well
        });
    });
    recorder.crash();
    Ok(())
}

/// For so long syncs are held back, and for so long they pass then.
const TURN: Duration = Duration::from_micros(300);

/// Holds all syncs back for a moment, if there are switches: what was written and not synced is what a cut takes away,
/// and on a disk in memory there is hardly a moment for anyone to see it.
fn hold_syncs(switches: Option<&Switches>) {
    if let Some(switches) = switches {
        switches.on(Call::Sync, "", Effect::Wait);
        std::thread::sleep(TURN);
        switches.all_off();
    }
    std::thread::sleep(TURN);
}

const KILLS: u64 = 3;

/// One history of several processes on one directory.
fn kills(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let dir = place.scratch.join("data");
    let setting = Setting::draw(&mut random, &[AppendFsync::Always]);
    let mut recorder = setting.recorder(150, &mut random);
    for _ in 0..KILLS {
        let mut server = start(&place.server, &dir, setting, &mut random)?;
        let address = server.address();
        let saves = random.below(2) == 0;
        let moments = random.below(600);
        let mut choices = Random::new(random.draw());
        std::thread::scope(|scope| {
            if saves {
                scope.spawn(move || keep_saving(address, SAVE_PAUSE, || true));
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
    let server = start(&place.server, &dir, setting, &mut random)?;
    recorder.read_all(server.address()).map_err(|error| format!("no reply after a kill: {error}"))?;
    judge(recorder, &mut counts)?;
    Ok(counts)
}

/// Starts a server in this process.
fn serve(disk: &Arc<dyn Disk>, config: Config) -> Result<InProcess, ServerError> {
    for _ in 1..PORTS {
        match InProcess::start(disk, config.clone()) {
            Err(error) if error.to_string().contains(PORT_IS_TAKEN) => {}
            other => return other,
        }
    }
    InProcess::start(disk, config)
}

/// What a server says of a port that somebody else has.
const PORT_IS_TAKEN: &str = "address in use";

/// Times that another port is tried when somebody else was faster to take one that was free.
const PORTS: usize = 5;

fn start(binary: &Path, dir: &Path, setting: Setting, random: &mut Random) -> Result<ServerProcess, String> {
    let shards = setting.shards(random).to_string();
    let args = ["--shards", &shards, "--appendfsync", "always"].map(str::to_owned);
    let mut why = String::new();
    for attempt in 0..PORTS {
        let log = dir.with_file_name(format!("server-{}-{attempt}.log", random.draw()));
        let launch = Launch { log: log.clone(), ..Launch::new(binary, dir, &args) };
        match launch.start() {
            Ok(server) => return Ok(server),
            Err(error) => why = error.to_string(),
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        if !said.contains(PORT_IS_TAKEN) {
            return Err(format!("no start after a kill: {why}: {}", said.trim_end()));
        }
    }
    Err(format!("no free port: {why}"))
}
