//! Whole servers on one thread, on a simulated disk, with a simulated clock: every run follows from its seed, turn by turn.
//!
//! A run is several lives of a server on one disk. In each, clients send commands of all kinds, saves run, disk calls fail; it
//! ends with a power cut at some disk call, a killed process, or properly. Then a server starts again, with other shards,
//! other writers, another policy, perhaps only to lose power within its recovery; and what it brings back is checked in two
//! ways that know nothing of each other:
//!
//! - [`checker`] compares it with what was appended to the logs: of each shard a prefix, not before what was released, no
//!   transaction in halves, nothing of an earlier life that was once gone.
//! - [`model`] knows what clients sent and were told, and so what each key may hold.
//!
//! In reading order: [`world`] (whose turn it is), [`clients`], [`commands`] and [`model`], [`checker`], [`lives`] (starts, ends and
//! checks), [`choices`] and [`shrink`] (a failing run made short).

pub mod checker;
pub mod choices;
pub mod clients;
pub mod commands;
pub mod lives;
pub mod model;
pub mod shrink;
pub mod world;

use crate::family::{Counts, Family, Place};
use choices::Choices;

/// Runs that one round makes.
const RUNS: u64 = 40;
/// Lines of a trace that are shown.
const SHOWN_LINES: usize = 150;

pub const FAMILY: Family = Family {
    name: "sim",
    about: "a whole server on one thread, disk, clock and turns simulated: power cuts, failing calls, kills",
    share: 4,
    round,
};

/// One round: runs of neighbouring seeds.
fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for run in 0..RUNS {
        counts.merge(&run_one(seed.wrapping_mul(RUNS).wrapping_add(run), place.shrinks)?);
    }
    Ok(counts)
}

/// One run; a failing one is made short, if that is wanted.
///
/// # Errors
/// What is wrong, and how it came about.
pub fn run_one(seed: u64, shrinks: bool) -> Result<Counts, String> {
    let run = lives::run(Choices::of_seed(seed), false);
    let Some(violation) = run.violation else { return Ok(run.counts) };
    if !shrinks {
        return Err(format!("run {seed}: {violation}"));
    }
    let fails = |choices: &[u64]| {
        let again = lives::run(Choices::again(choices.to_vec()), false);
        again.violation.filter(|other| kind(other) == kind(&violation)).map(|_| again.choices)
    };
    let shrunk = lives::run(Choices::again(shrink::shrink(run.choices, fails)), true);
    let trace = &shrunk.trace[shrunk.trace.len().saturating_sub(SHOWN_LINES)..];
    Err(format!(
        "run {seed}: {violation}\nmade short: {}\n{}",
        shrunk.violation.unwrap_or_else(|| "it does not fail in the same way".to_owned()),
        trace.join("\n")
    ))
}

/// What a violation is, without the names and numbers: so that a run is not made another one's.
fn kind(violation: &str) -> Vec<&str> {
    let is_plain = |word: &&str| !word.contains(|letter: char| letter.is_ascii_digit() || letter == '"');
    violation.split_whitespace().filter(is_plain).take(4).collect()
}
