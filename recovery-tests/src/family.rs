//! What the parts of the suite have in common: a kind of run that a seed decides, and what it counted.
//!
//! Invariants:
//! 1. A round draws every choice from its seed, so that the same seed makes the same choices again. Where threads or
//!    processes take part, what comes of them may differ; where none do, the whole round is the same.
//! 2. A round takes a few seconds at most: a campaign ends soon after its time.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;

// What campaigns sum over their families: see `campaign::table` for which counts of which family are meant by it.

/// Power cuts, kills, ends at a named point: a server, or its logs, began again after each.
pub const CRASHES: &str = "crashes";
/// Disk calls that were made to fail, file systems filled.
pub const FAULTS: &str = "faults injected";
pub const BITS_FLIPPED: &str = "bits flipped";
pub const TRUNCATIONS: &str = "truncations";
/// Sectors and files lost, extended, exchanged, of other moments.
pub const OTHER_DAMAGE: &str = "files damaged otherwise";
/// Commands and operations of clients that were answered.
pub const ACKNOWLEDGED: &str = "commands acknowledged";

/// What the count begins with by which a round says that it could not be done here.
pub const SKIPPED: &str = "skipped, ";

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

    /// Why nothing was done, if the round could not be done here.
    pub fn skipped(&self) -> Option<&'static str> {
        let mut reasons = self.0.keys().map(|what| what.strip_prefix(SKIPPED));
        reasons.next().flatten().filter(|_| reasons.next().is_none())
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

/// A panic as a violation.
pub fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a text"))
}
