//! What is there: maps every segment that MANIFEST names, checks every frame, and finds where each log ends.
//!
//! Invariants:
//! 1. A segment that is missing, of the wrong size, or of another uid than MANIFEST says is a refusal.
//! 2. A frame counts only if its sums are right under the segment's uid, its number is the next of the log,
//!    and its position the next of its shard.
//! 3. Where the log ends before its files do, everything behind is searched for frames that vouch for what is
//!    missing.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use formats::log::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, decode_frame, decode_header};
use formats::log::manifest::{CheckpointEntry, LogEntry, LogStart, LogState, MAX_COUNT, Seal, SegmentEntry};
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{
    Epoch, Frame, FrameError, FrameHeader, FrameNo, Gsn, LogId, Manifest, Position, SegmentError,
    SegmentHeader, SegmentNo, SegmentUid, ShardId,
};

use super::base::Limit;
use super::plan::{LogFacts, TailFact, TransactionFact};
use crate::persist::disk::Mapping;
use crate::persist::error::{PersistError, Refusal};
use crate::persist::file_names;
use crate::persist::files::Files;

/// One log as found.
pub struct ScannedLog {
    pub id: LogId,
    pub epoch: Epoch,
    pub seal: Option<Seal>,
    /// Where it was read from.
    pub start: LogStart,
    /// In order; those behind the log's end have no frames.
    pub segments: Vec<ScannedSegment>,
    pub frames: FrameNo,
    pub effects: u64,
    /// Where each shard's frames end.
    pub ends: Vec<(ShardId, Position)>,
    /// Where each shard passes the limit; shards that do not are not here.
    pub limits: Vec<(ShardId, Position)>,
    pub transactions: Vec<TransactionFact>,
    pub last_gsn: Option<Gsn>,
    /// One of its frames says that all transactions up to this one were durable everywhere.
    pub complete: Option<Gsn>,
    /// Where the first frame stands that no other one vouches for: index of the segment, offset.
    pub unvouched_from: Option<(usize, u64)>,
    pub tail: Option<TailFact>,
}

/// One segment file.
pub struct ScannedSegment {
    pub number: SegmentNo,
    pub uid: SegmentUid,
    pub path: PathBuf,
    pub map: Mapping,
    /// Offset behind the last frame; the header's end if there is none.
    pub end: u64,
}

impl ScannedLog {
    /// What the plan needs to know.
    pub fn facts(&self) -> LogFacts<'_> {
        LogFacts {
            log: self.id,
            epoch: self.epoch,
            seal: self.seal.as_ref(),
            frames: self.frames,
            ends: &self.ends,
            limits: &self.limits,
            transactions: &self.transactions,
            complete: self.complete,
            end: self
                .segments
                .iter()
                .rfind(|segment| has_frames(segment))
                .or(self.segments.first())
                .map(|last| (&*last.path, last.end)),
            tail: self.tail.as_ref(),
        }
    }

    /// Index of the last segment that has frames.
    pub fn last_with_frames(&self) -> Option<usize> {
        self.segments.iter().rposition(has_frames)
    }
}

fn has_frames(segment: &ScannedSegment) -> bool {
    segment.end > SEGMENT_HEADER_BYTES as u64
}

/// Scans the logs behind a checkpoint (`None`: all), several at a time. Behind `limit` they are scanned too: whether they
/// are sound does not depend on it.
pub fn scan(
    files: &Files,
    manifest: &Manifest,
    base: Option<&CheckpointEntry>,
    limit: Option<Limit>,
) -> Result<Vec<ScannedLog>, PersistError> {
    let behind = manifest.logs.iter().filter_map(|log| Some((log, start_of(log, base)?)));
    let logs: Vec<(&LogEntry, Start)> = behind.collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(logs.len());
    let done: Mutex<Vec<Result<ScannedLog, PersistError>>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((log, start)) = logs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = scan_log(files, manifest, log, start, limit);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                }
            });
        }
    });
    let done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut scanned: Vec<ScannedLog> = done.into_iter().collect::<Result<_, _>>()?;
    scanned.sort_by_key(|log| log.id);
    Ok(scanned)
}

/// Where a log is read from.
struct Start {
    segment: SegmentNo,
    at: LogStart,
}

/// `None`: the checkpoint stands for all of the log.
fn start_of(log: &LogEntry, base: Option<&CheckpointEntry>) -> Option<Start> {
    match base {
        Some(base) if log.epoch < base.epoch => None,
        Some(base) if log.epoch == base.epoch => {
            let cut = base.cuts.iter().find(|cut| cut.log == log.id)?;
            Some(Start { segment: cut.segment, at: cut.start() })
        }
        _ => Some(Start { segment: SegmentNo(0), at: log.from.clone() }),
    }
}

fn scan_log(
    files: &Files,
    manifest: &Manifest,
    log: &LogEntry,
    start: &Start,
    limit: Option<Limit>,
) -> Result<ScannedLog, PersistError> {
    let seal = match &log.state {
        LogState::Open => None,
        LogState::Sealed(seal) => Some(seal.clone()),
    };
    let mut segments = Vec::new();
    for entry in manifest.segments_of(log.id).filter(|entry| entry.number >= start.segment) {
        segments.push(open_segment(files, log, entry, seal.as_ref())?);
    }
    // Transactions are looked at again only where something may still be cut.
    let wants_transactions = manifest.logs.iter().any(|l| l.epoch == log.epoch && l.state == LogState::Open);
    let mut walk = Walk::new(&start.at, wants_transactions || limit.is_some(), limit);
    for (index, segment) in segments.iter_mut().enumerate() {
        walk.segment(index, segment, seal.as_ref())?;
        segment.map.forget(0..segment.map.len()); // until the replay comes by
    }
    let tail = walk.tail(&segments, seal.as_ref());
    Ok(walk.finish(log, start, seal, segments, tail))
}

fn open_segment(
    files: &Files,
    log: &LogEntry,
    entry: &SegmentEntry,
    seal: Option<&Seal>,
) -> Result<ScannedSegment, PersistError> {
    let path = files.path(&file_names::segment(entry.log, entry.number));
    let refuse = |why: String| Refusal {
        file: path.clone(),
        offset: None,
        lost: format!("segment {} of log {} (epoch {})", entry.number, entry.log, log.epoch),
        why,
    };
    let map = match files.disk.map(&path) {
        Ok(map) => map,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(refuse("MANIFEST names this segment, but the file is missing".to_owned()).into());
        }
        Err(error) => return Err(PersistError::io("map", &path)(error)),
    };
    let (expected, found) = (entry.bytes, map.len() as u64);
    // The last segment of a sealed log is truncated after the seal; a crash may have come between.
    let may_be_longer = seal.is_some_and(|seal| seal.segment == entry.number);
    if found < expected || (found > expected && !may_be_longer) {
        return Err(refuse(format!("expected a file of {expected} bytes, found {found}")).into());
    }
    let header = match SegmentHeader::decode(&map) {
        Ok(header) => header,
        Err(error @ SegmentError::NewerVersion { .. }) => return Err(refuse(error.to_string()).into()),
        Err(error) => return Err(Refusal { offset: Some(0), ..refuse(error.to_string()) }.into()),
    };
    if header.uid != entry.uid {
        return Err(refuse(format!("expected uid {}, found {}", entry.uid, header.uid)).into());
    }
    if (header.log, header.segment, header.epoch) != (entry.log, entry.number, log.epoch) {
        return Err(refuse("the header is that of another segment".to_owned()).into());
    }
    Ok(ScannedSegment { number: entry.number, uid: entry.uid, path, map, end: SEGMENT_HEADER_BYTES as u64 })
}

/// A place without the frame that should stand there: index of the segment, offset, what is there instead.
type Stop = (usize, u64, String);

/// Walks a log's frames in order.
struct Walk {
    limit: Option<Limit>,
    limits: Vec<(ShardId, Position)>,
    frames: FrameNo,
    effects: u64,
    ends: Vec<(ShardId, Position)>,
    wants_transactions: bool,
    transactions: Vec<TransactionFact>,
    last_gsn: Option<Gsn>,
    complete: Option<Gsn>,
    /// Frames that one seen so far vouches for.
    vouched: FrameNo,
    /// Places of the frames from `vouched` on: number, segment, offset.
    unvouched: VecDeque<(FrameNo, usize, u64)>,
    /// Where the next frame was expected first, and why there is none.
    stopped: Option<Stop>,
}

impl Walk {
    fn new(start: &LogStart, wants_transactions: bool, limit: Option<Limit>) -> Walk {
        Walk {
            limit,
            limits: Vec::new(),
            frames: start.frames,
            effects: 0,
            ends: start.positions.clone(),
            wants_transactions,
            transactions: Vec::new(),
            last_gsn: None,
            complete: None,
            vouched: FrameNo(0),
            unvouched: VecDeque::new(),
            stopped: None,
        }
    }

    /// Walks one segment up to the first place without a frame that continues the log.
    fn segment(
        &mut self,
        index: usize,
        segment: &mut ScannedSegment,
        seal: Option<&Seal>,
    ) -> Result<(), Refusal> {
        let limit = match seal {
            Some(seal) if seal.segment == segment.number => seal.offset as usize,
            _ => segment.map.len(),
        };
        let Some(bytes) = segment.map.get(..limit) else { return Ok(()) };
        let mut offset = SEGMENT_HEADER_BYTES;
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            if seal.is_some_and(|seal| self.frames >= seal.frames) {
                break;
            }
            let frame = match decode_frame(rest, segment.uid) {
                Ok(frame) if frame.header.number == self.frames => frame,
                Ok(frame) if frame.header.number > self.frames => {
                    let why = format!("expected frame {}, found frame {}", self.frames, frame.header.number);
                    self.stopped_at(index, offset, why);
                    break;
                }
                Ok(frame) => {
                    return Err(impossible(segment, offset, &frame.header, "its number came before"));
                }
                Err(FrameError::Malformed { what, .. }) => return Err(malformed(segment, offset, what)),
                Err(error) => {
                    self.stopped_at(index, offset, error.to_string());
                    break;
                }
            };
            self.frame(&frame, index, offset, segment)?;
            offset += frame.header.frame_bytes() as usize;
            segment.end = offset as u64;
        }
        Ok(())
    }

    /// Remembers the first place from which no frame continued the log.
    fn stopped_at(&mut self, index: usize, offset: usize, why: String) {
        self.stopped.get_or_insert((index, offset as u64, why));
    }

    fn frame(
        &mut self,
        frame: &Frame<'_>,
        index: usize,
        offset: usize,
        segment: &ScannedSegment,
    ) -> Result<(), Refusal> {
        let header = &frame.header;
        let Some((_, end)) = self.ends.iter_mut().find(|(shard, _)| *shard == header.shard) else {
            return Err(impossible(segment, offset, header, "the log does not serve its shard"));
        };
        const LIMIT: u64 = MAX_COUNT - 1; // so that what comes next can be told in MANIFEST
        let gsns = frame.transactions.iter().map(|entry| entry.gsn).chain(frame.complete);
        if header.end().0 >= LIMIT || header.number.0 >= LIMIT || gsns.max().is_some_and(|gsn| gsn.0 >= LIMIT)
        {
            return Err(impossible(segment, offset, header, "its numbers are beyond all bounds"));
        }
        if *end != header.first {
            return Err(impossible(
                segment,
                offset,
                header,
                "it does not begin where its shard's frame before ends",
            ));
        }
        *end = header.end();
        self.frames = header.number.next();
        self.effects += u64::from(header.effects);
        self.stopped = None;
        self.vouched = self.vouched.max(header.durable_frames);
        self.unvouched.push_back((header.number, index, offset as u64));
        while self.unvouched.front().is_some_and(|(number, ..)| *number < self.vouched) {
            self.unvouched.pop_front();
        }
        self.complete = self.complete.max(frame.complete);
        self.note_limit(frame);
        self.transactions_of(frame);
        Ok(())
    }

    /// Remembers where the frame's shard passes the limit, if here.
    fn note_limit(&mut self, frame: &Frame<'_>) {
        let (shard, first) = (frame.header.shard, frame.header.first);
        let passes = match self.limit {
            None => None,
            Some(Limit::Time(ms)) => (frame.header.wall_clock_ms > ms).then_some(first),
            Some(Limit::Gsn(gsn)) => {
                let beyond = frame.transactions.iter().find(|entry| entry.gsn > gsn);
                beyond.map(|entry| first.after(u64::from(entry.first)))
            }
        };
        if let Some(at) = passes
            && self.limits.iter().all(|(other, _)| *other != shard)
        {
            self.limits.push((shard, at));
        }
    }

    fn transactions_of(&mut self, frame: &Frame<'_>) {
        let first = frame.header.first;
        for entry in &frame.transactions {
            self.last_gsn = self.last_gsn.max(Some(entry.gsn));
            if self.wants_transactions {
                self.transactions.push(TransactionFact {
                    shard: frame.header.shard,
                    gsn: entry.gsn,
                    first: first.after(u64::from(entry.first)),
                    participants: entry.participants.clone().into_boxed_slice(),
                });
            }
        }
    }

    /// What is missing or lies behind the log's end.
    fn tail(&self, segments: &[ScannedSegment], seal: Option<&Seal>) -> Option<TailFact> {
        match seal {
            Some(seal) if self.frames < seal.frames => self.missing_below_seal(segments, seal),
            Some(_) => None,
            None => self.open_tail(segments),
        }
    }

    fn missing_below_seal(&self, segments: &[ScannedSegment], seal: &Seal) -> Option<TailFact> {
        let last =
            segments.last().map(|last| (segments.len() - 1, last.end, "the log ends early".to_owned()));
        let stopped = self.stopped.clone().or(last)?;
        // Where no header is left to tell, the seal does: its segment has a frame at least.
        let in_last = || {
            let last = segments.iter().position(|segment| segment.number == seal.segment)?;
            let is_behind = last > stopped.0 && seal.offset > SEGMENT_HEADER_BYTES as u64;
            is_behind.then(|| stop_at(last, &segments[last]))
        };
        let place = self.place_of_missing(segments, &stopped).or_else(in_last);
        let (index, offset, why) = place.unwrap_or(stopped);
        Some(TailFact {
            file: segments.get(index)?.path.clone(),
            offset,
            vouched: seal.frames,
            voucher: file_names::MANIFEST.to_owned(),
            bytes: 0,
            why,
        })
    }

    fn open_tail(&self, segments: &[ScannedSegment]) -> Option<TailFact> {
        let (index, offset, why) = self.place_of_missing(segments, self.stopped.as_ref()?)?;
        let file = segments.get(index)?.path.clone();
        let mut tail = TailFact { file, offset, vouched: FrameNo(0), voucher: String::new(), bytes: 0, why };
        for (place, segment) in segments.iter().enumerate().skip(index) {
            let start = if place == index { offset } else { SEGMENT_HEADER_BYTES as u64 };
            let mut end = start;
            self.search(segment, start, |at, header| {
                end = end.max((at + header.frame_bytes()).min(segment.map.len() as u64));
                if header.durable_frames > tail.vouched {
                    tail.vouched = header.durable_frames;
                    tail.voucher = format!("the frame at byte {at} of {}", segment.path.display());
                }
            });
            tail.bytes += end - start;
        }
        Some(tail)
    }

    /// Where the next frame should stand: where the walk stopped; or, if no later frame of this log comes
    /// before the next segment and that one does not begin with one, at its start. `None`: there are no later
    /// frames.
    fn place_of_missing(&self, segments: &[ScannedSegment], stopped: &Stop) -> Option<Stop> {
        for (place, segment) in segments.iter().enumerate().skip(stopped.0) {
            let start = if place == stopped.0 { stopped.1 } else { SEGMENT_HEADER_BYTES as u64 };
            let mut first_found = None;
            self.search(segment, start, |at, header| {
                first_found.get_or_insert((at, header.number));
            });
            let Some((at, number)) = first_found else { continue };
            let begins_later = at == start && number > self.frames;
            return Some(match place == stopped.0 || begins_later {
                true => stopped.clone(),
                false => stop_at(place, segment),
            });
        }
        None
    }

    /// Calls `found` for every sound frame header from byte `from` on whose frame did not come before the
    /// log's end. (One that did is a copy within a value; it says nothing.) The frame's body may be damaged.
    fn search(&self, segment: &ScannedSegment, from: u64, mut found: impl FnMut(u64, &FrameHeader)) {
        let magic = FRAME_MAGIC.to_le_bytes();
        let bytes: &[u8] = &segment.map;
        let mut at = (from as usize).next_multiple_of(FRAME_ALIGN);
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
            if rest.starts_with(&magic)
                && let Ok(header) = decode_header(rest, segment.uid)
                && header.number >= self.frames
            {
                found(at as u64, &header);
            }
            at += FRAME_ALIGN;
        }
    }

    fn finish(
        self,
        log: &LogEntry,
        start: &Start,
        seal: Option<Seal>,
        segments: Vec<ScannedSegment>,
        tail: Option<TailFact>,
    ) -> ScannedLog {
        ScannedLog {
            id: log.id,
            epoch: log.epoch,
            seal,
            start: start.at.clone(),
            segments,
            frames: self.frames,
            effects: self.effects,
            ends: self.ends,
            limits: self.limits,
            transactions: self.transactions,
            last_gsn: self.last_gsn,
            complete: self.complete,
            unvouched_from: self.unvouched.front().map(|&(_, index, offset)| (index, offset)),
            tail,
        }
    }
}

fn stop_at(place: usize, segment: &ScannedSegment) -> Stop {
    let first = segment.map.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
    let why = match decode_frame(first, segment.uid) {
        Ok(frame) => format!("the segment begins with frame {}", frame.header.number),
        Err(error) => error.to_string(),
    };
    (place, SEGMENT_HEADER_BYTES as u64, why)
}

fn impossible(segment: &ScannedSegment, offset: usize, header: &FrameHeader, why: &str) -> Refusal {
    Refusal {
        file: segment.path.clone(),
        offset: Some(offset as u64),
        lost: format!("frame {} of shard {} and all behind it", header.number, header.shard),
        why: format!("a sound frame that contradicts the log: {why}"),
    }
}

fn malformed(segment: &ScannedSegment, offset: usize, what: &str) -> Refusal {
    Refusal {
        file: segment.path.clone(),
        offset: Some(offset as u64),
        lost: "this frame and all behind it".to_owned(),
        why: format!("a frame with a sound checksum that is malformed: {what}"),
    }
}
