//! Past rot and missing files: everything that is sound, and a list of what is not.
//!
//! ```text
//! survey: MANIFEST, or the files' own headers ──► logs walked over all damage, snapshots summed
//! salvage: the best snapshots to begin with + every sound frame behind them ──► Recovered + losses
//! ```
//!
//! Invariants:
//! 1. Nothing is written, and nothing unsound is handed out as sound.
//! 2. Whatever a frame number, a seal or MANIFEST says was there and is not among what is handed out is in the report.
//! 3. With a sound MANIFEST only files that it names are read, and nothing behind a seal or its cuts.
//! 4. Where nothing of an epoch can be missing, its incomplete transactions are cut as by a start. Else their parts and what
//!    follows them are kept: the rest may be what is missing. Both are listed.

mod files;
mod logs;
mod snapshots;
mod transactions;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formats::log::{CheckpointId, Epoch, FrameNo, Gsn, LogId, Manifest, Position, ShardId};

pub use files::{FileFact, FileState, ManifestState};
pub use snapshots::DamagedSnapshot;

use self::logs::WalkedLog;
use self::snapshots::{Base, SnapshotFact};
use super::replay::{ReplayEpoch, ReplayLog};
use super::{Recovered, RecoveryReport};
use crate::persist::data_dir::lock;
use crate::persist::disk::{DirLock, Disk};
use crate::persist::error::PersistError;
use crate::persist::file_names::{self, FileKind};
use crate::persist::files::Files;
use crate::persist::manifest::ManifestFile;

/// A hole in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRange {
    pub log: LogId,
    pub epoch: Epoch,
    /// The file in which it begins, and its bytes there; an empty range if the file is missing.
    pub file: PathBuf,
    pub bytes: Range<u64>,
    /// First and last; no last one where nothing says how many there were.
    pub frames: (FrameNo, Option<FrameNo>),
    /// For each shard that misses some: the first position lost, and the first one behind it, if one is known.
    pub positions: Vec<(ShardId, Position, Option<Position>)>,
    /// Transactions between these two may have been in it: the last one seen before it and the first one behind it.
    pub gsns: (Option<Gsn>, Option<Gsn>),
    /// When the frames before and behind it were written, in ms since 1970.
    pub times_ms: (Option<u64>, Option<u64>),
    pub why: String,
}

/// A transaction of which some shards have no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteTransaction {
    pub gsn: Gsn,
    pub epoch: Epoch,
    pub present: Vec<ShardId>,
    pub missing: Vec<ShardId>,
    /// Its parts are applied; else they are cut, as a start does.
    pub is_kept: bool,
}

/// What a salvage found.
#[derive(Clone, Debug, Default)]
pub struct SalvageReport {
    pub manifest: ManifestState,
    /// The checkpoint that it begins with.
    pub base: Option<CheckpointId>,
    /// Checkpoints that could not be used, and why.
    pub unusable: Vec<(CheckpointId, String)>,
    pub lost: Vec<LostRange>,
    /// Frames at the ends of logs that are torn, or damaged.
    pub torn: Vec<LostRange>,
    /// Files that are missing or of which nothing can be read.
    pub files: Vec<FileFact>,
    pub incomplete: Vec<IncompleteTransaction>,
    /// The seed of the hash that places keys is not known: which keys a FLUSHALL or SWAPDB of one shard meant cannot be told
    /// if the number of shards has changed.
    pub is_seed_unknown: bool,
    pub frames: u64,
    pub effects: u64,
}

/// What can be had of a directory.
pub struct Salvage {
    /// To be replayed, behind `damaged`.
    pub recovered: Recovered,
    /// Snapshots of the base that are not sound: some of their keys may be.
    pub damaged: Vec<DamagedSnapshot>,
    pub report: SalvageReport,
}

/// A data directory gone through from end to end, whatever its state.
pub struct Survey {
    files: Option<Files>,
    manifest: Option<Manifest>,
    state: ManifestState,
    hash_seed: Option<u64>,
    pub files_found: Vec<FileFact>,
    logs: Vec<WalkedLog>,
    snapshots: Vec<SnapshotFact>,
    shards_of: BTreeMap<Epoch, u16>,
    _lock: Option<Box<dyn DirLock>>,
}

impl Survey {
    /// Reads everything in `dir`.
    ///
    /// # Errors
    /// A server runs on it, or its files cannot be listed.
    pub fn of(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Survey, PersistError> {
        let names = disk.list(dir).map_err(PersistError::io("list", dir))?;
        let lock = match names.iter().any(|name| name == file_names::LOCK) {
            true => Some(lock(&**disk, dir)?),
            false => None,
        };
        let (file, state) = match ManifestFile::load(&**disk, dir.to_path_buf()) {
            Ok(Some(file)) => (Some(file), ManifestState::Sound),
            Ok(None) => (None, ManifestState::Missing),
            Err(error @ PersistError::Manifest { .. }) => (None, ManifestState::Damaged(error.to_string())),
            Err(error) => return Err(error),
        };
        let manifest = file.as_ref().map(|file| file.current().clone());
        let found = files::find(&**disk, dir, &names, manifest.as_ref());
        let mut files_found = found.facts;
        let logs: Vec<WalkedLog> =
            found.logs.into_iter().map(|log| logs::walk(log, &mut files_found)).collect();
        let snapshots = snapshots::read(&**disk, dir, &names, manifest.as_ref(), &mut files_found);
        let shards_of = shard_counts(manifest.as_ref(), &logs, &snapshots);
        let hash_seed = manifest.as_ref().map(|manifest| manifest.hash_seed).or(found.hash_seed);
        let hash_seed = hash_seed.or_else(|| snapshots.iter().find_map(|snapshot| snapshot.hash_seed));
        let files = file.map(|file| Files::new(Arc::clone(disk), dir.to_path_buf(), file));
        Ok(Survey { files, manifest, state, hash_seed, files_found, logs, snapshots, shards_of, _lock: lock })
    }

    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    pub fn manifest_state(&self) -> &ManifestState {
        &self.state
    }

    /// Whether there is any file with data of ours.
    pub fn has_data(&self) -> bool {
        self.files_found
            .iter()
            .any(|file| matches!(file.kind, FileKind::Segment(..) | FileKind::Snapshot(..)))
    }

    /// What the next start would find. `None`: it would refuse, because MANIFEST is missing or damaged.
    pub fn next_start(&self) -> Option<Result<RecoveryReport, PersistError>> {
        let files = self.files.as_ref()?;
        Some(super::look(files, None).map(|recovered| recovered.report))
    }

    /// All holes in all logs, also in those that a start does not read.
    pub fn lost(&self) -> impl Iterator<Item = &LostRange> {
        self.logs.iter().flat_map(|log| &log.lost)
    }

    /// Frames and effects that are sound.
    pub fn sound(&self) -> (u64, u64) {
        self.logs.iter().fold((0, 0), |(frames, effects), log| (frames + log.frames, effects + log.effects))
    }

    /// The snapshots with a sound checksum: path, content, keys as MANIFEST has them.
    pub fn sound_snapshots(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let sound = self.snapshots.iter().filter(|snapshot| snapshot.trouble.is_none());
        sound.filter_map(|snapshot| Some((snapshot.path.as_path(), &**snapshot.map.as_ref()?)))
    }

    /// Chooses what to begin with, and hands out all that is sound behind it.
    pub fn salvage(self, fallback_seed: u64) -> Salvage {
        let Survey { manifest, state, hash_seed, files_found, logs, snapshots, shards_of, .. } = self;
        let is_whole = manifest.as_ref().map_or_else(|| logs::reach_the_beginning(&logs), |m| m.is_whole);
        let chosen = snapshots::choose(manifest.as_ref(), snapshots, is_whole, &logs);
        let snapshots::Chosen { base, sound, mut damaged, unusable } = chosen;
        if hash_seed.is_none() {
            damaged.iter_mut().for_each(|snapshot| snapshot.shards = None);
        }
        let (cuts, incomplete) = transactions::settle(manifest.as_ref(), &logs, &base);
        let mut report = SalvageReport {
            manifest: state,
            base: base.id,
            unusable,
            files: files_found.into_iter().filter(|file| file.state.is_loss()).collect(),
            incomplete,
            is_seed_unknown: hash_seed.is_none(),
            ..SalvageReport::default()
        };
        let seen = logs.iter().filter_map(|log| log.last_gsn).max().unwrap_or_default();
        let first = manifest.iter().flat_map(|manifest| &manifest.epochs).map(|epoch| epoch.first_gsn);
        let next_gsn = first.fold(seen.max(base.gsn).next(), Gsn::max);
        let mut epochs: BTreeMap<Epoch, Vec<ReplayLog>> = BTreeMap::new();
        for log in logs.into_iter().filter(|log| base.is_behind(log.epoch)) {
            report.lost.extend(log.lost.iter().filter(|lost| base.concerns(lost)).cloned());
            report.torn.extend(log.torn.iter().filter(|torn| base.concerns(torn)).cloned());
            (report.frames, report.effects) = (report.frames + log.frames, report.effects + log.effects);
            epochs.entry(log.epoch).or_default().push(replay_log(log, &base, &cuts));
        }
        let epochs = epochs.into_iter().map(|(epoch, logs)| ReplayEpoch {
            epoch,
            shards: shards_of.get(&epoch).copied().unwrap_or(1),
            logs,
        });
        let recovered = Recovered {
            hash_seed: hash_seed.unwrap_or(fallback_seed),
            next_gsn,
            report: RecoveryReport { checkpoint: base.id, ..RecoveryReport::default() },
            base: base.id,
            snapshots: sound,
            epochs: epochs.collect(),
        };
        Salvage { recovered, damaged, report }
    }
}

fn replay_log(log: WalkedLog, base: &Base, cuts: &BTreeMap<(Epoch, ShardId), Position>) -> ReplayLog {
    let of_shard = |shard: ShardId| (shard, base.start(log.epoch, shard));
    let starts: HashMap<_, _> = log.ends.iter().map(|(shard, _)| of_shard(*shard)).collect();
    let cut = |shard: ShardId, end: Position| cuts.get(&(log.epoch, shard)).copied().unwrap_or(end);
    let cuts = log.ends.iter().map(|&(shard, end)| (shard, cut(shard, end))).collect();
    ReplayLog::new(log.pieces, starts, cuts)
}

/// How many shards each epoch had.
fn shard_counts(
    manifest: Option<&Manifest>,
    logs: &[WalkedLog],
    snapshots: &[SnapshotFact],
) -> BTreeMap<Epoch, u16> {
    let mut counts: BTreeMap<Epoch, u16> = BTreeMap::new();
    let mut at_least = |epoch: Epoch, shards: u16| {
        let count = counts.entry(epoch).or_default();
        *count = shards.max(*count);
    };
    if let Some(manifest) = manifest {
        manifest.epochs.iter().for_each(|epoch| at_least(epoch.number, epoch.shards));
        return counts;
    }
    for log in logs {
        log.shards.iter().for_each(|shard| at_least(log.epoch, shard.0.saturating_add(1)));
    }
    for snapshot in snapshots {
        if let (Some(epoch), Some(shards)) = (snapshot.epoch, snapshot.shards) {
            at_least(epoch, shards);
        }
    }
    counts
}
