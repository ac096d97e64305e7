//! Runs saves: cuts all shards at one moment, writes what they held on threads of its own, and makes it count.
//!
//! ```text
//! begin ─► cut (one section of the sequencer: each shard freezes its databases and cuts its log)
//!       ─► a file per shard, on threads of their own (files) ─► MANIFEST ─► release     with a log: a checkpoint
//!       ─► dump.rdb, joined from these files                                            if it is asked for
//! without a log: one file of all views, which is dump.rdb
//! ```
//!
//! Invariants:
//! 1. No command stands on both sides of a cut: no transaction is between its execution and its commit then, and all shards
//!    get the message at the same place of the common order.
//! 2. The shards do nothing for a save but freeze: microseconds, whatever they hold.
//! 3. A `dump.rdb` is replaced as a whole, and only one that Everfast wrote.

mod files;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use formats::log::Position;

use crate::clock;
use crate::command::connection::REDIS_VERSION;
use crate::config::Config;
use crate::persist::disk::{Disk, DiskFile, Mapping};
use crate::persist::{
    Checkpoint, CutFacts, CutRequest, DataDir, Gsn, PersistError, Retention, ShardId, file_names,
};
use crate::shard::Shard;
use crate::shard::latency;
use crate::shard::mailbox::Message;
use crate::shard::saves::{Job, Outcome, RunningFigures};
use crate::shard::shared::Shared;
use crate::snapshot::{self, Aux, Options, Part, Progress, WriteError, Written};
use crate::store::{Frozen, KeyHasher};
use crate::waiting;
use files::{Snapshot, Unwritten};

/// Of what nothing waits for (a nice value): it takes the time that clients leave, and some of what they do not.
const LOW_PRIORITY: i32 = 10;

/// How long a checkpoint whose snapshots are written waits for a log that cannot be written.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// Names the data directory that a file comes from.
const DIRECTORY_FIELD: &str = "everfast-directory";

/// Why a save did not count.
#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error(transparent)]
    Persist(#[from] PersistError),
    #[error("write {path}: {source}")]
    Write { path: PathBuf, source: WriteError },
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{path} was not written by this server on this data directory, and is left alone: move it away if it is not \
         needed, or import it into an empty directory with --import"
    )]
    Foreign { path: PathBuf },
    /// The checkpoint counts, and the file beside it was not written.
    #[error("{0}")]
    Dump(Box<SaveError>),
    #[error("the server is ending")]
    Ending,
    #[error("there is neither a log nor a dbfilename to save to")]
    Nowhere,
}

/// What runs saves.
struct Saver {
    /// Which holds the saver.
    shared: Weak<Shared>,
    disk: Arc<dyn Disk>,
    data_dir: Option<Arc<DataDir>>,
    hash_seed: u64,
    /// Without a log: all that was in `dump.rdb` at the start was loaded, so it may be replaced.
    holds_dump: bool,
    running: Mutex<Option<Running>>,
}

/// What the running save tells about itself.
struct Running {
    progress: Arc<Progress>,
    keys: u64,
}

impl Running {
    fn figures(&self) -> RunningFigures {
        RunningFigures {
            keys_processed: self.progress.keys(),
            keys_total: self.keys,
            cow_bytes: self.progress.held_bytes().unwrap_or(0),
            cow_peak_bytes: self.progress.peak_held_bytes(),
        }
    }
}

/// What a save does, from its begin to its end.
pub type Work = Box<dyn FnOnce() + Send>;

/// The threads that saves were started on and that may not have ended: the one that works, and those that have told what
/// came of it and are about to end.
#[derive(Default)]
pub struct SaverThreads(Mutex<Vec<JoinHandle<()>>>);

impl SaverThreads {
    /// Starts a save on a thread of its own.
    pub fn start(&self, work: Work) -> io::Result<()> {
        let thread = std::thread::Builder::new().name("saver".into()).spawn(work)?;
        let mut threads = self.threads();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(())
    }

    /// Waits for the threads of saves that are done: each holds the data directory, and with it the lock, a moment longer
    /// than it takes to tell.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("the thread of a save panicked");
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner) // nothing panics between two changes
    }
}

/// Connects the saves of `shared` with what does them. `start` begins the work and returns at once.
pub fn install(
    shared: &Arc<Shared>,
    disk: &Arc<dyn Disk>,
    data_dir: Option<Arc<DataDir>>,
    hash_seed: u64,
    start: impl Fn(Work) -> io::Result<()> + Send + Sync + 'static,
) {
    let saver = Arc::new(Saver {
        shared: Arc::downgrade(shared),
        disk: Arc::clone(disk),
        hash_seed,
        holds_dump: data_dir.is_none(),
        data_dir,
        running: Mutex::default(),
    });
    let figures = Arc::clone(&saver);
    shared.saves.set_figures(Box::new(move || figures.figures()));
    shared.saves.set_runner(Box::new(move |job| saver.start(job, &start)));
}

/// Every shard's view, and what else the cut told.
struct Cut {
    facts: CutFacts,
    shards: Vec<ShardCut>,
}

struct ShardCut {
    shard: ShardId,
    databases: Vec<(u16, Frozen)>,
    /// Of its log, at the cut.
    position: Position,
    has_log: bool,
    changes: u64,
    stood_still_us: u64,
}

impl ShardCut {
    fn keys(&self) -> u64 {
        self.databases.iter().map(|(_, view)| view.len() as u64).sum()
    }
}

impl Saver {
    fn figures(&self) -> RunningFigures {
        self.running().as_ref().map(Running::figures).unwrap_or_default()
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner) // replaced as a whole
    }

    fn start(self: &Arc<Self>, job: Job, start: &impl Fn(Work) -> io::Result<()>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let progress = Arc::new(Progress::cancelled_by(job.cancelled));
        let save = Save { saver: Arc::clone(self), shared: Arc::clone(&shared), progress };
        if let Err(error) = start(Box::new(move || save.run(job.dump))) {
            shared.saves.finished(Outcome::failure(format!("cannot start a thread: {error}")));
        }
    }
}

/// One save at work.
struct Save {
    saver: Arc<Saver>,
    shared: Arc<Shared>,
    progress: Arc<Progress>,
}

impl Save {
    fn run(self, dump: bool) {
        let mut outcome = Outcome::failure("");
        let result = self.save(dump, &mut outcome);
        if let Some(running) = self.saver.running().take() {
            outcome.cow_peak_bytes = running.figures().cow_peak_bytes;
        }
        (outcome.result, outcome.dump) = match result {
            Ok(()) => (Ok(()), Ok(())),
            Err(SaveError::Dump(error)) => (Ok(()), Err(error.to_string())),
            Err(error) => (Err(error.to_string()), Ok(())),
        };
        self.shared.saves.finished(outcome);
    }

    fn save(&self, dump: bool, outcome: &mut Outcome) -> Result<(), SaveError> {
        let config = self.shared.config().clone();
        let dump_path =
            (!config.dbfilename.as_os_str().is_empty()).then(|| config.dir.join(&config.dbfilename));
        let dump_path = dump_path.filter(|_| dump || self.saver.data_dir.is_none());
        match &self.saver.data_dir {
            Some(data_dir) => {
                let snapshots = self.checkpoint(data_dir, &config, outcome)?;
                match dump_path {
                    Some(path) => self
                        .check_dump_is_ours(&path)
                        .and_then(|()| self.join_dump(&path, &config, &snapshots))
                        .map_err(|error| SaveError::Dump(Box::new(error))),
                    None => Ok(()),
                }
            }
            None => {
                let path = dump_path.ok_or(SaveError::Nowhere)?;
                self.check_dump_is_ours(&path)?;
                self.dump_alone(&path, &config, outcome)
            }
        }
    }

    fn checkpoint(
        &self,
        data_dir: &DataDir,
        config: &Config,
        outcome: &mut Outcome,
    ) -> Result<Vec<Snapshot>, SaveError> {
        let mut checkpoint = data_dir.begin_checkpoint()?;
        let cut = self.cut(Some(&checkpoint), outcome)?;
        if cut.shards.iter().any(|shard| !shard.has_log) {
            return Err(SaveError::Ending);
        }
        crash_point!("checkpoint-after-cut");
        let facts = cut.facts;
        let snapshots = self.write_snapshots(&mut checkpoint, cut, config)?;
        outcome.snapshot_bytes = snapshots.iter().map(|snapshot| snapshot.written.bytes).sum();
        let entries = snapshots.iter().map(Snapshot::entry).collect();
        let rule = retention(config);
        // A log that cannot be written does not get to its cut. It may want for the very space that the snapshots take.
        let patience = clock::now() + LOG_PATIENCE;
        let is_given_up =
            || self.progress.is_cancelled() || self.shared.log_is_stuck() && clock::now() > patience;
        let finished = checkpoint.finish(facts, entries, &rule, clock::unix_ms(), is_given_up)?;
        if finished.history_lost {
            tracing::warn!("a sync of a log had failed: history before this checkpoint is not kept");
        }
        Ok(snapshots)
    }

    /// Freezes every shard at one place of the common order.
    fn cut(&self, checkpoint: Option<&Checkpoint>, outcome: &mut Outcome) -> Result<Cut, SaveError> {
        let request = checkpoint.map(Checkpoint::cut_request);
        let (gsn, answers) = self.send_cut(request.as_ref())?;
        let mut shards: Vec<ShardCut> = std::iter::from_fn(|| waiting::receive(&answers).ok()).collect();
        if shards.len() != usize::from(self.shared.shards()) {
            return Err(SaveError::Ending);
        }
        // Not before the last shard's cut: what is in it was written by then.
        let facts = CutFacts { gsn, time_ms: clock::unix_ms() };
        shards.sort_by_key(|cut| cut.shard);
        outcome.keys = shards.iter().map(ShardCut::keys).sum();
        outcome.cut_max_us = shards.iter().map(|cut| cut.stood_still_us).max().unwrap_or(0);
        let threshold_ms = self.shared.config().latency_monitor_threshold_ms;
        let stood_still = Duration::from_micros(outcome.cut_max_us);
        self.shared.note_latency(threshold_ms, latency::CHECKPOINT_CUT, stood_still);
        self.shared.saves.note_cut(shards.iter().map(|cut| cut.changes).sum(), self.shared.log_bytes());
        let gauges = shards.iter().flat_map(|cut| &cut.databases).map(|(_, view)| view.gauge()).collect();
        self.progress.watch(gauges);
        *self.saver.running() = Some(Running { progress: Arc::clone(&self.progress), keys: outcome.keys });
        Ok(Cut { facts, shards })
    }

    /// Also answers the last number given out before the cut.
    fn send_cut(&self, request: Option<&CutRequest>) -> Result<(Gsn, Receiver<ShardCut>), SaveError> {
        let io = |source| SaveError::Io { action: "wait for", path: "the shards".into(), source };
        // To wait in line with the other exclusive ones, who are tasks.
        let section = waiting::block_on(self.shared.sequencer.exclusive()).map_err(io)?;
        let gsn = section.last_gsn();
        let (answer, answers) = channel();
        for mailbox in &self.shared.mailboxes {
            let (answer, request) = (answer.clone(), request.cloned());
            mailbox.push(Message::Call(Box::new(move |shard| {
                let _ = answer.send(freeze(shard, request)); // whoever asked waits
            })));
        }
        drop(section);
        self.shared.mailboxes.iter().for_each(|mailbox| mailbox.wake());
        Ok((gsn, answers))
    }

    /// Writes a file per shard, several at a time.
    fn write_snapshots(
        &self,
        checkpoint: &mut Checkpoint,
        cut: Cut,
        config: &Config,
    ) -> Result<Vec<Snapshot>, SaveError> {
        let mut parts = Vec::new();
        for shard in cut.shards {
            let aux = self.snapshot_fields(checkpoint, cut.facts, shard.shard, shard.position);
            let (path, file) = checkpoint.create_snapshot(shard.shard)?;
            let io = |source| SaveError::Io { action: "open", path: path.clone(), source };
            let second = self.saver.disk.open(&path).map_err(io)?;
            parts.push(Unwritten { shard: shard.shard, databases: shard.databases, aux, path, file, second });
        }
        files::write(parts, &options(config), snapshot_threads(config), &self.progress)
    }

    /// Joins the files of a checkpoint into one that any Redis loads.
    fn join_dump(&self, path: &Path, config: &Config, snapshots: &[Snapshot]) -> Result<(), SaveError> {
        let map = |snapshot: &Snapshot| -> Result<Mapping, SaveError> {
            let io = |source| SaveError::Io { action: "map", path: snapshot.path.clone(), source };
            self.saver.disk.map(&snapshot.path).map_err(io)
        };
        let maps: Vec<Mapping> = snapshots.iter().map(map).collect::<Result<_, _>>()?;
        let part = |(snapshot, file): (&Snapshot, _)| {
            let Written { body, keys, .. } = &snapshot.written;
            Part { file, body: body.clone(), keys: *keys }
        };
        let parts: Vec<Part<'_>> = snapshots.iter().zip(&maps).map(part).collect();
        // The keys were counted when their snapshots were written.
        let progress = self.progress.of_another_step();
        self.replace_dump(path, |file| {
            lower_priority();
            snapshot::join(&parts, &self.fields(), file, &options(config), &progress)
        })
        .map(drop)
    }

    /// Without a log: all views in one file.
    fn dump_alone(&self, path: &Path, config: &Config, outcome: &mut Outcome) -> Result<(), SaveError> {
        let cut = self.cut(None, outcome)?;
        let mut databases: Vec<(u16, Frozen)> =
            cut.shards.into_iter().flat_map(|cut| cut.databases).collect();
        databases.sort_by_key(|(db, _)| *db);
        // As `files` does: nothing but pages while views are held.
        let options = Options { sync_every_bytes: u64::MAX, ..options(config) };
        let written = self.replace_dump(path, |file| {
            snapshot::write(databases, &self.fields(), file, &options, &self.progress)
        })?;
        outcome.snapshot_bytes = written.bytes;
        Ok(())
    }

    /// Writes a file beside `path`, and puts it into its place when it is durable.
    fn replace_dump(
        &self,
        path: &Path,
        write: impl FnOnce(&mut dyn DiskFile) -> Result<Written, WriteError>,
    ) -> Result<Written, SaveError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let unfinished = dir.join(file_names::DUMP_TMP);
        let io = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| SaveError::Io { action, path, source }
        };
        if self.saver.data_dir.is_none() {
            self.saver.disk.create_dir(dir).map_err(io("create", dir))?;
        }
        let mut file = self.saver.disk.create(&unfinished).map_err(io("create", &unfinished))?;
        let written =
            write(&mut *file).map_err(|source| SaveError::Write { path: unfinished.clone(), source });
        let result = written.and_then(|written| {
            crash_point!("dump-before-rename");
            self.put_into_place(&unfinished, path).map_err(io("replace", path))?;
            crash_point!("dump-after-rename");
            Ok(written)
        });
        if result.is_err() {
            let _ = self.saver.disk.remove(&unfinished); // the next save begins it anew
        }
        result
    }

    fn put_into_place(&self, unfinished: &Path, path: &Path) -> io::Result<()> {
        match &self.saver.data_dir {
            // Whose own syncs of the directory must not hide a failure of this one, nor this one theirs.
            Some(data_dir) => data_dir.rename(unfinished, path),
            None => {
                self.saver.disk.rename(unfinished, path)?;
                self.saver.disk.sync_dir(path.parent().unwrap_or(Path::new(".")))
            }
        }
    }

    /// A file of somebody else may be the only copy of their data; also one that Everfast wrote elsewhere, or before this
    /// data directory began.
    fn check_dump_is_ours(&self, path: &Path) -> Result<(), SaveError> {
        if self.saver.holds_dump {
            return Ok(());
        }
        match self.saver.disk.file_bytes(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(0) => return Ok(()),
            Err(source) => return Err(SaveError::Io { action: "look at", path: path.into(), source }),
            Ok(_) => {}
        }
        let map = self.saver.disk.map(path);
        let map = map.map_err(|source| SaveError::Io { action: "look at", path: path.into(), source })?;
        let directory = directory_name(self.saver.hash_seed);
        let is_ours = snapshot::head(&map).is_ok_and(|head| {
            head.aux.iter().any(|(name, value)| name == DIRECTORY_FIELD && *value == directory)
        });
        if is_ours { Ok(()) } else { Err(SaveError::Foreign { path: path.into() }) }
    }

    /// What every file says of itself; the first ones as Redis does.
    fn fields(&self) -> Aux {
        Aux(vec![
            ("redis-ver", REDIS_VERSION.to_owned()),
            ("redis-bits", usize::BITS.to_string()),
            ("ctime", (clock::unix_ms() / 1000).to_string()),
            ("everfast-ver", env!("CARGO_PKG_VERSION").to_owned()),
            (DIRECTORY_FIELD, directory_name(self.saver.hash_seed)),
        ])
    }

    /// And a snapshot, from which with the logs everything can be found again without MANIFEST.
    fn snapshot_fields(
        &self,
        checkpoint: &Checkpoint,
        facts: CutFacts,
        shard: ShardId,
        position: Position,
    ) -> Aux {
        let mut fields = self.fields();
        fields.0.extend([
            ("everfast-checkpoint", checkpoint.id().to_string()),
            ("everfast-epoch", checkpoint.epoch().to_string()),
            ("everfast-shard", shard.to_string()),
            ("everfast-shards", self.shared.shards().to_string()),
            ("everfast-position", position.to_string()),
            ("everfast-gsn", facts.gsn.to_string()),
            ("everfast-time", facts.time_ms.to_string()),
            ("everfast-hash-seed", format!("{:016x}", self.saver.hash_seed)),
        ]);
        fields
    }
}

/// A name of the data directory that does not tell its seed: an attacker who knows that can choose keys that collide.
fn directory_name(hash_seed: u64) -> String {
    let text = b"the name of the data directory that this file was written by";
    format!("{:016x}", KeyHasher::new(hash_seed).hash(text).0)
}

/// The shard's part of the cut, on its own thread.
fn freeze(shard: &Shard, request: Option<CutRequest>) -> ShardCut {
    let started = clock::now();
    let mut engine = shard.engine.borrow_mut();
    let engine = &mut *engine;
    let views = engine.dbs.iter_mut().zip(0..).filter(|(keys, _)| !keys.is_empty());
    let databases = views.map(|(keys, db)| (db, keys.freeze())).collect();
    let position = engine.appended();
    if let (Some(log), Some(request)) = (&mut engine.log, request) {
        log.cut(request);
    }
    ShardCut {
        shard: shard.id,
        databases,
        position,
        has_log: engine.log.is_some(),
        changes: engine.changes,
        stood_still_us: clock::elapsed(started).as_micros() as u64,
    }
}

fn options(config: &Config) -> Options {
    Options { compress: config.rdbcompression, ..Options::default() }
}

fn snapshot_threads(config: &Config) -> usize {
    match config.snapshot_threads {
        0 => (usize::from(super::one_shard_per_core()) / 2).max(1),
        threads => usize::from(threads),
    }
}

fn retention(config: &Config) -> Retention {
    let asked = config.log_retention;
    let only_bytes = asked.checkpoints == 0 && asked.seconds == 0 && asked.max_bytes > 0;
    Retention {
        checkpoints: if only_bytes { u32::MAX } else { asked.checkpoints.max(1) },
        seconds: asked.seconds,
        max_bytes: asked.max_bytes,
    }
}

/// Of this thread. Without it a save is only less considerate.
fn lower_priority() {
    let _ = rustix::process::setpriority_process(None, LOW_PRIORITY);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogRetention;

    fn rule(asked: LogRetention) -> Retention {
        retention(&Config { log_retention: asked, ..Config::default() })
    }

    #[test]
    fn a_limit_of_bytes_alone_keeps_what_fits() {
        assert_eq!(rule(LogRetention::default()), Retention::default());
        let bytes = LogRetention { max_bytes: 5, ..LogRetention::default() };
        assert_eq!(rule(bytes), Retention { checkpoints: u32::MAX, seconds: 0, max_bytes: 5 });
        let both = LogRetention { max_bytes: 5, seconds: 7, ..LogRetention::default() };
        assert_eq!(rule(both), Retention { checkpoints: 1, seconds: 7, max_bytes: 5 });
    }
}
