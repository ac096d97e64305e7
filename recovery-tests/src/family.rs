//! What the parts of the suite have in common: a kind of run that a seed decides, and what it counted.
//!
//! Invariants:
//! 1. A round draws every choice from its seed, so that the same seed makes the same choices again. Where threads or
//!    processes take part, what comes of them may differ; where none do, the whole round is the same.
//! 2. A round takes a few seconds at most: a campaign ends soon after its time.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was done, by name: `kills`, `disk calls`, `bits flipped`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    pub fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    pub fn merge(&mut self, other: &Counts) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }
}

/// Where and with what a round runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// An empty directory on a real file system, for this round alone; kept after a violation.
    pub scratch: PathBuf,
    /// The server's program, built with the feature `fail-points`.
    pub server: PathBuf,
    /// A failing run that can be made short is, which takes up to half a minute.
    pub shrinks: bool,
}

/// Runs the round that the seed decides.
///
/// # Errors
/// A violation: what was promised, what was found, and the steps that led to it, as few as could be found.
pub type Round = fn(seed: u64, place: &Place) -> Result<Counts, String>;

/// One kind of run.
#[derive(Clone, Copy)]
pub struct Family {
    pub name: &'static str,
    /// One line for `--help`.
    pub about: &'static str,
    /// Share of a campaign's time, beside the others'.
    pub share: u32,
    pub round: Round,
}
