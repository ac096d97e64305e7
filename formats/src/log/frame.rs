//! Frames: the unit in which effects reach a log. A frame is valid as a whole or not at all.
//!
//! ```text
//!  0        4      6      8               16              24              32
//! ┌────────┬──────┬──────┬───────────────┬───────────────┬───────────────┐
//! │ magic  │shard │  0   │ effect bytes  │ frame number  │ first position│
//! ├────────┴──────┴──────┼───────────────┼───────┬───────┼───────┬───────┤
//! │ wall clock, ms       │ durable frames│effects│ table │ body  │header │
//! │                      │               │ count │ bytes │  CRC  │  CRC  │
//! ├──────────────────────┴───────────────┴───────┴───────┴───────┴───────┤
//! │ 32: clock  40: durable  48: count  52: table  56: body CRC  60: CRC   │
//! ├───────────────────────────────────────────────────────────────────────┤
//! │ 64: effects │ transaction table │ zeros to a multiple of 8            │
//! └───────────────────────────────────────────────────────────────────────┘
//! table entry: GSN u64 │ first effect u32 │ effects u32 │ shards u16 │ shard u16 × shards
//! ```
//!
//! An entry without effects and shards is a statement: all transactions up to this GSN are durable on all their shards.
//!
//! Everything is little endian. The header CRC covers bytes 0..60 and the body CRC everything from byte 64,
//! both seeded with the segment's uid. The header has a sum of its own so that its length may be trusted, so
//! that a search for frames behind a damaged place costs 64 bytes per candidate, and so that a header can
//! vouch even where its body is lost.
//!
//! Invariants:
//! 1. A frame composed for one segment does not decode under another segment's uid.
//! 2. Every bit of a frame is covered by one of its two sums.
//! 3. Decoding never reads past the given bytes and never panics.

use super::ids::{FrameNo, Gsn, Position, SegmentUid, ShardId};
use crate::checksum::seeded_crc32;
use crate::cursor::Cursor;

/// First four bytes of every frame.
pub const FRAME_MAGIC: u32 = u32::from_le_bytes(*b"EvFr");
/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 64;
/// Frames start at multiples of this many bytes.
pub const FRAME_ALIGN: usize = 8;
/// Most effect bytes of one frame.
pub const MAX_EFFECT_BYTES: u64 = 1 << 40;
/// Most bytes of one frame's transaction table.
pub const MAX_TABLE_BYTES: u32 = 1 << 30;

const HEADER_CRC_AT: usize = 60;

/// One transaction's part in a frame, from its MULTI to its EXEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionEntry {
    pub gsn: Gsn,
    /// Index in the frame of the MULTI effect.
    pub first: u32,
    /// Effects including MULTI and EXEC.
    pub count: u32,
    /// Every shard whose log must hold this transaction.
    pub participants: Vec<ShardId>,
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub shard: ShardId,
    pub effect_bytes: u64,
    pub number: FrameNo,
    /// The shard's position before the first effect.
    pub first: Position,
    pub wall_clock_ms: u64,
    /// Frames of this log that were known to be on stable storage when this one was composed: numbers below
    /// it are vouched for.
    pub durable_frames: FrameNo,
    pub effects: u32,
    pub table_bytes: u32,
    body_crc: u32,
}

impl FrameHeader {
    /// Bytes that the frame takes in its segment.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.effect_bytes, self.table_bytes)
    }

    /// The shard's position behind the last effect.
    pub fn end(&self) -> Position {
        self.first.after(u64::from(self.effects))
    }
}

/// A checked frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub header: FrameHeader,
    /// The effects' bytes, to be read with [`EffectReader`](super::EffectReader).
    pub effects: &'a [u8],
    pub transactions: Vec<TransactionEntry>,
    /// All transactions up to this one were durable on all their participants when the frame was handed over. Not every
    /// frame says so.
    pub complete: Option<Gsn>,
}

/// Why there is no frame at a place. Offsets are within the bytes given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("{have} bytes are there, the frame has {need}")]
    NeedMore { have: u64, need: u64 },
    #[error("end of the log: zeros")]
    EndOfLog,
    #[error("no frame: expected magic {FRAME_MAGIC:08x}, found {found:08x}")]
    NoMagic { found: u32 },
    #[error(
        "frame header of another use of the file, or torn: expected checksum {expected:08x}, found {found:08x}"
    )]
    HeaderChecksum { expected: u32, found: u32 },
    #[error("frame body is torn or damaged: expected checksum {expected:08x}, found {found:08x}")]
    BodyChecksum { header: FrameHeader, expected: u32, found: u32 },
    #[error("malformed frame at byte {offset}: {what}")]
    Malformed { offset: usize, what: &'static str },
}

/// Bytes that a frame with so many bytes of effects and transaction table takes.
pub fn frame_bytes(effect_bytes: u64, table_bytes: u32) -> u64 {
    let unpadded = FRAME_HEADER_BYTES as u64 + effect_bytes + u64::from(table_bytes);
    unpadded.next_multiple_of(FRAME_ALIGN as u64)
}

/// What [`seal_frame`] writes into the header, apart from what it computes.
#[derive(Clone, Copy, Debug)]
pub struct FrameFields {
    pub shard: ShardId,
    pub number: FrameNo,
    pub first: Position,
    pub wall_clock_ms: u64,
    pub durable_frames: FrameNo,
    pub effects: u32,
    /// Bytes of `frame` that are effects; what follows them is the transaction table.
    pub effect_bytes: u64,
}

/// Makes a frame in place: `frame` holds [`FRAME_HEADER_BYTES`] bytes of room, the effects, and the
/// transaction table as [`encode_transaction`] wrote it. Pads, and fills in the header. May be called again
/// for another segment with the same `table_bytes`.
pub fn seal_frame(frame: &mut Vec<u8>, table_bytes: u32, fields: &FrameFields, uid: SegmentUid) {
    frame.resize(frame_bytes(fields.effect_bytes, table_bytes) as usize, 0);
    let body_crc = seeded_crc32(uid.0, &frame[FRAME_HEADER_BYTES..]);
    let mut header = [0; FRAME_HEADER_BYTES];
    header[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
    header[4..6].copy_from_slice(&fields.shard.0.to_le_bytes());
    header[8..16].copy_from_slice(&fields.effect_bytes.to_le_bytes());
    header[16..24].copy_from_slice(&fields.number.0.to_le_bytes());
    header[24..32].copy_from_slice(&fields.first.0.to_le_bytes());
    header[32..40].copy_from_slice(&fields.wall_clock_ms.to_le_bytes());
    header[40..48].copy_from_slice(&fields.durable_frames.0.to_le_bytes());
    header[48..52].copy_from_slice(&fields.effects.to_le_bytes());
    header[52..56].copy_from_slice(&table_bytes.to_le_bytes());
    header[56..60].copy_from_slice(&body_crc.to_le_bytes());
    let header_crc = seeded_crc32(uid.0, &header[..HEADER_CRC_AT]);
    header[HEADER_CRC_AT..].copy_from_slice(&header_crc.to_le_bytes());
    frame[..FRAME_HEADER_BYTES].copy_from_slice(&header);
}

/// Appends one transaction table entry to `table`.
pub fn encode_transaction(table: &mut Vec<u8>, entry: &TransactionEntry) {
    table.extend_from_slice(&entry.gsn.0.to_le_bytes());
    table.extend_from_slice(&entry.first.to_le_bytes());
    table.extend_from_slice(&entry.count.to_le_bytes());
    table.extend_from_slice(&(entry.participants.len() as u16).to_le_bytes());
    for shard in &entry.participants {
        table.extend_from_slice(&shard.0.to_le_bytes());
    }
}

/// Appends to `table` the statement that all transactions up to `complete` are durable on all their participants.
pub fn encode_complete(table: &mut Vec<u8>, complete: Gsn) {
    encode_transaction(
        table,
        &TransactionEntry { gsn: complete, first: 0, count: 0, participants: Vec::new() },
    );
}

/// Decodes and checks the header at the start of `bytes`, without looking at the body.
pub fn decode_header(bytes: &[u8], uid: SegmentUid) -> Result<FrameHeader, FrameError> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        let need = FRAME_HEADER_BYTES as u64;
        return match bytes.iter().all(|&byte| byte == 0) {
            true => Err(FrameError::EndOfLog),
            false => Err(FrameError::NeedMore { have: bytes.len() as u64, need }),
        };
    };
    let mut cursor = Cursor::new(header);
    let header = read_header(&mut cursor, header, uid)?;
    check_limits(&header)?;
    Ok(header)
}

/// The frame number that bytes with the magic claim, whatever their sum: a hint at what a damaged header was.
pub fn claimed_number(bytes: &[u8]) -> Option<FrameNo> {
    let mut cursor = Cursor::new(bytes);
    let is_frame = cursor.u32() == Some(FRAME_MAGIC);
    let (_shard, _reserved, _effect_bytes) = (cursor.u16()?, cursor.u16()?, cursor.u64()?);
    cursor.u64().filter(|_| is_frame).map(FrameNo)
}

fn read_header(
    cursor: &mut Cursor<'_>,
    bytes: &[u8; FRAME_HEADER_BYTES],
    uid: SegmentUid,
) -> Result<FrameHeader, FrameError> {
    const SHORT: FrameError = FrameError::Malformed { offset: 0, what: "header ends early" };
    let magic = cursor.u32().ok_or(SHORT)?;
    if magic != FRAME_MAGIC {
        return Err(match bytes.iter().all(|&byte| byte == 0) {
            true => FrameError::EndOfLog,
            false => FrameError::NoMagic { found: magic },
        });
    }
    let shard = ShardId(cursor.u16().ok_or(SHORT)?);
    let reserved = cursor.u16().ok_or(SHORT)?;
    let header = FrameHeader {
        shard,
        effect_bytes: cursor.u64().ok_or(SHORT)?,
        number: FrameNo(cursor.u64().ok_or(SHORT)?),
        first: Position(cursor.u64().ok_or(SHORT)?),
        wall_clock_ms: cursor.u64().ok_or(SHORT)?,
        durable_frames: FrameNo(cursor.u64().ok_or(SHORT)?),
        effects: cursor.u32().ok_or(SHORT)?,
        table_bytes: cursor.u32().ok_or(SHORT)?,
        body_crc: cursor.u32().ok_or(SHORT)?,
    };
    let found = cursor.u32().ok_or(SHORT)?;
    let expected = seeded_crc32(uid.0, &bytes[..HEADER_CRC_AT]);
    if found != expected {
        return Err(FrameError::HeaderChecksum { expected, found });
    }
    if reserved != 0 {
        return Err(FrameError::Malformed { offset: 6, what: "reserved field is not zero" });
    }
    Ok(header)
}

fn check_limits(header: &FrameHeader) -> Result<(), FrameError> {
    let malformed = |offset, what| Err(FrameError::Malformed { offset, what });
    if header.effect_bytes > MAX_EFFECT_BYTES {
        return malformed(8, "effects are longer than the limit");
    }
    if header.table_bytes > MAX_TABLE_BYTES {
        return malformed(52, "transaction table is longer than the limit");
    }
    if header.durable_frames > header.number {
        return malformed(40, "vouches for frames that come later");
    }
    if header.first.0.checked_add(u64::from(header.effects)).is_none() {
        return malformed(24, "position overflows");
    }
    Ok(())
}

/// Decodes and checks the frame at the start of `bytes`.
pub fn decode_frame(bytes: &[u8], uid: SegmentUid) -> Result<Frame<'_>, FrameError> {
    let header = decode_header(bytes, uid)?;
    let body = body(&header, bytes)?;
    let expected = seeded_crc32(uid.0, body);
    if header.body_crc != expected {
        return Err(FrameError::BodyChecksum { header, expected, found: header.body_crc });
    }
    split_body(header, body)
}

/// Decodes a frame whose sums were checked before; its structure is checked all the same.
pub fn decode_checked_frame(bytes: &[u8], uid: SegmentUid) -> Result<Frame<'_>, FrameError> {
    let header = decode_header(bytes, uid)?;
    split_body(header, body(&header, bytes)?)
}

fn body<'a>(header: &FrameHeader, bytes: &'a [u8]) -> Result<&'a [u8], FrameError> {
    let need = header.frame_bytes();
    let have = bytes.len() as u64;
    if have < need {
        return Err(FrameError::NeedMore { have, need });
    }
    Ok(&bytes[FRAME_HEADER_BYTES..need as usize])
}

fn split_body(header: FrameHeader, body: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (effects, rest) = body.split_at(header.effect_bytes as usize);
    let (table, padding) = rest.split_at(header.table_bytes as usize);
    if padding.iter().any(|&byte| byte != 0) {
        return Err(FrameError::Malformed {
            offset: effects.len() + table.len(),
            what: "padding is not zero",
        });
    }
    let (transactions, complete) = read_table(table, header.effects)?;
    Ok(Frame { header, effects, transactions, complete })
}

/// The transactions, and up to which number all are complete, if that is told.
type Table = (Vec<TransactionEntry>, Option<Gsn>);

fn read_table(table: &[u8], effects: u32) -> Result<Table, FrameError> {
    let mut cursor = Cursor::new(table);
    let mut entries = Vec::new();
    let (mut free_from, mut complete) = (0, None);
    while !cursor.is_empty() {
        let offset = table.len() - cursor.rest().len();
        let malformed = |what| FrameError::Malformed { offset, what };
        let entry = read_transaction(&mut cursor).ok_or(malformed("transaction entry ends early"))?;
        if entry.first == 0 && entry.count == 0 && entry.participants.is_empty() {
            complete = complete.max(Some(entry.gsn));
            continue;
        }
        let end = entry.first.checked_add(entry.count).filter(|&end| end <= effects);
        let end = end.ok_or(malformed("transaction lies outside its frame"))?;
        if entry.count < 2 || entry.first < free_from {
            return Err(malformed("transactions overlap"));
        }
        if entry.participants.is_empty() {
            return Err(malformed("transaction has no participants"));
        }
        free_from = end;
        entries.push(entry);
    }
    Ok((entries, complete))
}

fn read_transaction(cursor: &mut Cursor<'_>) -> Option<TransactionEntry> {
    let gsn = Gsn(cursor.u64()?);
    let first = cursor.u32()?;
    let count = cursor.u32()?;
    let shards = usize::from(cursor.u16()?);
    let mut shards = Cursor::new(cursor.take(shards * 2)?);
    let mut participants = Vec::with_capacity(shards.rest().len() / 2);
    while let Some(shard) = shards.u16() {
        participants.push(ShardId(shard));
    }
    Some(TransactionEntry { gsn, first, count, participants })
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
