//! Strings of a data file as text: themselves, or base64 where they are no UTF-8.
//!
//! A string stands for itself if it is UTF-8 and does not begin with `base64:`; else it is `base64:` and the base64 of
//! its bytes (RFC 4648, with padding). So every string has one form, and each form stands for one string. In CSV, what holds a
//! comma, a quote or a line break is quoted (RFC 4180).

use std::borrow::Cow;

const PREFIX: &str = "base64:";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text that stands for `bytes`.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(PREFIX) => Cow::Borrowed(text),
        _ => Cow::Owned(base64(bytes)),
    }
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

/// Appends `bytes` as a field of CSV.
#[inline]
pub fn push_csv(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(|&byte| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"'))
        && !bytes.starts_with(PREFIX.as_bytes())
    {
        out.extend_from_slice(bytes);
    } else {
        push_unusual_csv(&text_of(bytes), out);
    }
}

fn push_unusual_csv(text: &str, out: &mut Vec<u8>) {
    if !text.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for part in text.split_inclusive('"') {
        out.extend_from_slice(part.as_bytes());
        if part.ends_with('"') {
            out.push(b'"');
        }
    }
    out.push(b'"');
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(PREFIX.len() + bytes.len().div_ceil(3) * 4);
    text.push_str(PREFIX);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(if place <= three.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push_csv(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_stands_for_itself_unless_it_could_be_mistaken() {
        for (bytes, text) in [
            (&b"user:1"[..], "user:1"),
            ("grün, ja".as_bytes(), "grün, ja"),
            (b"\xFF", "base64:/w=="),
            (b"\xFF\xFE", "base64://4="),
            (b"\xFF\xFE\xFD", "base64://79"),
            (b"base64:", "base64:YmFzZTY0Og=="),
            (b"", ""),
        ] {
            assert_eq!(text_of(bytes), text);
        }
    }

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("aaä".as_bytes(), 3), b"aa");
        assert_eq!(cut("aaä".as_bytes(), 4), "aaä".as_bytes());
        assert_eq!(cut(&[0xBF; 9], 5), [0xBF; 5]);
    }

    #[test]
    fn csv_quotes_what_would_break_it() {
        assert_eq!(csv(b"a,b"), "\"a,b\"");
        assert_eq!(csv(b"say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
        assert_eq!(csv("blau grün".as_bytes()), "blau grün");
        assert_eq!(csv(b"base64:x"), "base64:YmFzZTY0Ong=");
    }
}
