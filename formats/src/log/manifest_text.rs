//! MANIFEST's text: lines of words. The meaning is in [`manifest`](super::manifest).

use std::fmt::{Display, Write};
use std::str::{FromStr, SplitAsciiWhitespace};

use super::ids::{CheckpointId, Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, SegmentUid, ShardId};
use super::manifest::{
    CheckpointEntry, EpochEntry, LogCut, LogEntry, LogStart, LogState, MANIFEST_VERSION, Manifest,
    ManifestError, Seal, SegmentEntry, SnapshotEntry,
};
use crate::checksum::crc32;

/// `crc32 `, eight hexadecimal digits, line end.
const CHECKSUM_LINE_BYTES: usize = 15;

pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut text = String::new();
    line(&mut text, format_args!("everfast-manifest {MANIFEST_VERSION}"));
    line(&mut text, format_args!("hash-seed {:016x}", manifest.hash_seed));
    line(&mut text, format_args!("next-epoch {}", manifest.next_epoch));
    line(&mut text, format_args!("next-log {}", manifest.next_log));
    line(&mut text, format_args!("next-checkpoint {}", manifest.next_checkpoint));
    line(&mut text, format_args!("history {}", if manifest.is_whole { "whole" } else { "released" }));
    for EpochEntry { number, shards, first_gsn } in &manifest.epochs {
        line(&mut text, format_args!("epoch {number} shards {shards} first-gsn {first_gsn}"));
    }
    for log in &manifest.logs {
        let (id, epoch, shards) = (log.id, log.epoch, commas(&log.shards));
        let (from, state) = (from_text(log), state_text(&log.state));
        line(&mut text, format_args!("log {id} epoch {epoch} shards {shards} {from}{state}"));
    }
    for SegmentEntry { log, number, uid, bytes } in &manifest.segments {
        line(&mut text, format_args!("segment {log} {number} uid {uid} bytes {bytes}"));
    }
    for checkpoint in &manifest.checkpoints {
        put_checkpoint(&mut text, checkpoint);
    }
    let crc = crc32(text.as_bytes());
    line(&mut text, format_args!("crc32 {crc:08x}"));
    text.into_bytes()
}

fn put_checkpoint(text: &mut String, checkpoint: &CheckpointEntry) {
    let CheckpointEntry { id, epoch, gsn, time_ms, snapshots, cuts } = checkpoint;
    line(text, format_args!("checkpoint {id} epoch {epoch} gsn {gsn} time {time_ms}"));
    for SnapshotEntry { shard, bytes, keys, crc64 } in snapshots {
        line(text, format_args!("snapshot {id} {shard} bytes {bytes} keys {keys} crc64 {crc64:016x}"));
    }
    for LogCut { log, segment, frames, ends } in cuts {
        let ends = positions_text(ends);
        line(text, format_args!("cut {id} log {log} segment {segment} frames {frames} ends {ends}"));
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{words}");
}

/// Nothing for a log that begins at its very beginning.
fn from_text(log: &LogEntry) -> String {
    match log.from == LogStart::zero(&log.shards) {
        true => String::new(),
        false => format!("from {} at {} ", log.from.frames, positions_text(&log.from.positions)),
    }
}

fn positions_text(positions: &[(ShardId, Position)]) -> String {
    let texts: Vec<String> =
        positions.iter().map(|(shard, position)| format!("{shard}:{position}")).collect();
    commas(&texts)
}

fn state_text(state: &LogState) -> String {
    match state {
        LogState::Open => "open".to_owned(),
        LogState::Sealed(Seal { segment, offset, frames, ends }) => {
            let ends = positions_text(ends);
            format!("sealed segment {segment} offset {offset} frames {frames} ends {ends}")
        }
    }
}

fn commas(items: &[impl Display]) -> String {
    items.iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let text = checked_text(bytes)?;
    let mut lines = text.lines().enumerate().map(|(index, text)| Line::new(index + 1, text));
    let version: u32 = match lines.next().map(|mut line| line.field("everfast-manifest")) {
        Some(Ok(version)) => version,
        _ => return Err(ManifestError::NoMagic),
    };
    if version == 0 || version > MANIFEST_VERSION {
        return Err(ManifestError::NewerVersion { found: version });
    }
    let mut manifest = Manifest::new(0);
    let mut next = || lines.next().ok_or(ManifestError::Syntax { line: 2, expected: "more lines" });
    let mut seed = next()?;
    seed.word("hash-seed")?;
    manifest.hash_seed = seed.hex("hash-seed in hexadecimal")?;
    seed.end()?;
    let mut epoch = next()?;
    manifest.next_epoch = Epoch(epoch.last_field("next-epoch")?);
    let mut log = next()?;
    manifest.next_log = LogId(log.last_field("next-log")?);
    if version > 1 {
        let mut checkpoint = next()?;
        manifest.next_checkpoint = CheckpointId(checkpoint.last_field("next-checkpoint")?);
        let mut history = next()?;
        history.word("history")?;
        manifest.is_whole = match history.next(HISTORY)? {
            "whole" => true,
            "released" => false,
            _ => return Err(history.expected(HISTORY)),
        };
        history.end()?;
    }
    for mut line in lines {
        entry(&mut line, &mut manifest)?;
    }
    Ok(manifest)
}

/// The text before the checksum line, once the sum is right.
fn checked_text(bytes: &[u8]) -> Result<&str, ManifestError> {
    let split = bytes.len().checked_sub(CHECKSUM_LINE_BYTES).ok_or(ManifestError::NoChecksum)?;
    let (text, checksum) = bytes.split_at(split);
    let checksum = std::str::from_utf8(checksum).map_err(|_| ManifestError::NoChecksum)?;
    let digits = checksum.strip_prefix("crc32 ").and_then(|rest| rest.strip_suffix('\n'));
    let digits = digits.filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    let found =
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(ManifestError::NoChecksum)?;
    let expected = crc32(text);
    if found != expected {
        return Err(ManifestError::Checksum { expected, found });
    }
    std::str::from_utf8(text).map_err(|_| ManifestError::NoMagic)
}

fn entry(line: &mut Line<'_>, manifest: &mut Manifest) -> Result<(), ManifestError> {
    match line.next("an entry")? {
        "epoch" => manifest.epochs.push(EpochEntry {
            number: Epoch(line.number("epoch number")?),
            shards: line.field("shards")?,
            first_gsn: Gsn(line.field("first-gsn")?),
        }),
        "log" => manifest.logs.push(log(line)?),
        "segment" => manifest.segments.push(SegmentEntry {
            log: LogId(line.number("log id")?),
            number: SegmentNo(line.number("segment number")?),
            uid: SegmentUid(line.word("uid").and_then(|()| line.hex("uid in hexadecimal"))?),
            bytes: line.field("bytes")?,
        }),
        "checkpoint" => manifest.checkpoints.push(CheckpointEntry {
            id: CheckpointId(line.number("checkpoint number")?),
            epoch: Epoch(line.field("epoch")?),
            gsn: Gsn(line.field("gsn")?),
            time_ms: line.field("time")?,
            snapshots: Vec::new(),
            cuts: Vec::new(),
        }),
        "snapshot" => {
            let snapshot = SnapshotEntry {
                shard: ShardId(line.part_of(manifest).and_then(|()| line.number("shard"))?),
                bytes: line.field("bytes")?,
                keys: line.field("keys")?,
                crc64: line.word("crc64").and_then(|()| line.hex("crc64 in hexadecimal"))?,
            };
            manifest.checkpoints.last_mut().into_iter().for_each(|last| last.snapshots.push(snapshot));
        }
        "cut" => {
            let cut = LogCut {
                log: LogId(line.part_of(manifest).and_then(|()| line.field("log"))?),
                segment: SegmentNo(line.field("segment")?),
                frames: FrameNo(line.field("frames")?),
                ends: line.list("ends", shard_end)?,
            };
            manifest.checkpoints.last_mut().into_iter().for_each(|last| last.cuts.push(cut.clone()));
        }
        _ => return Err(line.expected("`epoch`, `log`, `segment`, `checkpoint`, `snapshot` or `cut`")),
    }
    line.end()
}

fn log(line: &mut Line<'_>) -> Result<LogEntry, ManifestError> {
    let id = LogId(line.number("log id")?);
    let epoch = Epoch(line.field("epoch")?);
    let shards = line.list("shards", |text| text.parse().ok().map(ShardId))?;
    let mut from = LogStart::zero(&shards);
    let mut word = line.next(STATES)?;
    if word == "from" {
        from = LogStart { frames: FrameNo(line.number("frames")?), positions: line.list("at", shard_end)? };
        word = line.next(STATES)?;
    }
    Ok(LogEntry { id, epoch, shards, from, state: state(word, line)? })
}

const HISTORY: &str = "`whole` or `released`";
const STATES: &str = "`open` or `sealed`";

fn state(word: &str, line: &mut Line<'_>) -> Result<LogState, ManifestError> {
    match word {
        "open" => Ok(LogState::Open),
        "sealed" => Ok(LogState::Sealed(Seal {
            segment: SegmentNo(line.field("segment")?),
            offset: line.field("offset")?,
            frames: FrameNo(line.field("frames")?),
            ends: line.list("ends", shard_end)?,
        })),
        _ => Err(line.expected(STATES)),
    }
}

fn shard_end(text: &str) -> Option<(ShardId, Position)> {
    let (shard, end) = text.split_once(':')?;
    Some((ShardId(shard.parse().ok()?), Position(end.parse().ok()?)))
}

struct Line<'a> {
    number: usize,
    words: SplitAsciiWhitespace<'a>,
}

impl<'a> Line<'a> {
    fn new(number: usize, text: &'a str) -> Self {
        Line { number, words: text.split_ascii_whitespace() }
    }

    fn expected(&self, expected: &'static str) -> ManifestError {
        ManifestError::Syntax { line: self.number, expected }
    }

    fn next(&mut self, expected: &'static str) -> Result<&'a str, ManifestError> {
        self.words.next().ok_or(self.expected(expected))
    }

    fn word(&mut self, word: &'static str) -> Result<(), ManifestError> {
        if self.next(word)? == word { Ok(()) } else { Err(self.expected(word)) }
    }

    fn number<T: FromStr>(&mut self, expected: &'static str) -> Result<T, ManifestError> {
        self.next(expected)?.parse().map_err(|_| self.expected(expected))
    }

    fn hex(&mut self, expected: &'static str) -> Result<u64, ManifestError> {
        u64::from_str_radix(self.next(expected)?, 16).map_err(|_| self.expected(expected))
    }

    fn field<T: FromStr>(&mut self, name: &'static str) -> Result<T, ManifestError> {
        self.word(name)?;
        self.number(name)
    }

    fn last_field<T: FromStr>(&mut self, name: &'static str) -> Result<T, ManifestError> {
        let value = self.field(name)?;
        self.end()?;
        Ok(value)
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        item: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ManifestError> {
        self.word(name)?;
        let items: Option<Vec<T>> = self.next(name)?.split(',').map(item).collect();
        items.ok_or(self.expected(name))
    }

    /// The number of the checkpoint that was told last.
    fn part_of(&mut self, manifest: &Manifest) -> Result<(), ManifestError> {
        let number = self.number("checkpoint number")?;
        let last = manifest.checkpoints.last().map(|checkpoint| checkpoint.id);
        if last == Some(CheckpointId(number)) {
            Ok(())
        } else {
            Err(self.expected("the checkpoint told last"))
        }
    }

    fn end(&mut self) -> Result<(), ManifestError> {
        match self.words.next() {
            None => Ok(()),
            Some(_) => Err(self.expected("end of the line")),
        }
    }
}
