//! LZF, the compression of long strings in RDB files: Lehmann's LibLZF format, without a header.
//!
//! A compressed string is a sequence of instructions; the first three bits of each tell which:
//!
//! ```text
//! 000LLLLL                      L + 1 literal bytes follow (1 to 32)
//! LLLooooo oooooooo             copy L + 2 bytes (3 to 8) from o + 1 bytes back, L in 1..=6
//! 111ooooo LLLLLLLL oooooooo    copy L + 9 bytes (9 to 264) from o + 1 bytes back
//! ```
//!
//! A copy may reach into what it writes itself: distance 1 repeats one byte.
//!
//! Invariants:
//! 1. A declared length that the input cannot reach is refused before anything is allocated.
//! 2. Decompression answers exactly the declared length, or an error; it never reads or writes elsewhere.
//! 3. What a copy refers to lies at most [`WINDOW_BYTES`] back, so a stream needs to keep no more.

/// Farthest distance of a copy.
pub const WINDOW_BYTES: usize = 8 << 10;
/// Longest copy.
const MAX_COPY: usize = 264;
/// Longest run of literals.
const MAX_LITERALS: usize = 32;
/// Shortest copy that the compressor writes.
const MIN_COPY: usize = 3;
/// Bytes of a stream's chunk, a little more or less.
const CHUNK_BYTES: usize = 64 << 10;
/// Room that is made for a string at first.
const FIRST_STEP_BYTES: usize = 1 << 20;

/// Why bytes are not the compressed form of a string. Offsets are within the compressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LzfError {
    #[error("{compressed} compressed bytes cannot yield the declared {declared}")]
    Unreachable { declared: usize, compressed: usize },
    #[error("compressed string ends inside the instruction at byte {offset}")]
    EndsEarly { offset: usize },
    #[error("copy at byte {offset} reaches {distance} back, {have} are there")]
    BadDistance { offset: usize, distance: usize, have: usize },
    #[error("instruction at byte {offset} exceeds the declared length of {declared}")]
    TooLong { offset: usize, declared: usize },
    #[error("compressed string has {found} bytes, declared are {declared}")]
    TooShort { declared: usize, found: usize },
}

/// Most bytes that so many compressed bytes can stand for.
pub fn max_decompressed_len(compressed_len: usize) -> usize {
    let rest = if compressed_len % 3 == 2 { 8 } else { 0 };
    (compressed_len / 3).saturating_mul(MAX_COPY).saturating_add(rest)
}

/// Appends the decompressed string to `out`; on an error `out` is as it was.
pub fn decompress(compressed: &[u8], expected_len: usize, out: &mut Vec<u8>) -> Result<(), LzfError> {
    check_reachable(compressed, expected_len)?;
    let start = out.len();
    let mut reader = Instructions { input: compressed, at: 0, done: 0, declared: expected_len };
    let result = run_in_steps(&mut reader, start, out).and_then(|()| reader.check_end());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Makes room as it goes: bytes that are broken early cost no more than what came before.
fn run_in_steps(reader: &mut Instructions<'_>, start: usize, out: &mut Vec<u8>) -> Result<(), LzfError> {
    let (mut done, mut stop) = (0, FIRST_STEP_BYTES.min(reader.declared));
    loop {
        out.resize(start + stop.saturating_add(MAX_COPY).min(reader.declared), 0);
        done = reader.run(&mut out[start..], done, stop)?;
        if done < stop || stop == reader.declared {
            return Ok(());
        }
        stop = stop.saturating_mul(2).min(reader.declared);
    }
}

fn check_reachable(compressed: &[u8], declared: usize) -> Result<(), LzfError> {
    // A literal needs two bytes, the bound of copies alone is lower only for such short inputs.
    let bound = max_decompressed_len(compressed.len()).max(compressed.len());
    match declared > bound {
        true => Err(LzfError::Unreachable { declared, compressed: compressed.len() }),
        false => Ok(()),
    }
}

/// Decompresses in chunks, with less than 80 KiB of memory whatever the length of the string.
#[derive(Debug)]
pub struct Decompressor<'a> {
    reader: Instructions<'a>,
    /// The window, then the chunk.
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a> Decompressor<'a> {
    pub fn new(compressed: &'a [u8], expected_len: usize) -> Result<Self, LzfError> {
        check_reachable(compressed, expected_len)?;
        let reader = Instructions { input: compressed, at: 0, done: 0, declared: expected_len };
        let room = (WINDOW_BYTES + CHUNK_BYTES + MAX_COPY).min(expected_len);
        Ok(Decompressor { reader, buffer: vec![0; room], filled: 0 })
    }

    /// The next bytes of the string, never empty; `None` behind the last. Chunks before an error are good as
    /// far as can be told.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, LzfError> {
        if self.reader.done == self.reader.declared {
            self.reader.check_end()?;
            return Ok(None);
        }
        self.keep_window();
        let start = self.filled;
        let left = self.reader.declared - self.reader.done;
        let room = self.buffer.len().min(start.saturating_add(left));
        let stop = room.min(WINDOW_BYTES + CHUNK_BYTES);
        self.filled = self.reader.run(&mut self.buffer[..room], start, stop)?;
        if self.filled == start {
            self.reader.check_end()?;
            return Ok(None);
        }
        Ok(Some(&self.buffer[start..self.filled]))
    }

    /// Calls `each` with every chunk in order.
    pub fn for_each_chunk(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), LzfError> {
        while let Some(chunk) = self.next_chunk()? {
            each(chunk);
        }
        Ok(())
    }

    /// Moves what copies may still refer to, to the front.
    fn keep_window(&mut self) {
        if self.filled > WINDOW_BYTES {
            self.buffer.copy_within(self.filled - WINDOW_BYTES..self.filled, 0);
            self.filled = WINDOW_BYTES;
        }
    }
}

#[derive(Debug)]
struct Instructions<'a> {
    input: &'a [u8],
    /// Offset of the next instruction.
    at: usize,
    /// Bytes decompressed in all.
    done: usize,
    declared: usize,
}

impl Instructions<'_> {
    /// Runs instructions from `start` in `out` until `stop` is reached or the input ends; answers the end.
    /// `out` ends where the declared length does, or leaves room for a whole instruction behind `stop`.
    fn run(&mut self, out: &mut [u8], start: usize, stop: usize) -> Result<usize, LzfError> {
        let mut to = start;
        let mut at = self.at;
        let result = loop {
            if to >= stop || at >= self.input.len() {
                break Ok(to);
            }
            let step = match self.input[at] {
                control @ 0..32 => self.literals(at, usize::from(control) + 1, out, to),
                control => self.copy(at, control, out, to),
            };
            match step {
                Ok((next, end)) => (at, to) = (next, end),
                Err(error) => break Err(error),
            }
        };
        self.at = at;
        self.done += to - start;
        result
    }

    #[inline(always)]
    fn literals(
        &self,
        at: usize,
        count: usize,
        out: &mut [u8],
        to: usize,
    ) -> Result<(usize, usize), LzfError> {
        let from = at + 1;
        // A run of full length is copied whatever the run's own: what is too much is overwritten later.
        if let (Some(source), Some(target)) = (block(self.input, from), block_mut(out, to)) {
            target.copy_from_slice(source);
            return Ok((from + count, to + count));
        }
        let source = self.input.get(from..from + count).ok_or(LzfError::EndsEarly { offset: at })?;
        let target = out.get_mut(to..to + count);
        target.ok_or(LzfError::TooLong { offset: at, declared: self.declared })?.copy_from_slice(source);
        Ok((from + count, to + count))
    }

    #[inline(always)]
    fn copy(&self, at: usize, control: u8, out: &mut [u8], to: usize) -> Result<(usize, usize), LzfError> {
        let ends_early = LzfError::EndsEarly { offset: at };
        let mut next = at + 1;
        let mut count = usize::from(control >> 5) + 2;
        if control >> 5 == 7 {
            count += usize::from(*self.input.get(next).ok_or(ends_early)?);
            next += 1;
        }
        let low = usize::from(*self.input.get(next).ok_or(ends_early)?);
        let distance = (usize::from(control & 31) << 8 | low) + 1;
        let Some(from) = to.checked_sub(distance) else {
            return Err(LzfError::BadDistance { offset: at, distance, have: to });
        };
        if out.len() - to < count {
            return Err(LzfError::TooLong { offset: at, declared: self.declared });
        }
        copy_back(out, from, to, count);
        Ok((next + 1, to + count))
    }

    fn check_end(&self) -> Result<(), LzfError> {
        if self.done < self.declared {
            return Err(LzfError::TooShort { declared: self.declared, found: self.done });
        }
        match self.at < self.input.len() {
            true => Err(LzfError::TooLong { offset: self.at, declared: self.declared }),
            false => Ok(()),
        }
    }
}

#[inline(always)]
fn block(bytes: &[u8], at: usize) -> Option<&[u8]> {
    bytes.get(at..at + MAX_LITERALS)
}

#[inline(always)]
fn block_mut(bytes: &mut [u8], at: usize) -> Option<&mut [u8]> {
    bytes.get_mut(at..at + MAX_LITERALS)
}

/// Copies `count` bytes from `from` to `to`, as if byte by byte; `from < to`, and `to + count` is in `out`.
#[inline(always)]
fn copy_back(out: &mut [u8], from: usize, to: usize, count: usize) {
    let distance = to - from;
    if count <= 16 && distance >= 16 && out.len() - to >= 16 {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&out[from..from + 16]);
        out[to..to + 16].copy_from_slice(&bytes);
    } else if distance >= count {
        out.copy_within(from..from + count, to);
    } else {
        repeat(out, from, to, count);
    }
}

/// A copy that reaches into itself repeats its first `to - from` bytes: what is there doubles at each step.
fn repeat(out: &mut [u8], from: usize, to: usize, count: usize) {
    if to - from == 1 {
        let byte = out[from];
        out[to..to + count].fill(byte);
        return;
    }
    let end = to + count;
    let mut at = to;
    while at < end {
        let step = (at - from).min(end - at);
        out.copy_within(from..from + step, at);
        at += step;
    }
}

/// Compresses strings; keeps its table between them, so that a call neither allocates nor clears.
#[derive(Debug)]
pub struct Compressor {
    /// Where three bytes of some hash were last seen: `base` and their position.
    table: Box<[u32; TABLE_LEN]>,
    /// Added to positions, so that those of earlier strings are lower and do not count.
    base: u32,
}

const TABLE_BITS: u32 = 13;
const TABLE_LEN: usize = 1 << TABLE_BITS;
/// Strings longer than this are not compressed.
const MAX_INPUT: usize = 1 << 31;

impl Default for Compressor {
    fn default() -> Self {
        Compressor::new()
    }
}

impl Compressor {
    pub fn new() -> Self {
        Compressor { table: Box::new([0; TABLE_LEN]), base: 1 }
    }

    /// Appends the compressed form of `input` if that has at most `max_bytes`; or answers `false`, with
    /// `out` as it was.
    pub fn compress(&mut self, input: &[u8], out: &mut Vec<u8>, max_bytes: usize) -> bool {
        if input.len() > MAX_INPUT {
            return false;
        }
        let base = self.advance(input.len() as u32);
        let start = out.len();
        let mut sink = Sink { limit: start.saturating_add(max_bytes), out };
        let fits = self.search(input, base, &mut sink);
        if fits.is_none() {
            out.truncate(start);
        }
        fits.is_some()
    }

    /// The base for a string of so many bytes.
    fn advance(&mut self, len: u32) -> u32 {
        if self.base.checked_add(len).is_none() {
            self.table.fill(0);
            self.base = 1;
        }
        let base = self.base;
        self.base += len;
        base
    }

    fn search(&mut self, input: &[u8], base: u32, sink: &mut Sink<'_>) -> Option<()> {
        // A short string uses a part of the table, which then stays in the nearest cache.
        let bits = TABLE_BITS.min(input.len().max(16).ilog2() + 1);
        let mut at = 0;
        let mut literals = 0;
        while let Some(here) = four(input, at) {
            let slot = &mut self.table[hash(here, bits)];
            let candidate = slot.wrapping_sub(base) as usize;
            *slot = base + at as u32;
            let near = candidate < at && at - candidate <= WINDOW_BYTES;
            if !near || four(input, candidate).is_none_or(|there| (there ^ here) << 8 != 0) {
                // Where nothing repeats, look at fewer and fewer places.
                at += 1 + ((at - literals) >> 6);
                sink.check(at.min(input.len()) - literals)?;
                continue;
            }
            let count = match_len(input, candidate, at);
            sink.literals(&input[literals..at])?;
            sink.copy(at - candidate, count)?;
            self.note_end(input, at + count, base, bits);
            at += count;
            literals = at;
        }
        sink.literals(&input[literals..])
    }

    /// Remembers the last place inside a copy, which often begins the next one.
    fn note_end(&mut self, input: &[u8], end: usize, base: u32, bits: u32) {
        if let Some(last) = four(input, end - 1) {
            self.table[hash(last, bits)] = base + (end - 1) as u32;
        }
    }
}

/// Appends the compressed form of `input` if it saves at least four bytes, as Redis asks; or answers `false`.
pub fn compress(input: &[u8], out: &mut Vec<u8>) -> bool {
    input.len() > 4 && Compressor::new().compress(input, out, input.len() - 4)
}

#[inline(always)]
fn four(input: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*input.get(at..)?.first_chunk()?))
}

/// Of the first three bytes alone.
#[inline(always)]
fn hash(four: u32, bits: u32) -> usize {
    ((four << 8).wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize & (TABLE_LEN - 1)
}

/// Bytes that are equal from both places on, [`MAX_COPY`] at most.
fn match_len(input: &[u8], earlier: usize, here: usize) -> usize {
    let end = input.len().min(here + MAX_COPY);
    let (left, right) = (&input[earlier..], &input[here..end]);
    let mut count = 0;
    while let (Some(a), Some(b)) = (eight(left, count), eight(right, count)) {
        let differs = a ^ b;
        if differs != 0 {
            return count + differs.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    count + left[count..].iter().zip(&right[count..]).take_while(|(a, b)| a == b).count()
}

#[inline(always)]
fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Compressed bytes up to a limit: `None` says that it would be exceeded.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    /// Most length of `out`.
    limit: usize,
}

impl Sink<'_> {
    /// Whether so many bytes more, before the next copy, are within the limit.
    #[inline(always)]
    fn check(&self, more: usize) -> Option<()> {
        (self.out.len() + more <= self.limit).then_some(())
    }

    fn literals(&mut self, mut bytes: &[u8]) -> Option<()> {
        self.check(bytes.len() + bytes.len().div_ceil(MAX_LITERALS))?;
        while !bytes.is_empty() {
            let (run, rest) = bytes.split_at(bytes.len().min(MAX_LITERALS));
            self.out.push(run.len() as u8 - 1);
            self.out.extend_from_slice(run);
            bytes = rest;
        }
        Some(())
    }

    fn copy(&mut self, distance: usize, count: usize) -> Option<()> {
        debug_assert!((MIN_COPY..=MAX_COPY).contains(&count) && distance <= WINDOW_BYTES);
        self.check(3)?;
        let offset = distance - 1;
        let high = (offset >> 8) as u8;
        match count - 2 {
            short @ 1..7 => self.out.push((short as u8) << 5 | high),
            long => self.out.extend_from_slice(&[7 << 5 | high, (long - 7) as u8]),
        }
        self.out.push(offset as u8);
        Some(())
    }
}

#[cfg(test)]
#[path = "lzf_tests.rs"]
mod tests;
