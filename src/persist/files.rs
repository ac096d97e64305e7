//! A data directory's disk, MANIFEST and pool of used segment files, shared by writers, preparer and
//! recovery.
//!
//! Invariants:
//! 1. A file in the pool is named by no MANIFEST that a crash could bring back.
//! 2. A file's place in the pool is durable before it is taken out. Else a crash could undo the renaming to the pool and
//!    not the one from it, and leave one file under two names, of which both would be written to.
//! 3. A segment answered by `prepare` is synced and durably named in MANIFEST.
//! 4. Every sync of the directory goes through `sync_names`: a failed one is seen by all who made names before it.
//! 5. To look at MANIFEST waits for no disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use formats::log::manifest::SegmentEntry;
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{CheckpointId, LogId, Manifest, SegmentHeader, SegmentNo, SegmentUid, ShardId};

use super::dir_sync::{DirSync, Since};
use super::disk::{Disk, DiskFile};
use super::error::PersistError;
use super::file_names::{self, FileKind};
use super::manifest::{ManifestFile, ReplaceError};
use super::pool::{Pool, Pooled};
use super::random::random_u64;

/// Zeros are written in blocks of this many bytes.
const ZERO_BLOCK_BYTES: usize = 1 << 20;

/// See the module.
pub struct Files {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    syncs: DirSync,
    /// Held while it is replaced.
    manifest: Mutex<ManifestFile>,
    /// The same as in `manifest`, never held over I/O.
    published: Mutex<Arc<Manifest>>,
    pool: Mutex<Pool>,
}

/// A segment that may be written to.
pub struct PreparedSegment {
    pub number: SegmentNo,
    pub uid: SegmentUid,
    /// Size of the file.
    pub bytes: u64,
    pub file: Box<dyn DiskFile>,
}

impl Files {
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, manifest: ManifestFile) -> Files {
        Files {
            disk,
            syncs: DirSync::new(dir.clone()),
            dir,
            published: Mutex::new(manifest.share()),
            manifest: Mutex::new(manifest),
            pool: Mutex::default(),
        }
    }

    /// To be taken before names are made in the directory that [`Files::sync_names`] shall prove.
    pub fn names_since(&self) -> Since {
        self.syncs.since()
    }

    /// Returns when all names made after `since` are on stable storage; see [`DirSync`].
    pub fn sync_names(&self, since: Since) -> io::Result<()> {
        self.syncs.sync(&*self.disk, since)
    }

    fn manifest_file(&self) -> MutexGuard<'_, ManifestFile> {
        // A panic while it was held changed nothing in memory: `update` replaces the whole.
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn published(&self) -> MutexGuard<'_, Arc<Manifest>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner) // replaced whole
    }

    /// The current MANIFEST.
    pub fn manifest(&self) -> Arc<Manifest> {
        Arc::clone(&self.published())
    }

    /// Changes MANIFEST durably.
    pub fn update_manifest(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), ReplaceError> {
        let mut file = self.manifest_file();
        file.update(&*self.disk, &self.syncs, change)?;
        *self.published() = file.share();
        Ok(())
    }

    /// As `update_manifest`, with an error for people.
    pub fn update_manifest_or_fail(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), PersistError> {
        let path = self.dir.join(file_names::MANIFEST);
        self.update_manifest(change).map_err(|error| PersistError::io("replace", &path)(error.into_io()))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a segment file of at least `bytes` bytes with this header (its uid and size are filled in), and
    /// syncs it. It is not named in MANIFEST yet.
    pub fn make_segment(&self, mut header: SegmentHeader, bytes: u64) -> io::Result<PreparedSegment> {
        let path = self.path(&file_names::segment(header.log, header.segment));
        let since = self.names_since();
        let made = self.segment_file(&path, bytes).and_then(|(mut file, bytes)| {
            crash_point!("segment-after-create");
            header.uid = SegmentUid(random_u64());
            header.file_bytes = bytes;
            file.write_all_at(0, &header.encode())?;
            file.sync_data()?;
            self.sync_names(since)?;
            Ok(PreparedSegment { number: header.segment, uid: header.uid, bytes, file })
        });
        if made.is_err() {
            // Nothing names it. If it cannot be removed either, the next start does.
            let _ = self.disk.remove(&path);
        }
        made
    }

    /// Makes a segment and names it in MANIFEST, in place of `instead_of` if given.
    ///
    /// After an error the segment's number must not be used again: a file of that name may be there.
    pub fn prepare_segment(
        &self,
        header: SegmentHeader,
        bytes: u64,
        instead_of: Option<SegmentNo>,
    ) -> io::Result<PreparedSegment> {
        let log = header.log;
        let segment = self.make_segment(header, bytes)?;
        let entry = SegmentEntry { log, number: segment.number, uid: segment.uid, bytes: segment.bytes };
        crash_point!("segment-before-manifest");
        let named = self.update_manifest(|manifest| {
            manifest.segments.retain(|other| other.log != log || Some(other.number) != instead_of);
            manifest.insert_segment(entry);
        });
        match named {
            Ok(()) => {
                let unused = instead_of.map(|unused| file_names::segment(log, unused));
                self.recycle(unused.into_iter());
                Ok(segment)
            }
            Err(ReplaceError::Unchanged(error)) => {
                let _ = self.disk.remove(&self.path(&file_names::segment(log, segment.number)));
                Err(error)
            }
            // The file stays: a MANIFEST that names it may come back.
            Err(ReplaceError::Unknown(error)) => Err(error),
        }
    }

    /// A file whose blocks are written: from the pool, or filled with zeros.
    fn segment_file(&self, path: &Path, bytes: u64) -> io::Result<(Box<dyn DiskFile>, u64)> {
        let pooled = self.pool().take(bytes);
        if let Some(Pooled { number, bytes }) = pooled {
            let renamed = self.disk.rename(&self.path(&file_names::pool(number)), path);
            renamed.inspect_err(|_| self.remove_from_pool(vec![number]))?;
            return Ok((self.disk.open(path)?, bytes));
        }
        let mut file = self.disk.create(path)?;
        // Only a hint that keeps the blocks together.
        let _ = file.allocate(bytes);
        let zeros = vec![0; ZERO_BLOCK_BYTES.min(bytes as usize)];
        let mut offset = 0;
        while offset < bytes {
            let count = (bytes - offset).min(zeros.len() as u64);
            file.write_all_at(offset, &zeros[..count as usize])?;
            offset += count;
        }
        Ok((file, bytes))
    }

    /// Puts segment files that no MANIFEST names into the pool, or deletes them if there is no room. Failure leaves
    /// leftovers for the next start.
    pub fn recycle(&self, names: impl Iterator<Item = String>) {
        let since = self.names_since();
        let pooled: Vec<u64> = names.filter_map(|name| self.rename_to_pool(&self.path(&name))).collect();
        if pooled.is_empty() {
            return;
        }
        let is_durable = self.sync_names(since).is_ok();
        for number in pooled {
            if is_durable {
                self.pool().arrive(number);
            } else {
                // Without a name it cannot get a second one.
                self.pool().forget(number);
                let _ = self.disk.remove(&self.path(&file_names::pool(number)));
            }
        }
    }

    /// Its number in the pool.
    fn rename_to_pool(&self, path: &Path) -> Option<u64> {
        let bytes = self.disk.file_bytes(path).ok()?;
        let admitted = if bytes > SEGMENT_HEADER_BYTES as u64 { self.pool().admit(bytes) } else { None };
        let Some((number, replaced)) = admitted else {
            let _ = self.disk.remove(path);
            return None;
        };
        self.remove_from_pool(replaced);
        let renamed = self.disk.rename(path, &self.path(&file_names::pool(number)));
        renamed.inspect_err(|_| self.pool().forget(number)).ok()?;
        crash_point!("pool-after-rename");
        Some(number)
    }

    fn remove_from_pool(&self, numbers: Vec<u64>) {
        for number in numbers {
            let _ = self.disk.remove(&self.path(&file_names::pool(number))); // or the next start finds it again
        }
    }

    /// After a successful start: takes over the pool's files, and deletes temporary files and the segment files that
    /// MANIFEST does not name. What is not ours is left alone.
    ///
    /// Those segments do not go to the pool: where the directory could not be synced, one may have a second name there that a
    /// crash brings back, and would be written to under both.
    pub fn sweep(&self) -> Result<(), PersistError> {
        let names = self.disk.list(&self.dir).map_err(PersistError::io("list", &self.dir))?;
        let kinds: Vec<(FileKind, String)> =
            names.into_iter().map(|name| (FileKind::of(&name), name)).collect();
        self.adopt_pool(&kinds);
        let manifest = self.manifest();
        for (kind, name) in &kinds {
            let is_leftover = match *kind {
                FileKind::Segment(log, number) => {
                    manifest.segments_of(log).all(|segment| segment.number != number)
                }
                FileKind::Snapshot(checkpoint, shard) => !names_snapshot(&manifest, checkpoint, shard),
                FileKind::Temporary => true,
                FileKind::Manifest | FileKind::Lock | FileKind::Pool(_) | FileKind::Other => false,
            };
            if is_leftover {
                let _ = self.disk.remove(&self.path(name)); // or the next start does
            }
        }
        Ok(())
    }

    /// Gives back the files that `before` names and MANIFEST does not any more: segments to the pool, unless their log
    /// `is_bad`, and snapshots to the file system. Failure leaves leftovers for the next start.
    pub fn release(&self, before: &Manifest, is_bad: impl Fn(LogId) -> bool) {
        let now = self.manifest();
        let is_named =
            |segment: &SegmentEntry| now.segments_of(segment.log).any(|kept| kept.number == segment.number);
        let free = before.segments.iter().filter(|segment| !is_named(segment));
        let (bad, good): (Vec<_>, Vec<_>) = free.partition(|segment| is_bad(segment.log));
        let name = |segment: &SegmentEntry| file_names::segment(segment.log, segment.number);
        for segment in bad {
            let _ = self.disk.remove(&self.path(&name(segment)));
        }
        crash_point!("release-before-recycle");
        self.recycle(good.into_iter().map(name));
        for checkpoint in &before.checkpoints {
            for snapshot in &checkpoint.snapshots {
                if !names_snapshot(&now, checkpoint.id, snapshot.shard) {
                    let _ =
                        self.disk.remove(&self.path(&file_names::snapshot(checkpoint.id, snapshot.shard)));
                }
            }
        }
    }

    fn adopt_pool(&self, kinds: &[(FileKind, String)]) {
        for (kind, name) in kinds {
            let FileKind::Pool(number) = *kind else { continue };
            if let Ok(bytes) = self.disk.file_bytes(&self.path(name)) {
                let surplus = self.pool().adopt(Pooled { number, bytes });
                self.remove_from_pool(surplus);
            }
        }
    }
}

fn names_snapshot(manifest: &Manifest, id: CheckpointId, shard: ShardId) -> bool {
    let checkpoint = manifest.checkpoints.iter().find(|checkpoint| checkpoint.id == id);
    checkpoint.is_some_and(|checkpoint| checkpoint.snapshots.iter().any(|snapshot| snapshot.shard == shard))
}
