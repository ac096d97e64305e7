//! A data directory that is looked at and not changed.
//!
//! Invariants:
//! 1. Nothing is written: what is torn is left out, as the next start would do, and not sealed.
//! 2. While it is open no server can start on it, where a server ever did.

use std::io;
use std::path::Path;
use std::sync::Arc;

use formats::log::Manifest;

use super::data_dir::lock;
use super::disk::{DirLock, Disk};
use super::error::PersistError;
use super::file_names;
use super::files::Files;
use super::manifest::ManifestFile;
use super::recovery::{self, Limit, Recovered};

/// See the module.
pub struct ReadOnlyDir {
    files: Files,
    _lock: Option<Box<dyn DirLock>>,
}

impl ReadOnlyDir {
    /// Opens a data directory, which must have a MANIFEST.
    ///
    /// # Errors
    /// [`PersistError::Locked`] while a server runs on it.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<ReadOnlyDir, PersistError> {
        let names = disk.list(dir).map_err(PersistError::io("list", dir))?;
        // Only a lock that is there: taking one creates the file.
        let lock = match names.iter().any(|name| name == file_names::LOCK) {
            true => Some(lock(&*disk, dir)?),
            false => None,
        };
        let manifest = ManifestFile::load(&*disk, dir.to_path_buf())?;
        let manifest = manifest.ok_or_else(|| {
            PersistError::io("read", &dir.join(file_names::MANIFEST))(io::ErrorKind::NotFound.into())
        })?;
        Ok(ReadOnlyDir { files: Files::new(disk, dir.to_path_buf(), manifest), _lock: lock })
    }

    pub fn manifest(&self) -> Manifest {
        Manifest::clone(&self.files.manifest())
    }

    /// What the next start of a server would find; or what there was up to a limit.
    pub fn recover(&self, limit: Option<Limit>) -> Result<Recovered, PersistError> {
        recovery::look(&self.files, limit)
    }
}
