//! Campaigns: rounds of all families, each with its share of the time, until the time is over or a promise is broken.
//!
//! Invariants:
//! 1. What once failed is tried first: the seeds of `recovery-tests/seeds.txt`.
//! 2. A round's seed follows from the campaign's seed, its family's name and its number, whatever ran before it. A campaign
//!    of one round of one family runs that round with the campaign's own seed: so is a violation replayed.
//! 3. A round that panics or does not end is a violation.

mod rounds;
mod seeds;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::exhaustive;
use crate::family::{Counts, Family};
use crate::linear;
use crate::power_cut;
use crate::processes;
use crate::random::Random;
use crate::sim;

use rounds::{Ended, Rounds};
pub use seeds::{Seed, parse_seeds};
pub use table::{markdown, text};

/// A round that takes longer hangs.
const STUCK: Duration = Duration::from_secs(180);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(20);
/// Families without threads and processes: their seeds replay exactly.
const EXACT: [&str; 3] = ["subsets", "damage", "sim"];
/// A seed of another family repeats its choices, and threads come between: it gets so many tries.
const TRIES: usize = 3;

/// Every kind of run, those that find most in least time first.
pub fn families() -> Vec<Family> {
    let mut families = vec![sim::FAMILY];
    families.extend(exhaustive::FAMILIES);
    families.extend(linear::FAMILIES);
    families.push(power_cut::FAMILY);
    families.extend(processes::FAMILIES);
    families
}

/// How long a campaign goes on.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// So long, divided among the families as their shares say.
    Time(Duration),
    /// So many rounds of each family.
    Rounds(u64),
}

/// What to run.
pub struct Campaign {
    pub families: Vec<Family>,
    pub seed: u64,
    pub length: Length,
    /// Seeds that are tried first.
    pub seeds: Vec<Seed>,
    /// Rounds at a time.
    pub jobs: usize,
    /// Goes on after a violation.
    pub keeps_going: bool,
    /// Failing runs are made short where that can be done.
    pub shrinks: bool,
    /// The server's program.
    pub server: PathBuf,
    /// Rounds get directories in here. Those of violations are kept.
    pub scratch: PathBuf,
}

/// What one family did.
#[derive(Clone)]
pub struct Row {
    pub family: Family,
    pub rounds: u64,
    /// Time spent in rounds; several at a time count each.
    pub spent: Duration,
    pub counts: Counts,
    pub violations: u64,
    running: u32,
    started: u64,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Violation {
    pub family: &'static str,
    pub seed: u64,
    pub what: String,
    /// Since the campaign began.
    pub after: Duration,
    pub kept: PathBuf,
}

impl Violation {
    /// What to tell, with the command that shows it again.
    pub fn report(&self) -> String {
        let Violation { family, seed, what, after, kept } = self;
        let first_line: String = what.lines().next().unwrap_or_default().chars().take(100).collect();
        let exactly = if is_exact(family) { "" } else { "\n(threads take part: it may take several tries)" };
        format!(
            "VIOLATION in family {family}, seed {seed}, after {:.1} s:\n{what}\n\
             files, if any: {}\n\
             replay:        cargo xtask crash --only {family} --seed {seed} --rounds 1{exactly}\n\
             seeds.txt:     {family} {seed} # {first_line}",
            after.as_secs_f64(),
            kept.display()
        )
    }
}

fn is_exact(family: &str) -> bool {
    EXACT.contains(&family)
}

/// The seed of a family's round.
fn round_seed(campaign: &Campaign, family: &Family, index: u64) -> u64 {
    if campaign.families.len() == 1 && matches!(campaign.length, Length::Rounds(1)) {
        return campaign.seed;
    }
    let name = family.name.bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    let base = Random::new(campaign.seed ^ name.rotate_left(32)).draw();
    Random::new(base.wrapping_add(index)).draw()
}

/// Runs a campaign; answers what each family did, and the violations. Progress goes to the standard output.
pub fn run(campaign: &Campaign) -> (Vec<Row>, Vec<Violation>) {
    let mut runner = Runner {
        campaign,
        rows: campaign.families.iter().map(row).collect(),
        rounds: Rounds::new(campaign.server.clone(), campaign.scratch.clone(), campaign.shrinks),
        violations: Vec::new(),
        started: Instant::now(),
        told: Instant::now(),
    };
    runner.replay();
    runner.explore();
    (runner.rows, runner.violations)
}

fn row(family: &Family) -> Row {
    let (counts, spent) = (Counts::default(), Duration::ZERO);
    Row { family: *family, rounds: 0, spent, counts, violations: 0, running: 0, started: 0 }
}

struct Runner<'a> {
    campaign: &'a Campaign,
    rows: Vec<Row>,
    rounds: Rounds,
    violations: Vec<Violation>,
    started: Instant,
    told: Instant,
}

impl Runner<'_> {
    fn is_over(&self) -> bool {
        !self.violations.is_empty() && !self.campaign.keeps_going
    }

    /// What once failed.
    fn replay(&mut self) {
        let mut tries = Vec::new();
        for seed in &self.campaign.seeds {
            let Some(place) = self.rows.iter().position(|row| row.family.name == seed.family) else {
                continue;
            };
            let count = if is_exact(&seed.family) { 1 } else { TRIES };
            tries.extend(std::iter::repeat_n((place, seed.seed), count));
        }
        if !tries.is_empty() {
            println!("crash: {} rounds with seeds that once failed", tries.len());
        }
        let mut tries = tries.into_iter();
        self.work(|_| tries.next());
    }

    fn explore(&mut self) {
        let campaign = self.campaign;
        let ends = match campaign.length {
            Length::Time(time) => Some(Instant::now() + time),
            Length::Rounds(_) => None,
        };
        let mut indexes = vec![0; self.rows.len()];
        self.work(|rows| {
            if ends.is_some_and(|ends| Instant::now() >= ends) {
                return None;
            }
            let place = next_family(rows, &indexes, campaign.length)?;
            let seed = round_seed(campaign, &campaign.families[place], indexes[place]);
            indexes[place] += 1;
            Some((place, seed))
        });
    }

    /// Runs the rounds (place of the family, seed) that `next` gives, several at a time, until there are no more.
    fn work(&mut self, mut next: impl FnMut(&[Row]) -> Option<(usize, u64)>) {
        loop {
            while self.rounds.running() < self.campaign.jobs && !self.is_over() {
                let Some((place, seed)) = next(&self.rows) else { break };
                self.rows[place].running += 1;
                self.rows[place].started += 1;
                self.rounds.start(place, &self.rows[place].family, seed);
            }
            if self.rounds.running() == 0 {
                return;
            }
            if let Some(ended) = self.rounds.wait(Duration::from_secs(1)) {
                self.account(ended);
            } else if let Some(hung) = self.rounds.take_older_than(STUCK) {
                self.account(hung);
            }
            self.tell();
        }
    }

    fn account(&mut self, ended: Ended) {
        let row = &mut self.rows[ended.place];
        row.running -= 1;
        row.rounds += 1;
        row.spent += ended.took;
        match ended.result {
            Ok(counts) => row.counts.merge(&counts),
            Err(what) => {
                row.violations += 1;
                let (family, after) = (row.family.name, self.started.elapsed());
                let violation = Violation { family, seed: ended.seed, what, after, kept: ended.scratch };
                println!("crash: {}", violation.report());
                self.violations.push(violation);
            }
        }
    }

    fn tell(&mut self) {
        if self.told.elapsed() < PROGRESS {
            return;
        }
        self.told = Instant::now();
        let done: Vec<String> =
            self.rows.iter().map(|row| format!("{} {}", row.family.name, row.rounds)).collect();
        println!(
            "crash: {:.0} s, rounds: {}; {} violations",
            self.started.elapsed().as_secs_f64(),
            done.join(", "),
            self.violations.len()
        );
    }
}

/// The family that is furthest behind its share of the time (stride scheduling, Waldspurger 1995), or of the rounds.
fn next_family(rows: &[Row], indexes: &[u64], length: Length) -> Option<usize> {
    let behind = |row: &Row| {
        // A round under way will take what its family's rounds took so far.
        let mean = row.spent.as_secs_f64() / (row.rounds.max(1) as f64);
        (row.spent.as_secs_f64() + mean * f64::from(row.running)) / f64::from(row.family.share.max(1))
    };
    let is_open = |place: &usize| match length {
        Length::Time(_) => true,
        Length::Rounds(rounds) => indexes[*place] < rounds,
    };
    (0..rows.len()).filter(is_open).min_by(|&a, &b| {
        let by_time = behind(&rows[a]).total_cmp(&behind(&rows[b]));
        by_time.then(rows[a].started.cmp(&rows[b].started))
    })
}

#[cfg(test)]
mod tests;
