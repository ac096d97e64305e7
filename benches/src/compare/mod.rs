//! Our server beside others: the same load on each in one run, and the ratios.
//!
//! ```text
//! options   what was asked for             peer      a server's name and command line
//! rows      the table of figures wanted    server    one process: start, ready, kill
//! scenario  the loads                      measure   one load on one server: figures
//! session   rounds, peers interleaved      report    medians, ratios, verdicts: text and JSON
//! ```
//!
//! Invariants:
//! 1. Only figures of one round are divided by each other: what slows the machine slows all peers of that round. The ratio
//!    told is the median of the rounds' ratios, beside the smallest and the largest.
//! 2. Each server starts on an empty directory, with the same durability, without rewrites and snapshots of its own.
//! 3. A reply that is an error, a key that should be there and is not, or a server that dies ends the run: no figure is told of
//!    work that was not done.
//! 4. No server outlives the run.

pub(crate) mod client;
pub(crate) mod measure;
pub(crate) mod options;
pub(crate) mod peer;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod scenario;
pub(crate) mod server;
pub(crate) mod session;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::load::LoadError;

pub use options::Options;
pub use report::Report;
pub use session::compare;

/// Why a comparison has no result.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("{0}")]
    Options(String),
    #[error("{path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{peer} does not start: {reason}\n{log}")]
    Start { peer: String, reason: String, log: String },
    #[error("{peer} was not ready after {0:?}\n{log}", waited)]
    NotReady { peer: String, waited: Duration, log: String },
    #[error("{peer}, {scenario}: {source}")]
    Load { peer: String, scenario: &'static str, source: LoadError },
    #[error("{peer}, {scenario}: {what}")]
    Wrong { peer: String, scenario: &'static str, what: String },
    #[error("{peer}: {source}")]
    Process { peer: String, source: io::Error },
}
