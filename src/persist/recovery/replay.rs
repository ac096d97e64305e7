//! Hands a recovered log's effects out, in order.
//!
//! Invariants:
//! 1. Effects behind a shard's cut are left out; what is handed out are whole commands and whole
//!    transactions.
//! 2. SELECT, MULTI and EXEC are consumed here: the caller sees effects with their database.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use formats::log::frame::{decode_checked_frame, decode_header};
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{EffectReader, Epoch, Frame, FrameHeader, Manifest, Position, SegmentUid, ShardId};

use super::plan::Plan;
use super::scan::{ScannedLog, ScannedSegment};
use crate::persist::disk::Mapping;

/// The logs of one start of the server.
pub struct ReplayEpoch {
    pub epoch: Epoch,
    /// Shards that the server had then.
    pub shards: u16,
    pub logs: Vec<ReplayLog>,
}

/// One log. Holds its files' mappings; may be moved to another thread.
pub struct ReplayLog {
    pub(super) pieces: Vec<Piece>,
    /// Effects before these positions are left out: a snapshot has them.
    pub(super) starts: HashMap<ShardId, Position>,
    pub(super) cuts: HashMap<ShardId, Position>,
    /// Bytes of frames that were handed out, and those of them whose memory was given back.
    read: AtomicU64,
    forgotten: AtomicU64,
}

/// Sound frames that follow each other in one file.
pub(super) struct Piece {
    pub path: PathBuf,
    pub uid: SegmentUid,
    pub map: Arc<Mapping>,
    pub from: u64,
    pub end: u64,
}

impl Piece {
    fn of(segment: ScannedSegment) -> Piece {
        let ScannedSegment { uid, path, map, end, .. } = segment;
        Piece { path, uid, map: Arc::new(map), from: SEGMENT_HEADER_BYTES as u64, end }
    }
}

/// Why a log could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError<E> {
    #[error("{file} at byte {offset}: {why}")]
    Damaged { file: PathBuf, offset: u64, why: String },
    #[error("{file} at byte {offset}: effect not accepted")]
    Rejected { file: PathBuf, offset: u64, source: E },
}

pub(super) fn epochs(manifest: &Manifest, logs: Vec<ScannedLog>, plan: &Plan) -> Vec<ReplayEpoch> {
    let mut epochs: Vec<ReplayEpoch> = manifest
        .epochs
        .iter()
        .map(|entry| ReplayEpoch { epoch: entry.number, shards: entry.shards, logs: Vec::new() })
        .collect();
    for log in logs {
        let cuts = log.ends.iter().map(|&(shard, _)| (shard, plan.cut(log.epoch, shard))).collect();
        if let Some(epoch) = epochs.iter_mut().find(|epoch| epoch.epoch == log.epoch) {
            let pieces = log.segments.into_iter().map(Piece::of).collect();
            epoch.logs.push(ReplayLog::new(pieces, HashMap::new(), cuts));
        }
    }
    epochs
}

impl ReplayLog {
    pub(super) fn new(
        pieces: Vec<Piece>,
        starts: HashMap<ShardId, Position>,
        cuts: HashMap<ShardId, Position>,
    ) -> ReplayLog {
        let (read, forgotten) = (AtomicU64::new(0), AtomicU64::new(0));
        ReplayLog { pieces, starts, cuts, read, forgotten }
    }

    /// Bytes of frames to go through.
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.end - piece.from).sum()
    }

    /// Calls `apply` for each effect with the shard that it belonged to (of this epoch), its database and its
    /// arguments.
    pub fn for_each<'a, E>(
        &'a self,
        apply: impl FnMut(ShardId, u16, &[&'a [u8]]) -> Result<(), E>,
    ) -> Result<(), ReplayError<E>> {
        self.for_each_counting(&AtomicU64::new(0), apply)
    }

    /// As `for_each`; adds the bytes of each frame to `done_bytes` when it is applied. At the end that are
    /// [`bytes`](Self::bytes).
    pub fn for_each_counting<'a, E>(
        &'a self,
        done_bytes: &AtomicU64,
        mut apply: impl FnMut(ShardId, u16, &[&'a [u8]]) -> Result<(), E>,
    ) -> Result<(), ReplayError<E>> {
        for piece in &self.pieces {
            let mut offset = piece.from;
            while offset < piece.end {
                let rest = piece.map.get(offset as usize..piece.end as usize).unwrap_or_default();
                let frame =
                    decode_checked_frame(rest, piece.uid).map_err(|error| damaged(piece, offset, error))?;
                self.frame(&frame, &mut apply).map_err(|trouble| trouble.at(piece, offset))?;
                offset += frame.header.frame_bytes();
                done_bytes.fetch_add(frame.header.frame_bytes(), Ordering::Relaxed);
                self.read.fetch_add(frame.header.frame_bytes(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Gives back the memory of all frames that were handed out: whoever applies them is done with them. (It would be read
    /// from the files again, so that this is never wrong.)
    pub fn forget_read(&self) {
        let read = self.read.load(Ordering::Relaxed);
        let forgotten = self.forgotten.swap(read, Ordering::Relaxed);
        let mut before = 0;
        for piece in &self.pieces {
            let bytes = piece.end - piece.from;
            let within = |at: u64| at.clamp(before, before + bytes) - before;
            let (from, to) = (within(forgotten), within(read));
            if from < to {
                // A page that both ends share is given back with what follows.
                let start = if from == 0 { 0 } else { piece.from + from };
                let end = if to == bytes { piece.map.len() as u64 } else { piece.from + to };
                piece.map.forget(start as usize..end as usize);
            }
            before += bytes;
        }
    }

    /// When the last of the frames was written of which something is applied, in ms since 1970.
    pub fn last_time_ms(&self) -> Option<u64> {
        let mut last = None;
        for piece in &self.pieces {
            let mut offset = piece.from;
            while let Some(header) = self.header(piece, offset) {
                let (start, cut) = (self.starts.get(&header.shard), self.cuts.get(&header.shard));
                if cut.is_some_and(|cut| header.first < *cut)
                    && start.is_none_or(|start| header.end() > *start)
                {
                    last = last.max(Some(header.wall_clock_ms));
                }
                offset += header.frame_bytes();
            }
        }
        last
    }

    fn header(&self, piece: &Piece, offset: u64) -> Option<FrameHeader> {
        let rest = piece.map.get(offset as usize..piece.end as usize).filter(|rest| !rest.is_empty())?;
        decode_header(rest, piece.uid).ok()
    }

    fn frame<'a, E>(
        &self,
        frame: &Frame<'a>,
        apply: &mut impl FnMut(ShardId, u16, &[&'a [u8]]) -> Result<(), E>,
    ) -> Result<(), Trouble<E>> {
        let shard = frame.header.shard;
        let start = self.starts.get(&shard).copied().unwrap_or_default();
        let cut = self.cuts.get(&shard).copied().unwrap_or_default();
        if frame.header.end() <= start {
            return Ok(());
        }
        let mut position = frame.header.first;
        let mut effects = EffectReader::new(frame.effects);
        let (mut args, mut database) = (Vec::new(), 0);
        while position < cut {
            match effects.next_into(&mut args) {
                Ok(true) => {}
                Ok(false) if position == frame.header.end() => return Ok(()),
                Ok(false) => return Err(Trouble::Damaged("fewer effects than the header says".to_owned())),
                Err(error) => return Err(Trouble::Damaged(error.to_string())),
            }
            position = position.after(1);
            match args.as_slice() {
                [b"MULTI"] | [b"EXEC"] => {}
                [b"SELECT", number] => database = database_number(number)?,
                _ if position <= start => {}
                effect => apply(shard, database, effect).map_err(Trouble::Rejected)?,
            }
        }
        Ok(())
    }
}

fn database_number<E>(digits: &[u8]) -> Result<u16, Trouble<E>> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| Trouble::Damaged("SELECT without a database number".to_owned()))
}

enum Trouble<E> {
    Damaged(String),
    Rejected(E),
}

impl<E> Trouble<E> {
    fn at(self, piece: &Piece, offset: u64) -> ReplayError<E> {
        match self {
            Trouble::Damaged(why) => damaged(piece, offset, why),
            Trouble::Rejected(source) => ReplayError::Rejected { file: piece.path.clone(), offset, source },
        }
    }
}

fn damaged<E>(piece: &Piece, offset: u64, why: impl ToString) -> ReplayError<E> {
    ReplayError::Damaged { file: piece.path.clone(), offset, why: why.to_string() }
}
