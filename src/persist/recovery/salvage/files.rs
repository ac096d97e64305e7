//! Which files there are, and which logs they make up: by MANIFEST, or by their own headers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use formats::log::manifest::{LogState, Seal};
use formats::log::{
    Epoch, FrameNo, LogId, Manifest, Position, SegmentHeader, SegmentNo, SegmentUid, ShardId,
};

use crate::persist::disk::{Disk, Mapping};
use crate::persist::file_names::{self, FileKind};

/// What became of MANIFEST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ManifestState {
    Sound,
    Damaged(String),
    #[default]
    Missing,
}

/// A file of the directory, or one that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    pub path: PathBuf,
    pub kind: FileKind,
    /// 0 if it is missing.
    pub bytes: u64,
    pub state: FileState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Part of the data, and as it should be.
    Sound,
    /// Part of the data, and not as it should be; what is in it may be sound.
    Damaged(String),
    /// Part of the data, and not there, or nothing of it can be read.
    Lost(String),
    /// Named by nothing; the next start removes it or uses it again.
    Leftover,
    /// Not one of ours.
    Foreign,
}

impl FileState {
    /// Whether something is wrong with the file.
    pub fn is_loss(&self) -> bool {
        matches!(self, FileState::Damaged(_) | FileState::Lost(_))
    }
}

/// One log, before it is walked.
pub struct LogPlan {
    pub id: LogId,
    pub epoch: Epoch,
    pub shards: Vec<ShardId>,
    /// Where it begins; `None`: with whatever is found.
    pub from: Option<(FrameNo, Vec<(ShardId, Position)>)>,
    pub seal: Option<Seal>,
    /// There was a checkpoint when it began, by its first segment's header; not looked at where MANIFEST knows.
    pub follows_checkpoint: bool,
    pub segments: Vec<SegmentPlan>,
}

/// One segment of it.
pub struct SegmentPlan {
    pub number: SegmentNo,
    pub path: PathBuf,
    /// Under which its frames are summed.
    pub uid: SegmentUid,
    /// `None`: the file is missing.
    pub map: Option<Mapping>,
    /// What is wrong with the file as a whole.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a segment's file as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There are fewer bytes than there should be.
    Short {
        expected: u64,
    },
    /// It is not the file that it should be.
    Foreign(String),
    Header(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Short { expected } => write!(f, "the file is cut short: it had {expected} bytes"),
            Trouble::Foreign(why) | Trouble::Header(why) => f.write_str(why),
        }
    }
}

/// All of it.
pub struct Found {
    pub logs: Vec<LogPlan>,
    pub facts: Vec<FileFact>,
    pub hash_seed: Option<u64>,
}

/// Looks at all files but the snapshots.
pub fn find(disk: &dyn Disk, dir: &Path, names: &[String], manifest: Option<&Manifest>) -> Found {
    let mut found = Found { logs: Vec::new(), facts: Vec::new(), hash_seed: None };
    match manifest {
        Some(manifest) => named_logs(disk, dir, manifest, &mut found),
        None => headed_logs(disk, dir, names, &mut found),
    }
    for name in names {
        let kind = FileKind::of(name);
        let state = match kind {
            FileKind::Segment(log, number) if is_named(manifest, log, number) => continue,
            FileKind::Segment(..) if manifest.is_none() => continue,
            FileKind::Segment(..) | FileKind::Pool(_) | FileKind::Temporary => FileState::Leftover,
            FileKind::Manifest | FileKind::Lock | FileKind::Snapshot(..) => continue,
            FileKind::Other => FileState::Foreign,
        };
        let path = dir.join(name);
        let bytes = disk.file_bytes(&path).unwrap_or(0);
        found.facts.push(FileFact { path, kind, bytes, state });
    }
    found
}

fn is_named(manifest: Option<&Manifest>, log: LogId, number: SegmentNo) -> bool {
    manifest.is_some_and(|manifest| manifest.segments_of(log).any(|segment| segment.number == number))
}

fn named_logs(disk: &dyn Disk, dir: &Path, manifest: &Manifest, found: &mut Found) {
    for log in &manifest.logs {
        let seal = match &log.state {
            LogState::Open => None,
            LogState::Sealed(seal) => Some(seal.clone()),
        };
        let mut segments = Vec::new();
        for entry in manifest.segments_of(log.id) {
            let path = dir.join(file_names::segment(entry.log, entry.number));
            let may_be_longer = seal.as_ref().is_some_and(|seal| seal.segment == entry.number);
            let (map, state, trouble) = open_named(disk, &path, entry.bytes, entry.uid, may_be_longer);
            let (kind, bytes) =
                (FileKind::Segment(entry.log, entry.number), map.as_ref().map_or(0, |map| map.len() as u64));
            found.facts.push(FileFact { path: path.clone(), kind, bytes, state });
            segments.push(SegmentPlan { number: entry.number, path, uid: entry.uid, map, trouble });
        }
        let from = Some((log.from.frames, log.from.positions.clone()));
        let (id, epoch, shards) = (log.id, log.epoch, log.shards.clone());
        found.logs.push(LogPlan { id, epoch, shards, from, seal, follows_checkpoint: false, segments });
    }
}

/// Maps a segment that MANIFEST names. A damaged header costs nothing: MANIFEST has all that is in it.
fn open_named(
    disk: &dyn Disk,
    path: &Path,
    expected: u64,
    uid: SegmentUid,
    may_be_longer: bool,
) -> (Option<Mapping>, FileState, Option<Trouble>) {
    let map = match disk.map(path) {
        Ok(map) => map,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (None, FileState::Lost("MANIFEST names it, and it is not there".to_owned()), None);
        }
        Err(error) => return (None, FileState::Lost(error.to_string()), None),
    };
    let bytes = map.len() as u64;
    if bytes < expected || (bytes > expected && !may_be_longer) {
        let why = format!("expected a file of {expected} bytes, found {bytes}");
        let trouble = (bytes < expected).then_some(Trouble::Short { expected });
        return (Some(map), FileState::Damaged(why), trouble);
    }
    let trouble = match SegmentHeader::decode(&map) {
        Ok(header) if header.uid == uid => None,
        Ok(header) => Some(Trouble::Foreign(format!("expected uid {uid}, found {}", header.uid))),
        Err(error) => Some(Trouble::Header(error.to_string())),
    };
    let state = match &trouble {
        None => FileState::Sound,
        Some(trouble) => FileState::Damaged(trouble.to_string()),
    };
    (Some(map), state, trouble)
}

/// Without MANIFEST every segment file says itself what it is.
fn headed_logs(disk: &dyn Disk, dir: &Path, names: &[String], found: &mut Found) {
    let mut logs: BTreeMap<LogId, LogPlan> = BTreeMap::new();
    for name in names {
        let kind = FileKind::of(name);
        let FileKind::Segment(id, number) = kind else { continue };
        let path = dir.join(name);
        let read = disk.map(&path).map_err(|error| error.to_string());
        let read = read.and_then(|map| match SegmentHeader::decode(&map) {
            Ok(header) if (header.log, header.segment) == (id, number) => Ok((map, header)),
            Ok(_) => Err("its header is that of another segment".to_owned()),
            Err(error) => Err(format!("{error}; without it and MANIFEST its frames cannot be checked")),
        });
        let bytes = disk.file_bytes(&path).unwrap_or(0);
        match read {
            Ok((map, header)) => {
                found.hash_seed = found.hash_seed.or(Some(header.hash_seed).filter(|&seed| seed != 0));
                found.facts.push(FileFact { path: path.clone(), kind, bytes, state: FileState::Sound });
                let (epoch, shards) = (header.epoch, header.shards);
                let follows_checkpoint = header.checkpoint != 0;
                let empty = || LogPlan {
                    id,
                    epoch,
                    shards,
                    from: None,
                    seal: None,
                    follows_checkpoint,
                    segments: Vec::new(),
                };
                let log = logs.entry(id).or_insert_with(empty);
                log.segments.push(SegmentPlan {
                    number,
                    path,
                    uid: header.uid,
                    map: Some(map),
                    trouble: None,
                });
            }
            Err(why) => found.facts.push(FileFact { path, kind, bytes, state: FileState::Lost(why) }),
        }
    }
    for mut log in logs.into_values() {
        log.segments.sort_by_key(|segment| segment.number);
        if log.segments.first().is_some_and(|segment| segment.number == SegmentNo(0)) {
            log.from = Some((FrameNo(0), log.shards.iter().map(|&shard| (shard, Position(0))).collect()));
        }
        found.logs.push(log);
    }
}
