//! Writes listpacks, the packed arrays of small strings and integers in which Redis 7 keeps small collections.
//!
//! ```text
//! total bytes u32 │ elements u16, 65535: count them │ element … │ 0xFF            numbers are little endian
//! element: encoding and data │ length of those, backwards
//!
//! 0vvvvvvv                             0 ..= 127          10LLLLLL data                  string to 63 bytes
//! 110vvvvv vvvvvvvv                    13 bits, signed    1110LLLL LLLLLLLL data         string to 4095 bytes
//! 0xF1 … 0xF4 and 2, 3, 4, 8 bytes     signed             0xF0 u32 data                  longer string
//! ```
//!
//! The length that follows an element is read from its end: seven bits in each byte, the lowest last, and the
//! high bit set in all but the first.
//!
//! Invariants:
//! 1. A string is stored as an integer where its text is the one that the integer would print as, and only there.
//! 2. A listpack never exceeds [`MAX_LISTPACK_BYTES`].
//!
//! Source: Redis' `listpack.c`.

/// Most bytes of a listpack that Redis accepts as safe.
pub const MAX_LISTPACK_BYTES: usize = 1 << 30;

const HEADER_BYTES: usize = 6;
/// Bytes of a listpack without elements.
pub(super) const EMPTY_LISTPACK_BYTES: usize = HEADER_BYTES + 1;
const END: u8 = 0xFF;
/// In place of a count that does not fit.
const UNKNOWN_COUNT: u16 = u16::MAX;

/// A listpack would be larger than [`MAX_LISTPACK_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packed collection would exceed {MAX_LISTPACK_BYTES} bytes")]
pub struct ListpackTooLarge;

/// A listpack being written; to be used again after [`clear`](ListpackWriter::clear).
#[derive(Clone, Debug)]
pub struct ListpackWriter {
    /// The header, filled in at the end, and the elements.
    bytes: Vec<u8>,
    count: usize,
}

impl Default for ListpackWriter {
    fn default() -> Self {
        ListpackWriter::new()
    }
}

impl ListpackWriter {
    pub fn new() -> Self {
        ListpackWriter { bytes: vec![0; HEADER_BYTES], count: 0 }
    }

    pub fn clear(&mut self) {
        self.bytes.truncate(HEADER_BYTES);
        self.bytes.shrink_to(64 << 10);
        self.count = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Elements so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the whole listpack if it ended here.
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + 1
    }

    /// Appends a string, as an integer where it is one.
    #[inline]
    pub fn push(&mut self, string: &[u8]) -> Result<(), ListpackTooLarge> {
        match canonical_integer(string) {
            Some(number) => self.push_int(number),
            None => self.push_raw(string),
        }
    }

    fn push_raw(&mut self, string: &[u8]) -> Result<(), ListpackTooLarge> {
        self.reserve(string.len())?;
        let start = self.bytes.len();
        match string.len() {
            len @ 0..64 => self.bytes.push(0x80 | len as u8),
            len @ 64..4096 => self.bytes.extend_from_slice(&[0xE0 | (len >> 8) as u8, len as u8]),
            len => {
                self.bytes.push(0xF0);
                self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(string);
        self.close(start);
        Ok(())
    }

    /// Appends an integer.
    pub fn push_int(&mut self, number: i64) -> Result<(), ListpackTooLarge> {
        self.reserve(9)?;
        let start = self.bytes.len();
        let bytes = number.to_le_bytes();
        match number {
            0..=127 => self.bytes.push(bytes[0]),
            -0x1000..=0xFFF => self.bytes.extend_from_slice(&[0xC0 | bytes[1] & 0x1F, bytes[0]]),
            -0x8000..=0x7FFF => self.push_wide(0xF1, &bytes[..2]),
            -0x80_0000..=0x7F_FFFF => self.push_wide(0xF2, &bytes[..3]),
            -0x8000_0000..=0x7FFF_FFFF => self.push_wide(0xF3, &bytes[..4]),
            _ => self.push_wide(0xF4, &bytes),
        }
        self.close(start);
        Ok(())
    }

    fn push_wide(&mut self, encoding: u8, bytes: &[u8]) {
        self.bytes.push(encoding);
        self.bytes.extend_from_slice(bytes);
    }

    /// Checks that an element with so many bytes of data, 5 before and 5 behind, still fits.
    fn reserve(&self, data: usize) -> Result<(), ListpackTooLarge> {
        let room = MAX_LISTPACK_BYTES - self.byte_len();
        if data.saturating_add(10) <= room { Ok(()) } else { Err(ListpackTooLarge) }
    }

    fn close(&mut self, start: usize) {
        let len = self.bytes.len() - start;
        push_backward_len(&mut self.bytes, len);
        self.count += 1;
    }

    /// Replaces the integer at `offset`; both it and `number` are in `0..=127`, so that lengths stay.
    pub(super) fn replace_small_int(&mut self, offset: usize, number: u8) {
        debug_assert!(number <= 127 && self.bytes[offset] <= 127);
        self.bytes[offset] = number;
    }

    /// Where the next element will start.
    pub(super) fn offset(&self) -> usize {
        self.bytes.len()
    }

    /// The listpack: header, elements and end. More elements may be pushed afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.push(END);
        seal(&mut bytes, self.count);
        bytes
    }

    /// Lends the finished listpack to `user` without a copy.
    pub fn with_finished<T>(&mut self, user: impl FnOnce(&[u8]) -> T) -> T {
        self.bytes.push(END);
        seal(&mut self.bytes, self.count);
        let result = user(&self.bytes);
        self.bytes.pop();
        result
    }
}

fn seal(bytes: &mut [u8], count: usize) {
    let total = bytes.len() as u32;
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    let count = u16::try_from(count).unwrap_or(UNKNOWN_COUNT);
    bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Bytes that a string takes in a listpack, as [`ListpackWriter::push`] appends it.
pub(super) fn element_len(string: &[u8]) -> usize {
    let data = match canonical_integer(string) {
        Some(0..=127) => 1,
        Some(-0x1000..=0xFFF) => 2,
        Some(-0x8000..=0x7FFF) => 3,
        Some(-0x80_0000..=0x7F_FFFF) => 4,
        Some(-0x8000_0000..=0x7FFF_FFFF) => 5,
        Some(_) => 9,
        None if string.len() < 64 => 1 + string.len(),
        None if string.len() < 4096 => 2 + string.len(),
        None => 5 + string.len(),
    };
    data + backward_len_bytes(data)
}

/// Appends the length of an element so that it can be read from the end.
fn push_backward_len(out: &mut Vec<u8>, len: usize) {
    if len <= 127 {
        return out.push(len as u8);
    }
    let bytes = backward_len_bytes(len);
    out.push((len >> (7 * (bytes - 1))) as u8);
    for byte in (0..bytes - 1).rev() {
        out.push(0x80 | (len >> (7 * byte)) as u8 & 0x7F);
    }
}

fn backward_len_bytes(len: usize) -> usize {
    // Redis takes one byte more already where all bits are set, so all limits but the first are odd.
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// The integer that prints as exactly `text`, if there is one.
#[inline]
pub fn canonical_integer(text: &[u8]) -> Option<i64> {
    /// Digits of `i64::MIN` and its sign.
    const MAX_DIGITS: usize = 20;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        _ if text.len() > MAX_DIGITS => return None,
        [] => return None,
        [b'0', ..] => return (text == b"0").then_some(0),
        _ => {}
    }
    let mut magnitude: u64 = 0;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => i64::try_from(magnitude).ok(),
    }
}

#[cfg(test)]
#[path = "listpack_writer_tests.rs"]
mod tests;
