//! The segment that a writer fills.
//!
//! Invariants:
//! 1. `offset` is where the next frame goes; it moves only when a write succeeded as a whole.

use std::io;

use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{SegmentNo, SegmentUid};

use crate::persist::disk::DiskFile;
use crate::persist::files::PreparedSegment;

/// A prepared segment in use.
pub struct Segment {
    pub number: SegmentNo,
    pub uid: SegmentUid,
    pub bytes: u64,
    pub offset: u64,
    file: Box<dyn DiskFile>,
}

impl Segment {
    pub fn new(prepared: PreparedSegment) -> Segment {
        let PreparedSegment { number, uid, bytes, file } = prepared;
        Segment { number, uid, bytes, offset: SEGMENT_HEADER_BYTES as u64, file }
    }

    pub fn free_bytes(&self) -> u64 {
        self.bytes - self.offset
    }

    /// Writes frames at the offset. After an error the offset is where it was.
    pub fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        assert!(frames.len() as u64 <= self.free_bytes(), "frames do not fit in the segment");
        self.file.write_all_at(self.offset, frames)?;
        self.offset += frames.len() as u64;
        Ok(())
    }

    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Cuts off what lies behind the last frame.
    pub fn truncate(&mut self) -> io::Result<()> {
        self.file.set_len(self.offset)
    }
}
