//! Campaigns: rounds of all families, each with its share of the time, until the time is over or a promise is broken.
//!
//! Invariants:
//! 1. What once failed is tried first: the seeds of `recovery-tests/seeds.txt`.
//! 2. A round's seed follows from the campaign's seed, its family's name and its number, whatever ran before it. A campaign
//!    of one round of one family runs that round with the campaign's own seed: so is a violation replayed.
//! 3. A round that panics or does not end is a violation.
//! 4. What could not be tried is told, and takes no share: a family whose round was skipped gets no more of them.

mod complete;
mod rounds;
mod seeds;
mod server;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::exhaustive;
use crate::family::{Counts, Family};
use crate::linear;
use crate::power_cut;
use crate::processes;
use crate::random::Random;
use crate::sim;

pub use complete::complete;
use rounds::{Ended, Rounds};
pub use seeds::{Seed, parse_seeds};
pub use server::check_server;
pub use table::{markdown, text};

/// A round that takes longer hangs.
const STUCK: Duration = Duration::from_secs(180);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(20);
/// Families without threads and processes: their seeds replay exactly.
const EXACT: [&str; 3] = ["subsets", "damage", "sim"];
/// A seed of another family repeats its choices, and threads come between: it gets so many tries.
const TRIES: usize = 3;

/// Families beside those of [`processes`] that start the server's program.
const WITH_SERVER: [&str; 1] = ["linear-kill"];
/// Of a violation's text, for seeds.txt.
const FIRST_WORDS_CHARS: usize = 70;

/// Whether the family's rounds start the server's program.
pub fn needs_server(family: &Family) -> bool {
    WITH_SERVER.contains(&family.name) || processes::FAMILIES.iter().any(|it| it.name == family.name)
}

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
    /// The server's program, for families that need one.
    pub server: PathBuf,
    /// Rounds get directories in here. Those of violations are kept.
    pub scratch: PathBuf,
    /// Once this is true no round begins. Rounds under way end.
    pub interrupted: Arc<AtomicBool>,
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
    /// Why its rounds cannot be done here.
    pub skipped: Option<&'static str>,
    running: u32,
    started: u64,
}

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Violation {
    pub family: &'static str,
    /// Of the round; `None` where all was tried.
    pub seed: Option<u64>,
    pub what: String,
    /// Since the campaign began.
    pub after: Duration,
    pub kept: PathBuf,
}

impl Violation {
    /// What to tell, with the command that shows it again.
    pub fn report(&self) -> String {
        let Violation { family, seed, what, after, kept } = self;
        let Some(seed) = seed else {
            return format!(
                "VIOLATION in family {family}, all cases tried, after {:.1} s:\n{what}\n\
                 replay:        cargo xtask crash --complete",
                after.as_secs_f64()
            );
        };
        let first_words = first_words(what);
        let exactly = if is_exact(family) { "" } else { "\n(threads take part: it may take several tries)" };
        format!(
            "VIOLATION in family {family}, seed {seed}, after {:.1} s:\n{what}\n\
             files, if any: {}\n\
             replay:        cargo xtask crash --only {family} --seed {seed} --rounds 1{exactly}\n\
             seeds.txt:     {family} {seed} # {first_words}",
            after.as_secs_f64(),
            kept.display()
        )
    }
}

/// How a violation's text begins; paths, which mean nothing elsewhere, left out.
fn first_words(what: &str) -> String {
    let line = what.lines().next().unwrap_or_default();
    let mut words = String::new();
    for word in line.split_whitespace().filter(|word| !word.contains('/')) {
        if !words.is_empty() && words.len() + word.len() >= FIRST_WORDS_CHARS {
            break;
        }
        words.extend([if words.is_empty() { "" } else { " " }, word]);
    }
    words.chars().take(FIRST_WORDS_CHARS).collect()
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
    run_with(campaign, STUCK)
}

/// `stuck`: a round that takes longer hangs.
fn run_with(campaign: &Campaign, stuck: Duration) -> (Vec<Row>, Vec<Violation>) {
    let mut runner = Runner {
        campaign,
        stuck,
        rows: campaign.families.iter().map(row).collect(),
        rounds: Rounds::new(campaign.server.clone(), campaign.scratch.clone(), campaign.shrinks),
        violations: Vec::new(),
        started: Instant::now(),
        told: Instant::now(),
        is_ending: false,
    };
    runner.replay();
    runner.explore();
    (runner.rows, runner.violations)
}

fn row(family: &Family) -> Row {
    let (counts, spent) = (Counts::default(), Duration::ZERO);
    Row { family: *family, rounds: 0, spent, counts, violations: 0, skipped: None, running: 0, started: 0 }
}

struct Runner<'a> {
    campaign: &'a Campaign,
    stuck: Duration,
    rows: Vec<Row>,
    rounds: Rounds,
    violations: Vec<Violation>,
    started: Instant,
    told: Instant,
    /// It was told that no more rounds begin.
    is_ending: bool,
}

impl Runner<'_> {
    fn is_interrupted(&self) -> bool {
        self.campaign.interrupted.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_interrupted() || !self.violations.is_empty() && !self.campaign.keeps_going
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
            }
            if let Some(hung) = self.rounds.take_older_than(self.stuck) {
                self.account(hung);
            }
            self.tell();
        }
    }

    fn account(&mut self, ended: Ended) {
        let is_interrupted = self.is_interrupted();
        let row = &mut self.rows[ended.place];
        row.running -= 1;
        row.spent += ended.took;
        if let Some(why) = ended.result.as_ref().ok().and_then(Counts::skipped) {
            if row.skipped.replace(why).is_none() {
                println!("crash: {} is skipped: {why}", row.family.name);
            }
            return;
        }
        row.rounds += 1;
        match ended.result {
            Ok(counts) => row.counts.merge(&counts),
            Err(what) if is_interrupted && needs_server(&row.family) => {
                // From a terminal the signal goes to servers as well, which end as nobody expects.
                println!("crash: a round of {} counts for nothing, interrupted: {what}", row.family.name);
            }
            Err(what) => {
                row.violations += 1;
                let (family, seed, after) = (row.family.name, Some(ended.seed), self.started.elapsed());
                let violation = Violation { family, seed, what, after, kept: ended.scratch };
                println!("crash: {}", violation.report());
                self.violations.push(violation);
            }
        }
    }

    fn tell(&mut self) {
        if self.is_interrupted() && !self.is_ending {
            self.is_ending = true;
            let running = self.rounds.running();
            println!("crash: interrupted; {running} rounds under way end first, another signal ends at once");
        }
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
    let is_left = |place: &usize| match length {
        Length::Time(_) => true,
        Length::Rounds(rounds) => indexes[*place] < rounds,
    };
    let is_open = |place: &usize| rows[*place].skipped.is_none() && is_left(place);
    (0..rows.len()).filter(is_open).min_by(|&a, &b| {
        let by_time = behind(&rows[a]).total_cmp(&behind(&rows[b]));
        by_time.then(rows[a].started.cmp(&rows[b].started))
    })
}

#[cfg(test)]
mod tests;
