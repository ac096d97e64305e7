//! What can go wrong with a data directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use formats::log::{CheckpointId, Gsn, ManifestError};

/// Why a data directory cannot be opened, recovered, written or closed.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{dir} is in use by another server (its LOCK is held)")]
    Locked { dir: PathBuf },
    #[error("{path}: {source}")]
    Manifest { path: PathBuf, source: ManifestError },
    #[error("refusing to start: {0}")]
    Refused(#[from] Refusal),
    #[error("the data directory must be recovered, once, before logs are started")]
    NotRecovered,
    #[error(
        "history begins at checkpoint {oldest}, cut at {time_ms} ms since 1970 behind number {gsn}: \
         nothing before it can be recovered"
    )]
    BeforeHistory { oldest: CheckpointId, time_ms: u64, gsn: Gsn },
    #[error("logs are running: the data directory cannot be recovered under them")]
    Running,
    #[error("impossible log options: {0}")]
    Options(&'static str),
    #[error("log {log} could not be closed cleanly, {bytes} bytes are not on stable storage: {why}")]
    Unclosed { log: formats::log::LogId, bytes: usize, why: String },
}

impl PersistError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PersistError {
        move |source| PersistError::Io { action, path: path.to_path_buf(), source }
    }
}

/// Damage that recovery does not step over: where it is, what would be lost, and why it is taken for damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub file: PathBuf,
    /// Byte offset in the file, where that makes sense.
    pub offset: Option<u64>,
    pub lost: String,
    pub why: String,
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}; at stake: {}", self.why, self.lost)
    }
}
