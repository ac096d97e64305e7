//! From the files of Redis and Valkey into a new data directory.
//!
//! ```text
//! RDB file ──────────────────────────── records, routed by key ──► snapshots ──► MANIFEST
//! append-only files ─► one shard in memory ─► one RDB file ─────────┘
//! ```
//!
//! Reading order: `source` (what there is), `route` (records into snapshots), `apply` (commands);
//! `rescue` is for damaged snapshots of our own.
//!
//! Invariants:
//! 1. All files are gone through before one is written, so damage costs nothing.
//! 2. MANIFEST is written last; an import that fails removes the files that it made.
//! 3. Nothing is skipped unasked: a type or a command that this version has not is an error with file and offset.
//! 4. Keys that have expired are kept with their expiry.

mod apply;
mod rescue;
mod route;
mod source;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use rescue::{Rescued, Unplaced, rescue};
pub use route::{Routed, Router};
pub use source::{Source, Sources};

use super::load::{LoadFile, load};
use super::offline::{self, Memory, ShardView};
use super::{ServerError, one_shard_per_core};
use crate::clock;
use crate::persist::disk::Disk;
use crate::persist::fresh::FreshDir;
use crate::persist::{self, CutFacts, Gsn, PersistError, ShardId, SnapshotEntry, file_names};
use crate::snapshot::{self, Checksum};

/// What an import may be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions {
    /// Of the new directory; 0: one for each core of this machine.
    pub shards: u16,
    /// Leave out what append-only files say was written after this time, in ms since 1970.
    pub until_ms: Option<u64>,
    /// Leave out libraries of functions, which this version cannot hold.
    pub skip_functions: bool,
}

/// How far an import has come, for another thread to look at.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Bytes done, and bytes to do; 0 of 0 while that is not known.
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The end of a file that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    pub why: String,
    /// The file ends early; else the point in time that was asked for lies here.
    pub is_torn: bool,
}

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// In the order in which they were read.
    pub files: Vec<PathBuf>,
    pub bytes: u64,
    /// Of the RDB file at the start, if there is one.
    pub rdb_version: Option<String>,
    pub shards: u16,
    pub keys: u64,
    /// Commands that were applied.
    pub commands: u64,
    /// Values that were written in another form.
    pub converted: u64,
    pub skipped_functions: u64,
    /// A server needs more `databases` than this number to start on the directory.
    pub highest_database: u64,
    pub left_out: Option<LeftOut>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Persist(#[from] PersistError),
    #[error("{path}: {what}")]
    Unknown { path: PathBuf, what: &'static str },
    #[error("{file} at byte {offset}: {what}")]
    Damaged { file: PathBuf, offset: u64, what: String },
    #[error("{file} at byte {offset}: {what}: this version cannot take it in")]
    Unsupported { file: PathBuf, offset: u64, what: String },
    #[error("{file} at byte {offset}: a library of functions: this version cannot take it in")]
    Functions { file: PathBuf, offset: u64 },
    #[error("{file}: {what}")]
    NoSuchMoment { file: PathBuf, what: String },
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Write(#[from] offline::WriteFailure),
    #[error("a thread ended early")]
    Thread,
}

impl ImportError {
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImportError {
        move |source| ImportError::Io { action, path: path.to_path_buf(), source }
    }

    fn unknown(path: &Path, what: &'static str) -> ImportError {
        ImportError::Unknown { path: path.to_path_buf(), what }
    }
}

/// Makes a data directory in `dir` out of an RDB file, an append-only file, or a directory of append-only files with its
/// manifest. `shards`: 0 for one per core.
///
/// # Errors
/// `dir` holds data; or `from` is damaged, or holds what this version cannot. What was made is removed then; `dir` itself
/// stays.
pub fn import(
    disk: Arc<dyn Disk>,
    from: &Path,
    dir: &Path,
    shards: u16,
    progress: &Progress,
) -> Result<ImportReport, ImportError> {
    import_with(disk, from, dir, &ImportOptions { shards, ..ImportOptions::default() }, progress)
}

/// As [`import`], with more to choose.
pub fn import_with(
    disk: Arc<dyn Disk>,
    from: &Path,
    dir: &Path,
    options: &ImportOptions,
    progress: &Progress,
) -> Result<ImportReport, ImportError> {
    let sources = Sources::open(&*disk, from, options.until_ms)?;
    progress.total.store(sources.bytes(), Ordering::Relaxed);
    let had_lock = disk.file_bytes(&dir.join(file_names::LOCK)).is_ok();
    let fresh = FreshDir::create(Arc::clone(&disk), dir, persist::random_u64())?;
    let shards = if options.shards == 0 { one_shard_per_core() } else { options.shards };
    let work = Work { disk: &*disk, fresh: &fresh, sources: &sources, options, shards, progress };
    let made = work.run();
    // The file that all keys went through, where there was one.
    let _ = disk.remove(&work.staged_path());
    let made = made.and_then(|(entries, report)| {
        let facts = CutFacts { gsn: Gsn(0), time_ms: clock::unix_ms() };
        fresh.finish(facts, entries)?;
        Ok(report)
    });
    if made.is_err() {
        clean(&*disk, dir, shards, had_lock);
    }
    made
}

/// Removes what an import has made.
fn clean(disk: &dyn Disk, dir: &Path, shards: u16, had_lock: bool) {
    let snapshots = (0..shards).map(|shard| file_names::snapshot(persist::CheckpointId(1), ShardId(shard)));
    let lock = (!had_lock).then(|| file_names::LOCK.to_owned());
    for name in snapshots.chain([file_names::MANIFEST_TMP.to_owned()]).chain(lock) {
        let _ = disk.remove(&dir.join(name)); // it may not be there
    }
}

struct Work<'w> {
    disk: &'w dyn Disk,
    fresh: &'w FreshDir,
    sources: &'w Sources,
    options: &'w ImportOptions,
    shards: u16,
    progress: &'w Progress,
}

impl Work<'_> {
    fn run(&self) -> Result<(Vec<SnapshotEntry>, ImportReport), ImportError> {
        if !self.sources.has_commands() {
            let (entries, routed) = self.route(0, self.shards)?;
            return Ok((entries, self.report(routed, 0)));
        }
        let (view, commands, functions) = self.in_memory()?;
        let (entries, mut routed) = if self.shards == 1 { self.write(view)? } else { self.spread(view)? };
        routed.functions += functions;
        Ok((entries, self.report(routed, commands)))
    }

    /// Copies the RDB file at the start into the snapshots of `shards` shards from `first` on.
    fn route(&self, first: u16, shards: u16) -> Result<(Vec<SnapshotEntry>, Routed), ImportError> {
        let mut router = Router::create(self.fresh, first, shards, Gsn(0))?;
        if let Some(source) = self.sources.files.first().filter(|source| source.rdb_bytes > 0) {
            router.take(source, self.options.skip_functions, self.progress)?;
        }
        router.finish()
    }

    /// A file behind those of the shards, which all keys go through; removed in the end.
    fn staged_path(&self) -> PathBuf {
        self.fresh.path().join(file_names::snapshot(self.fresh.checkpoint(), ShardId(self.shards)))
    }

    /// Everything on one shard; also how many commands were applied, and how many on functions were left out. The RDB file at
    /// the start goes through a file in our own form first: so old forms, functions and what follows it are dealt with in
    /// one place.
    fn in_memory(&self) -> Result<(ShardView, u64, u64), ImportError> {
        let memory = Memory::start(1, self.fresh.hash_seed())?;
        let (entries, routed) = self.route(self.shards, 1)?;
        let path = self.staged_path();
        let map = self.disk.map(&path).map_err(ImportError::io("open", &path))?;
        let checksum = Checksum::Is(entries.first().map_or(0, |entry| entry.crc64));
        load(&memory.shared, memory.hasher, vec![LoadFile { path, map, checksum }])
            .map_err(|failure| ServerError::Replay(failure.into()))?;
        let mut applier = apply::Applier::new(&memory, self.options.skip_functions);
        for source in &self.sources.files {
            applier.run(source, self.progress)?;
        }
        let (commands, functions) = (applier.commands, applier.functions + routed.functions);
        Ok((memory.freeze()?.pop().unwrap_or_default(), commands, functions))
    }

    /// Writes the only shard's snapshot.
    fn write(&self, view: ShardView) -> Result<(Vec<SnapshotEntry>, Routed), ImportError> {
        let highest_database = view.iter().map(|(db, _)| u64::from(*db)).max().unwrap_or(0);
        let entries =
            offline::write_snapshots(self.fresh, vec![view], Gsn(0), &snapshot::Progress::default())?;
        let keys = entries.iter().map(|entry| entry.keys).sum();
        Ok((entries, Routed { keys, highest_database, ..Routed::default() }))
    }

    /// Writes the keys of one shard into the snapshots of several.
    fn spread(&self, view: ShardView) -> Result<(Vec<SnapshotEntry>, Routed), ImportError> {
        let shard = ShardId(self.shards);
        let aux = offline::facts(self.fresh, shard, self.shards, Gsn(0));
        offline::write_snapshot(self.fresh, shard, view, &aux, &snapshot::Progress::default())?;
        let path = self.staged_path();
        let map = self.disk.map(&path).map_err(ImportError::io("open", &path))?;
        let mut router = Router::create(self.fresh, 0, self.shards, Gsn(0))?;
        router.take(&Source::whole_rdb(path, map), false, &Progress::default())?;
        router.finish()
    }

    fn report(&self, routed: Routed, commands: u64) -> ImportReport {
        let files = &self.sources.files;
        ImportReport {
            files: files.iter().map(|file| file.path.clone()).collect(),
            bytes: self.sources.bytes(),
            rdb_version: files.first().and_then(|file| file.rdb_version.clone()),
            shards: self.shards,
            keys: routed.keys,
            commands,
            converted: routed.converted,
            skipped_functions: routed.functions,
            highest_database: routed.highest_database,
            left_out: self.sources.left_out.clone(),
        }
    }
}
