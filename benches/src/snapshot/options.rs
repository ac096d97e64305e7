//! What was asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::figures::Scenario;
use crate::compare::CompareError;
use crate::compare::options::everfast_program;
use crate::compare::peer::{Peer, Role};

/// The command line of `snapshot`.
#[derive(Clone, Debug, Parser)]
#[command(about = "What a snapshot costs and how long a restart takes, on Everfast and on other servers")]
pub struct Options {
    /// Our server's program; by default the `everfast` beside this program
    #[arg(long, value_name = "FILE")]
    pub everfast: Option<PathBuf>,
    /// Redis' program: the baseline
    #[arg(long, default_value = "redis-server", value_name = "FILE")]
    pub redis: String,
    /// One more server: a command line in which {port} {dir} {appendfsync} are filled in. Quotes as in a shell. May be
    /// given several times
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    pub peers: Vec<String>,
    /// Keys of 16 bytes with values of 64; twice as many for the pause of the cut
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub keys: u64,
    /// Rounds; each measures every peer once
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Only scenarios whose word contains one of these words: bgsave, paced, huge, cut, restart
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub only: Vec<String>,
    /// Only peers whose name contains one of these words; the baseline always takes part
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub only_peers: Vec<String>,
    /// Writes per second in paced scenarios, the same for every peer
    #[arg(long, default_value_t = 150_000.0, value_name = "WRITES")]
    pub rate: f64,
    /// Seconds of load before the snapshot begins, after a warm-up of one
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub before: f64,
    /// Size of each of the four huge values, in MiB
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub huge_mib: u64,
    /// Write the table as markdown here, besides printing it
    #[arg(long, value_name = "FILE", default_value = "benches/results/snapshot.md")]
    pub save: PathBuf,
    /// Where the servers' directories are made: on the disk that is to be measured
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
}

impl Options {
    pub fn directory(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    pub fn before(&self) -> Result<Duration, CompareError> {
        Duration::try_from_secs_f64(self.before)
            .map_err(|error| CompareError::Options(format!("--before: {error}")))
    }

    pub fn scenarios(&self) -> Result<Vec<Scenario>, CompareError> {
        let wanted = |scenario: &Scenario| is_wanted(&self.only, scenario.word());
        let scenarios: Vec<Scenario> = Scenario::ALL.into_iter().filter(wanted).collect();
        if scenarios.is_empty() {
            let words: Vec<&str> = Scenario::ALL.iter().map(|scenario| scenario.word()).collect();
            return Err(CompareError::Options(format!("--only: choose from {}", words.join(", "))));
        }
        Ok(scenarios)
    }

    /// Ours with one shard and with two, the baseline, the others.
    pub fn all_peers(&self) -> Result<Vec<Peer>, CompareError> {
        let mut peers = Vec::new();
        for (shards, role) in [(1, Role::OneShard), (2, Role::TwoShards)] {
            // A name that is not wanted needs no program.
            let named = Peer::everfast("everfast".as_ref(), shards);
            if is_wanted(&self.only_peers, &named.name) {
                peers.push(Peer::everfast(&self.everfast_program()?, shards).playing(role));
            }
        }
        peers.push(Peer::redis(&self.redis).playing(Role::Baseline));
        for text in &self.peers {
            let peer = Peer::parse(text).map_err(CompareError::Options)?;
            if peers.iter().any(|other| other.name == peer.name) {
                return Err(CompareError::Options(format!("--peer {}: the name is taken", peer.name)));
            }
            peers.extend(is_wanted(&self.only_peers, &peer.name).then_some(peer));
        }
        Ok(peers)
    }

    pub fn everfast_program(&self) -> Result<PathBuf, CompareError> {
        everfast_program(self.everfast.as_deref())
    }
}

fn is_wanted(words: &[String], name: &str) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Options {
        Options::parse_from([&["snapshot"], words].concat())
    }

    #[test]
    fn words_choose_scenarios() {
        assert_eq!(options(&[]).scenarios().unwrap(), Scenario::ALL);
        let some = options(&["--only", "cut,paced"]).scenarios().unwrap();
        assert_eq!(some, [Scenario::Paced, Scenario::Cut]);
        assert!(options(&["--only", "nothing"]).scenarios().is_err());
    }

    #[test]
    fn the_baseline_always_takes_part() {
        let peer = "valkey=valkey-server {port}";
        let names = |words: &[&str]| -> Vec<String> {
            options(words).all_peers().unwrap().into_iter().map(|peer| peer.name).collect()
        };
        let all = names(&["--everfast", "here", "--peer", peer]);
        assert_eq!(all, ["everfast, 1 shard", "everfast, 2 shards", "redis", "valkey"]);
        assert_eq!(names(&["--only-peers", "valkey", "--peer", peer]), ["redis", "valkey"]);
        let one = names(&["--everfast", "here", "--only-peers", "1 shard", "--peer", peer]);
        assert_eq!(one, ["everfast, 1 shard", "redis"]);
        assert!(options(&["--only-peers", "x", "--peer", "redis={port}"]).all_peers().is_err());
    }
}
