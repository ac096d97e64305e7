//! A disk whose calls are asked for first: what stands guard may refuse one, hold it back, or let a part of a write pass.
//!
//! Invariants:
//! 1. A call that is refused changes nothing, but one: where the guard [takes back](Guard::takes_back), a refused sync
//!    undoes what was written to the file since its last sync, as a kernel that drops dirty pages would. So a later sync
//!    that succeeds saves nothing, and a reply that relied on it shows as a loss.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirLock, Disk, DiskFile, Mapping};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Create,
    Open,
    Write,
    Sync,
    Allocate,
    Rename,
    Remove,
    SyncDir,
    /// Mapping a file, as a recovery does.
    Map,
}

/// How much of a call may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Whole,
    /// Of a write half of the bytes, at least one; another call passes.
    Half,
}

/// Asked before each call.
pub trait Guard: Send + Sync {
    /// `name`: of the file, or of the directory for [`Call::SyncDir`]; of the file that goes for [`Call::Rename`].
    fn before(&self, call: Call, name: &str) -> io::Result<Amount>;

    /// Whether a refused sync undoes what was not synced.
    fn takes_back(&self) -> bool {
        false
    }
}

/// See the module.
pub struct GuardedDisk {
    inner: Arc<dyn Disk>,
    guard: Arc<dyn Guard>,
}

struct GuardedFile {
    inner: Box<dyn DiskFile>,
    path: PathBuf,
    name: String,
    disk: Arc<dyn Disk>,
    guard: Arc<dyn Guard>,
    /// What stood where something was written since the last sync, in the order of the writes.
    before: Vec<(u64, Vec<u8>)>,
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl GuardedDisk {
    pub fn new(inner: Arc<dyn Disk>, guard: Arc<dyn Guard>) -> GuardedDisk {
        GuardedDisk { inner, guard }
    }

    fn ask(&self, call: Call, path: &Path) -> io::Result<()> {
        self.guard.before(call, &name_of(path)).map(drop)
    }

    fn file(&self, path: &Path, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GuardedFile {
            inner,
            path: path.to_path_buf(),
            name: name_of(path),
            disk: Arc::clone(&self.inner),
            guard: Arc::clone(&self.guard),
            before: Vec::new(),
        })
    }
}

impl GuardedFile {
    /// What a write is about to replace; what lies behind the end is left out.
    fn remember(&mut self, offset: u64, bytes: usize) {
        let Ok(map) = self.disk.map(&self.path) else { return };
        let start = map.len().min(offset as usize);
        let end = map.len().min(start + bytes);
        self.before.push((offset, map[start..end].to_vec()));
    }

    fn take_back(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.before).into_iter().rev() {
            let _ = self.inner.write_all_at(offset, &bytes); // what cannot be taken back was not lost
        }
    }
}

impl DiskFile for GuardedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let bytes = match self.guard.before(Call::Write, &self.name)? {
            Amount::Whole => bytes,
            Amount::Half => &bytes[..bytes.len().div_ceil(2)],
        };
        if self.guard.takes_back() {
            self.remember(offset, bytes.len());
        }
        self.inner.write_at(offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let asked = self.guard.before(Call::Sync, &self.name).map(drop);
        if asked.is_err() {
            self.take_back();
        }
        asked.and_then(|()| self.inner.sync_data())?;
        self.before.clear();
        Ok(())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.guard.before(Call::Allocate, &self.name)?;
        self.inner.allocate(bytes)
    }
}

impl Disk for GuardedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Call::Create, path)?;
        Ok(self.file(path, self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask(Call::Open, path)?;
        Ok(self.file(path, self.inner.open(path)?))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        self.ask(Call::Map, path)?;
        self.inner.map(path)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Call::Rename, from)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Call::Remove, path)?;
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.ask(Call::SyncDir, dir)?;
        self.inner.sync_dir(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.inner.lock(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::disk::SimDisk;
    use rustix::io::Errno;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Default)]
    struct Syncs {
        fail: AtomicBool,
    }

    impl Guard for Syncs {
        fn before(&self, call: Call, _: &str) -> io::Result<Amount> {
            match call {
                Call::Sync if self.fail.load(Ordering::Relaxed) => Err(Errno::IO.into()),
                Call::Write => Ok(Amount::Half),
                _ => Ok(Amount::Whole),
            }
        }

        fn takes_back(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_failed_sync_takes_back_what_was_not_synced() {
        let (sim, guard, path) = (SimDisk::new(), Arc::new(Syncs::default()), Path::new("/d/f"));
        let disk = GuardedDisk::new(sim.mount(), guard.clone());
        let mut file = disk.create(path).expect("a file");
        file.write_all_at(0, b"first").expect("written, if in two steps");
        file.sync_data().expect("synced");
        file.write_all_at(2, b"SECOND").expect("written");
        file.write_all_at(3, b"third").expect("written");
        assert_eq!(sim.contents(path).as_deref(), Some(&b"fiSthird"[..]));
        guard.fail.store(true, Ordering::Relaxed);
        assert!(file.sync_data().is_err());
        assert_eq!(sim.contents(path).as_deref().map(|bytes| &bytes[..5]), Some(&b"first"[..]));
        guard.fail.store(false, Ordering::Relaxed);
        file.sync_data().expect("a later sync goes well, and saves nothing");
        assert_eq!(sim.contents(path).as_deref().map(|bytes| &bytes[..5]), Some(&b"first"[..]));
    }
}
