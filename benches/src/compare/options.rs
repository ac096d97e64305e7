//! What was asked for on the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use super::CompareError;
use super::peer::{Peer, Role};
use super::rows::{ROWS, Row};

/// The command line of `compare`.
#[derive(Clone, Debug, Parser)]
#[command(about = "Runs the same load on Everfast and on other servers and prints the ratios")]
pub struct Options {
    /// Our server's program; by default the `everfast` beside this program
    #[arg(long, value_name = "FILE")]
    pub everfast: Option<PathBuf>,
    /// Redis' program
    #[arg(long, default_value = "redis-server", value_name = "FILE")]
    pub redis: String,
    /// One more server: a command line in which {port} {dir} {appendfsync} are filled in. Quotes as in a shell. May be
    /// given several times
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    pub peers: Vec<String>,
    /// The peer that ratios are against
    #[arg(long, default_value = "redis", value_name = "NAME")]
    pub baseline: String,
    /// Compare the baseline with itself: how far the ratios are from 1.0 is the noise
    #[arg(long)]
    pub noise: bool,
    /// Rounds; each measures every peer once
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds per measurement, after a warm-up of a fifth of it
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Only rows whose name contains one of these words
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub rows: Vec<String>,
    /// Short and rough: 2 rounds of 0.5 s, 200,000 keys
    #[arg(long)]
    pub quick: bool,
    /// Write all figures of all rounds as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the table as markdown, besides printing it
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Where the servers' directories are made: on the disk that is to be measured
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
    /// Print the rows' names and end
    #[arg(long)]
    pub list: bool,
}

impl Options {
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    pub fn measured(&self) -> Result<Duration, CompareError> {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.5 } else { 2.0 });
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| CompareError::Options(format!("--seconds: {error}")))
    }

    /// Keys in the servers while load runs.
    pub fn keys(&self) -> u64 {
        if self.quick { 200_000 } else { 1_000_000 }
    }

    /// Keys for memory and restart.
    pub fn fill_keys(&self) -> u64 {
        if self.quick { 200_000 } else { 2_000_000 }
    }

    pub fn directory(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The rows that are wanted.
    pub fn selected_rows(&self) -> Result<Vec<&'static Row>, CompareError> {
        let wanted = |row: &&Row| {
            self.rows.is_empty() || self.rows.iter().any(|word| row.name.contains(word.as_str()))
        };
        let rows: Vec<&Row> = ROWS.iter().filter(wanted).collect();
        if rows.is_empty() {
            return Err(CompareError::Options("no row has such a name; see --list".to_owned()));
        }
        Ok(rows)
    }

    /// All servers: ours with one and two shards, the baseline, the others.
    pub fn all_peers(&self) -> Result<Vec<Peer>, CompareError> {
        let mut others = vec![Peer::redis(&self.redis)];
        for text in &self.peers {
            others.push(Peer::parse(text).map_err(CompareError::Options)?);
        }
        let Some(baseline) = others.iter().position(|peer| peer.name == self.baseline) else {
            return Err(CompareError::Options(format!("--baseline: no peer is called {}", self.baseline)));
        };
        let baseline = others.remove(baseline).playing(Role::Baseline);
        let ours = |role, shards: usize| {
            if self.noise {
                let name = format!("{} again ({shards})", baseline.name);
                return Ok(baseline.clone().named(name).playing(role));
            }
            Ok(Peer::everfast(&everfast_program(self.everfast.as_deref())?, shards).playing(role))
        };
        let mut peers = vec![ours(Role::OneShard, 1)?, ours(Role::TwoShards, 2)?];
        peers.push(baseline);
        peers.extend(others);
        Ok(peers)
    }
}

/// Our server's program: the one that is given, or the one beside this program.
pub fn everfast_program(given: Option<&Path>) -> Result<PathBuf, CompareError> {
    if let Some(program) = given {
        return Ok(program.to_owned());
    }
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name("everfast"));
    beside.filter(|program| program.is_file()).ok_or_else(|| {
        CompareError::Options("no everfast beside this program: build it, or give --everfast FILE".to_owned())
    })
}
