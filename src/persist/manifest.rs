//! MANIFEST on disk: read once, replaced as a whole.
//!
//! Invariants:
//! 1. A crash at any step leaves the old MANIFEST or the new one, each whole: write a temporary file, sync
//!    it, rename it, sync the directory.
//! 2. What is in memory is a MANIFEST that is durable.

use std::io;
use std::path::PathBuf;

use formats::log::manifest::MAX_MANIFEST_BYTES;
use formats::log::{Manifest, UnverifiedManifest};

use super::disk::Disk;
use super::error::PersistError;
use super::file_names;

/// Why MANIFEST was not replaced.
#[derive(Debug)]
pub enum ReplaceError {
    /// The old one is there, and stays after a crash.
    Unchanged(io::Error),
    /// The new one may be there, or come back after a crash: what either names must stay.
    Unknown(io::Error),
}

impl ReplaceError {
    pub fn into_io(self) -> io::Error {
        match self {
            ReplaceError::Unchanged(error) | ReplaceError::Unknown(error) => error,
        }
    }
}

/// The current MANIFEST of a data directory.
pub struct ManifestFile {
    dir: PathBuf,
    current: Manifest,
}

impl ManifestFile {
    /// Reads and verifies MANIFEST. `None`: there is none.
    pub fn load(disk: &dyn Disk, dir: PathBuf) -> Result<Option<ManifestFile>, PersistError> {
        let path = dir.join(file_names::MANIFEST);
        let bytes = match disk.read(&path, MAX_MANIFEST_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PersistError::io("read", &path)(error)),
        };
        match UnverifiedManifest(&bytes).verify() {
            Ok(current) => Ok(Some(ManifestFile { dir, current })),
            Err(source) => Err(PersistError::Manifest { path, source }),
        }
    }

    /// Writes the first MANIFEST of a directory.
    pub fn create(disk: &dyn Disk, dir: PathBuf, first: Manifest) -> Result<ManifestFile, PersistError> {
        let path = dir.join(file_names::MANIFEST);
        let file = ManifestFile { dir, current: first };
        let written = file.replace(disk, &file.current);
        written.map_err(|error| PersistError::io("write", &path)(error.into_io()))?;
        Ok(file)
    }

    pub fn current(&self) -> &Manifest {
        &self.current
    }

    /// Changes MANIFEST; when this answers `Ok`, the change is durable.
    ///
    /// # Panics
    /// If the change contradicts itself: that must never reach the disk.
    pub fn update(
        &mut self,
        disk: &dyn Disk,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), ReplaceError> {
        let mut next = self.current.clone();
        change(&mut next);
        assert_eq!(next.check(), Ok(()), "a MANIFEST that no start would accept");
        self.replace(disk, &next)?;
        self.current = next;
        Ok(())
    }

    fn replace(&self, disk: &dyn Disk, next: &Manifest) -> Result<(), ReplaceError> {
        let tmp = self.dir.join(file_names::MANIFEST_TMP);
        let write_tmp = || {
            // Emptied by `create`: nothing of an earlier attempt, whose sync may have failed, is relied upon.
            let mut file = disk.create(&tmp)?;
            file.write_all_at(0, &next.encode())?;
            file.sync_data()
        };
        write_tmp().map_err(ReplaceError::Unchanged)?;
        // A crash here leaves the old MANIFEST and a temporary file that no start reads.
        disk.rename(&tmp, &self.dir.join(file_names::MANIFEST)).map_err(ReplaceError::Unknown)?;
        // A crash here leaves the old or the new one.
        disk.sync_dir(&self.dir).map_err(ReplaceError::Unknown)
    }
}
