//! How the files of a data directory are called. No other module spells a file name.

use formats::log::{CheckpointId, LogId, SegmentNo, ShardId};

pub const MANIFEST: &str = "MANIFEST";
pub const MANIFEST_TMP: &str = "MANIFEST.tmp";
pub const LOCK: &str = "LOCK";
/// An RDB file for others, until it is complete.
pub const DUMP_TMP: &str = "dump.tmp";

/// `log-<log>-<segment>.seg`
pub fn segment(log: LogId, number: SegmentNo) -> String {
    format!("log-{log}-{number}.seg")
}

/// `pool-<number>.seg`: a used segment file, waiting to be overwritten.
pub fn pool(number: u64) -> String {
    format!("pool-{number}.seg")
}

/// `checkpoint-<checkpoint>-shard-<shard>.rdb`: a shard's snapshot.
pub fn snapshot(checkpoint: CheckpointId, shard: ShardId) -> String {
    format!("checkpoint-{checkpoint}-shard-{shard}.rdb")
}

/// A file for a measurement; never data.
pub fn calibration(number: usize) -> String {
    format!("calibration-{number}.tmp")
}

/// What a file in a data directory is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Manifest,
    /// Left by an unfinished step; never holds data.
    Temporary,
    Lock,
    Segment(LogId, SegmentNo),
    Pool(u64),
    Snapshot(CheckpointId, ShardId),
    /// Not one of ours.
    Other,
}

impl FileKind {
    pub fn of(name: &str) -> FileKind {
        match name {
            MANIFEST => FileKind::Manifest,
            MANIFEST_TMP | DUMP_TMP => FileKind::Temporary,
            LOCK => FileKind::Lock,
            _ if name.starts_with("calibration-") && name.ends_with(".tmp") => FileKind::Temporary,
            _ => Self::numbered(name).unwrap_or(FileKind::Other),
        }
    }

    fn numbered(name: &str) -> Option<FileKind> {
        if let Some(stem) = name.strip_suffix(".rdb") {
            let (checkpoint, shard) = stem.strip_prefix("checkpoint-")?.split_once("-shard-")?;
            return Some(FileKind::Snapshot(
                CheckpointId(checkpoint.parse().ok()?),
                ShardId(shard.parse().ok()?),
            ));
        }
        let stem = name.strip_suffix(".seg")?;
        if let Some(number) = stem.strip_prefix("pool-") {
            return Some(FileKind::Pool(number.parse().ok()?));
        }
        let (log, number) = stem.strip_prefix("log-")?.split_once('-')?;
        Some(FileKind::Segment(LogId(log.parse().ok()?), SegmentNo(number.parse().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert_eq!(
            FileKind::of(&segment(LogId(3), SegmentNo(14))),
            FileKind::Segment(LogId(3), SegmentNo(14))
        );
        assert_eq!(FileKind::of(&pool(7)), FileKind::Pool(7));
        assert_eq!(
            FileKind::of(&snapshot(CheckpointId(12), ShardId(3))),
            FileKind::Snapshot(CheckpointId(12), ShardId(3))
        );
        assert_eq!(FileKind::of(&calibration(1)), FileKind::Temporary);
        assert_eq!(FileKind::of(MANIFEST), FileKind::Manifest);
        assert_eq!(FileKind::of(MANIFEST_TMP), FileKind::Temporary);
        for name in [
            "dump.rdb",
            "log-1.seg",
            "log-1-x.seg",
            "log-1-1.segx",
            "checkpoint-1-0.rdb",
            "pool-.seg",
            "LOCK2",
        ] {
            assert_eq!(FileKind::of(name), FileKind::Other, "{name}");
        }
    }
}
