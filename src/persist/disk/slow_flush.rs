//! A disk whose flushes are slow and never run in parallel, for benchmarks of shared flushes.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{DirLock, Disk, DiskFile, Mapping};

/// Another disk, with one flush at a time that takes `flush` at least.
pub struct SlowFlushDisk {
    inner: Arc<dyn Disk>,
    flush: Duration,
    device: Arc<Mutex<()>>,
}

struct SlowFile {
    inner: Box<dyn DiskFile>,
    flush: Duration,
    device: Arc<Mutex<()>>,
}

impl SlowFlushDisk {
    pub fn new(inner: Arc<dyn Disk>, flush: Duration) -> Self {
        SlowFlushDisk { inner, flush, device: Arc::default() }
    }

    fn slow(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SlowFile { inner, flush: self.flush, device: Arc::clone(&self.device) })
    }
}

/// Holds the device for `flush` and for the flush itself.
fn occupy(device: &Mutex<()>, flush: Duration, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let _held = device.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::sleep(flush);
    work()
}

impl DiskFile for SlowFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write_at(offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        occupy(&self.device, self.flush, || self.inner.sync_data())
    }

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }

    fn allocate(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.allocate(bytes)
    }
}

impl Disk for SlowFlushDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.slow(self.inner.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.slow(self.inner.open(path)?))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.inner.read(path, limit)
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        self.inner.map(path)
    }

    fn file_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        occupy(&self.device, self.flush, || self.inner.sync_dir(dir))
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>> {
        self.inner.lock(path)
    }
}
