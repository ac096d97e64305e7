//! MANIFEST on disk: read once, replaced as a whole.
//!
//! Invariants:
//! 1. A crash at any step leaves the old MANIFEST or the new one, each whole: write a temporary file, sync
//!    it, rename it, sync the directory.
//! 2. What is in memory is a MANIFEST that is durable; of one that was found, `confirm` makes sure.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use formats::log::manifest::MAX_MANIFEST_BYTES;
use formats::log::{Manifest, UnverifiedManifest};

use super::dir_sync::DirSync;
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
    current: Arc<Manifest>,
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
            Ok(current) => Ok(Some(ManifestFile { dir, current: Arc::new(current) })),
            Err(source) => Err(PersistError::Manifest { path, source }),
        }
    }

    /// Writes the first MANIFEST of a directory.
    pub fn create(disk: &dyn Disk, dir: PathBuf, first: Manifest) -> Result<ManifestFile, PersistError> {
        let path = dir.join(file_names::MANIFEST);
        let syncs = DirSync::new(dir.clone());
        let file = ManifestFile { dir, current: Arc::new(first) };
        let written = file.replace(disk, &syncs, &file.current.encode());
        written.map_err(|error| PersistError::io("write", &path)(error.into_io()))?;
        Ok(file)
    }

    pub fn current(&self) -> &Manifest {
        &self.current
    }

    pub fn share(&self) -> Arc<Manifest> {
        Arc::clone(&self.current)
    }

    /// Writes what was found again, byte for byte. An earlier process may have failed to sync its name, and left it where
    /// a power failure would not: then files would be written over that the MANIFEST needs which comes back.
    pub fn confirm(&self, disk: &dyn Disk) -> Result<(), PersistError> {
        let path = self.dir.join(file_names::MANIFEST);
        let bytes = disk.read(&path, MAX_MANIFEST_BYTES).map_err(PersistError::io("read", &path))?;
        let written = self.replace(disk, &DirSync::new(self.dir.clone()), &bytes);
        written.map_err(|error| PersistError::io("make durable", &path)(error.into_io()))
    }

    /// Changes MANIFEST; when this answers `Ok`, the change is durable.
    ///
    /// # Panics
    /// If the change contradicts itself: that must never reach the disk.
    pub fn update(
        &mut self,
        disk: &dyn Disk,
        syncs: &DirSync,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), ReplaceError> {
        let mut next = Manifest::clone(&self.current);
        change(&mut next);
        assert_eq!(next.check(), Ok(()), "a MANIFEST that no start would accept");
        self.replace(disk, syncs, &next.encode())?;
        self.current = Arc::new(next);
        Ok(())
    }

    fn replace(&self, disk: &dyn Disk, syncs: &DirSync, next: &[u8]) -> Result<(), ReplaceError> {
        let since = syncs.since();
        let tmp = self.dir.join(file_names::MANIFEST_TMP);
        crash_point!("manifest-before-write");
        let write_tmp = || {
            // Emptied by `create`: nothing of an earlier attempt, whose sync may have failed, is relied upon.
            let mut file = disk.create(&tmp)?;
            file.write_all_at(0, next)?;
            crash_point!("manifest-after-write");
            file.sync_data()
        };
        write_tmp().map_err(ReplaceError::Unchanged)?;
        crash_point!("manifest-after-sync");
        // A crash here leaves the old MANIFEST and a temporary file that no start reads.
        disk.rename(&tmp, &self.dir.join(file_names::MANIFEST)).map_err(ReplaceError::Unknown)?;
        crash_point!("manifest-after-rename");
        // A crash here leaves the old or the new one.
        syncs.sync(disk, since).map_err(ReplaceError::Unknown)?;
        crash_point!("manifest-after-dir-sync");
        Ok(())
    }
}
