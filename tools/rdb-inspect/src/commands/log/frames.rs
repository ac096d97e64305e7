//! The frames of one segment after the other.
//!
//! Invariant: a frame counts only if its sums are right, its number is the next of the log, and its effects can be
//! read; the first place where that is not so ends the segment.

use std::collections::BTreeMap;

use formats::log::frame::{FRAME_ALIGN, FRAME_HEADER_BYTES, FRAME_MAGIC, decode_frame, decode_header};
use formats::log::manifest::Seal;
use formats::log::segment::SEGMENT_HEADER_BYTES;
use formats::log::{
    EffectReader, Epoch, Frame, FrameError, FrameNo, Gsn, LogId, Position, SegmentUid, ShardId,
};

use super::command::{Command, Origin};
use super::report::LogFacts;
use super::sink::Sink;
use crate::failure::Failure;
use crate::interrupt;

/// Bytes between two looks at the signals.
const CHUNK_BYTES: usize = 1 << 20;

/// Where the frames of a segment end.
pub struct SegmentEnd {
    /// Offset behind the last frame.
    pub offset: usize,
    pub frames: u64,
    pub commands: u64,
    /// Why there is no further frame, where something else than zeros or the end of the file is there.
    pub stop: Option<String>,
    /// What stands there can be no trace of a crash.
    pub is_damage: bool,
    /// No more commands are wanted.
    pub is_enough: bool,
}

/// Follows the frames of a log.
pub struct LogWalk {
    /// Number of the first frame.
    first: FrameNo,
    /// Number of the next frame; `None` before the first one, where any may come.
    next: Option<FrameNo>,
    durable: FrameNo,
    ends: BTreeMap<ShardId, (Position, Position)>,
    gsns: Option<(Gsn, Gsn)>,
}

/// One segment to be walked.
pub struct Segment<'s> {
    /// Index among the report's files, and its name.
    pub file: usize,
    pub name: &'s str,
    pub bytes: &'s [u8],
    pub uid: SegmentUid,
    /// The log that it belongs to, and the epoch of that.
    pub log: (LogId, Epoch),
    /// The log's end, if it is in this segment.
    pub seal: Option<&'s Seal>,
}

impl LogWalk {
    /// `first`: the number of the first frame, if it is known.
    pub fn new(first: Option<FrameNo>) -> LogWalk {
        let start = first.unwrap_or_default();
        LogWalk { first: start, next: first, durable: start, ends: BTreeMap::new(), gsns: None }
    }

    /// Number of the next frame.
    pub fn next(&self) -> FrameNo {
        self.next.unwrap_or(self.first)
    }

    pub fn facts(&self, id: LogId, epoch: Epoch, seal: Option<Option<&Seal>>) -> LogFacts {
        let sealed = seal.flatten();
        LogFacts {
            id,
            epoch,
            is_sealed: seal.map(|seal| seal.is_some()),
            frames: (self.first, self.next()),
            durable: sealed.map_or(self.durable, |seal| seal.frames),
            positions: self.ends.iter().map(|(&shard, &(first, end))| (shard, first, end)).collect(),
            gsns: self.gsns,
        }
    }

    /// Reads the frames of a segment whose header is good.
    pub fn segment(&mut self, segment: &Segment<'_>, sink: &mut Sink<'_>) -> Result<SegmentEnd, Failure> {
        let limit =
            segment.seal.map_or(segment.bytes.len(), |seal| (seal.offset as usize).min(segment.bytes.len()));
        let bytes = &segment.bytes[..limit];
        let mut end = SegmentEnd {
            offset: SEGMENT_HEADER_BYTES,
            frames: 0,
            commands: 0,
            stop: None,
            is_damage: false,
            is_enough: false,
        };
        while let Some(rest) = bytes.get(end.offset..).filter(|rest| !rest.is_empty()) {
            let frame = match decode_frame(rest, segment.uid) {
                Ok(frame) => frame,
                Err(FrameError::EndOfLog) => break,
                Err(error) => {
                    end.is_damage = matches!(error, FrameError::Malformed { .. });
                    end.stop = Some(error.to_string());
                    break;
                }
            };
            let number = frame.header.number;
            if self.next.is_some_and(|next| next != number) {
                end.stop = Some(format!("expected frame {}, found frame {number}", self.next()));
                break;
            }
            if let Err(why) = self.frame(&frame, segment, &mut end, sink)? {
                (end.stop, end.is_damage) = (Some(why), true);
                break;
            }
            end.offset += frame.header.frame_bytes() as usize;
            end.frames += 1;
            if end.is_enough {
                break;
            }
        }
        Ok(end)
    }

    /// Takes a frame in; the inner error says why its effects cannot be read.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        segment: &Segment<'_>,
        end: &mut SegmentEnd,
        sink: &mut Sink<'_>,
    ) -> Result<Result<(), String>, Failure> {
        interrupt::check()?;
        let header = &frame.header;
        if self.next.is_none() {
            self.first = header.number;
        }
        if let Err(why) = effects(frame, segment, end, sink)? {
            return Ok(Err(why));
        }
        self.next = Some(header.number.next());
        self.durable = self.durable.max(header.durable_frames);
        self.ends.entry(header.shard).or_insert((header.first, header.first)).1 = header.end();
        for entry in &frame.transactions {
            let (low, high) = self.gsns.unwrap_or((entry.gsn, entry.gsn));
            self.gsns = Some((low.min(entry.gsn), high.max(entry.gsn)));
        }
        Ok(Ok(()))
    }

    /// Looks behind the end of the log, from `from` on, for headers of frames that come later.
    pub fn behind(&self, bytes: &[u8], from: usize, uid: SegmentUid) -> Result<Behind, Failure> {
        let magic = FRAME_MAGIC.to_le_bytes();
        let mut behind = Behind { bytes: 0, vouched: FrameNo(0), voucher: 0 };
        let mut at = from.next_multiple_of(FRAME_ALIGN);
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
            if rest.starts_with(&magic)
                && let Ok(header) = decode_header(rest, uid)
                && header.number >= self.next()
            {
                let end = (at as u64).saturating_add(header.frame_bytes()).min(bytes.len() as u64);
                behind.bytes = behind.bytes.max(end - from as u64);
                if header.durable_frames > behind.vouched {
                    (behind.vouched, behind.voucher) = (header.durable_frames, at as u64);
                }
            }
            at += FRAME_ALIGN;
            if at.is_multiple_of(CHUNK_BYTES) {
                interrupt::check()?;
            }
        }
        Ok(behind)
    }
}

/// What looks like frames behind the end of a log.
pub struct Behind {
    /// Bytes from the end of the log to the end of the last of them.
    pub bytes: u64,
    /// Frames that one of them says were durable; where it stands.
    pub vouched: FrameNo,
    pub voucher: u64,
}

fn effects(
    frame: &Frame<'_>,
    segment: &Segment<'_>,
    end: &mut SegmentEnd,
    sink: &mut Sink<'_>,
) -> Result<Result<(), String>, Failure> {
    let header = &frame.header;
    let start = (end.offset + FRAME_HEADER_BYTES) as u64;
    let time_ms = i64::try_from(header.wall_clock_ms).ok();
    let mut reader = EffectReader::new(frame.effects);
    let (mut args, mut db) = (Vec::new(), 0);
    let mut transactions = frame.transactions.iter().peekable();
    sink.gathered.next_file();
    for index in 0.. {
        let from = reader.offset();
        match reader.next_into(&mut args) {
            Ok(true) => {}
            Ok(false) if index == u64::from(header.effects) => break,
            Ok(false) => return Ok(Err(format!("{index} effects, its header says {}", header.effects))),
            Err(error) => return Ok(Err(error.to_string())),
        }
        if let [name, number] = args[..]
            && name == b"SELECT"
        {
            db = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(db);
        }
        while transactions.next_if(|entry| u64::from(entry.first) + u64::from(entry.count) <= index).is_some()
        {
        }
        let gsn = transactions.peek().filter(|entry| u64::from(entry.first) <= index).map(|entry| entry.gsn);
        end.commands += 1;
        let command = Command {
            file: segment.file,
            offset: start + from as u64,
            bytes: (reader.offset() - from) as u64,
            time_ms,
            db,
            place: Some((header.shard, header.first.after(index))),
            origin: Some(Origin { log: segment.log.0, epoch: segment.log.1, frame: header.number, gsn }),
            args: &args,
        };
        if !end.is_enough {
            end.is_enough = !sink.command(&command, segment.name)?;
        }
    }
    Ok(Ok(()))
}
