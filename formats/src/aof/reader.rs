//! Walks through the commands and annotations of an append-only file.

use super::error::{AofError, Expected};

/// Longest annotation in bytes, as in Redis.
const MAX_ANNOTATION_BYTES: usize = 1024;
/// Most digits of a number.
const MAX_DIGITS: usize = 20;
/// Arguments for which room is kept from one command to the next.
const KEPT_ARGS: usize = 1 << 16;

const TIMESTAMP: &[u8] = b"#TS:";

/// What a file may contain. A number beyond is damage rather than the start of something that was cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AofLimits {
    /// Most arguments of a command.
    pub max_args: u64,
    /// Most bytes of an argument.
    pub max_arg_bytes: u64,
}

impl Default for AofLimits {
    /// Those that Redis sets its clients.
    fn default() -> Self {
        AofLimits { max_args: i32::MAX as u64, max_arg_bytes: 512 << 20 }
    }
}

/// A part of the file, and where it starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AofRecord<'r, 'a> {
    pub offset: u64,
    /// Bytes that it takes in the file.
    pub bytes: u64,
    pub item: AofItem<'r, 'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AofItem<'r, 'a> {
    /// A command's name and arguments, one at least.
    Command(&'r [&'a [u8]]),
    /// Seconds since 1970 at which what follows was written.
    Timestamp(u64),
    /// Another annotation, from its `#` on, without the end of the line.
    Annotation(&'a [u8]),
}

/// Reads a file's records in order. After an error it is done.
#[derive(Clone, Debug)]
pub struct AofReader<'a> {
    bytes: &'a [u8],
    /// Offset in the file of the first of `bytes`.
    base: u64,
    /// What has been read of `bytes`.
    at: usize,
    limits: AofLimits,
    args: Vec<&'a [u8]>,
    /// Where the open MULTI starts in `bytes`.
    transaction: Option<usize>,
    /// End in `bytes` of what counts.
    complete: usize,
    done: bool,
}

impl<'a> AofReader<'a> {
    /// Reads `bytes`, which start at `offset` in their file: behind a preamble, if there is one.
    pub fn new(bytes: &'a [u8], offset: u64) -> Self {
        AofReader::with_limits(bytes, offset, AofLimits::default())
    }

    pub fn with_limits(bytes: &'a [u8], offset: u64, limits: AofLimits) -> Self {
        let (base, args) = (offset, Vec::new());
        AofReader { bytes, base, at: 0, limits, args, transaction: None, complete: 0, done: false }
    }

    /// Offset of the next record.
    pub fn offset(&self) -> u64 {
        self.file_offset(self.at)
    }

    /// Where the MULTI starts whose EXEC has not come yet.
    pub fn open_transaction(&self) -> Option<u64> {
        self.transaction.map(|at| self.file_offset(at))
    }

    /// Behind the last record outside a bracket, or behind the last EXEC: to here the file is whole.
    pub fn complete_until(&self) -> u64 {
        self.file_offset(self.complete)
    }

    /// The next record; `None` at the end.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<AofRecord<'_, 'a>>, AofError> {
        if self.done {
            return Ok(None);
        }
        let start = self.at;
        let parsed = self.parse(start);
        self.done = !matches!(parsed, Ok(Some(_)));
        let Some((item, end)) = parsed? else { return Ok(None) };
        self.at = end;
        if self.transaction.is_none() {
            self.complete = end;
        }
        let item = match item {
            Parsed::Command => AofItem::Command(&self.args),
            Parsed::Timestamp(seconds) => AofItem::Timestamp(seconds),
            Parsed::Annotation(text) => AofItem::Annotation(text),
        };
        Ok(Some(AofRecord { offset: self.base + start as u64, bytes: (end - start) as u64, item }))
    }

    fn file_offset(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    fn parse(&mut self, start: usize) -> Result<Option<(Parsed<'a>, usize)>, AofError> {
        match self.bytes.get(start) {
            None => self.end().map(|()| None),
            Some(b'*') => {
                let end = self.command(start)?;
                self.follow_transaction(start)?;
                Ok(Some((Parsed::Command, end)))
            }
            Some(b'#') => self.annotation(start).map(Some),
            Some(_) => {
                let record = Record { bytes: self.bytes, base: self.base, start };
                Err(record.wrong(start, Expected::RecordStart))
            }
        }
    }

    fn end(&self) -> Result<(), AofError> {
        match self.open_transaction() {
            Some(offset) => Err(AofError::OpenTransaction { offset, end: self.file_offset(self.at) }),
            None => Ok(()),
        }
    }

    /// Reads a command into `args`; answers its end.
    fn command(&mut self, start: usize) -> Result<usize, AofError> {
        self.args.clear();
        self.args.shrink_to(KEPT_ARGS);
        let record = Record { bytes: self.bytes, base: self.base, start };
        let max_args = self.limits.max_args;
        let (count, mut at) = record.number(start + 1, Expected::ArgumentCount, max_args)?;
        if count == 0 {
            return Err(record.wrong(start + 1, Expected::ArgumentCount));
        }
        for _ in 0..count {
            let (arg, end) = record.argument(at, self.limits.max_arg_bytes)?;
            self.args.push(arg);
            at = end;
        }
        Ok(at)
    }

    /// Keeps account of brackets; `args` is the command that starts at `start`.
    #[inline]
    fn follow_transaction(&mut self, start: usize) -> Result<(), AofError> {
        let [name] = self.args[..] else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"MULTI") {
            let offset = self.file_offset(start);
            if let Some(open) = self.open_transaction() {
                return Err(AofError::NestedMulti { offset, open });
            }
            self.transaction = Some(start);
        } else if name.eq_ignore_ascii_case(b"EXEC") && self.transaction.take().is_none() {
            return Err(AofError::StrayExec { offset: self.file_offset(start) });
        }
        Ok(())
    }

    fn annotation(&self, start: usize) -> Result<(Parsed<'a>, usize), AofError> {
        let record = Record { bytes: self.bytes, base: self.base, start };
        let rest = &self.bytes[start..];
        let line = &rest[..rest.len().min(MAX_ANNOTATION_BYTES)];
        let Some(newline) = line.iter().position(|&byte| byte == b'\n') else {
            return match rest.len() < MAX_ANNOTATION_BYTES {
                true => Err(record.torn(Expected::LineEnd)),
                false => Err(record.wrong(start + MAX_ANNOTATION_BYTES - 1, Expected::LineEnd)),
            };
        };
        let text = line[..newline].strip_suffix(b"\r").unwrap_or(&line[..newline]);
        let end = start + newline + 1;
        let Some(seconds) = text.strip_prefix(TIMESTAMP) else {
            return Ok((Parsed::Annotation(text), end));
        };
        match decimal(seconds) {
            Some(seconds) => Ok((Parsed::Timestamp(seconds), end)),
            None => Err(record.wrong(start + TIMESTAMP.len(), Expected::Timestamp)),
        }
    }
}

enum Parsed<'a> {
    /// In `args`.
    Command,
    Timestamp(u64),
    Annotation(&'a [u8]),
}

/// A record that is being read, to name it in errors. Places are indexes of `bytes`.
#[derive(Clone, Copy)]
struct Record<'a> {
    bytes: &'a [u8],
    base: u64,
    start: usize,
}

impl<'a> Record<'a> {
    /// `$length`, the bytes, and the end of the line; answers the bytes and what follows.
    #[inline]
    fn argument(self, at: usize, max_bytes: u64) -> Result<(&'a [u8], usize), AofError> {
        self.expect(at, b'$', Expected::ArgumentStart)?;
        let (len, from) = self.number(at + 1, Expected::ArgumentLength, max_bytes)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(arg) = self.bytes[from..].get(..len) else {
            return Err(self.torn(Expected::ArgumentBytes));
        };
        Ok((arg, self.line_end(from + len)?))
    }

    /// Digits up to the end of the line; answers the number and what follows.
    #[inline]
    fn number(self, at: usize, expected: Expected, limit: u64) -> Result<(u64, usize), AofError> {
        let mut number: u64 = 0;
        let mut end = at;
        while let Some(digit) = self.bytes.get(end).map(|byte| byte.wrapping_sub(b'0')).filter(|&d| d < 10) {
            number = number.saturating_mul(10).saturating_add(u64::from(digit));
            end += 1;
            if end - at > MAX_DIGITS {
                return Err(self.wrong(end - 1, Expected::LineEnd));
            }
        }
        if end == at {
            return Err(self.wrong(at, expected));
        }
        let next = self.line_end(end)?;
        if number > limit {
            let offset = self.base + at as u64;
            return Err(AofError::Limit {
                record: self.base + self.start as u64,
                offset,
                found: number,
                limit,
            });
        }
        Ok((number, next))
    }

    #[inline]
    fn line_end(self, at: usize) -> Result<usize, AofError> {
        self.expect(at, b'\r', Expected::LineEnd)?;
        self.expect(at + 1, b'\n', Expected::LineEnd)?;
        Ok(at + 2)
    }

    #[inline]
    fn expect(self, at: usize, byte: u8, expected: Expected) -> Result<(), AofError> {
        match self.bytes.get(at) {
            Some(&found) if found == byte => Ok(()),
            _ => Err(self.wrong(at, expected)),
        }
    }

    /// What is at `at` cannot be there, or nothing is.
    #[cold]
    fn wrong(self, at: usize, expected: Expected) -> AofError {
        let Some(&found) = self.bytes.get(at) else { return self.torn(expected) };
        let (record, offset) = (self.base + self.start as u64, self.base + at as u64);
        if self.bytes[at..].iter().all(|&byte| byte == 0) {
            let end = self.base + self.bytes.len() as u64;
            return AofError::Zeros { offset: record, zeros: offset, end };
        }
        AofError::Malformed { record, offset, expected, found }
    }

    #[cold]
    fn torn(self, expected: Expected) -> AofError {
        let end = self.base + self.bytes.len() as u64;
        AofError::Torn { offset: self.base + self.start as u64, end, expected }
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
