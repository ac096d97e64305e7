//! The life of a data directory: open, recover, start logs, close.
//!
//! Invariants:
//! 1. One server per directory: LOCK is held from `open` to the drop.
//! 2. Logs start only after a recovery whose seal is durable.
//! 3. MANIFEST seals a log at `close` only if every log of this start is durable to its last frame.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use formats::log::manifest::{EpochEntry, LogEntry, LogStart, LogState, Seal, SegmentEntry};
use formats::log::{Epoch, Gsn, LogId, Manifest, SegmentHeader, SegmentNo, SegmentUid, ShardId};

use super::checkpoint::Checkpoint;
use super::disk::{DirLock, Disk};
use super::error::{PersistError, Refusal};
use super::file_names::{self, FileKind};
use super::files::{Files, PreparedSegment};
use super::log::{
    Log, LogOptions, LogShared, LogWriter, PolicyCell, Preparer, RunningWriter, Segment, SpareSlot,
    SyncPolicy, WriterParts, WriterQueue,
};
use super::manifest::ManifestFile;
use super::random::random_u64;
use super::recovery::{self, Recovered};

/// An open data directory.
pub struct DataDir {
    files: Arc<Files>,
    policy: Arc<PolicyCell>,
    running: Mutex<Running>,
    _lock: Box<dyn DirLock>,
}

#[derive(Default)]
struct Running {
    /// Known once recovered; taken when the logs start.
    next_gsn: Option<Gsn>,
    writers: Vec<RunningWriter>,
    /// One per log.
    spares: Vec<Arc<SpareSlot>>,
    preparer: Option<Preparer>,
}

/// A log about to start.
struct NewLog {
    header: SegmentHeader,
    shards: Vec<ShardId>,
    segment: PreparedSegment,
}

impl DataDir {
    /// Opens a data directory, creating it if need be, and locks it. A directory without MANIFEST must have
    /// no data files. What is found is made durable before it is believed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<DataDir, PersistError> {
        disk.create_dir(dir).map_err(PersistError::io("create", dir))?;
        let lock = lock(&*disk, dir)?;
        let manifest = match ManifestFile::load(&*disk, dir.to_path_buf())? {
            Some(found) => {
                found.confirm(&*disk)?;
                found
            }
            None => create_manifest(&*disk, dir)?,
        };
        Ok(DataDir {
            files: Arc::new(Files::new(disk, dir.to_path_buf(), manifest)),
            policy: Arc::default(),
            running: Mutex::default(),
            _lock: lock,
        })
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn path(&self) -> &PathBuf {
        &self.files.dir
    }

    /// The current MANIFEST; waits for no disk.
    pub fn manifest(&self) -> Arc<Manifest> {
        self.files.manifest()
    }

    /// Renames a file of the directory that is not named in MANIFEST, durably. Whoever else makes names here meanwhile is
    /// told of a failed sync: one past this would go unseen.
    ///
    /// # Errors
    /// The old name or the new one may be there, now and after a crash.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let since = self.files.names_since();
        self.files.disk.rename(from, to)?;
        self.files.sync_names(since)
    }

    /// Finds out what the directory holds, cuts what was torn, and makes the cut durable. What it answers is
    /// to be replayed before the logs are started.
    pub fn recover(&self) -> Result<Recovered, PersistError> {
        let mut running = self.running();
        if !running.writers.is_empty() {
            return Err(PersistError::Running);
        }
        let recovered = recovery::recover(&self.files)?;
        running.next_gsn = Some(recovered.next_gsn);
        Ok(recovered)
    }

    /// What a recovery would find now; nothing is changed on disk, and what runs goes on. Its files may go away with the next
    /// checkpoint: whoever asks sees to it that there is none meanwhile.
    pub fn look(&self) -> Result<Recovered, PersistError> {
        recovery::look(&self.files, None)
    }

    /// Begins a new epoch: a log per writer, with its first segment, and a thread for each. Answers the
    /// shards' logs, by shard.
    ///
    /// Files that the recovery left over are removed here: what was to be replayed must have been.
    pub fn start_logs(&self, options: &LogOptions) -> Result<Vec<Log>, PersistError> {
        options.check()?;
        let mut running = self.running();
        let first_gsn = running.next_gsn.take().ok_or(PersistError::NotRecovered)?;
        self.policy.set(options.policy);
        crash_point!("recovery-before-sweep");
        self.files.sweep()?;
        let logs = self.make_logs(options)?;
        crash_point!("logs-before-name-epoch");
        self.name_epoch(options, first_gsn, &logs)?;
        crash_point!("logs-after-name-epoch");
        if options.background_preparer {
            let preparer =
                Preparer::spawn().map_err(PersistError::io("start a thread for", &self.files.dir))?;
            running.preparer = Some(preparer);
        }
        let mut shard_logs = Vec::new();
        for log in logs {
            self.start_log(options, log, &mut running, &mut shard_logs)?;
        }
        shard_logs.sort_by_key(|log: &Log| log.shared().shard());
        Ok(shard_logs)
    }

    fn make_logs(&self, options: &LogOptions) -> Result<Vec<NewLog>, PersistError> {
        let manifest = self.files.manifest();
        let mut logs = Vec::new();
        for writer in 0..options.writers {
            let step = usize::from(options.writers);
            let shards: Vec<ShardId> = (writer..options.shards).step_by(step).map(ShardId).collect();
            let header = SegmentHeader {
                epoch: manifest.next_epoch,
                log: LogId(manifest.next_log.0.saturating_add(u32::from(writer))),
                segment: SegmentNo(0),
                uid: SegmentUid(0),
                checkpoint: manifest.newest_checkpoint().map_or(0, |checkpoint| checkpoint.id.0),
                file_bytes: 0,
                hash_seed: manifest.hash_seed,
                shards: shards.clone(),
            };
            let made = self.files.make_segment(header.clone(), options.segments.first_bytes);
            let segment = made.map_err(PersistError::io("make the first segments in", &self.files.dir))?;
            logs.push(NewLog { header, shards, segment });
        }
        Ok(logs)
    }

    /// Names the epoch, its logs and their first segments in MANIFEST, all at once.
    fn name_epoch(&self, options: &LogOptions, first_gsn: Gsn, logs: &[NewLog]) -> Result<(), PersistError> {
        self.files.update_manifest_or_fail(|manifest| {
            let number = manifest.next_epoch;
            manifest.next_epoch = Epoch(number.0.saturating_add(1));
            manifest.next_log = LogId(manifest.next_log.0.saturating_add(logs.len() as u32));
            manifest.epochs.push(EpochEntry { number, shards: options.shards, first_gsn });
            // An epoch without logs was kept for its first GSN alone; the new one knows it now.
            manifest.remove_logs(|_| false);
            for log in logs {
                let (id, shards) = (log.header.log, log.shards.clone());
                let from = LogStart::zero(&shards);
                manifest.logs.push(LogEntry { id, epoch: number, shards, from, state: LogState::Open });
                let PreparedSegment { number, uid, bytes, .. } = log.segment;
                manifest.insert_segment(SegmentEntry { log: id, number, uid, bytes });
            }
        })
    }

    fn start_log(
        &self,
        options: &LogOptions,
        log: NewLog,
        running: &mut Running,
        shard_logs: &mut Vec<Log>,
    ) -> Result<(), PersistError> {
        let (id, metrics, queue) = (log.header.log, Arc::default(), Arc::new(WriterQueue::default()));
        let shared = |&shard| {
            let (policy, metrics) = (Arc::clone(&self.policy), Arc::clone(&metrics));
            Arc::new(LogShared::new(shard, id, options.queue_limit_bytes, policy, metrics))
        };
        let shards: Vec<Arc<LogShared>> = log.shards.iter().map(shared).collect();
        let first_bytes = options.segments.first_bytes;
        let spare = Arc::new(SpareSlot::new(Arc::clone(&self.files), log.header, first_bytes));
        running.spares.push(Arc::clone(&spare));
        let parts = WriterParts {
            log: id,
            segment: Segment::new(log.segment),
            spare,
            preparer: running.preparer.as_ref().and_then(Preparer::requests),
            sizes: options.segments,
            shards: shards.clone(),
            policy: Arc::clone(&self.policy),
            metrics: Arc::clone(&metrics),
        };
        let patience = Duration::from_millis(options.close_patience_ms);
        let writer = LogWriter::new(parts, 0);
        let (theirs, wake) = (Arc::clone(&queue), Arc::clone(&options.wake));
        running.writers.push(if options.writer_threads {
            RunningWriter::spawn(writer, theirs, wake, patience)
                .map_err(PersistError::io("start a thread for", &self.files.dir))?
        } else {
            RunningWriter::by_hand(writer, theirs, wake, patience)
        });
        shard_logs.extend(
            shards
                .into_iter()
                .map(|shared| Log::new(shared, Arc::clone(&queue), Arc::clone(&options.complete))),
        );
        Ok(())
    }

    /// Switches the policy of all logs, now.
    pub fn set_policy(&self, policy: SyncPolicy) {
        self.policy.set(policy);
        self.running().writers.iter().for_each(|writer| writer.queue().wake());
    }

    /// Lets log writer `index` do what it finds to do, where writers have no threads; answers whether that was something.
    pub fn turn_writer(&self, index: usize) -> bool {
        let taken = self.running().writers.get_mut(index).and_then(RunningWriter::take_worker);
        let Some(mut worker) = taken else { return false };
        let did_something = worker.work();
        if let Some(writer) = self.running().writers.get_mut(index) {
            writer.put_back(worker);
        }
        did_something
    }

    /// Begins a checkpoint of the running logs.
    ///
    /// # Errors
    /// A log has no segment to go on in, for want of space mostly; or no logs run.
    pub fn begin_checkpoint(&self) -> Result<Checkpoint, PersistError> {
        let (spares, queues) = {
            let running = self.running();
            let queues: Vec<_> = running.writers.iter().map(|writer| Arc::clone(writer.queue())).collect();
            (running.spares.clone(), queues)
        };
        Checkpoint::begin(Arc::clone(&self.files), spares, queues)
    }

    /// Writes and syncs everything handed over and seals the logs: the next start finds a clean end. Every
    /// shard must have dropped its [`Log`], or called `submit_all`, before.
    ///
    /// If a log cannot be made durable, none is sealed: the next start finds the ends by reading, as after a
    /// crash.
    pub fn close(&self) -> Result<(), PersistError> {
        match self.stop_threads() {
            (mut closed, None) => self.seal(&mut closed),
            (_, Some(failure)) => Err(failure),
        }
    }

    /// Lets the writers write the rest and end; answers those that did so cleanly. When this returns, nothing
    /// but the caller changes the directory: a spare made while MANIFEST is sealed would be named behind the
    /// seal.
    fn stop_threads(&self) -> (Vec<LogWriter>, Option<PersistError>) {
        let (writers, preparer) = {
            let mut running = self.running();
            running.spares.clear();
            (std::mem::take(&mut running.writers), running.preparer.take())
        };
        let mut closed = Vec::new();
        let mut failure = None;
        for writer in writers {
            match writer.close() {
                Some(mut writer) if writer.is_clean() => {
                    writer.stop_preparing();
                    closed.push(writer);
                }
                Some(writer) => {
                    let (log, bytes, why) = (writer.log(), writer.queued_bytes(), writer.trouble());
                    failure = Some(PersistError::Unclosed { log, bytes, why });
                }
                None => failure = Some(panicked()),
            }
        }
        // Waits for the spare under way; nobody can ask for another.
        drop(preparer);
        (closed, failure)
    }

    fn seal(&self, writers: &mut [LogWriter]) -> Result<(), PersistError> {
        if writers.is_empty() {
            return Ok(());
        }
        let manifest = self.files.manifest();
        let has_frames = |writer: &LogWriter| {
            manifest.log(writer.log()).is_some_and(|log| writer.frames() > log.from.frames)
        };
        let seal = |writer: &LogWriter| -> Option<Seal> { has_frames(writer).then(|| writer.seal()) };
        let seals: HashMap<LogId, Option<Seal>> =
            writers.iter().map(|writer| (writer.log(), seal(writer))).collect();
        crash_point!("close-before-seal");
        self.files.update_manifest_or_fail(|manifest| recovery::apply_seals(manifest, &seals))?;
        crash_point!("close-after-seal");
        for writer in writers.iter_mut().filter(|writer| has_frames(writer)) {
            // Gives space back; failure costs nothing else.
            let _ = writer.segment().truncate();
        }
        // Segments that nothing names any more.
        self.files.sweep()
    }
}

impl Drop for DataDir {
    /// Without `close` the logs stay open, as after a crash; but no thread outlives the lock.
    fn drop(&mut self) {
        drop(self.stop_threads());
    }
}

fn panicked() -> PersistError {
    PersistError::Unclosed { log: LogId(0), bytes: 0, why: "a log writer panicked".to_owned() }
}

/// Takes the lock of a data directory; creates its file where there is none.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DirLock>, PersistError> {
    let path = dir.join(file_names::LOCK);
    disk.lock(&path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => PersistError::Locked { dir: dir.to_path_buf() },
        _ => PersistError::io("lock", &path)(error),
    })
}

/// The first MANIFEST, if the directory has no data of ours.
fn create_manifest(disk: &dyn Disk, dir: &Path) -> Result<ManifestFile, PersistError> {
    refuse_data_files(disk, dir)?;
    ManifestFile::create(disk, dir.to_path_buf(), Manifest::new(random_u64()))
}

/// Without MANIFEST nothing says what the data files in a directory are.
pub(super) fn refuse_data_files(disk: &dyn Disk, dir: &Path) -> Result<(), PersistError> {
    let names = disk.list(dir).map_err(PersistError::io("list", dir))?;
    let is_data = |name: &&String| {
        matches!(FileKind::of(name), FileKind::Segment(..) | FileKind::Pool(_) | FileKind::Snapshot(..))
    };
    if let Some(name) = names.iter().find(is_data) {
        return Err(Refusal {
            file: dir.join(name),
            offset: None,
            lost: "whatever the data files in this directory hold".to_owned(),
            why: "there are data files here, but no MANIFEST".to_owned(),
        }
        .into());
    }
    Ok(())
}
