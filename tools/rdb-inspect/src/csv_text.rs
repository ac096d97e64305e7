//! Strings of a data file in CSV.
//!
//! A string is itself or base64 by the rule of [`json_text`](crate::json_text), and in quotes if it holds a comma, a quote or
//! a line break (RFC 4180).

use crate::json_text::{BASE64_MARK, text};

/// Appends `bytes` as a field.
#[inline]
pub fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    // Looks at all bytes, which is faster than to look for the first.
    let needs = |byte: u8| (byte < 0x20) | (byte == b',') | (byte == b'"') | (byte >= 0x7F);
    if bytes.iter().fold(false, |any, &byte| any | needs(byte)) || bytes.starts_with(BASE64_MARK.as_bytes()) {
        push_unusual(out, &text(bytes));
    } else {
        out.extend_from_slice(bytes);
    }
}

fn push_unusual(out: &mut Vec<u8>, text: &str) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        push(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_quotes_what_would_break_it() {
        assert_eq!(csv(b"user:1 2"), "user:1 2");
        assert_eq!(csv(b"a,b"), "\"a,b\"");
        assert_eq!(csv(b"say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
        assert_eq!(csv("blau grün".as_bytes()), "blau grün");
        assert_eq!(csv(b"base64:x"), "base64:YmFzZTY0Ong=");
        assert_eq!(csv(b"\xFF"), "base64:/w==");
    }
}
