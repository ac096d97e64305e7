//! What the library answers as the failures of a program: damage is told from files that cannot be read.

use std::path::Path;

use everfast::persist::PersistError;
use everfast::server::ServerError;
use everfast::server::import::ImportError;
use everfast::server::offline::WriteFailure;
use rdb_inspect::failure::Failure;

use crate::limit::time_text;

/// Of a data directory that could not be read.
pub fn persist(dir: &Path, error: &PersistError) -> Failure {
    match error {
        PersistError::Locked { .. } => {
            Failure::file(dir, std::io::Error::other("a server runs on this data directory"))
        }
        PersistError::Io { path, source, .. } => Failure::file(path, copy(source)),
        PersistError::BeforeHistory { oldest, time_ms, gsn } => {
            let time = time_text(*time_ms);
            let what = format!(
                "history begins at checkpoint {oldest}, cut at {time} behind gsn:{gsn}: nothing before it can be recovered"
            );
            Failure::Damage { name: name(dir), what }
        }
        damage => {
            Failure::Damage { name: name(dir), what: format!("{damage}; see `everfast-recover check`") }
        }
    }
}

/// Of one that could not be loaded.
pub fn server(dir: &Path, error: &ServerError) -> Failure {
    match error {
        ServerError::Persist(error) => persist(dir, error),
        ServerError::Replay(error) => Failure::Damage { name: name(dir), what: error.to_string() },
        error => Failure::file(dir, std::io::Error::other(error.to_string())),
    }
}

pub fn write(error: &WriteFailure) -> Failure {
    Failure::file(&error.path, std::io::Error::other(error.error.to_string()))
}

pub fn import(from: &Path, error: &ImportError) -> Failure {
    match error {
        ImportError::Io { path, source, .. } => Failure::file(path, copy(source)),
        ImportError::Persist(error) => persist(from, error),
        ImportError::Server(ServerError::Replay(_))
        | ImportError::Damaged { .. }
        | ImportError::Unsupported { .. }
        | ImportError::NoSuchMoment { .. } => {
            Failure::Damage { name: "nothing was imported".into(), what: error.to_string() }
        }
        ImportError::Functions { .. } => {
            let what = format!("{error}; `--skip-functions` leaves it out");
            Failure::Damage { name: "nothing was imported".into(), what }
        }
        ImportError::Unknown { .. } => Failure::Usage(error.to_string()),
        ImportError::Write(error) => write(error),
        ImportError::Server(_) | ImportError::Thread => {
            Failure::file(from, std::io::Error::other(error.to_string()))
        }
    }
}

fn copy(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), error.to_string())
}

fn name(dir: &Path) -> String {
    dir.display().to_string()
}
