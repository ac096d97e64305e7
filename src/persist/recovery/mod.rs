//! From what is on disk to what is replayed.
//!
//! ```text
//! base: MANIFEST ──► a checkpoint       its snapshots verified; the logs are read from its cuts on
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

mod base;
pub mod plan;
mod replay;
mod report;
pub mod salvage;
mod scan;
mod seal;

#[cfg(test)]
mod plan_tests;

use formats::log::manifest::CheckpointEntry;
use formats::log::{CheckpointId, Gsn, Manifest};

pub use base::{Limit, RecoveredSnapshot};
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
    /// The checkpoint that it begins with.
    pub base: Option<CheckpointId>,
    /// Its snapshots, to be loaded first, in any order or in parallel.
    pub snapshots: Vec<RecoveredSnapshot>,
    /// To be replayed one after the other; the logs of one epoch in any order or in parallel.
    pub epochs: Vec<ReplayEpoch>,
}

/// Scans, plans and seals.
pub(crate) fn recover(files: &Files) -> Result<Recovered, PersistError> {
    let manifest = files.manifest();
    let found = Found::look(files, &manifest, None)?;
    crash_point!("recovery-after-scan");
    seal::seal(files, &manifest, &found.logs, &found.plan)?;
    Ok(found.recovered(&manifest))
}

/// Scans and plans: what [`recover`] would answer, or what there was up to a limit, with nothing changed on disk.
pub(crate) fn look(files: &Files, limit: Option<Limit>) -> Result<Recovered, PersistError> {
    let manifest = files.manifest();
    Ok(Found::look(files, &manifest, limit)?.recovered(&manifest))
}

/// What a scan and a plan gave.
struct Found<'a> {
    base: Option<&'a CheckpointEntry>,
    snapshots: Vec<RecoveredSnapshot>,
    logs: Vec<scan::ScannedLog>,
    plan: plan::Plan,
}

impl<'a> Found<'a> {
    fn look(files: &Files, manifest: &'a Manifest, limit: Option<Limit>) -> Result<Found<'a>, PersistError> {
        let base = base::choose(manifest, limit)?;
        // The logs first: they are mostly shorter, and say the more surprising things.
        let logs = scan::scan(files, manifest, base, limit)?;
        let facts: Vec<_> = logs.iter().map(|log| log.facts()).collect();
        let plan = plan::plan(manifest, &facts)?;
        let snapshots = base.map_or(Ok(Vec::new()), |base| base::verify(files, base))?;
        Ok(Found { base, snapshots, logs, plan })
    }

    fn recovered(self, manifest: &Manifest) -> Recovered {
        Recovered {
            hash_seed: manifest.hash_seed,
            next_gsn: self.next_gsn(manifest),
            report: report::report(manifest, self.base, &self.logs, &self.plan),
            base: self.base.map(|base| base.id),
            snapshots: self.snapshots,
            epochs: replay::epochs(manifest, self.logs, &self.plan),
        }
    }

    fn next_gsn(&self, manifest: &Manifest) -> Gsn {
        let seen = self.logs.iter().filter_map(|log| log.last_gsn).max().map_or(Gsn(1), Gsn::next);
        let first = manifest.epochs.iter().map(|epoch| epoch.first_gsn);
        first.chain(manifest.checkpoints.iter().map(|checkpoint| checkpoint.gsn.next())).fold(seen, Gsn::max)
    }
}
