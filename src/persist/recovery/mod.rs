//! From what is on disk to what is replayed.
//!
//! ```text
//! scan: MANIFEST + files ──► facts      every frame checked; where each log ends, and who vouches for more
//! plan: facts ──► cuts or a refusal     a pure function
//! seal: cuts ──► MANIFEST               durable before anyone is served
//! replay: cuts + files ──► effects      in order, cut ones left out
//! ```
//!
//! Invariants:
//! 1. What was known durable is replayed or refused, never skipped.
//! 2. What is cut now stays cut: the seal is durable before [`Recovered`] is answered.
//! 3. What is not cut is durable too: un-vouched frames are written again and synced before they are sealed,
//!    because they may have been read from a page cache whose disk never got them.

pub mod plan;
mod replay;
mod report;
mod scan;
mod seal;

#[cfg(test)]
mod plan_tests;

use formats::log::{Gsn, Manifest};

pub use replay::{ReplayEpoch, ReplayError, ReplayLog};
pub use report::{RecoveryReport, TailCut};
pub(crate) use seal::apply_seals;

use super::error::PersistError;
use super::files::Files;

/// A recovered data directory, ready to be replayed.
pub struct Recovered {
    /// Seed of the hash that places keys.
    pub hash_seed: u64,
    /// Larger than every global sequence number used before.
    pub next_gsn: Gsn,
    pub report: RecoveryReport,
    /// To be replayed one after the other; the logs of one epoch in any order or in parallel.
    pub epochs: Vec<ReplayEpoch>,
}

/// Scans, plans and seals.
pub(crate) fn recover(files: &Files) -> Result<Recovered, PersistError> {
    let manifest = files.manifest();
    let logs = scan::scan(files, &manifest)?;
    let plan = planned(&manifest, &logs)?;
    seal::seal(files, &logs, &plan)?;
    Ok(recovered(&manifest, logs, &plan))
}

/// Scans and plans: what [`recover`] would answer, with nothing changed on disk.
pub(crate) fn look(files: &Files) -> Result<Recovered, PersistError> {
    let manifest = files.manifest();
    let logs = scan::scan(files, &manifest)?;
    let plan = planned(&manifest, &logs)?;
    Ok(recovered(&manifest, logs, &plan))
}

fn planned(manifest: &Manifest, logs: &[scan::ScannedLog]) -> Result<plan::Plan, PersistError> {
    let facts: Vec<_> = logs.iter().map(|log| log.facts()).collect();
    Ok(plan::plan(manifest, &facts)?)
}

fn recovered(manifest: &Manifest, logs: Vec<scan::ScannedLog>, plan: &plan::Plan) -> Recovered {
    Recovered {
        hash_seed: manifest.hash_seed,
        next_gsn: next_gsn(manifest, &logs),
        report: report::report(manifest, &logs, plan),
        epochs: replay::epochs(manifest, logs, plan),
    }
}

fn next_gsn(manifest: &Manifest, logs: &[scan::ScannedLog]) -> Gsn {
    let seen = logs.iter().filter_map(|log| log.last_gsn).max().map_or(Gsn(1), Gsn::next);
    manifest.epochs.iter().map(|epoch| epoch.first_gsn).fold(seen, Gsn::max)
}
