//! Chunks: effects gathered by one shard, on their way to become one frame.
//!
//! A chunk's buffer begins with room for the frame's header, so that the effects are copied once, from the
//! command into the buffer, and the frame is made around them.
//!
//! Invariants:
//! 1. A chunk holds whole commands and whole transactions.
//! 2. The database at a chunk's start is 0.

use formats::log::effect::{EXEC, MULTI, encode_effect};
use formats::log::frame::{
    FRAME_HEADER_BYTES, FrameFields, encode_complete, encode_transaction, frame_bytes, seal_frame,
};
use formats::log::{FrameNo, Gsn, Position, SegmentUid, ShardId, TransactionEntry};

/// Effects of one shard. See the module.
pub struct Chunk {
    shard: ShardId,
    first: Position,
    effects: u32,
    database: u16,
    /// Room for the header, the effects, and, once handed over, the transaction table and padding.
    bytes: Vec<u8>,
    effect_bytes: usize,
    table: Vec<u8>,
    wall_clock_ms: u64,
}

impl Chunk {
    /// An empty chunk in a recycled buffer.
    pub fn new(shard: ShardId, first: Position, mut buffer: Vec<u8>) -> Chunk {
        buffer.clear();
        buffer.resize(FRAME_HEADER_BYTES, 0);
        let (effects, database, effect_bytes, wall_clock_ms) = (0, 0, 0, 0);
        Chunk {
            shard,
            first,
            effects,
            database,
            bytes: buffer,
            effect_bytes,
            table: Vec::new(),
            wall_clock_ms,
        }
    }

    /// Appends an effect, and a SELECT before it if the database changes.
    pub fn append(&mut self, database: u16, args: &[&[u8]]) {
        if self.database != database {
            self.database = database;
            let mut digits = itoa::Buffer::new();
            encode_effect(&mut self.bytes, &[b"SELECT", digits.format(database).as_bytes()]);
            self.effects += 1;
        }
        encode_effect(&mut self.bytes, args);
        self.effects += 1;
        self.effect_bytes = self.bytes.len() - FRAME_HEADER_BYTES;
    }

    /// Opens a transaction; answers its index in the frame.
    pub fn open_transaction(&mut self) -> u32 {
        self.append_raw(MULTI);
        self.effects - 1
    }

    /// Closes the transaction that was opened at index `first`.
    pub fn close_transaction(&mut self, first: u32, gsn: Gsn, participants: Vec<ShardId>) {
        self.append_raw(EXEC);
        let count = self.effects - first;
        encode_transaction(&mut self.table, &TransactionEntry { gsn, first, count, participants });
    }

    fn append_raw(&mut self, effect: &[u8]) {
        self.bytes.extend_from_slice(effect);
        self.effects += 1;
        self.effect_bytes = self.bytes.len() - FRAME_HEADER_BYTES;
    }

    /// No more effects: the chunk goes to the writer. `complete`: it tells that all transactions up to here are durable
    /// everywhere.
    pub fn hand_over(&mut self, wall_clock_ms: u64, complete: Option<Gsn>) {
        self.wall_clock_ms = wall_clock_ms;
        if let Some(complete) = complete {
            encode_complete(&mut self.table, complete);
        }
        self.bytes.extend_from_slice(&self.table);
    }

    /// Makes the frame for one place in one segment. May be called again for another.
    pub fn seal(&mut self, number: FrameNo, durable_frames: FrameNo, uid: SegmentUid) -> &[u8] {
        let fields = FrameFields {
            shard: self.shard,
            number,
            first: self.first,
            wall_clock_ms: self.wall_clock_ms,
            durable_frames,
            effects: self.effects,
            effect_bytes: self.effect_bytes as u64,
        };
        seal_frame(&mut self.bytes, self.table.len() as u32, &fields, uid);
        &self.bytes
    }

    /// The frame, once sealed.
    pub fn frame(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes that the frame takes in a segment.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.effect_bytes as u64, self.table.len() as u32)
    }

    pub fn shard(&self) -> ShardId {
        self.shard
    }

    pub fn effects(&self) -> u32 {
        self.effects
    }

    /// Bytes of effects.
    pub fn effect_bytes(&self) -> usize {
        self.effect_bytes
    }

    /// Bytes gathered: header, effects and transaction table.
    pub fn gathered_bytes(&self) -> usize {
        self.bytes.len() + self.table.len()
    }

    /// The shard's position behind the last effect.
    pub fn end(&self) -> Position {
        self.first.after(u64::from(self.effects))
    }

    /// Gives the buffer back.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}
