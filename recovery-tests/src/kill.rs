//! The campaign of kills: load and one checkpoint after the other, `kill -9` at a random moment, restart with another number
//! of shards, check.
//!
//! What SIGKILL proves: nothing acknowledged was only in the process's memory, and recovery brings back exactly what
//! the log holds, on any number of shards. It does not prove durability: the page cache survives it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::{Client, keep_saving};
use crate::random::Random;
use crate::server_process::{ServerProcess, binary};
use crate::workload::{End, Workload};

/// Between two checkpoints under load.
const SAVE_PAUSE: Duration = Duration::from_millis(15);

/// What to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub rounds: u64,
    pub seed: u64,
    pub clients: usize,
    /// Numbers of shards, one after the other.
    pub shards: Vec<u16>,
    pub appendfsync: String,
    /// Longest load before a kill.
    pub load: Duration,
    /// Where the data lies; kept if something is wrong.
    pub dir: PathBuf,
}

/// What was run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub kills: u64,
    pub crashes_in_recovery: u64,
    pub acknowledged: u64,
}

/// Runs a campaign.
///
/// # Errors
/// The first violation, with the seed and round that show it.
pub fn run(campaign: &Campaign) -> Result<Counts, String> {
    let binary = binary().map_err(|error| error.to_string())?;
    let dir = campaign.dir.join("data");
    let mut random = Random::new(campaign.seed);
    let mut workloads: Vec<Workload> =
        (0..campaign.clients).map(|index| Workload::new(index, random.draw())).collect();
    let mut counts = Counts::default();
    for round in 0..=campaign.rounds {
        let failed = |what: String| format!("seed {} round {round}: {what}", campaign.seed);
        let shards = campaign.shards[round as usize % campaign.shards.len()];
        let args =
            ["--shards", &shards.to_string(), "--appendfsync", &campaign.appendfsync].map(str::to_owned);
        if round > 0 && random.below(4) == 0 {
            kill_while_starting(&binary, &dir, &args, &mut random)
                .map_err(|error| failed(error.to_string()))?;
            counts.crashes_in_recovery += 1;
        }
        let mut server =
            ServerProcess::start(&binary, &dir, &args).map_err(|error| failed(error.to_string()))?;
        check(&server, &mut workloads).map_err(failed)?;
        if round == campaign.rounds {
            let clean = server.terminate().map_err(|error| failed(error.to_string()))?;
            return if clean { Ok(counts) } else { Err(failed("the last server did not end well".into())) };
        }
        let load = Duration::from_millis(1 + random.below(campaign.load.as_millis() as u64));
        let ends =
            load_and_kill(&mut server, &mut workloads, load).map_err(|error| failed(error.to_string()))?;
        for end in ends {
            if let End::Wrong(what) = end {
                return Err(failed(what));
            }
        }
        counts.kills += 1;
        counts.acknowledged = workloads.iter().map(|workload| workload.acknowledged).sum();
    }
    Ok(counts)
}

/// A second crash, in the middle of the recovery from the first.
fn kill_while_starting(
    binary: &std::path::Path,
    dir: &std::path::Path,
    args: &[String],
    random: &mut Random,
) -> io::Result<()> {
    let port = crate::server_process::free_port()?;
    let mut child = std::process::Command::new(binary)
        .args(["--port", &port.to_string(), "--dir"])
        .arg(dir)
        .args(args)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    std::thread::sleep(Duration::from_millis(random.below(40)));
    child.kill()?;
    child.wait().map(drop)
}

fn check(server: &ServerProcess, workloads: &mut [Workload]) -> Result<(), String> {
    let mut client = Client::connect(server.address()).map_err(|error| error.to_string())?;
    for workload in workloads {
        let violations = workload.check(&mut client).map_err(|error| error.to_string())?;
        if !violations.is_empty() {
            return Err(violations.join("\n  "));
        }
    }
    Ok(())
}

fn load_and_kill(
    server: &mut ServerProcess,
    workloads: &mut [Workload],
    load: Duration,
) -> io::Result<Vec<End>> {
    let address = server.address();
    std::thread::scope(|scope| {
        let clients: Vec<_> = workloads
            .iter_mut()
            .map(|workload| {
                scope.spawn(move || match Client::connect(address) {
                    Ok(mut client) => workload.run(&mut client),
                    Err(_) => End::Connection,
                })
            })
            .collect();
        let saves = scope.spawn(move || keep_saving(address, SAVE_PAUSE));
        std::thread::sleep(load);
        server.kill()?;
        drop(saves.join()); // it ends with its connection
        Ok(clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| End::Wrong("a client panicked".into())))
            .collect())
    })
}
