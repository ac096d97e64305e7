//! Snapshots: which are sound, and which checkpoint is the best one to begin with.
//!
//! Without MANIFEST a snapshot's own facts say what it is: `everfast-checkpoint`, `everfast-shard`, `everfast-shards`,
//! `everfast-epoch`, `everfast-position` (where the shard's log was cut), `everfast-gsn`, `everfast-hash-seed`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use formats::checksum::Crc64;
use formats::log::manifest::SnapshotEntry;
use formats::log::{CheckpointId, Epoch, Gsn, Manifest, Position, ShardId};
use formats::rdb::encode::EncodeVersion;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, HEADER_BYTES, Item, RdbString};

use super::LostRange;
use super::files::{FileFact, FileState};
use super::logs::WalkedLog;
use crate::persist::disk::{Disk, Mapping};
use crate::persist::file_names::{self, FileKind};
use crate::persist::recovery::RecoveredSnapshot;

const CHECKSUM_BYTES: usize = 8;
/// Summed at once.
const PIECE_BYTES: usize = 1 << 20;

/// A snapshot as found.
pub struct SnapshotFact {
    pub checkpoint: CheckpointId,
    pub shard: ShardId,
    pub path: PathBuf,
    /// `None`: it is not there.
    pub map: Option<Mapping>,
    /// Why it is not sound.
    pub trouble: Option<String>,
    /// As MANIFEST has them.
    pub keys: Option<u64>,
    crc64: u64,
    pub shards: Option<u16>,
    pub epoch: Option<Epoch>,
    position: Option<Position>,
    gsn: Option<Gsn>,
    pub hash_seed: Option<u64>,
}

/// A snapshot that is not sound and has to do.
pub struct DamagedSnapshot {
    pub path: PathBuf,
    pub map: Mapping,
    pub shard: ShardId,
    /// Of the checkpoint: a key belongs to the shard that its hash says. `None`: the seed of that hash is not known.
    pub shards: Option<u16>,
    pub why: String,
    /// Keys that it had, if MANIFEST says.
    pub keys: Option<u64>,
}

/// Reads the snapshots that MANIFEST names, or all that there are.
pub fn read(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
    manifest: Option<&Manifest>,
    facts: &mut Vec<FileFact>,
) -> Vec<SnapshotFact> {
    let mut snapshots = Vec::new();
    let entries: Vec<_> = manifest
        .iter()
        .flat_map(|manifest| &manifest.checkpoints)
        .flat_map(|checkpoint| checkpoint.snapshots.iter().map(|entry| (checkpoint.id, *entry)))
        .collect();
    for (id, entry) in &entries {
        snapshots.push(read_one(disk, dir, *id, entry.shard, Some(entry)));
    }
    for name in names {
        let FileKind::Snapshot(id, shard) = FileKind::of(name) else { continue };
        if manifest.is_none() {
            snapshots.push(read_one(disk, dir, id, shard, None));
        } else if !entries.iter().any(|(other, entry)| (*other, entry.shard) == (id, shard)) {
            let path = dir.join(name);
            let (kind, bytes) = (FileKind::Snapshot(id, shard), disk.file_bytes(&path).unwrap_or(0));
            facts.push(FileFact { path, kind, bytes, state: FileState::Leftover });
        }
    }
    for snapshot in &snapshots {
        let state = match (&snapshot.trouble, &snapshot.map) {
            (None, _) => FileState::Sound,
            (Some(why), Some(_)) => FileState::Damaged(why.clone()),
            (Some(why), None) => FileState::Lost(why.clone()),
        };
        let bytes = snapshot.map.as_ref().map_or(0, |map| map.len() as u64);
        let kind = FileKind::Snapshot(snapshot.checkpoint, snapshot.shard);
        facts.push(FileFact { path: snapshot.path.clone(), kind, bytes, state });
    }
    snapshots
}

fn read_one(
    disk: &dyn Disk,
    dir: &Path,
    checkpoint: CheckpointId,
    shard: ShardId,
    entry: Option<&SnapshotEntry>,
) -> SnapshotFact {
    let path = dir.join(file_names::snapshot(checkpoint, shard));
    let mut fact = SnapshotFact {
        checkpoint,
        shard,
        path,
        map: None,
        trouble: None,
        keys: entry.map(|entry| entry.keys),
        crc64: 0,
        shards: None,
        epoch: None,
        position: None,
        gsn: None,
        hash_seed: None,
    };
    match disk.map(&fact.path) {
        Ok(map) => {
            (fact.trouble, fact.crc64) = check(&map, entry);
            fact.read_facts(&map);
            fact.map = Some(map);
        }
        Err(error) => fact.trouble = Some(error.to_string()),
    }
    fact
}

/// What is wrong with it, and its checksum.
fn check(map: &[u8], entry: Option<&SnapshotEntry>) -> (Option<String>, u64) {
    if let Some(entry) = entry.filter(|entry| entry.bytes != map.len() as u64) {
        return (Some(format!("expected a file of {} bytes, found {}", entry.bytes, map.len())), 0);
    }
    let Some((content, sum)) = map.split_last_chunk::<CHECKSUM_BYTES>() else {
        return (Some("too short for an RDB file".to_owned()), 0);
    };
    let mut crc = Crc64::new();
    content.chunks(PIECE_BYTES).for_each(|piece| crc.update(piece));
    let (found, expected) = (crc.value(), entry.map_or(u64::from_le_bytes(*sum), |entry| entry.crc64));
    if found != expected || found != u64::from_le_bytes(*sum) {
        return (Some(format!("damaged: expected checksum {expected:016x}, found {found:016x}")), found);
    }
    (None, found)
}

impl SnapshotFact {
    fn read_facts(&mut self, map: &[u8]) {
        // Of a damaged header, the facts behind it.
        let behind = || Decoder::resume(map, HEADER_BYTES, EncodeVersion::V10.version(), 0);
        let mut decoder = Decoder::new(map).unwrap_or_else(|_| behind());
        while let Ok(Some(Item::Aux { name, value })) = decoder.next_item() {
            let (Some(name), Some(value)) = (text(name), text(value)) else { continue };
            let number = || value.parse::<u64>().ok();
            match name.as_str() {
                "everfast-shards" => self.shards = number().and_then(|number| u16::try_from(number).ok()),
                "everfast-epoch" => {
                    self.epoch = number().and_then(|number| u32::try_from(number).ok()).map(Epoch);
                }
                "everfast-position" => self.position = number().map(Position),
                "everfast-gsn" => self.gsn = number().map(Gsn),
                "everfast-hash-seed" => self.hash_seed = u64::from_str_radix(&value, 16).ok(),
                _ => {}
            }
        }
    }
}

fn text(string: RdbString<'_>) -> Option<String> {
    String::from_utf8(string.bytes(&mut StringBuffer::default()).ok()?.to_vec()).ok()
}

/// What a salvage begins with.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// `None`: the empty beginning.
    pub id: Option<CheckpointId>,
    epoch: Epoch,
    positions: BTreeMap<ShardId, Position>,
    pub gsn: Gsn,
}

impl Base {
    /// Whether effects of the epoch come on top of it.
    pub fn is_behind(&self, epoch: Epoch) -> bool {
        self.id.is_none() || epoch >= self.epoch
    }

    /// The first position of a shard that comes on top of it.
    pub fn start(&self, epoch: Epoch, shard: ShardId) -> Position {
        match self.id {
            Some(_) if epoch < self.epoch => Position(u64::MAX),
            Some(_) if epoch == self.epoch => self.positions.get(&shard).copied().unwrap_or_default(),
            _ => Position(0),
        }
    }

    /// Whether a hole in a log is one in what comes on top of it.
    pub fn concerns(&self, lost: &LostRange) -> bool {
        let reaches = |&(shard, _, end): &(ShardId, Position, Option<Position>)| {
            end.is_none_or(|end| end > self.start(lost.epoch, shard))
        };
        self.is_behind(lost.epoch) && (lost.positions.is_empty() || lost.positions.iter().any(reaches))
    }
}

/// The choice.
pub struct Chosen {
    pub base: Base,
    pub sound: Vec<RecoveredSnapshot>,
    pub damaged: Vec<DamagedSnapshot>,
    pub unusable: Vec<(CheckpointId, String)>,
}

/// The newest checkpoint of which all snapshots are sound; without one the empty beginning, if the logs reach back to it
/// without a hole; else the newest one that has any snapshot.
pub fn choose(
    manifest: Option<&Manifest>,
    snapshots: Vec<SnapshotFact>,
    is_whole: bool,
    logs: &[WalkedLog],
) -> Chosen {
    let mut groups: BTreeMap<CheckpointId, Vec<SnapshotFact>> = BTreeMap::new();
    for snapshot in snapshots {
        groups.entry(snapshot.checkpoint).or_default().push(snapshot);
    }
    let mut unusable = Vec::new();
    let mut candidates: Vec<(CheckpointId, Vec<SnapshotFact>)> = groups.into_iter().rev().collect();
    for (id, group) in &candidates {
        match trouble_of(group) {
            None => break,
            Some(why) => unusable.push((*id, why)),
        }
    }
    let has_holes = logs.iter().any(|log| !log.lost.is_empty());
    let sound = candidates.iter().position(|(_, group)| trouble_of(group).is_none());
    let chosen = match sound {
        Some(index) => Some(index),
        None if is_whole && !has_holes => None,
        None => candidates.iter().position(|(_, group)| group.iter().any(|snapshot| snapshot.map.is_some())),
    };
    let Some((id, group)) = chosen.map(|index| candidates.swap_remove(index)) else {
        return Chosen { base: Base::default(), sound: Vec::new(), damaged: Vec::new(), unusable };
    };
    let base = base_of(manifest, id, &group);
    let shards = group.iter().filter_map(|snapshot| snapshot.shards).max().unwrap_or(group.len() as u16);
    let (mut sound, mut damaged) = (Vec::new(), Vec::new());
    for snapshot in group {
        let SnapshotFact { path, map: Some(map), trouble, shard, keys, crc64, .. } = snapshot else {
            continue;
        };
        match trouble {
            None => {
                let entry = SnapshotEntry { shard, bytes: map.len() as u64, keys: keys.unwrap_or(0), crc64 };
                sound.push(RecoveredSnapshot { path, map, entry });
            }
            Some(why) => {
                let shards = Some(shards);
                damaged.push(DamagedSnapshot { path, map, shard, shards, why, keys });
            }
        }
    }
    Chosen { base, sound, damaged, unusable }
}

/// Why a checkpoint cannot be begun with as it is.
fn trouble_of(group: &[SnapshotFact]) -> Option<String> {
    if let Some(snapshot) = group.iter().find(|snapshot| snapshot.trouble.is_some()) {
        let why = snapshot.trouble.clone().unwrap_or_default();
        return Some(format!("the snapshot of shard {}: {why}", snapshot.shard));
    }
    let shards = group.iter().filter_map(|snapshot| snapshot.shards).max();
    match shards {
        Some(shards) if usize::from(shards) != group.len() => {
            Some(format!("{} snapshots of {shards} are there", group.len()))
        }
        _ => None,
    }
}

fn base_of(manifest: Option<&Manifest>, id: CheckpointId, group: &[SnapshotFact]) -> Base {
    let entry =
        manifest.and_then(|manifest| manifest.checkpoints.iter().find(|checkpoint| checkpoint.id == id));
    if let Some(entry) = entry {
        let positions = entry.cuts.iter().flat_map(|cut| &cut.ends).copied();
        // A log without a cut has nothing behind the checkpoint.
        let mut positions: BTreeMap<_, _> = positions.collect();
        for snapshot in &entry.snapshots {
            positions.entry(snapshot.shard).or_insert(Position(u64::MAX));
        }
        return Base { id: Some(id), epoch: entry.epoch, positions, gsn: entry.gsn };
    }
    let positions = group.iter().filter_map(|snapshot| Some((snapshot.shard, snapshot.position?)));
    Base {
        id: Some(id),
        epoch: group.iter().filter_map(|snapshot| snapshot.epoch).max().unwrap_or_default(),
        positions: positions.collect(),
        gsn: group.iter().filter_map(|snapshot| snapshot.gsn).max().unwrap_or_default(),
    }
}
