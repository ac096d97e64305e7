//! What is found out about a log, beside its commands.

use formats::log::{Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, SegmentUid, ShardId};

/// What was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    AppendOnlyFile,
    AppendOnlyDirectory,
    Segment,
    DataDirectory,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::AppendOnlyFile => "append-only file",
            Kind::AppendOnlyDirectory => "append-only directory",
            Kind::Segment => "segment of Everfast",
            Kind::DataDirectory => "data directory of Everfast",
        }
    }

    pub fn id(self) -> &'static str {
        match self {
            Kind::AppendOnlyFile => "aof",
            Kind::AppendOnlyDirectory => "aof_directory",
            Kind::Segment => "segment",
            Kind::DataDirectory => "everfast_directory",
        }
    }
}

/// One file of the log.
pub struct FileFacts {
    pub name: String,
    pub role: &'static str,
    pub bytes: u64,
    /// Up to here it is whole.
    pub sound_until: u64,
    pub commands: u64,
    pub preamble: Option<Preamble>,
    pub segment: Option<SegmentFacts>,
}

impl FileFacts {
    pub fn new(name: String, role: &'static str, bytes: u64) -> FileFacts {
        FileFacts { name, role, bytes, sound_until: 0, commands: 0, preamble: None, segment: None }
    }
}

/// An RDB file at the start.
pub struct Preamble {
    pub version: String,
    pub keys: u64,
    pub bytes: u64,
    pub checksum: &'static str,
}

/// A segment's header, and its frames.
pub struct SegmentFacts {
    pub epoch: Epoch,
    pub log: LogId,
    pub number: SegmentNo,
    pub uid: SegmentUid,
    pub shards: Vec<ShardId>,
    pub frames: u64,
    /// `None` where MANIFEST is not known.
    pub is_sealed: Option<bool>,
}

/// One log of Everfast.
pub struct LogFacts {
    pub id: LogId,
    pub epoch: Epoch,
    pub is_sealed: Option<bool>,
    /// Number of the first frame that was read, and of the one behind the last.
    pub frames: (FrameNo, FrameNo),
    /// Frames below this are known durable: its last frame says so, or its seal.
    pub durable: FrameNo,
    /// For each shard the position before its first effect and behind its last one.
    pub positions: Vec<(ShardId, Position, Position)>,
    /// Lowest and highest.
    pub gsns: Option<(Gsn, Gsn)>,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    pub offset: Option<u64>,
    pub what: String,
    /// Up to here the file is whole.
    pub sound_until: Option<u64>,
    /// Bytes from there on.
    pub bytes_behind: u64,
    /// What says that it is damage inside rather than an end that was not written to the end.
    pub vouched_by: Option<String>,
    /// The file only ends early: all that is there is as it should be.
    pub is_end: bool,
    /// Something is to be repaired; else it is the normal trace of a crash.
    pub is_damage: bool,
}

impl Finding {
    /// Damage of a file as a whole.
    pub fn damage(file: &str, offset: Option<u64>, what: String) -> Finding {
        let file = file.to_owned();
        Finding {
            file,
            offset,
            what,
            sound_until: None,
            bytes_behind: 0,
            vouched_by: None,
            is_end: false,
            is_damage: true,
        }
    }
}

/// All of it.
pub struct Report {
    pub name: String,
    pub kind: Kind,
    pub files: Vec<FileFacts>,
    pub logs: Vec<LogFacts>,
    pub epochs: u64,
    pub findings: Vec<Finding>,
    /// What is worth a line.
    pub remarks: Vec<String>,
}

impl Report {
    pub fn new(name: &str, kind: Kind) -> Report {
        Report {
            name: name.to_owned(),
            kind,
            files: Vec::new(),
            logs: Vec::new(),
            epochs: 0,
            findings: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_damage)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
