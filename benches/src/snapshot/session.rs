//! The rounds: in each, every scenario runs on one peer after the other, each server by itself.

use std::collections::HashMap;

use super::figures::{Figures, Scenario};
use super::huge::{self, HUGE_VALUES};
use super::machine::Machine;
use super::options::Options;
use super::report::Report;
use super::saving::{Saved, Saving, save};
use super::under_load::{self, Load};
use super::{info::Info, restart};
use crate::compare::CompareError;
use crate::compare::client::Client;
use crate::compare::measure::{check_key_count, write_each};
use crate::compare::peer::Peer;
use crate::compare::scenario::Policy;
use crate::compare::server::Server;
use crate::compare::session::{load_average, warn_of_memory_disk};

/// Small keys beside the huge values.
const KEYS_BESIDE_HUGE: u64 = 100_000;

/// What one round measured: by peer's name and scenario.
pub type Round = HashMap<(String, Scenario), Figures>;

/// Why figures are missing; each said once.
#[derive(Debug, Default)]
pub struct Notes(Vec<String>);

impl Notes {
    pub fn add(&mut self, peer: &str, scenario: &str, what: &str) {
        let note = format!("{peer}, {scenario}: {what}");
        if !self.0.contains(&note) {
            eprintln!("    {note}");
            self.0.push(note);
        }
    }

    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

/// Measures what the options ask for. Tells its progress on standard error.
pub fn measure(options: &Options) -> Result<Report, CompareError> {
    let mut session = Session {
        scenarios: options.scenarios()?,
        peers: options.all_peers()?,
        options,
        notes: Notes::default(),
    };
    warn_of_memory_disk(&options.directory());
    let load_average = load_average();
    let versions: Vec<String> =
        session.peers.iter().map(|peer| session.version(peer)).collect::<Result<_, _>>()?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds.max(1) {
        eprintln!("round {number} of {}", options.rounds.max(1));
        rounds.push(session.round(number)?);
    }
    Ok(Report {
        machine: Machine::this(),
        load_average,
        keys: options.keys,
        rate: options.rate,
        huge_mib: options.huge_mib,
        peers: session.peers,
        versions,
        rounds,
        notes: session.notes,
    })
}

struct Session<'a> {
    options: &'a Options,
    scenarios: Vec<Scenario>,
    peers: Vec<Peer>,
    notes: Notes,
}

impl Session<'_> {
    fn round(&mut self, number: usize) -> Result<Round, CompareError> {
        let mut round = Round::new();
        let mut peers = self.peers.clone();
        if number.is_multiple_of(2) {
            peers.reverse();
        }
        for peer in &peers {
            self.under_load(peer, &mut round)?;
        }
        for (scenario, run) in [
            (Scenario::Huge, Session::huge as fn(&mut Self, &Peer) -> Result<Option<Figures>, CompareError>),
            (Scenario::Cut, Session::cut),
            (Scenario::Restart, Session::restart),
        ] {
            for peer in peers.iter().filter(|_| self.scenarios.contains(&scenario)).collect::<Vec<_>>() {
                eprintln!("  {}: {}", scenario.title(), peer.name);
                if let Some(figures) = run(self, peer)? {
                    round.insert((peer.name.clone(), scenario), figures);
                }
            }
        }
        Ok(round)
    }

    /// Full load and paced load, on one server that was filled once.
    fn under_load(&mut self, peer: &Peer, round: &mut Round) -> Result<(), CompareError> {
        let loads = [(Scenario::FullLoad, None), (Scenario::Paced, Some(self.options.rate))];
        let wanted: Vec<_> =
            loads.into_iter().filter(|(scenario, _)| self.scenarios.contains(scenario)).collect();
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let Some(server) = self.start_for_snapshot(peer, *first)? else { return Ok(()) };
        fill(&server, self.options.keys, first.word())?;
        for (scenario, rate) in wanted {
            eprintln!("  {}: {}", scenario.title(), peer.name);
            let load = self.load(scenario, self.options.keys, rate)?;
            if let Some(figures) = self.snapshot(&server, scenario, load)? {
                round.insert((peer.name.clone(), scenario), figures);
            }
        }
        Ok(())
    }

    fn huge(&mut self, peer: &Peer) -> Result<Option<Figures>, CompareError> {
        let Some(server) = self.start_for_snapshot(peer, Scenario::Huge)? else { return Ok(None) };
        fill(&server, KEYS_BESIDE_HUGE, Scenario::Huge.word())?;
        let refused = huge::write_values(&server, self.options.huge_mib);
        if let Some(reason) = refused.map_err(|error| server.process_error(error))? {
            self.notes.add(&peer.name, Scenario::Huge.word(), &format!("SET of a huge value: {reason}"));
            return Ok(None);
        }
        check_key_count(&server, KEYS_BESIDE_HUGE + HUGE_VALUES, Scenario::Huge.word())?;
        let load = self.load(Scenario::Huge, KEYS_BESIDE_HUGE, Some(self.options.rate))?;
        self.snapshot(&server, Scenario::Huge, Load { huge_mib: Some(self.options.huge_mib), ..load })
    }

    fn cut(&mut self, peer: &Peer) -> Result<Option<Figures>, CompareError> {
        let Some(server) = self.start_for_snapshot(peer, Scenario::Cut)? else { return Ok(None) };
        let keys = self.options.keys * 2;
        fill(&server, keys, Scenario::Cut.word())?;
        let load = self.load(Scenario::Cut, keys, Some(self.options.rate))?;
        self.snapshot(&server, Scenario::Cut, load)
    }

    fn restart(&mut self, peer: &Peer) -> Result<Option<Figures>, CompareError> {
        let mut server = self.start(peer)?;
        let options = self.options;
        let reshard = |shards| Ok(Peer::everfast(&options.everfast_program()?, shards).playing(peer.role));
        restart::measure(&mut server, options.keys, reshard, &mut self.notes).map(Some)
    }

    fn load(&self, scenario: Scenario, keys: u64, rate: Option<f64>) -> Result<Load, CompareError> {
        let before = self.options.before()?;
        Ok(Load { scenario: scenario.word(), keys, rate, before, huge_mib: None })
    }

    fn snapshot(
        &mut self,
        server: &Server,
        scenario: Scenario,
        load: Load,
    ) -> Result<Option<Figures>, CompareError> {
        let measured = under_load::measure(server, load)?;
        let noted = measured.map_err(|refused| self.notes.add(&server.peer.name, scenario.word(), &refused));
        Ok(noted.ok())
    }

    fn start(&self, peer: &Peer) -> Result<Server, CompareError> {
        Server::start(peer, Policy::EverySecond, &self.options.directory())
    }

    /// Starts a server, unless it refuses a snapshot while it is still empty: then it need not be filled.
    fn start_for_snapshot(
        &mut self,
        peer: &Peer,
        scenario: Scenario,
    ) -> Result<Option<Server>, CompareError> {
        let server = self.start(peer)?;
        match save(&server, Saving::Snapshot, scenario.word(), || 0)? {
            Saved::Done(_) => Ok(Some(server)),
            Saved::Refused(reason) => {
                self.notes.add(&peer.name, scenario.word(), &reason);
                Ok(None)
            }
        }
    }

    /// The server's name and version, in its own words.
    fn version(&self, peer: &Peer) -> Result<String, CompareError> {
        let server = self.start(peer)?;
        let ask = || Info::ask(&mut Client::connect(server.address)?, "server");
        let info = ask().map_err(|error| server.process_error(error))?;
        let told = ["everfast", "valkey", "redis"]
            .into_iter()
            .find_map(|name| Some(format!("{name} {}", info.text(&format!("{name}_version"))?)));
        Ok(told.unwrap_or_else(|| "of unknown version".to_owned()))
    }
}

fn fill(server: &Server, keys: u64, scenario: &'static str) -> Result<(), CompareError> {
    write_each(server, "SET {key} {random}", keys, scenario)?;
    check_key_count(server, keys, scenario)
}
