//! Small cases, all of them: the persist layer on a simulated disk, without a server around it.
//!
//! - [`history`]: what a run appended and what was acknowledged when, and what may be there after a crash.
//! - [`run`]: a small run of logs, transactions, checkpoints and restarts, recorded at every disk call.
//! - [`subsets`]: each recorded state of the disk × each subset of what was not synced.
//! - [`layout`]: which bytes of which file count.
//! - [`damage`]: each truncation and each flipped bit of each file, lost sectors, files mixed up.

pub mod damage;
pub mod history;
pub mod layout;
pub mod run;
pub mod subsets;

use crate::family::{Counts, Family};

/// What this module tries, as families of a campaign.
pub const FAMILIES: &[Family] = &[subsets::FAMILY, damage::FAMILY];

/// Is told what is tried next.
pub type Progress<'a> = &'a dyn Fn(&str);

/// Every crash point of the usual runs with every subset of up to 12 things. Takes minutes.
///
/// # Errors
/// A violation.
pub fn every_subset(tell: Progress<'_>) -> Result<Counts, String> {
    let depth = subsets::Depth { full_up_to: 12, random: 64, recovery_stride: 199, work_stride: 97 };
    subsets::everything(depth, tell)
}

/// Every bit and every length of every file of the smallest directories. Takes minutes.
///
/// # Errors
/// A violation.
pub fn every_damage(tell: Progress<'_>) -> Result<Counts, String> {
    damage::everything(damage::Share { bits: 1, lengths: 1, mixtures: 1 }, tell)
}
