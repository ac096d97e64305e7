//! Syncs of the data directory: a failed one latches for everybody whose names it may have dropped.
//!
//! A sync of a directory is for all names changed before it, whoever changed them. When it fails, the kernel may have
//! dropped them and call the directory clean: the next sync, somebody else's, succeeds and proves nothing about them.
//! So whoever makes names takes a [`Since`] first, and is told of every failure since then.
//!
//! Invariants:
//! 1. `sync` answers `Ok` only if no sync of the directory has failed since the token was taken.
//! 2. One sync at a time: a failure is counted before the next sync begins.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::disk::Disk;

/// See the module.
pub struct DirSync {
    dir: PathBuf,
    failures: AtomicU64,
    one_at_a_time: Mutex<()>,
}

/// The moment before names were made, counted in failures.
#[derive(Clone, Copy, Debug)]
pub struct Since(u64);

impl DirSync {
    pub fn new(dir: PathBuf) -> DirSync {
        DirSync { dir, failures: AtomicU64::new(0), one_at_a_time: Mutex::default() }
    }

    /// To be taken before the names are made that `sync` shall prove.
    pub fn since(&self) -> Since {
        Since(self.failures.load(Ordering::SeqCst))
    }

    /// Returns when all names made after `since` are on stable storage.
    ///
    /// # Errors
    /// This sync failed, or another one did meanwhile: the names must be made anew.
    pub fn sync(&self, disk: &dyn Disk, since: Since) -> io::Result<()> {
        let _alone = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner); // guards no data
        if self.failures.load(Ordering::SeqCst) == since.0 {
            return disk.sync_dir(&self.dir).inspect_err(|_| {
                self.failures.fetch_add(1, Ordering::SeqCst);
            });
        }
        Err(io::Error::other("a sync of the directory failed since: what was done in it may be lost"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::disk::{CrashMode, Fault, SimDisk};

    #[test]
    fn a_sync_after_anothers_failed_one_proves_nothing() {
        let sim = SimDisk::new();
        let (disk, syncs) = (sim.mount(), DirSync::new(PathBuf::from("/d")));
        let lost = syncs.since();
        disk.create(&PathBuf::from("/d/lost")).unwrap();
        sim.fail_at(sim.calls(), Fault::SyncError);
        assert!(syncs.sync(&*disk, syncs.since()).is_err());
        let kept = syncs.since();
        disk.create(&PathBuf::from("/d/kept")).unwrap();
        assert!(syncs.sync(&*disk, lost).is_err());
        syncs.sync(&*disk, kept).unwrap();
        sim.crash(CrashMode::DropUnsynced);
        assert_eq!(sim.mount().list(&PathBuf::from("/d")).unwrap(), ["kept"]);
    }
}
