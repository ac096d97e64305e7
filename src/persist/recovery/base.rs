//! Where a recovery begins: at the newest checkpoint, or, for a point in time, at the last one before it.
//!
//! Invariants:
//! 1. Every snapshot of the base has the size and the checksum that MANIFEST says, over all its bytes, before one of its
//!    keys is believed.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use formats::checksum::Crc64;
use formats::log::manifest::{CheckpointEntry, SnapshotEntry};
use formats::log::{CheckpointId, Gsn, Manifest};

use crate::persist::disk::Mapping;
use crate::persist::error::{PersistError, Refusal};
use crate::persist::file_names;
use crate::persist::files::Files;

/// The last bytes of an RDB file: the CRC-64 of all before.
const CHECKSUM_BYTES: usize = 8;
/// Summed at once.
const PIECE_BYTES: usize = 1 << 20; // whole pages of memory

/// Up to where history is recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Frames that were handed to the writer after this moment (ms since 1970) are left out.
    Time(u64),
    /// Everything before the first transaction with a higher number, on each of its shards.
    Gsn(Gsn),
}

/// A snapshot that was verified.
pub struct RecoveredSnapshot {
    pub path: PathBuf,
    pub map: Mapping,
    pub entry: SnapshotEntry,
}

/// The checkpoint to begin with; `None`: the empty beginning.
pub fn choose(manifest: &Manifest, limit: Option<Limit>) -> Result<Option<&CheckpointEntry>, PersistError> {
    let is_before = |checkpoint: &&CheckpointEntry| match limit {
        None => true,
        Some(Limit::Time(ms)) => checkpoint.time_ms <= ms,
        Some(Limit::Gsn(gsn)) => checkpoint.gsn <= gsn,
    };
    let base = manifest.checkpoints.iter().rev().find(is_before);
    match (base, manifest.checkpoints.first()) {
        (None, Some(oldest)) if !manifest.is_whole => {
            Err(PersistError::BeforeHistory { oldest: oldest.id, time_ms: oldest.time_ms, gsn: oldest.gsn })
        }
        _ => Ok(base),
    }
}

/// Maps and verifies the snapshots of a checkpoint, several at a time.
pub fn verify(files: &Files, base: &CheckpointEntry) -> Result<Vec<RecoveredSnapshot>, PersistError> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(base.snapshots.len());
    let done: Mutex<Vec<Result<RecoveredSnapshot, PersistError>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(entry) = base.snapshots.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = verify_one(files, base.id, entry);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut snapshots: Vec<RecoveredSnapshot> = done.into_iter().collect::<Result<_, _>>()?;
    snapshots.sort_by_key(|snapshot| snapshot.entry.shard);
    Ok(snapshots)
}

fn verify_one(
    files: &Files,
    id: CheckpointId,
    entry: &SnapshotEntry,
) -> Result<RecoveredSnapshot, PersistError> {
    let path = files.path(&file_names::snapshot(id, entry.shard));
    let lost = format!("the {} keys of shard {} at checkpoint {id}", entry.keys, entry.shard);
    let refuse = |offset, why| Refusal { file: path.clone(), offset, lost: lost.clone(), why };
    let map = match files.disk.map(&path) {
        Ok(map) => map,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refuse(None, "MANIFEST names it, and it is not there".to_owned()).into());
        }
        Err(error) => return Err(PersistError::io("map", &path)(error)),
    };
    if map.len() as u64 != entry.bytes {
        let why = format!("expected a file of {} bytes, found {}", entry.bytes, map.len());
        return Err(refuse(None, why).into());
    }
    let Some((content, sum)) = map.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(refuse(None, "too short for an RDB file".to_owned()).into());
    };
    let mut crc = Crc64::new();
    for (piece, bytes) in content.chunks(PIECE_BYTES).enumerate() {
        crc.update(bytes);
        map.forget(piece * PIECE_BYTES..piece * PIECE_BYTES + bytes.len()); // until it is loaded
    }
    let found = crc.value();
    if found != entry.crc64 {
        let why = format!("damaged: expected checksum {:016x}, found {found:016x}", entry.crc64);
        return Err(refuse(None, why).into());
    }
    if u64::from_le_bytes(*sum) != found {
        let why = format!("damaged: its last 8 bytes are not its checksum {found:016x}");
        return Err(refuse(Some(content.len() as u64), why).into());
    }
    Ok(RecoveredSnapshot { map, path, entry: *entry })
}
