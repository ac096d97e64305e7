//! The rounds: in each, every load runs on one peer after the other.

use std::collections::HashMap;
use std::path::Path;

use super::CompareError;
use super::measure::{self, Extent, Figures};
use super::options::Options;
use super::peer::{Peer, Role};
use super::report::Report;
use super::rows::Row;
use super::scenario::{Policy, SCENARIOS, Scenario, Work};
use super::server::Server;
use crate::process;

/// Load average from which on it is worth a warning.
const BUSY: f64 = 0.5;

/// What one round measured: by peer's name and scenario's.
pub type Round = HashMap<(String, &'static str), Figures>;

/// Measures what the options ask for. Tells its progress on standard error.
pub fn compare(options: &Options) -> Result<Report, CompareError> {
    let session = Session {
        rows: options.selected_rows()?,
        peers: options.all_peers()?,
        extent: Extent { measured: options.measured()?, keys: options.keys() },
        options,
    };
    warn_of_memory_disk(&options.directory());
    let load_average = load_average();
    let rounds = options.rounds();
    let mut measured = Vec::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        measured.push(session.round()?);
    }
    Ok(Report::new(session.rows, session.peers, measured, load_average))
}

struct Session<'a> {
    options: &'a Options,
    rows: Vec<&'static Row>,
    peers: Vec<Peer>,
    extent: Extent,
}

impl Session<'_> {
    fn round(&self) -> Result<Round, CompareError> {
        let mut round = Round::new();
        for policy in [Policy::Always, Policy::EverySecond] {
            self.loads(policy, &mut round)?;
        }
        let fills = SCENARIOS.iter().filter(|scenario| scenario.work == Work::FillAndRestart);
        for (&scenario, peer) in
            fills.flat_map(|scenario| self.peers.iter().map(move |peer| (scenario, peer)))
        {
            if !self.is_wanted(peer, scenario) {
                continue;
            }
            progress(peer, scenario);
            let mut server = Server::start(peer, scenario.policy, &self.options.directory())?;
            let figures = measure::fill_and_restart(&mut server, scenario, self.options.fill_keys())?;
            round.insert((peer.name.clone(), scenario.name), figures);
        }
        Ok(round)
    }

    /// The loads of one policy, on servers that all run at the same time and idle while another is measured.
    fn loads(&self, policy: Policy, round: &mut Round) -> Result<(), CompareError> {
        let is_load =
            |scenario: &&&Scenario| scenario.policy == policy && scenario.work != Work::FillAndRestart;
        let scenarios: Vec<&'static Scenario> = SCENARIOS.iter().filter(is_load).copied().collect();
        let mut servers = Vec::new();
        for peer in &self.peers {
            if scenarios.iter().any(|scenario| self.is_wanted(peer, scenario)) {
                let server = Server::start(peer, policy, &self.options.directory())?;
                measure::fill(&server, self.extent.keys, "fill")?;
                servers.push(server);
            }
        }
        for scenario in scenarios {
            for server in servers.iter().filter(|server| self.is_wanted(&server.peer, scenario)) {
                progress(&server.peer, scenario);
                let figures = measure::load(server, scenario, self.extent)?;
                round.insert((server.peer.name.clone(), scenario.name), figures);
            }
        }
        Ok(())
    }

    /// Whether a row needs this peer's figures. The others are shown wherever the baseline is.
    fn is_wanted(&self, peer: &Peer, scenario: &Scenario) -> bool {
        let role = if peer.role == Role::Other { Role::Baseline } else { peer.role };
        let needs = |row: &&&Row| row.scenario == scenario && (row.of == role || row.against == role);
        self.rows.iter().any(|row| needs(&row))
    }
}

fn progress(peer: &Peer, scenario: &Scenario) {
    eprintln!("  {}: {}", scenario.name, peer.name);
}

/// What else the machine is doing as the first round begins. Figures of a busy machine are off by whole factors.
pub fn load_average() -> f64 {
    let load_average = process::load_average().unwrap_or(f64::NAN);
    if load_average > BUSY {
        eprintln!(
            "warning: the machine is busy (load average {load_average:.1}): the figures will mean little"
        );
    }
    load_average
}

/// On a file system in memory a sync costs nothing: figures under `always` would mean nothing.
pub fn warn_of_memory_disk(directory: &Path) {
    const TMPFS: u64 = 0x0102_1994;
    if rustix::fs::statfs(directory).is_ok_and(|about| u64::try_from(about.f_type) == Ok(TMPFS)) {
        eprintln!("warning: {} is in memory, not on a disk; see --dir", directory.display());
    }
}
