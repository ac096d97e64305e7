//! Effects: what commands changed, as RESP arrays of bulk strings, one after the other.
//!
//! ```text
//! *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n
//! ```
//!
//! Invariants:
//! 1. What `encode_effect` writes, `EffectReader` reads back.
//! 2. A length is never trusted beyond the bytes that are there.

/// Most arguments of one effect that a reader accepts.
pub const MAX_EFFECT_ARGS: usize = 1 << 26;

/// Opens a transaction's effects on one shard.
pub const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// Closes a transaction's effects on one shard.
pub const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Most bytes of a length line: kind, 20 digits, line end.
const LENGTH_LINE_BYTES: usize = 23;

/// Appends one effect to `out`.
pub fn encode_effect(out: &mut Vec<u8>, args: &[&[u8]]) {
    let payload: usize = args.iter().map(|arg| arg.len() + 2).sum();
    out.reserve(payload + (args.len() + 1) * LENGTH_LINE_BYTES);
    push_length(out, b'*', args.len());
    for arg in args {
        push_length(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

#[inline]
fn push_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    // Nearly every length has one digit or two: written without a detour through a buffer.
    match length {
        0..10 => out.extend_from_slice(&[kind, b'0' + length as u8, b'\r', b'\n']),
        10..100 => {
            let (tens, ones) = (b'0' + (length / 10) as u8, b'0' + (length % 10) as u8);
            out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => {
            let mut digits = itoa::Buffer::new();
            out.push(kind);
            out.extend_from_slice(digits.format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What is wrong with an effect's bytes; `offset` counts from the start of the effects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EffectError {
    #[error("effect at {offset}: expected {expected}, found byte 0x{found:02x}")]
    Unexpected { offset: usize, expected: &'static str, found: u8 },
    #[error("effect at {offset}: ends in the middle")]
    Truncated { offset: usize },
    #[error("effect at {offset}: {count} arguments, more than {MAX_EFFECT_ARGS}")]
    TooManyArgs { offset: usize, count: usize },
    #[error("effect at {offset}: has no arguments")]
    Empty { offset: usize },
}

/// Reads effects one after the other from a frame's payload.
pub struct EffectReader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> EffectReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        EffectReader { bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Replaces `args` by the next effect's arguments. `false` at the end.
    pub fn next_into(&mut self, args: &mut Vec<&'a [u8]>) -> Result<bool, EffectError> {
        args.clear();
        if self.offset == self.bytes.len() {
            return Ok(false);
        }
        let start = self.offset;
        let count = self.length(b'*', "'*'")?;
        if count == 0 {
            return Err(EffectError::Empty { offset: start });
        }
        if count > MAX_EFFECT_ARGS {
            return Err(EffectError::TooManyArgs { offset: start, count });
        }
        for _ in 0..count {
            let length = self.length(b'$', "'$'")?;
            args.push(self.bulk(length)?);
        }
        Ok(true)
    }

    fn bulk(&mut self, length: usize) -> Result<&'a [u8], EffectError> {
        let rest = &self.bytes[self.offset..];
        let (arg, after) = rest.split_at_checked(length).ok_or(self.truncated())?;
        if after.len() < 2 {
            return Err(self.truncated());
        }
        if &after[..2] != b"\r\n" {
            return Err(self.unexpected(length, "line end"));
        }
        self.offset += length + 2;
        Ok(arg)
    }

    fn length(&mut self, kind: u8, expected: &'static str) -> Result<usize, EffectError> {
        let rest = &self.bytes[self.offset..];
        match rest.first() {
            None => return Err(self.truncated()),
            Some(&byte) if byte != kind => return Err(self.unexpected(0, expected)),
            Some(_) => {}
        }
        let mut value: usize = 0;
        let mut at = 1;
        while let Some(&byte) = rest.get(at) {
            if byte == b'\r' && at > 1 {
                break;
            }
            // 18 digits fit in a usize of 64 bits; no length needs more.
            if !byte.is_ascii_digit() || at > 18 {
                return Err(self.unexpected(at, "digit"));
            }
            value = value * 10 + usize::from(byte - b'0');
            at += 1;
        }
        match rest.get(at + 1) {
            None => Err(self.truncated()),
            Some(b'\n') => {
                self.offset += at + 2;
                Ok(value)
            }
            Some(_) => Err(self.unexpected(at + 1, "line end")),
        }
    }

    fn truncated(&self) -> EffectError {
        EffectError::Truncated { offset: self.offset }
    }

    fn unexpected(&self, ahead: usize, expected: &'static str) -> EffectError {
        let offset = self.offset + ahead;
        EffectError::Unexpected { offset, expected, found: self.bytes[offset] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, EffectError> {
        let mut reader = EffectReader::new(bytes);
        let (mut effects, mut args) = (Vec::new(), Vec::new());
        while reader.next_into(&mut args)? {
            effects.push(args.iter().map(|arg| arg.to_vec()).collect());
        }
        Ok(effects)
    }

    proptest! {
        #[test]
        fn effects_round_trip(
            effects in prop::collection::vec(
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..5), 0..6)
        ) {
            let mut bytes = Vec::new();
            for effect in &effects {
                encode_effect(&mut bytes, &effect.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            prop_assert_eq!(read_all(&bytes).unwrap(), effects);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(
            prop::sample::select(b"*$0123456789\r\nab".to_vec()), 0..40)) {
            let _ = read_all(&bytes);
        }
    }

    #[test]
    fn lengths_of_any_size_are_written_in_full() {
        for length in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 70_000] {
            let (arg, mut bytes) = (vec![b'x'; length], Vec::new());
            encode_effect(&mut bytes, &[&arg]);
            assert_eq!(bytes, format!("*1\r\n${length}\r\n{}\r\n", "x".repeat(length)).into_bytes());
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let mut bytes = Vec::new();
        encode_effect(&mut bytes, &[b"SET", b"key", b"value"]);
        for end in 1..bytes.len() {
            assert!(matches!(read_all(&bytes[..end]), Err(EffectError::Truncated { .. })), "cut at {end}");
        }
    }

    #[test]
    fn what_is_not_an_effect_is_told() {
        for bytes in
            [&b"+OK\r\n"[..], b"*0\r\n", b"*-1\r\n", b"*\r\n", b"*1\r\n$1\r\nabc\r\n", b"*99999999999\r\n"]
        {
            assert!(read_all(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
