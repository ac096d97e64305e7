//! The keys of a data directory without a server: recovered into memory as a start would, frozen, handed out or written
//! into a new directory.
//!
//! Invariant: the directory that is read is not changed, and nothing expires.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::{ServerError, ShardThread, one_shard_per_core, replay, run_id, start_shards};
use crate::config::Config;
use crate::persist::disk::{Disk, DiskFile};
use crate::persist::fresh::FreshDir;
use crate::persist::read_only::ReadOnlyDir;
use crate::persist::{DataDir, Gsn, Recovered, RecoveryReport, ShardId, SnapshotEntry};
use crate::shard::engine::Engine;
use crate::shard::mailbox::Message;
use crate::shard::shared::Shared;
use crate::snapshot::{self, Aux, Options, Progress, WriteError};
use crate::store::{Frozen, KeyHasher, Keyspace};

/// Most databases that a log can have.
pub(super) const DATABASES: u32 = 65_535;

/// All keys of a data directory.
pub struct Offline {
    pub report: RecoveryReport,
    /// The parts of each database that has keys, by ascending number of the database.
    pub databases: Vec<(u16, Vec<Frozen>)>,
}

/// Loads the data directory `dir`. Takes about the memory that a server with that data takes.
///
/// # Errors
/// A server runs on it, or would refuse to start on it.
pub fn load(disk: Arc<dyn Disk>, dir: &Path) -> Result<Offline, ServerError> {
    let dir = ReadOnlyDir::open(disk, dir)?;
    let recovered = dir.recover(None)?;
    let report = recovered.report.clone();
    let memory = Memory::start(0, recovered.hash_seed)?;
    memory.replay(recovered)?;
    let mut databases: Vec<(u16, Vec<Frozen>)> = Vec::new();
    for (db, view) in memory.freeze()?.into_iter().flatten() {
        match databases.binary_search_by_key(&db, |(db, _)| *db) {
            Ok(index) => databases[index].1.push(view),
            Err(index) => databases.insert(index, (db, vec![view])),
        }
    }
    Ok(Offline { report, databases })
}

/// What a start would find in the directory of a server that runs: the databases of each of as many shards. The server must
/// stand still meanwhile, with all of its log durable.
pub fn load_again(
    data_dir: &DataDir,
    shards: u16,
    databases: usize,
) -> Result<Vec<Vec<Keyspace>>, ServerError> {
    let recovered = data_dir.look()?;
    let memory = Memory::start(shards, recovered.hash_seed)?;
    memory.replay(recovered)?;
    memory.take(databases)
}

/// Views of the databases of one shard that have keys.
pub type ShardView = Vec<(u16, Frozen)>;

/// Shards in memory that serve nobody and log nothing.
pub struct Memory {
    pub(super) shared: Arc<Shared>,
    pub(super) hasher: KeyHasher,
    threads: Vec<ShardThread>,
}

impl Memory {
    /// Empty shards; 0: one for each core of this machine. `hash_seed`: of the hash that places keys.
    pub fn start(shards: u16, hash_seed: u64) -> Result<Memory, ServerError> {
        let shards = if shards == 0 { one_shard_per_core() } else { shards };
        // No address to bind: the shards serve nobody.
        let config = Config { bind: Vec::new(), databases: DATABASES, shards, ..Config::default() };
        let shared = Shared::new(shards, config.clone(), run_id());
        shared.loading.active.store(true, Ordering::Release); // and so it stays: expiry waits for its end
        let hasher = KeyHasher::new(hash_seed);
        let threads = start_shards(&shared, &config, hasher)?;
        Ok(Memory { shared, hasher, threads })
    }

    pub fn shards(&self) -> u16 {
        self.shared.shards()
    }

    /// Bytes of files and logs that were loaded so far, and how many there are; for another thread to look at.
    pub fn loading(&self) -> impl Fn() -> (u64, u64) + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || {
            let loading = &shared.loading;
            (loading.loaded_bytes.load(Ordering::Relaxed), loading.total_bytes.load(Ordering::Relaxed))
        }
    }

    /// Loads what was recovered, into shards that are empty.
    pub fn replay(&self, recovered: Recovered) -> Result<replay::Summary, ServerError> {
        Ok(replay::replay(recovered, &self.shared)?)
    }

    /// As [`Memory::replay`], passing over effects that cannot be applied, which are answered.
    pub fn replay_what_can_be(
        &self,
        recovered: Recovered,
    ) -> Result<(replay::Summary, replay::Skipped), ServerError> {
        Ok(replay::replay_what_can_be(recovered, &self.shared)?)
    }

    /// The first `databases` of every shard; the shards are without keys then.
    fn take(&self, databases: usize) -> Result<Vec<Vec<Keyspace>>, ServerError> {
        let hasher = self.hasher;
        self.ask_each(move |engine| {
            let taken = engine.dbs.iter_mut().take(databases);
            taken.map(|keys| std::mem::replace(keys, Keyspace::new(hasher))).collect()
        })
    }

    /// A view of every shard.
    pub fn freeze(&self) -> Result<Vec<ShardView>, ServerError> {
        self.ask_each(|engine| {
            let views = engine.dbs.iter_mut().zip(0..).filter(|(keys, _)| !keys.is_empty());
            views.map(|(keys, db)| (db, keys.freeze())).collect()
        })
    }

    fn ask_each<T: Send + 'static>(
        &self,
        ask: impl Fn(&mut Engine) -> T + Copy + Send + 'static,
    ) -> Result<Vec<T>, ServerError> {
        let gone = || ServerError::Replay(replay::ReplayFailure::Thread);
        let mut answers = Vec::new();
        for mailbox in &self.shared.mailboxes {
            let (answer, answered) = mpsc::channel();
            mailbox.send(Message::Call(Box::new(move |shard| {
                let _ = answer.send(ask(&mut shard.engine.borrow_mut())); // whoever asked waits
            })));
            mailbox.wake();
            answers.push(answered.recv().map_err(|_| gone())?);
        }
        Ok(answers)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.stop.send(()); // it may have ended by itself
            let _ = thread.thread.join(); // a panic there has left no answer, which was noticed
        }
    }
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct WriteFailure {
    pub path: PathBuf,
    pub error: WriteError,
}

/// The facts about a snapshot in a directory that is made of snapshots alone.
pub fn facts(fresh: &FreshDir, shard: ShardId, shards: u16, gsn: Gsn) -> Aux {
    Aux(vec![
        ("everfast-ver", env!("CARGO_PKG_VERSION").to_owned()),
        ("everfast-checkpoint", fresh.checkpoint().to_string()),
        ("everfast-shard", shard.to_string()),
        ("everfast-shards", shards.to_string()),
        ("everfast-epoch", "0".to_owned()),
        ("everfast-position", "0".to_owned()),
        ("everfast-gsn", gsn.to_string()),
        ("everfast-hash-seed", format!("{:016x}", fresh.hash_seed())),
    ])
}

/// Writes each shard's keys into its snapshot in `fresh`, several at a time. `gsn`: the last global sequence number that
/// they stand for.
pub fn write_snapshots(
    fresh: &FreshDir,
    views: Vec<ShardView>,
    gsn: Gsn,
    progress: &Progress,
) -> Result<Vec<SnapshotEntry>, WriteFailure> {
    let shards = views.len() as u16;
    let views: Vec<Mutex<Option<ShardView>>> = views.into_iter().map(|view| Mutex::new(Some(view))).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((index, view)) = next_view(&views, &next) {
            let shard = ShardId(index as u16);
            let aux = facts(fresh, shard, shards, gsn);
            let result = write_snapshot(fresh, shard, view, &aux, progress);
            done.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..usize::from(one_shard_per_core()).min(views.len()) {
            scope.spawn(work);
        }
    });
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut entries: Vec<SnapshotEntry> = done.into_iter().collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| entry.shard);
    Ok(entries)
}

fn next_view(views: &[Mutex<Option<ShardView>>], next: &AtomicUsize) -> Option<(usize, ShardView)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    let view = views.get(index)?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some((index, view))
}

/// Writes one snapshot of `fresh`.
pub fn write_snapshot(
    fresh: &FreshDir,
    shard: ShardId,
    view: ShardView,
    aux: &Aux,
    progress: &Progress,
) -> Result<SnapshotEntry, WriteFailure> {
    let failed = |error: WriteError| WriteFailure { path: fresh.path().to_path_buf(), error };
    let mut file: Box<dyn DiskFile> = fresh.create_snapshot(shard).map_err(|error| failed(error.into()))?;
    let options = Options::default();
    let written = snapshot::write(view, aux, &mut *file, &options, progress).map_err(failed)?;
    Ok(SnapshotEntry { shard, bytes: written.bytes, keys: written.keys, crc64: written.crc64 })
}
