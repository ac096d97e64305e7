//! Segment headers: the first 4096 bytes of a segment file. Frames follow.
//!
//! ```text
//!  0          8         12        16         20         24        32              40         48
//! ┌──────────┬─────────┬─────────┬──────────┬──────────┬─────────┬───────────────┬──────────┬───────┬───────┐
//! │ magic    │ version │ epoch   │ log      │ segment  │ uid     │ checkpoint    │ file     │shards │ 0     │
//! │ EVERFSEG │ u32     │ u32     │ u32      │ u32      │ u64     │ it follows u64│ bytes u64│ u16   │ u16   │
//! ├──────────┴─────────┴─────────┴──────────┴──────────┴─────────┴───────────────┴──────────┴───────┴───────┤
//! │ 52: shard u16 × shards (those whose frames the log holds) │ zeros │ 4084: hash seed u64 │ 4092: CRC-32  │
//! └───────────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The header is written and synced when the file is prepared, before MANIFEST names it. So it does not know
//! the first frame's number (the first frame does), and a named segment without a sound header is damage,
//! never a crash's doing.

use super::ids::{Epoch, LogId, SegmentNo, SegmentUid, ShardId};
use crate::checksum::crc32;
use crate::cursor::Cursor;

/// Bytes of a segment's header; the offset of its first frame.
pub const SEGMENT_HEADER_BYTES: usize = 4096;
/// The version of segments (and their frames) that this code writes; it reads no newer one.
pub const SEGMENT_VERSION: u32 = 2;
/// Most shards that one log serves.
pub const MAX_LOG_SHARDS: usize = 1024;

const MAGIC: &[u8; 8] = b"EVERFSEG";
const CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;
const HASH_SEED_AT: usize = CRC_AT - 8;
const SHARDS_AT: usize = 52;

/// What a segment file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    pub epoch: Epoch,
    pub log: LogId,
    pub segment: SegmentNo,
    pub uid: SegmentUid,
    /// The checkpoint whose state the segment continues; 0: none.
    pub checkpoint: u64,
    /// Size of the file when it was prepared.
    pub file_bytes: u64,
    /// Seed of the hash that places keys, as MANIFEST has it: for the day when MANIFEST is lost. 0: not told.
    pub hash_seed: u64,
    pub shards: Vec<ShardId>,
}

/// Why a segment's header is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    #[error("segment header needs {SEGMENT_HEADER_BYTES} bytes, {have} are there")]
    NeedMore { have: usize },
    #[error("not a segment file: it does not begin with EVERFSEG")]
    NoMagic,
    #[error("segment of format version {found}; this program reads up to version {SEGMENT_VERSION}")]
    NewerVersion { found: u32 },
    #[error("segment header damaged: expected checksum {expected:08x}, found {found:08x}")]
    Checksum { expected: u32, found: u32 },
    #[error("malformed segment header at byte {offset}: {what}")]
    Malformed { offset: usize, what: &'static str },
}

impl SegmentHeader {
    /// The header's bytes, [`SEGMENT_HEADER_BYTES`] of them.
    ///
    /// # Panics
    /// If there are more than [`MAX_LOG_SHARDS`] shards.
    pub fn encode(&self) -> Vec<u8> {
        assert!(self.shards.len() <= MAX_LOG_SHARDS, "a log serves at most {MAX_LOG_SHARDS} shards");
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.log.0.to_le_bytes());
        out.extend_from_slice(&self.segment.0.to_le_bytes());
        out.extend_from_slice(&self.uid.0.to_le_bytes());
        out.extend_from_slice(&self.checkpoint.to_le_bytes());
        out.extend_from_slice(&self.file_bytes.to_le_bytes());
        out.extend_from_slice(&(self.shards.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        self.shards.iter().for_each(|shard| out.extend_from_slice(&shard.0.to_le_bytes()));
        out.resize(HASH_SEED_AT, 0);
        out.extend_from_slice(&self.hash_seed.to_le_bytes());
        let crc = crc32(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Decodes and checks the header at the start of a segment file.
    pub fn decode(bytes: &[u8]) -> Result<SegmentHeader, SegmentError> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER_BYTES>() else {
            return Err(SegmentError::NeedMore { have: bytes.len() });
        };
        if !bytes.starts_with(MAGIC) {
            return Err(SegmentError::NoMagic);
        }
        let malformed = |offset, what| SegmentError::Malformed { offset, what };
        let mut crc = Cursor::new(&bytes[CRC_AT..]);
        let found = crc.u32().ok_or(malformed(CRC_AT, "checksum missing"))?;
        let expected = crc32(&bytes[..CRC_AT]);
        let mut cursor = Cursor::new(&bytes[MAGIC.len()..CRC_AT]);
        let version = cursor.u32().ok_or(malformed(8, "version missing"))?;
        if found != expected {
            return Err(SegmentError::Checksum { expected, found });
        }
        // Behind the checksum: a flipped bit in the version is damage, not a newer program.
        if version == 0 || version > SEGMENT_VERSION {
            return Err(SegmentError::NewerVersion { found: version });
        }
        let hash_seed =
            Cursor::new(&bytes[HASH_SEED_AT..]).u64().ok_or(malformed(HASH_SEED_AT, "hash seed missing"))?;
        read_fields(&mut cursor, hash_seed).ok_or(malformed(SHARDS_AT, "too many shards"))
    }
}

fn read_fields(cursor: &mut Cursor<'_>, hash_seed: u64) -> Option<SegmentHeader> {
    let mut header = SegmentHeader {
        epoch: Epoch(cursor.u32()?),
        log: LogId(cursor.u32()?),
        segment: SegmentNo(cursor.u32()?),
        uid: SegmentUid(cursor.u64()?),
        checkpoint: cursor.u64()?,
        file_bytes: cursor.u64()?,
        hash_seed,
        shards: Vec::new(),
    };
    let shards = usize::from(cursor.u16()?);
    cursor.u16()?;
    if shards > MAX_LOG_SHARDS {
        return None;
    }
    for _ in 0..shards {
        header.shards.push(ShardId(cursor.u16()?));
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentHeader {
        SegmentHeader {
            epoch: Epoch(2),
            log: LogId(5),
            segment: SegmentNo(3),
            uid: SegmentUid(42),
            checkpoint: 0,
            file_bytes: 4 << 20,
            hash_seed: 0x00c0_ffee,
            shards: vec![ShardId(1), ShardId(5)],
        }
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = sample().encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), sample());
        let full = SegmentHeader { shards: (0..MAX_LOG_SHARDS as u16).map(ShardId).collect(), ..sample() };
        assert_eq!(SegmentHeader::decode(&full.encode()).unwrap(), full);
    }

    #[test]
    fn every_bit_counts() {
        let bytes = sample().encode();
        for bit in (0..60 * 8).chain((SEGMENT_HEADER_BYTES - 16) * 8..SEGMENT_HEADER_BYTES * 8) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert_eq!(SegmentHeader::decode(&bytes[..end]), Err(SegmentError::NeedMore { have: end }));
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = sample().encode();
        bytes[8] = 9;
        let crc = crc32(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let error = SegmentHeader::decode(&bytes).unwrap_err();
        assert_eq!(error, SegmentError::NewerVersion { found: 9 });
        assert!(error.to_string().contains("version 9") && error.to_string().contains("version 2"));
    }
}
