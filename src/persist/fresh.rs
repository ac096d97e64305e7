//! A new data directory made of snapshots alone: for imports, and for what a recovery brings together.
//!
//! Invariants:
//! 1. The directory holds no data before, and nothing in it counts before MANIFEST is there, which is written last. What is
//!    left of an attempt that did not get there makes every start refuse.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use formats::log::manifest::{CheckpointEntry, SnapshotEntry};
use formats::log::{CheckpointId, Epoch, Gsn, Manifest, ShardId};
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item};

use super::checkpoint::CutFacts;
use super::data_dir::{lock, refuse_data_files};
use super::disk::{DirLock, Disk, DiskFile};
use super::error::PersistError;
use super::file_names::{self, FileKind};
use super::manifest::ManifestFile;

/// A directory that is being filled.
pub struct FreshDir {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    hash_seed: u64,
    _lock: Box<dyn DirLock>,
}

const ID: CheckpointId = CheckpointId(1);

impl FreshDir {
    /// Creates `dir` if need be, and locks it. `hash_seed`: of the hash that places keys on shards; keep the one of the
    /// data directory that the data comes from, or take a random one.
    ///
    /// # Errors
    /// There is a MANIFEST, or there are data files.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, hash_seed: u64) -> Result<FreshDir, PersistError> {
        disk.create_dir(dir).map_err(PersistError::io("create", dir))?;
        let lock = lock(&*disk, dir)?;
        if ManifestFile::load(&*disk, dir.to_path_buf())?.is_some() {
            let exists = io::Error::new(io::ErrorKind::AlreadyExists, "it is a data directory already");
            return Err(PersistError::io("fill", dir)(exists));
        }
        refuse_unfinished(&*disk, dir)?;
        refuse_data_files(&*disk, dir)?;
        Ok(FreshDir { disk, dir: dir.to_path_buf(), hash_seed, _lock: lock })
    }

    pub fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// The checkpoint that it will hold.
    pub fn checkpoint(&self) -> CheckpointId {
        ID
    }

    /// An empty file for the snapshot of one of its shards, which are numbered from 0.
    pub fn create_snapshot(&self, shard: ShardId) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(&self.dir.join(file_names::snapshot(ID, shard)))
    }

    /// Makes it a data directory. The snapshots are written and synced. What is given up before can be removed by hand.
    pub fn finish(self, facts: CutFacts, snapshots: Vec<SnapshotEntry>) -> Result<(), PersistError> {
        let mut manifest = Manifest::new(self.hash_seed);
        manifest.is_whole = false;
        manifest.next_checkpoint = ID.next();
        let CutFacts { gsn, time_ms } = facts;
        let cuts = Vec::new();
        manifest.checkpoints.push(CheckpointEntry { id: ID, epoch: Epoch(0), gsn, time_ms, snapshots, cuts });
        self.disk.sync_dir(&self.dir).map_err(PersistError::io("sync", &self.dir))?;
        ManifestFile::create(&*self.disk, self.dir.clone(), manifest).map(drop)
    }

    /// The directory that it fills.
    pub fn path(&self) -> &Path {
        &self.dir
    }
}

/// Says so where all data files are such as this module makes: somebody was here before and did not come to the end.
fn refuse_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), PersistError> {
    let names = disk.list(dir).map_err(PersistError::io("list", dir))?;
    let mut files = Vec::new();
    for name in &names {
        match FileKind::of(name) {
            FileKind::Snapshot(ID, _) if is_of_import(disk, &dir.join(name)) => files.push(name.as_str()),
            FileKind::Snapshot(..) | FileKind::Segment(..) | FileKind::Pool(_) => return Ok(()),
            _ => {}
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    let why = format!(
        "an earlier import did not finish, and what it left is in the way: remove {} and import again. (If there was a \
         MANIFEST that is lost, they hold its data: `everfast-recover salvage`)",
        files.join(", ")
    );
    Err(PersistError::io("fill", dir)(io::Error::new(io::ErrorKind::AlreadyExists, why)))
}

/// Whether a snapshot says that it is of no epoch, or is empty.
fn is_of_import(disk: &dyn Disk, path: &Path) -> bool {
    let Ok(map) = disk.map(path) else { return false };
    let Ok(mut decoder) = Decoder::new(&map) else { return map.is_empty() };
    let (mut first, mut second) = (StringBuffer::default(), StringBuffer::default());
    while let Ok(Some(Item::Aux { name, value })) = decoder.next_item() {
        if name.bytes(&mut first).is_ok_and(|name| name == b"everfast-epoch") {
            return value.bytes(&mut second).is_ok_and(|value| value == b"0");
        }
    }
    false
}

/// The newest end of history that a directory could tell of: see [`CutFacts`].
pub fn last_gsn(next: Gsn) -> Gsn {
    Gsn(next.0.saturating_sub(1))
}
