//! Writes the files of a checkpoint, several at a time.
//!
//! Until a page is written, whoever changes it pays for a copy. So the writers run at full speed and never wait for the disk:
//! they write into the system's cache, and another thread syncs the files meanwhile, so that few pages are dirty at a time
//! and the last sync is short.
//!
//! Invariants:
//! 1. Every file is synced, and every sync went well, before [`write`] answers `Ok`: also those on the way, for a failed
//!    sync is told once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::SaveError;
use crate::persist::disk::DiskFile;
use crate::persist::{ShardId, SnapshotEntry};
use crate::snapshot::{self, Aux, Options, Progress, WriteError, Written};
use crate::store::Frozen;
use crate::waiting;

/// A sync follows when so much was written since the last one.
const SYNC_BYTES: u64 = 16 << 20;
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A shard's view and the file that it goes to.
pub struct Unwritten {
    pub shard: ShardId,
    pub databases: Vec<(u16, Frozen)>,
    pub aux: Aux,
    pub path: PathBuf,
    pub file: Box<dyn DiskFile>,
    /// The same file once more, for the thread that syncs.
    pub second: Box<dyn DiskFile>,
}

/// A snapshot that was written.
pub struct Snapshot {
    pub path: PathBuf,
    pub shard: ShardId,
    pub written: Written,
}

impl Snapshot {
    pub fn entry(&self) -> SnapshotEntry {
        let Written { bytes, keys, crc64, .. } = self.written;
        SnapshotEntry { shard: self.shard, bytes, keys, crc64 }
    }
}

/// Writes and syncs all parts, on `threads` threads. Answers them in the order of the shards.
pub fn write(
    parts: Vec<Unwritten>,
    options: &Options,
    threads: usize,
    progress: &Progress,
) -> Result<Vec<Snapshot>, SaveError> {
    let options = Options { sync_every_bytes: u64::MAX, ..options.clone() };
    let threads = threads.min(parts.len());
    let mut seconds = Vec::new();
    let mut work = Vec::new();
    for Unwritten { shard, databases, aux, path, file, second } in parts {
        seconds.push((path.clone(), second));
        work.push((shard, databases, aux, path, file));
    }
    let (work, is_done) = (Mutex::new(work.into_iter()), AtomicBool::new(false));
    let write_all = || {
        let mut done = Vec::new();
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((shard, databases, aux, path, mut file)) = next else { return done };
            done.push(match snapshot::write(databases, &aux, &mut *file, &options, progress) {
                Ok(written) => {
                    crash_point!("checkpoint-between-snapshots");
                    Ok(Snapshot { path, shard, written })
                }
                Err(source) => {
                    progress.cancel(); // the others need not go on
                    Err(SaveError::Write { path, source })
                }
            });
        }
    };
    if waiting::is_alone() {
        return first_failure(write_all());
    }
    let (results, synced) = std::thread::scope(|scope| {
        let syncing = scope.spawn(|| sync_behind(&mut seconds, progress, &is_done));
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(write_all)).collect();
        let results: Vec<_> = threads.into_iter().flat_map(join).collect();
        is_done.store(true, Ordering::Release);
        syncing.thread().unpark();
        (results, join(syncing))
    });
    synced.and(first_failure(results))
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Syncs what was written, again and again, until the writers are done.
fn sync_behind(
    files: &mut [(PathBuf, Box<dyn DiskFile>)],
    progress: &Progress,
    is_done: &AtomicBool,
) -> Result<(), SaveError> {
    let mut synced = 0;
    while !is_done.load(Ordering::Acquire) {
        let written = progress.bytes();
        if written - synced < SYNC_BYTES {
            std::thread::park_timeout(LOOK);
            continue;
        }
        synced = written;
        for (path, file) in &mut *files {
            if let Err(source) = file.sync_data() {
                progress.cancel();
                return Err(SaveError::Io { action: "sync", path: path.clone(), source });
            }
        }
    }
    Ok(())
}

/// The failure that made the others stop, if there was one.
fn first_failure(results: Vec<Result<Snapshot, SaveError>>) -> Result<Vec<Snapshot>, SaveError> {
    let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let mut failures: Vec<SaveError> = failed.into_iter().filter_map(Result::err).collect();
    let cause = failures
        .iter()
        .position(|failure| !matches!(failure, SaveError::Write { source: WriteError::Cancelled, .. }));
    if !failures.is_empty() {
        return Err(failures.swap_remove(cause.unwrap_or(0)));
    }
    let mut done: Vec<Snapshot> = done.into_iter().filter_map(Result::ok).collect();
    done.sort_by_key(|snapshot| snapshot.shard);
    Ok(done)
}
