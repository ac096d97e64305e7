//! What can be wrong with a configuration, told so that it can be put right at once.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file; lines count from 1.
    Line { file: PathBuf, line: usize },
    /// On the command line.
    Flag { name: String },
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { file, line } => write!(out, "{}:{line}", file.display()),
            Place::Flag { name } => write!(out, "--{name}"),
        }
    }
}

/// Why the server cannot start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{place}: unknown directive '{name}'{}", hint(*nearest))]
    Unknown { place: Place, name: String, nearest: Option<&'static str> },
    #[error("{place}: '{name}' is known to Redis, not supported by Everfast: {why}")]
    Unsupported { place: Place, name: &'static str, why: &'static str },
    #[error("{}: {reason}", subject(place, name))]
    Invalid { place: Place, name: &'static str, reason: String },
    #[error("{place}: unbalanced quotes")]
    UnbalancedQuotes { place: Place },
    #[error("{}cannot read {}: {source}", at(place), path.display())]
    Read { place: Option<Place>, path: PathBuf, source: io::Error },
    #[error("{}: longer than {limit_bytes} bytes", path.display())]
    TooLong { path: PathBuf, limit_bytes: u64 },
    #[error("{place}: files include each other more than {limit} deep")]
    IncludedTooDeep { place: Place, limit: usize },
    /// At least two, in the order of the lines.
    #[error("{}", lines(.0))]
    Several(Vec<ConfigError>),
    /// Also `--help` and `--version`, which are no errors.
    #[error("{0}")]
    Arguments(clap::Error),
}

/// A flag names itself.
fn subject(place: &Place, name: &str) -> String {
    match place {
        Place::Line { .. } => format!("{place}: {name}"),
        Place::Flag { .. } => place.to_string(),
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

fn lines(errors: &[ConfigError]) -> String {
    errors.iter().map(ConfigError::to_string).collect::<Vec<_>>().join("\n")
}

fn at(place: &Option<Place>) -> String {
    place.as_ref().map_or_else(String::new, |place| format!("{place}: "))
}

impl ConfigError {
    /// All that is wrong, as one error; `Ok` if nothing is.
    pub(super) fn all(mut errors: Vec<ConfigError>) -> Result<(), ConfigError> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(ConfigError::Several(errors)),
        }
    }

    /// The first thing that is wrong: in one line.
    pub fn first(&self) -> &ConfigError {
        match self {
            ConfigError::Several(errors) => errors.first().map_or(self, ConfigError::first),
            one => one,
        }
    }

    /// Says what is wrong and ends the process: with 0 for `--help` and `--version`, 2 for a command line that cannot
    /// be read, 1 for all else.
    pub fn exit(self) -> ! {
        if let ConfigError::Arguments(error) = self {
            error.exit();
        }
        eprintln!("{self}");
        std::process::exit(1);
    }
}

/// Why CONFIG SET changed nothing. The text is the whole error reply, as Redis words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    #[error("ERR Unknown option or number of arguments for CONFIG SET - '{name}'")]
    Unknown { name: String },
    /// Also for the server's own use, when a value is right but cannot be put into effect.
    #[error("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Failed { name: String, reason: String },
}

/// Why CONFIG REWRITE left the file as it was. The text is the whole error reply.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    #[error("ERR The server is running without a config file")]
    NoFile,
    #[error("ERR Rewriting config file: {0}")]
    Io(#[from] io::Error),
    /// The file was changed since the start and could not be loaded now.
    #[error("ERR Rewriting config file: {}", .0.first())]
    Unreadable(#[from] ConfigError),
    /// A file that the new text would be read back from differently is not put in place.
    #[error("ERR Rewriting config file: '{name}' would not read back as it is set")]
    NotReadBack { name: &'static str },
}
