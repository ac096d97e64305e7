//! Walks a log over all damage: from one sound frame to the next one, wherever it is.
//!
//! Invariants:
//! 1. A frame counts only if its sums are right under its segment's uid, its number and its positions ascend, and its
//!    effects can be read.
//! 2. A gap in the frames' numbers is a loss; so are frames that a seal or a later header says were durable, and whatever
//!    stood in a file of an open log of which nothing can be read, or which is cut short.
//! 3. A log is whole only if all of its files are there and as they should be, and what follows its last frame is zeros.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use formats::log::frame::{
    FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, claimed_number, decode_frame, decode_header,
};
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{EffectReader, Epoch, Frame, FrameNo, Gsn, LogId, Position, SegmentUid, ShardId};

use super::LostRange;
use super::files::{FileFact, FileState, LogPlan, SegmentPlan, Trouble};
use crate::persist::recovery::plan::TransactionFact;
use crate::persist::recovery::replay::Piece;

/// A log, walked.
pub struct WalkedLog {
    pub epoch: Epoch,
    pub shards: Vec<ShardId>,
    pub is_from_beginning: bool,
    pub pieces: Vec<Piece>,
    /// Where each shard's sound frames end, or its seal cuts it.
    pub ends: Vec<(ShardId, Position)>,
    pub transactions: Vec<TransactionFact>,
    pub lost: Vec<LostRange>,
    /// A frame at the end of an open log that is torn, or damaged: nothing tells which.
    pub torn: Option<LostRange>,
    /// Nothing of it can be missing.
    pub is_whole: bool,
    pub frames: u64,
    pub effects: u64,
    pub last_gsn: Option<Gsn>,
}

/// Whether the logs can be all that there ever was: none follows a checkpoint.
pub fn reach_the_beginning(logs: &[WalkedLog]) -> bool {
    !logs.is_empty() && logs.iter().all(|log| log.is_from_beginning)
}

/// A place where the next frame should be and is not.
struct Hole {
    file: PathBuf,
    bytes: Range<u64>,
    why: String,
    /// There may have been more of the log, and nothing can tell.
    hides_frames: bool,
    /// There is nothing but zeros.
    is_blank: bool,
    /// A frame of the log begins there.
    is_torn: bool,
}

impl Hole {
    fn new(file: PathBuf, bytes: Range<u64>, why: String) -> Hole {
        Hole { file, bytes, why, hides_frames: false, is_blank: false, is_torn: false }
    }

    fn hiding(file: PathBuf, bytes: Range<u64>, why: String) -> Hole {
        Hole { hides_frames: true, ..Hole::new(file, bytes, why) }
    }
}

struct Walk {
    id: LogId,
    epoch: Epoch,
    next: Option<FrameNo>,
    ends: Vec<(ShardId, Option<Position>)>,
    hole: Option<Hole>,
    /// Frames that some header says were durable.
    vouched: FrameNo,
    last_ms: Option<u64>,
    log: WalkedLog,
}

/// Walks it. Segments with damage inside are noted in `facts`.
pub fn walk(plan: LogPlan, facts: &mut [FileFact]) -> WalkedLog {
    let LogPlan { id, epoch, shards, from, seal, follows_checkpoint, segments } = plan;
    let is_at_start = from.as_ref().is_some_and(|(frames, _)| *frames == FrameNo(0));
    let is_from_beginning = is_at_start && !follows_checkpoint;
    let start = |shard: &ShardId| {
        let known = from.as_ref().and_then(|(_, starts)| starts.iter().find(|(other, _)| other == shard));
        (*shard, known.map(|(_, position)| *position))
    };
    let mut walk = Walk {
        id,
        epoch,
        next: from.as_ref().map(|(frames, _)| *frames),
        ends: shards.iter().map(start).collect(),
        hole: None,
        vouched: FrameNo(0),
        last_ms: None,
        log: WalkedLog {
            epoch,
            shards: shards.clone(),
            is_from_beginning,
            pieces: Vec::new(),
            ends: Vec::new(),
            transactions: Vec::new(),
            lost: Vec::new(),
            torn: None,
            is_whole: true,
            frames: 0,
            effects: 0,
            last_gsn: None,
        },
    };
    let last = segments.last().map(|segment| segment.path.clone());
    for segment in segments {
        let limit = seal.as_ref().filter(|seal| seal.segment == segment.number).map(|seal| seal.offset);
        walk.segment(segment, limit);
    }
    walk.end(seal.as_ref().map(|seal| seal.frames), last);
    for lost in &walk.log.lost {
        let fact = facts.iter_mut().find(|fact| fact.path == lost.file && fact.state == FileState::Sound);
        if let Some(fact) = fact {
            fact.state = FileState::Damaged(lost.why.clone());
        }
    }
    let cut = |shard: &ShardId| {
        let seal = seal.as_ref().and_then(|seal| seal.ends.iter().find(|(other, _)| other == shard));
        seal.map(|(_, end)| *end)
    };
    let end = |(shard, end): (ShardId, Option<Position>)| (shard, cut(&shard).or(end).unwrap_or_default());
    WalkedLog { ends: walk.ends.into_iter().map(end).collect(), ..walk.log }
}

impl Walk {
    fn segment(&mut self, segment: SegmentPlan, limit: Option<u64>) {
        let SegmentPlan { path, uid, map, trouble, .. } = segment;
        self.log.is_whole &= map.is_some() && trouble.is_none();
        let Some(map) = map else {
            self.stop(Hole::hiding(path, 0..0, "the file is missing".to_owned()));
            return;
        };
        let map = Arc::new(map);
        let limit = limit.map_or(map.len(), |limit| (limit as usize).min(map.len()));
        let bytes = &map[..limit];
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut piece: Option<Range<usize>> = None;
        let mut pieces = Vec::new();
        let mut hides_all = matches!(trouble, Some(Trouble::Foreign(_) | Trouble::Header(_)));
        while offset < bytes.len() {
            let why = match decode_frame(&bytes[offset..], uid) {
                Ok(frame) => match self.objection(&frame) {
                    None => {
                        self.take(&frame);
                        hides_all = false;
                        let end = offset + frame.header.frame_bytes() as usize;
                        piece = Some(piece.map_or(offset, |piece| piece.start)..end);
                        offset = end;
                        continue;
                    }
                    Some(why) => why,
                },
                Err(error) => error.to_string(),
            };
            pieces.extend(piece.take());
            let next = self.search(bytes, offset, uid);
            let end = next.unwrap_or(bytes.len());
            let mut hole = Hole::new(path.clone(), offset as u64..end as u64, why);
            hole.hides_frames = next.is_none() && hides_all;
            if let Some(trouble) = trouble.as_ref().filter(|_| hole.hides_frames) {
                hole.why = trouble.to_string();
            }
            hole.is_blank = bytes[offset..end].iter().all(|&byte| byte == 0);
            hole.is_torn = self.is_own(&bytes[offset..], uid);
            self.stop(hole);
            offset = end;
        }
        pieces.extend(piece);
        if let Some(trouble @ Trouble::Short { expected }) = &trouble {
            self.stop(Hole::hiding(path.clone(), bytes.len() as u64..*expected, trouble.to_string()));
        }
        let piece = |piece: Range<usize>| Piece {
            path: path.clone(),
            uid,
            map: Arc::clone(&map),
            from: piece.start as u64,
            end: piece.end as u64,
        };
        self.log.pieces.extend(pieces.into_iter().map(piece));
    }

    /// Why a frame whose sums are right does not count.
    fn objection(&self, frame: &Frame<'_>) -> Option<String> {
        let header = &frame.header;
        if self.next.is_some_and(|next| header.number < next) {
            return Some(format!("frame {} came before", header.number));
        }
        let Some((_, end)) = self.ends.iter().find(|(shard, _)| *shard == header.shard) else {
            return Some("the log does not serve its shard".to_owned());
        };
        if end.is_some_and(|end| header.first < end) {
            return Some("it begins before its shard's frame before ends".to_owned());
        }
        let (mut reader, mut args) = (EffectReader::new(frame.effects), Vec::new());
        let mut count = 0;
        loop {
            match reader.next_into(&mut args) {
                Ok(true) => count += 1,
                Ok(false) if count == header.effects => return None,
                Ok(false) => return Some("its effects are not as many as its header says".to_owned()),
                Err(error) => return Some(error.to_string()),
            }
        }
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        let is_gap = self.next.is_some_and(|next| header.number > next);
        let hole = self.hole.take();
        if is_gap || (hole.is_some() && self.next.is_none()) {
            let hole = hole.unwrap_or_else(|| self.unseen_hole());
            let last = FrameNo(header.number.0.saturating_sub(1));
            self.lose(
                hole,
                Some(last),
                Some(header.wall_clock_ms),
                frame.transactions.first().map(|t| t.gsn),
            );
        }
        self.note_positions(header.shard, header.first);
        for (shard, end) in &mut self.ends {
            if *shard == header.shard {
                *end = Some(header.end());
            }
        }
        self.next = Some(header.number.next());
        self.vouched = self.vouched.max(header.durable_frames);
        self.last_ms = Some(header.wall_clock_ms);
        self.log.frames += 1;
        self.log.effects += u64::from(header.effects);
        for entry in &frame.transactions {
            self.log.last_gsn = self.log.last_gsn.max(Some(entry.gsn));
            if let Some(lost) = self.log.lost.last_mut() {
                lost.gsns.1.get_or_insert(entry.gsn);
            }
            self.log.transactions.push(TransactionFact {
                shard: header.shard,
                gsn: entry.gsn,
                first: header.first.after(u64::from(entry.first)),
                participants: entry.participants.clone().into_boxed_slice(),
            });
        }
    }

    /// A gap between two files, each of which is whole.
    fn unseen_hole(&self) -> Hole {
        let (file, at) =
            self.log.pieces.last().map_or((PathBuf::new(), 0), |piece| (piece.path.clone(), piece.end));
        Hole::hiding(file, at..at, "the file that should follow is not there".to_owned())
    }

    /// The shard goes on at `first`: what it misses before was in the last hole.
    fn note_positions(&mut self, shard: ShardId, first: Position) {
        let end = self.ends.iter().find(|(other, _)| *other == shard).and_then(|(_, end)| *end);
        if let (Some(end), Some(lost)) = (end, self.log.lost.last_mut())
            && end < first
        {
            lost.positions.push((shard, end, Some(first)));
        }
    }

    fn stop(&mut self, hole: Hole) {
        // The first place counts; in the same file the hole reaches as far as nothing is found.
        match &mut self.hole {
            Some(open) => {
                open.is_blank &= hole.is_blank;
                if open.file == hole.file {
                    open.bytes.end = hole.bytes.end;
                }
                if hole.hides_frames && !open.hides_frames {
                    (open.hides_frames, open.why) = (true, hole.why);
                    if open.file != hole.file {
                        (open.file, open.bytes) = (hole.file, hole.bytes);
                    }
                }
            }
            None => self.hole = Some(hole),
        }
    }

    fn lose(&mut self, hole: Hole, last: Option<FrameNo>, next_ms: Option<u64>, next_gsn: Option<Gsn>) {
        let lost = self.range(hole, last, next_ms, next_gsn);
        self.log.lost.push(lost);
    }

    fn range(
        &self,
        hole: Hole,
        last: Option<FrameNo>,
        next_ms: Option<u64>,
        next_gsn: Option<Gsn>,
    ) -> LostRange {
        let Hole { file, bytes, why, .. } = hole;
        LostRange {
            log: self.id,
            epoch: self.epoch,
            file,
            bytes,
            frames: (self.next.unwrap_or_default(), last),
            positions: Vec::new(),
            gsns: (self.log.last_gsn, next_gsn),
            times_ms: (self.last_ms, next_ms),
            why,
        }
    }

    /// Whether a frame begins here that is the next one of the log, by its header, which may be damaged. (What was there when
    /// the file was in other use has other numbers, but by accident.)
    fn is_own(&self, bytes: &[u8], uid: SegmentUid) -> bool {
        match decode_header(bytes, uid) {
            Ok(header) => self.next.is_none_or(|next| header.number >= next),
            Err(_) => claimed_number(bytes).is_some_and(|number| self.next == Some(number)),
        }
    }

    /// The next frame that counts, behind `from`. Headers on the way vouch for what is missing.
    fn search(&mut self, bytes: &[u8], from: usize, uid: SegmentUid) -> Option<usize> {
        let magic = FRAME_MAGIC.to_le_bytes();
        let mut at = from;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
            if rest.starts_with(&magic)
                && let Ok(header) = decode_header(rest, uid)
                && self.next.is_none_or(|next| header.number >= next)
            {
                self.vouched = self.vouched.max(header.durable_frames);
                if decode_frame(rest, uid).is_ok_and(|frame| self.objection(&frame).is_none()) {
                    return Some(at);
                }
            }
            at += FRAME_ALIGN;
        }
        None
    }

    /// What is missing at the end.
    fn end(&mut self, sealed: Option<FrameNo>, last_file: Option<PathBuf>) {
        let next = self.next.unwrap_or_default();
        let known = sealed.unwrap_or(self.vouched);
        let hole = self.hole.take();
        if known > next {
            let hole = hole.unwrap_or_else(|| {
                Hole::new(last_file.unwrap_or_default(), 0..0, "the log ends early".to_owned())
            });
            let shards: Vec<_> =
                self.ends.iter().map(|&(shard, end)| (shard, end.unwrap_or_default(), None)).collect();
            self.lose(hole, Some(FrameNo(known.0 - 1)), None, None);
            self.log.lost.iter_mut().last().into_iter().for_each(|lost| lost.positions = shards.clone());
        } else if let Some(hole) = hole.filter(|_| sealed.is_none()) {
            // Of an open log nothing says where it ended.
            self.log.is_whole &= hole.is_blank;
            if hole.hides_frames {
                self.lose(hole, None, None, None);
            } else if hole.is_torn {
                self.log.torn = Some(self.range(hole, None, None, None));
            }
        }
        self.log.is_whole &= self.log.lost.is_empty();
    }
}
