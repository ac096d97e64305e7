//! How a run ends: exit codes and messages.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, and the input is sound |
//! | 1 | done, and there is something to say: damage, a difference, no such key |
//! | 2 | not done, or not with all inputs: wrong arguments, or a file that cannot be read or written |
//! | 130 | interrupted |
//!
//! A reader of our output that goes away (`| head`) is no failure.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Writes a line to standard error. Where that cannot be written there is nobody to tell, and the run goes on.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub use say;

static PROGRAM: OnceLock<&str> = OnceLock::new();

/// The name under which failures are told; the first one given stays.
pub fn set_program(name: &'static str) {
    let _ = PROGRAM.set(name);
}

pub const INTERRUPTED_CODE: u8 = 130;

/// A run that came to its end.
/// The later outweighs the earlier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    Good,
    /// Damage, a difference, no such key: the output says what.
    Findings,
    /// Some of the inputs could not be read: it was told which.
    Incomplete,
}

impl Verdict {
    /// Findings, if there are some.
    pub fn of(findings: bool) -> Verdict {
        if findings { Verdict::Findings } else { Verdict::Good }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> ExitCode {
        match verdict {
            Verdict::Good => ExitCode::SUCCESS,
            Verdict::Findings => ExitCode::from(1),
            Verdict::Incomplete => ExitCode::from(2),
        }
    }
}

/// A run that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    /// The input is damaged where the command needs it whole.
    #[error("{name}: {what}")]
    Damage { name: String, what: String },
    #[error("cannot write: {0}")]
    Output(io::Error),
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    pub fn file(path: &Path, error: io::Error) -> Failure {
        Failure::File { path: path.to_path_buf(), error }
    }

    /// Says what happened, and with which code the program ends.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Failure::Interrupted => {}
            failure => say!("{}: {failure}", PROGRAM.get().unwrap_or(&"rdb-inspect")),
        }
        ExitCode::from(match self {
            Failure::Damage { .. } => 1,
            Failure::Interrupted => INTERRUPTED_CODE,
            _ => 2,
        })
    }
}
