//! Names and counts of the log, one type each, so that none is taken for another.

use std::fmt;

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($inner:ty), $show:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $show, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "(", $show, ")"), self.0)
            }
        }
    };
}

newtype!(
    /// A shard of one epoch, from 0.
    ShardId(u16), "{}"
);
newtype!(
    /// A log: the stream of frames of one log writer in one epoch. Ascending, never reused in a data
    /// directory.
    LogId(u32), "{}"
);
newtype!(
    /// One start of the server, from 1. Every epoch writes logs of its own.
    Epoch(u32), "{}"
);
newtype!(
    /// A segment of one log, ascending from 0; a number may be left out.
    SegmentNo(u32), "{}"
);
newtype!(
    /// The random name of one use of a segment file. It seeds every checksum in the file.
    SegmentUid(u64), "{:016x}"
);
newtype!(
    /// A count of effects of one shard in one epoch. An effect's index is the position before it.
    Position(u64), "{}"
);
newtype!(
    /// A count of frames of one log. A frame's number is the count of frames before it.
    FrameNo(u64), "{}"
);
newtype!(
    /// A checkpoint of a data directory, ascending from 1.
    CheckpointId(u64), "{}"
);
newtype!(
    /// Global sequence number: the order of transactions that touch several shards. Continues over epochs.
    Gsn(u64), "{}"
);

impl Position {
    /// The position `effects` further on.
    pub fn after(self, effects: u64) -> Position {
        Position(self.0.saturating_add(effects))
    }
}

impl FrameNo {
    /// The number of the next frame.
    pub fn next(self) -> FrameNo {
        FrameNo(self.0.saturating_add(1))
    }
}

impl CheckpointId {
    /// The number of the next checkpoint.
    pub fn next(self) -> CheckpointId {
        CheckpointId(self.0.saturating_add(1))
    }
}

impl Gsn {
    /// The number after this one.
    pub fn next(self) -> Gsn {
        Gsn(self.0.saturating_add(1))
    }
}
