//! The only door to the file system.
//!
//! Invariants:
//! 1. Everything under `persist` reaches files through [`Disk`] and [`DiskFile`] alone, so that a simulated
//!    disk sees and may break every step.
//! 2. A write is on stable storage after `sync_data` of its file answered `Ok`; a name is after `sync_dir` of
//!    its directory did. Nothing else proves anything.
//! 3. Nothing depends on `allocate`: a disk that cannot answers with an error and is as good.

#[cfg(feature = "fail-points")]
pub mod faulty;
#[cfg(any(test, feature = "sim", feature = "fail-points"))]
mod guarded;
mod mmap;
mod real;
#[cfg(any(test, feature = "sim"))]
mod sim;
mod slow_flush;

use std::io;
use std::ops::Range;
use std::path::Path;

#[cfg(any(test, feature = "sim", feature = "fail-points"))]
pub use guarded::{Amount, Call, Guard, GuardedDisk};
pub use mmap::ReadOnlyMap;
pub use real::RealDisk;
#[cfg(any(test, feature = "sim"))]
pub use sim::{CrashMode, Fault, SimDisk, Unsynced};
pub use slow_flush::SlowFlushDisk;

/// A file open for writing. Dropping it closes it.
pub trait DiskFile: Send {
    /// Writes at a byte offset; answers how many bytes were written, which may be fewer than given.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Returns when the file's bytes and length are on stable storage.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts or extends (with zeros) the file.
    fn set_len(&mut self, bytes: u64) -> io::Result<()>;

    /// Reserves space for the first `bytes` bytes, where the file system can.
    fn allocate(&mut self, bytes: u64) -> io::Result<()>;
}

impl dyn DiskFile + '_ {
    /// Writes all of `bytes`, or fails; short writes are continued.
    pub fn write_all_at(&mut self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.write_at(offset, bytes)?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::WriteZero, "the disk takes no more bytes"));
            }
            offset += count as u64;
            bytes = &bytes[count..];
        }
        Ok(())
    }
}

/// A file system, or what plays one.
pub trait Disk: Send + Sync {
    /// Creates a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The whole content of a file of at most `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// The content of a file, to be read while nobody shortens it.
    fn map(&self, path: &Path) -> io::Result<Mapping>;

    /// Length of a file in bytes.
    fn file_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Renames a file, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Returns when the directory's names are on stable storage.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a directory and its parents; no error if it is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, or fails with `WouldBlock` if another holds it. Freed on drop.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DirLock>>;
}

/// Holds a directory for one process; freed on drop.
pub trait DirLock: Send + Sync {}

/// The bytes of a file, mapped or in memory.
pub struct Mapping(MappingKind);

enum MappingKind {
    Mapped(mmap::ReadOnlyMap),
    #[cfg(any(test, feature = "sim"))]
    Owned(Vec<u8>),
}

impl Mapping {
    /// Gives back the memory of a range of bytes that is not needed for now; reading it again costs the time to get
    /// it from the file. Bytes at the ends that share a page of memory with others stay.
    pub fn forget(&self, range: Range<usize>) {
        match &self.0 {
            MappingKind::Mapped(map) => map.forget(range),
            #[cfg(any(test, feature = "sim"))]
            MappingKind::Owned(_) => {}
        }
    }
}

impl std::ops::Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            MappingKind::Mapped(map) => map,
            #[cfg(any(test, feature = "sim"))]
            MappingKind::Owned(bytes) => bytes,
        }
    }
}
