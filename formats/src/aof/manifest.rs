//! The manifest of an append-only directory: which files, in which order.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file "a name with spaces.1.incr.aof" seq 1 type h
//! file appendonly.aof.4.incr.aof seq 4 type i startoffset 1042
//! # a comment
//! ```
//!
//! Lines of pairs, in any order; pairs with unknown names are passed over. A value in double quotes has
//! C's escapes, in single quotes only `\'`.
//!
//! Invariants:
//! 1. At most one base; increments ascend by their number.
//! 2. A name is a name of a file in the same directory: no path leads out of it.
//!
//! Source: Redis' `aof.c`.

/// Longest line in bytes, as in Redis.
const MAX_LINE_BYTES: usize = 1024;
/// Most files. Redis has a handful.
const MAX_FILES: usize = 1 << 16;

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileType {
    /// `b`: the data when the log was last rewritten.
    Base,
    /// `i`: what was written since.
    Increment,
    /// `h`: no longer needed.
    History,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestFile {
    /// The name in the directory, as bytes.
    pub name: Vec<u8>,
    /// Its number, from 1 on.
    pub seq: u64,
    pub file_type: FileType,
    /// Replication offsets at which the file starts and ends (Redis 8).
    pub start_offset: Option<i64>,
    pub end_offset: Option<i64>,
}

/// The files of a directory: to be read base first, then increments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest {
    pub base: Option<ManifestFile>,
    pub increments: Vec<ManifestFile>,
    pub history: Vec<ManifestFile>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("manifest, line {line}: {problem}")]
pub struct ManifestError {
    /// From 1 on.
    pub line: usize,
    pub problem: ManifestProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestProblem {
    #[error("the manifest is empty")]
    Empty,
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    #[error("has no end: the file is cut")]
    Torn,
    #[error("more than {MAX_FILES} files")]
    TooManyFiles,
    #[error("not pairs of name and value")]
    NotPairs,
    #[error("quotes do not close")]
    Quotes,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is no number that it may be")]
    NotANumber(&'static str),
    #[error("the file's name is a path")]
    Path,
    #[error("a type that is none of b, i, h")]
    UnknownType,
    #[error("a second base")]
    SecondBase,
    #[error("the number does not ascend")]
    NotAscending,
}

impl Manifest {
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        let mut rest = bytes;
        let mut line = 0;
        while !rest.is_empty() {
            line += 1;
            let at = |problem| ManifestError { line, problem };
            let (text, next) = split_line(rest).map_err(at)?;
            rest = next;
            if !text.starts_with(b"#") {
                parse_line(text).and_then(|file| manifest.add(file)).map_err(at)?;
            }
        }
        match line {
            0 => Err(ManifestError { line, problem: ManifestProblem::Empty }),
            _ => Ok(manifest),
        }
    }

    /// The files to read, in order.
    pub fn files_to_load(&self) -> impl Iterator<Item = &ManifestFile> {
        self.base.iter().chain(&self.increments)
    }

    fn add(&mut self, file: ManifestFile) -> Result<(), ManifestProblem> {
        if self.increments.len() + self.history.len() >= MAX_FILES {
            return Err(ManifestProblem::TooManyFiles);
        }
        match file.file_type {
            FileType::Base if self.base.is_some() => return Err(ManifestProblem::SecondBase),
            FileType::Base => self.base = Some(file),
            FileType::History => self.history.push(file),
            FileType::Increment => {
                if self.increments.last().is_some_and(|last| last.seq >= file.seq) {
                    return Err(ManifestProblem::NotAscending);
                }
                self.increments.push(file);
            }
        }
        Ok(())
    }
}

fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), ManifestProblem> {
    let head = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    match head.iter().position(|&byte| byte == b'\n') {
        Some(end) => Ok((&bytes[..end], &bytes[end + 1..])),
        None if head.len() == MAX_LINE_BYTES => Err(ManifestProblem::TooLong),
        None => Err(ManifestProblem::Torn),
    }
}

fn parse_line(line: &[u8]) -> Result<ManifestFile, ManifestProblem> {
    let words = split_words(line)?;
    if words.is_empty() || words.len() % 2 != 0 {
        return Err(ManifestProblem::NotPairs);
    }
    let (mut name, mut seq, mut file_type) = (None, None, None);
    let (mut start_offset, mut end_offset) = (None, None);
    for pair in words.chunks_exact(2) {
        let value = &pair[1];
        match pair[0].to_ascii_lowercase().as_slice() {
            b"file" => name = Some(file_name(value)?),
            b"seq" => seq = Some(number(value, "seq")?),
            b"type" => file_type = Some(parse_type(value)?),
            b"startoffset" => start_offset = Some(number(value, "startoffset")?),
            b"endoffset" => end_offset = Some(number(value, "endoffset")?),
            _ => {}
        }
    }
    let seq = u64::try_from(seq.ok_or(ManifestProblem::Missing("seq"))?).ok().filter(|&seq| seq > 0);
    Ok(ManifestFile {
        name: name.ok_or(ManifestProblem::Missing("file"))?,
        seq: seq.ok_or(ManifestProblem::NotANumber("seq"))?,
        file_type: file_type.ok_or(ManifestProblem::Missing("type"))?,
        start_offset,
        end_offset,
    })
}

fn number(text: &[u8], part: &'static str) -> Result<i64, ManifestProblem> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(ManifestProblem::NotANumber(part))
}

fn file_name(name: &[u8]) -> Result<Vec<u8>, ManifestProblem> {
    match name {
        b"" => Err(ManifestProblem::Missing("file")),
        b"." | b".." => Err(ManifestProblem::Path),
        _ if name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) => Err(ManifestProblem::Path),
        _ => Ok(name.to_vec()),
    }
}

fn parse_type(value: &[u8]) -> Result<FileType, ManifestProblem> {
    match value {
        b"b" => Ok(FileType::Base),
        b"i" => Ok(FileType::Increment),
        b"h" => Ok(FileType::History),
        _ => Err(ManifestProblem::UnknownType),
    }
}

/// Words between blanks; quotes hold together what is in them.
fn split_words(line: &[u8]) -> Result<Vec<Vec<u8>>, ManifestProblem> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while let Some(&first) = rest.first() {
        let (word, after) = match first {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => single_quoted(&rest[1..])?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                (rest[..end].to_vec(), &rest[end..])
            }
        };
        // Behind a closing quote there is a blank or the end.
        if after.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err(ManifestProblem::Quotes);
        }
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// What follows `"` up to the closing one, and what follows that.
fn double_quoted(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), ManifestProblem> {
    let mut word = Vec::new();
    loop {
        let (byte, after) = match *rest {
            [b'"', ref after @ ..] => return Ok((word, after)),
            [b'\\', b'x', high, low, ref after @ ..] if hex(high).is_some() && hex(low).is_some() => {
                (hex(high).unwrap_or(0) << 4 | hex(low).unwrap_or(0), after)
            }
            [b'\\', escaped, ref after @ ..] => (unescape(escaped), after),
            [byte, ref after @ ..] => (byte, after),
            [] => return Err(ManifestProblem::Quotes),
        };
        word.push(byte);
        rest = after;
    }
}

fn single_quoted(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), ManifestProblem> {
    let mut word = Vec::new();
    loop {
        let (byte, after) = match *rest {
            [b'\\', b'\'', ref after @ ..] => (b'\'', after),
            [b'\'', ref after @ ..] => return Ok((word, after)),
            [byte, ref after @ ..] => (byte, after),
            [] => return Err(ManifestProblem::Quotes),
        };
        word.push(byte);
        rest = after;
    }
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
