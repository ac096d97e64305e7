//! Strings and numbers in JSON, and the form of strings that are no text.
//!
//! Invariants:
//! 1. A string is itself, or `base64:` and the base64 of its bytes: where they are no UTF-8, or begin with `base64:`
//!    themselves. So there is one way back.
//! 2. A string whose bytes cannot be read is not begun.

use std::io::Write;

use formats::rdb::string::StringBuffer;
use formats::rdb::{RdbError, RdbString};

use crate::content::{PIECE_BYTES, Stop, damage_of, pieces};
use crate::failure::Failure;
use crate::output::Output;

/// Marks a string that is given in base64.
pub const BASE64_MARK: &str = "base64:";

/// How a string is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Nothing in it needs an escape.
    Plain,
    Escaped,
    Base64,
}

impl Form {
    #[inline]
    pub fn of(bytes: &[u8]) -> Form {
        if bytes.starts_with(BASE64_MARK.as_bytes()) {
            Form::Base64
        } else if needs_nothing(bytes) {
            Form::Plain
        } else if std::str::from_utf8(bytes).is_ok() {
            Form::Escaped
        } else {
            Form::Base64
        }
    }

    /// Of a string that is read in pieces: plain or not is not looked at.
    pub fn of_long(string: RdbString<'_>) -> Result<Form, RdbError> {
        let mut utf8 = Utf8::default();
        let mut start = Vec::new();
        string.for_each_chunk(|chunk| {
            let missing = BASE64_MARK.len() - start.len();
            start.extend_from_slice(&chunk[..chunk.len().min(missing)]);
            utf8.feed(chunk);
        })?;
        let is_text = utf8.is_whole() && start != BASE64_MARK.as_bytes();
        Ok(if is_text { Form::Escaped } else { Form::Base64 })
    }
}

/// Whether all bytes are ASCII, and none a control character, quote or backslash. Looks at all of them, which vector
/// instructions do faster than a search.
#[inline]
fn needs_nothing(bytes: &[u8]) -> bool {
    let needs = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte >= 0x80);
    !bytes.iter().fold(false, |any, &byte| any | needs(byte))
}

/// Appends a string in quotes.
#[inline]
pub fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    match Form::of(bytes) {
        Form::Plain => out.extend_from_slice(bytes),
        Form::Escaped => push_escaped(out, bytes),
        Form::Base64 => {
            out.extend_from_slice(BASE64_MARK.as_bytes());
            let mut base64 = Base64::default();
            base64.push(out, bytes);
            base64.finish(out);
        }
    }
    out.push(b'"');
}

/// The string that stands for `bytes` in JSON, not yet in quotes.
pub fn text(bytes: &[u8]) -> String {
    match Form::of(bytes) {
        Form::Base64 => {
            let mut out = BASE64_MARK.as_bytes().to_vec();
            let mut base64 = Base64::default();
            base64.push(&mut out, bytes);
            base64.finish(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Appends text that is UTF-8, or a piece of such, with escapes.
pub fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        out.extend_from_slice(escape);
        if escape.is_empty() {
            let digit = b"0123456789abcdef"[usize::from(byte & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Writes a string in quotes, long ones in pieces.
#[inline]
pub fn string(output: &mut Output, string: RdbString<'_>, buffer: &mut StringBuffer) -> Result<(), Stop> {
    match string {
        RdbString::Raw(bytes) if bytes.len() <= PIECE_BYTES => push(output.buffer(), bytes),
        RdbString::Lzf { length, .. } if length <= PIECE_BYTES => {
            push(output.buffer(), string.bytes(buffer)?);
        }
        RdbString::Int(number) => {
            let out = output.buffer();
            out.push(b'"');
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.push(b'"');
        }
        long => return long_string(output, long),
    }
    Ok(())
}

/// Writes a string in quotes, or `null` if it cannot be read: the error is kept in `damage` if it is the first.
#[inline]
pub fn string_or_null(
    output: &mut Output,
    value: RdbString<'_>,
    buffer: &mut StringBuffer,
    damage: &mut Option<RdbError>,
) -> Result<(), Failure> {
    if let Some(error) = damage_of(string(output, value, buffer))? {
        output.buffer().extend_from_slice(b"null");
        damage.get_or_insert(error);
    }
    Ok(())
}

fn long_string(output: &mut Output, string: RdbString<'_>) -> Result<(), Stop> {
    let form = Form::of_long(string)?;
    output.buffer().push(b'"');
    if form == Form::Base64 {
        output.buffer().extend_from_slice(BASE64_MARK.as_bytes());
        long_base64(output, string)?;
    } else {
        pieces(string, |piece| {
            push_escaped(output.buffer(), piece);
            output.flow()
        })?;
    }
    output.buffer().push(b'"');
    Ok(())
}

/// Writes a string in base64, piece by piece.
pub fn long_base64(output: &mut Output, string: RdbString<'_>) -> Result<(), Stop> {
    let mut base64 = Base64::default();
    pieces(string, |piece| {
        base64.push(output.buffer(), piece);
        output.flow()
    })?;
    base64.finish(output.buffer());
    Ok(())
}

/// Appends a number; JSON has no infinities, they are the strings "inf" and "-inf".
pub fn push_number(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        push_score(out, number);
    } else {
        out.push(b'"');
        push_score(out, number);
        out.push(b'"');
    }
}

/// Appends the shortest digits that mean this number: `1`, `0.1`, `1e+300`, `inf`, `-0.0`.
pub fn push_score(out: &mut Vec<u8>, number: f64) {
    /// Below it all integers are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let result = if number.is_nan() {
        out.write_all(b"nan")
    } else if number.fract() == 0.0 && number.abs() < EXACT && (number != 0.0 || number.is_sign_positive()) {
        out.write_all(itoa::Buffer::new().format(number as i64).as_bytes())
    } else {
        let digits = format!("{number:?}");
        match digits.split_once('e').filter(|(_, exponent)| !exponent.starts_with('-')) {
            Some((digits, exponent)) => write!(out, "{digits}e+{exponent}"),
            None => out.write_all(digits.as_bytes()),
        }
    };
    debug_assert!(result.is_ok(), "writing to a vector does not fail");
}

pub fn push_integer(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Encodes bytes that come in pieces; with padding (RFC 4648, section 4).
#[derive(Default)]
pub struct Base64 {
    /// Bytes that do not fill a group of three yet.
    open: [u8; 3],
    count: usize,
}

impl Base64 {
    pub fn push(&mut self, out: &mut Vec<u8>, mut bytes: &[u8]) {
        while self.count > 0 && self.count < 3 && !bytes.is_empty() {
            self.open[self.count] = bytes[0];
            self.count += 1;
            bytes = &bytes[1..];
        }
        if self.count == 3 {
            out.extend_from_slice(&group(self.open));
            self.count = 0;
        }
        let (groups, rest) = bytes.as_chunks::<3>();
        out.reserve(groups.len() * 4);
        for &three in groups {
            out.extend_from_slice(&group(three));
        }
        if !rest.is_empty() {
            self.open[..rest.len()].copy_from_slice(rest);
            self.count = rest.len();
        }
    }

    pub fn finish(self, out: &mut Vec<u8>) {
        let [a, b, _] = self.open;
        match self.count {
            1 => out.extend_from_slice(&[group([a, 0, 0])[0], group([a, 0, 0])[1], b'=', b'=']),
            2 => {
                let [first, second, third, _] = group([a, b, 0]);
                out.extend_from_slice(&[first, second, third, b'=']);
            }
            _ => {}
        }
    }
}

#[inline]
fn group([a, b, c]: [u8; 3]) -> [u8; 4] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
    [18, 12, 6, 0].map(|shift| LETTERS[(bits >> shift & 63) as usize])
}

/// Tells whether bytes that come in pieces are UTF-8.
#[derive(Default)]
struct Utf8 {
    /// A character that is not complete yet.
    open: Vec<u8>,
    broken: bool,
}

impl Utf8 {
    fn feed(&mut self, mut piece: &[u8]) {
        while let (false, false, Some((&byte, rest))) =
            (self.broken, self.open.is_empty(), piece.split_first())
        {
            self.open.push(byte);
            piece = rest;
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) => self.broken = error.error_len().is_some(),
            }
        }
        if self.broken || piece.is_empty() {
            return;
        }
        if let Err(error) = std::str::from_utf8(piece) {
            self.broken = error.error_len().is_some();
            self.open.extend(piece[error.valid_up_to()..].iter().take(3));
        }
    }

    fn is_whole(&self) -> bool {
        !self.broken && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_itself_and_anything_else_is_base64() {
        assert_eq!(json(b"plain"), r#""plain""#);
        assert_eq!(json("gr\u{fc}n \"\\\n\u{1}".as_bytes()), "\"gr\u{fc}n \\\"\\\\\\n\\u0001\"");
        assert_eq!(json(b"\xff"), r#""base64:/w==""#);
        assert_eq!(json(b"base64:eA=="), r#""base64:YmFzZTY0OmVBPT0=""#);
    }

    #[test]
    fn every_text_is_read_back() {
        let text: String = (0..0x300).filter_map(char::from_u32).collect();
        assert_eq!(serde_json::from_str::<String>(&json(text.as_bytes())).unwrap(), text);
    }

    #[test]
    fn base64_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..=255).collect();
        let encode = |size: usize| {
            let (mut out, mut base64) = (Vec::new(), Base64::default());
            bytes.chunks(size).for_each(|piece| base64.push(&mut out, piece));
            base64.finish(&mut out);
            out
        };
        let whole = encode(256);
        assert!(whole.starts_with(b"AAECAwQF") && whole.ends_with(b"/w=="));
        for size in 1..20 {
            assert_eq!(encode(size), whole);
        }
    }

    #[test]
    fn utf8_does_not_depend_on_the_pieces() {
        let whole = |bytes: &[u8], size: usize| {
            let mut utf8 = Utf8::default();
            bytes.chunks(size).for_each(|piece| utf8.feed(piece));
            utf8.is_whole()
        };
        let good = "a\u{fc}\u{20ac}\u{1f600}z".as_bytes();
        for size in 1..good.len() + 1 {
            assert!(whole(good, size));
            assert!(!whole(&good[..good.len() - 2], size));
            assert!(!whole(b"ab\xc3(cd", size));
        }
    }

    #[test]
    fn numbers_are_json() {
        let shown =
            [0.0, -0.0, 1.0, -3.0, 0.1, 1e300, 9_007_199_254_740_992.0, f64::INFINITY, f64::NAN].map(|n| {
                let mut out = Vec::new();
                push_number(&mut out, n);
                String::from_utf8(out).unwrap()
            });
        let expected = ["0", "-0.0", "1", "-3", "0.1", "1e+300", "9007199254740992.0", "\"inf\"", "\"nan\""];
        assert_eq!(shown, expected);
    }
}
