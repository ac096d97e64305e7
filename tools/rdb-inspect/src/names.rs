//! Names of keys, and other strings of a data file, for people; for programs see [`json_text`](crate::json_text).
//!
//! | where | function | form |
//! |---|---|---|
//! | alone on a line, to be read back | [`push`] | itself if that is plain, else quoted with the escapes of redis-cli |
//! | in a sentence | [`of`], [`shown`] | quoted, on one line; of a long one the start and the length |
//! | in a column | [`shortened`] | as alone on a line, without the middle of a long one |
//!
//! Invariant: [`unquoted`] reads back what is quoted.

use formats::rdb::RdbString;

/// Most bytes of a name that are shown in a sentence.
const SHOWN_BYTES: usize = 96;
/// Most bytes of a name that are kept.
const KEPT_BYTES: usize = 64 << 10;

/// The first 64 KiB of a string; as far as it can be unpacked.
pub fn kept(string: RdbString<'_>) -> Vec<u8> {
    start_of(string, KEPT_BYTES)
}

/// The first `most` bytes of a string; as far as it can be unpacked.
pub fn start_of(string: RdbString<'_>, most: usize) -> Vec<u8> {
    let mut start = Vec::new();
    // What cannot be unpacked is named by what came before.
    let _ = string.for_each_chunk(|part| {
        let room = most - start.len();
        start.extend_from_slice(&part[..part.len().min(room)]);
    });
    start
}

/// At most `most` bytes of a name, without part of a character at the end.
pub fn cut(name: &[u8], most: usize) -> &[u8] {
    if name.len() <= most {
        return name;
    }
    let is_start = |at: &usize| name[*at] & 0xC0 != 0x80;
    let end = (most.saturating_sub(3)..=most).rev().find(is_start).unwrap_or(most);
    &name[..end]
}

/// A string of the file in a sentence.
pub fn of(string: RdbString<'_>) -> String {
    in_a_sentence(&start_of(string, SHOWN_BYTES + 1), string.len())
}

/// A name in a sentence.
pub fn shown(name: &[u8]) -> String {
    in_a_sentence(name, name.len())
}

/// `start` is all of the name, or at least what is shown of it.
fn in_a_sentence(start: &[u8], length: usize) -> String {
    let start = cut(start, SHOWN_BYTES);
    let mut out = vec![b'"'];
    match is_text(start) {
        true => push_escaped_if(&mut out, start, |byte| matches!(byte, b'"' | b'\\')),
        false => push_escaped(&mut out, start),
    }
    out.push(b'"');
    let quoted = String::from_utf8_lossy(&out);
    if start.len() < length { format!("{quoted}… ({length} bytes)") } else { quoted.into_owned() }
}

/// Whether a name can stand for itself in a line: text without control characters that is not mistaken for a quoted
/// one.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty() && name[0] != b'"' && is_text(name)
}

/// Whether it is UTF-8 without control characters.
fn is_text(name: &[u8]) -> bool {
    name.iter().all(|byte| (0x20..0x7F).contains(byte))
        || std::str::from_utf8(name).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// Appends a name: itself if that is plain, else as [`push_quoted`].
pub fn push(out: &mut Vec<u8>, name: &[u8]) {
    match is_plain(name) {
        true => out.extend_from_slice(name),
        false => push_quoted(out, name),
    }
}

/// Appends bytes as redis-cli shows them: `"a\n\x00\xff\""`.
pub fn push_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    push_escaped(out, bytes);
    out.push(b'"');
}

/// The same without the quotes around.
pub fn push_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    push_escaped_if(out, bytes, |byte| !matches!(byte, 0x20..0x7F) || byte == b'\\' || byte == b'"');
}

fn push_escaped_if(out: &mut Vec<u8>, mut rest: &[u8], needs: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    loop {
        let Some(at) = rest.iter().position(|&byte| needs(byte)) else { return out.extend_from_slice(rest) };
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        rest = &rest[at + 1..];
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(&[b'\\', b'x', digits[0], digits[1]]);
            }
        }
    }
}

/// A name as by [`push`], of `width` characters at most: the middle of a longer one is left out.
pub fn shortened(name: &[u8], width: usize) -> String {
    let mut out = Vec::new();
    push(&mut out, name);
    let text = String::from_utf8_lossy(&out);
    let length = text.chars().count();
    if length <= width {
        return text.into_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept / 3;
    let head: String = text.chars().take(kept - tail).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// The bytes that a name on the command line means: in double quotes as [`push`] writes them, else as they are.
pub fn unquoted(name: &[u8]) -> Option<Vec<u8>> {
    let Some(inner) = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")) else {
        return Some(name.to_vec());
    };
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'x' => (hex(rest.next()?)? << 4) | hex(rest.next()?)?,
            other => other,
        });
    }
    Some(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_from_their_quoted_forms() {
        let names: [&[u8]; 8] = [
            b"plain",
            "gr\u{fc}n \"".as_bytes(),
            b"",
            b"\"",
            b"a\0\xff\n",
            b"\x7f",
            b"back\\slash",
            b"\t\r\x07\x08",
        ];
        for name in names {
            let mut alone = Vec::new();
            push(&mut alone, name);
            assert_eq!(unquoted(&alone).as_deref(), Some(name));
            assert_eq!(unquoted(shown(name).as_bytes()).as_deref(), Some(name));
        }
        assert_eq!(unquoted(b"\"\\x4\""), None);
    }

    #[test]
    fn only_what_is_plain_stands_for_itself() {
        let alone = |name: &[u8]| {
            let mut out = Vec::new();
            push(&mut out, name);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(alone("gr\u{fc}n \"".as_bytes()), "gr\u{fc}n \"");
        assert_eq!(alone(b"\xff\n"), r#""\xff\n""#);
        assert_eq!(alone("\u{85}".as_bytes()), r#""\xc2\x85""#);
        assert_eq!(alone(b"\"a"), r#""\"a""#);
        assert_eq!(alone(b""), r#""""#);
    }

    #[test]
    fn a_sentence_has_the_start_of_a_name_and_its_length() {
        assert_eq!(shown("gr\u{fc}n \"".as_bytes()), "\"gr\u{fc}n \\\"\"");
        assert_eq!(shown(b"a\nb\xff"), r#""a\nb\xff""#);
        let long = [b'x'; 1000];
        assert_eq!(shown(&long), format!("\"{}\"… (1000 bytes)", "x".repeat(SHOWN_BYTES)));
        assert_eq!(of(RdbString::Raw(&long)), shown(&long));
        let between = "\u{fc}".repeat(SHOWN_BYTES);
        assert_eq!(shown(&between.as_bytes()[1..]).matches('\\').count(), SHOWN_BYTES - 1);
        assert_eq!(of(RdbString::Raw(format!("x{between}").as_bytes())).matches('\u{fc}').count(), 47);
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("aaä".as_bytes(), 3), b"aa");
        assert_eq!(cut("aaä".as_bytes(), 4), "aaä".as_bytes());
        assert_eq!(cut(&[0xBF; 9], 5), [0xBF; 5]);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shortened(b"user:1", 10), "user:1");
        assert_eq!(shortened(b"user:1234567890", 10), "user:1…890");
    }
}
