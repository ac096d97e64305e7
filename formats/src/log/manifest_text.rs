//! MANIFEST's text: lines of words. The meaning is in [`manifest`](super::manifest).

use std::fmt::{Display, Write};
use std::str::{FromStr, SplitAsciiWhitespace};

use super::ids::{Epoch, FrameNo, Gsn, LogId, Position, SegmentNo, SegmentUid, ShardId};
use super::manifest::{
    EpochEntry, LogEntry, LogState, MANIFEST_VERSION, Manifest, ManifestError, Seal, SegmentEntry,
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
    for EpochEntry { number, shards, first_gsn } in &manifest.epochs {
        line(&mut text, format_args!("epoch {number} shards {shards} first-gsn {first_gsn}"));
    }
    for log in &manifest.logs {
        let (id, epoch, shards, state) = (log.id, log.epoch, commas(&log.shards), state_text(&log.state));
        line(&mut text, format_args!("log {id} epoch {epoch} shards {shards} {state}"));
    }
    for SegmentEntry { log, number, uid, bytes } in &manifest.segments {
        line(&mut text, format_args!("segment {log} {number} uid {uid} bytes {bytes}"));
    }
    let crc = crc32(text.as_bytes());
    line(&mut text, format_args!("crc32 {crc:08x}"));
    text.into_bytes()
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{words}");
}

fn state_text(state: &LogState) -> String {
    match state {
        LogState::Open => "open".to_owned(),
        LogState::Sealed(Seal { segment, offset, frames, ends }) => {
            let ends: Vec<String> = ends.iter().map(|(shard, end)| format!("{shard}:{end}")).collect();
            format!("sealed segment {segment} offset {offset} frames {frames} ends {}", commas(&ends))
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
    if version != MANIFEST_VERSION {
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
        "log" => manifest.logs.push(LogEntry {
            id: LogId(line.number("log id")?),
            epoch: Epoch(line.field("epoch")?),
            shards: line.list("shards", |text| text.parse().ok().map(ShardId))?,
            state: state(line)?,
        }),
        "segment" => manifest.segments.push(SegmentEntry {
            log: LogId(line.number("log id")?),
            number: SegmentNo(line.number("segment number")?),
            uid: SegmentUid(line.word("uid").and_then(|()| line.hex("uid in hexadecimal"))?),
            bytes: line.field("bytes")?,
        }),
        _ => return Err(line.expected("`epoch`, `log` or `segment`")),
    }
    line.end()
}

fn state(line: &mut Line<'_>) -> Result<LogState, ManifestError> {
    match line.next("`open` or `sealed`")? {
        "open" => Ok(LogState::Open),
        "sealed" => Ok(LogState::Sealed(Seal {
            segment: SegmentNo(line.field("segment")?),
            offset: line.field("offset")?,
            frames: FrameNo(line.field("frames")?),
            ends: line.list("ends", shard_end)?,
        })),
        _ => Err(line.expected("`open` or `sealed`")),
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

    fn end(&mut self) -> Result<(), ManifestError> {
        match self.words.next() {
            None => Ok(()),
            Some(_) => Err(self.expected("end of the line")),
        }
    }
}
