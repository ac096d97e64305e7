//! Strings of a data file in CSV.
//!
//! A string is itself or base64 by the rule of [`json_text`](crate::json_text), and in quotes if it holds a comma, a quote or
//! a line break (RFC 4180). A long one that is text always is.

use formats::rdb::RdbString;
use formats::rdb::string::StringBuffer;

use crate::content::{PIECE_BYTES, Stop, pieces};
use crate::json_text::{BASE64_MARK, Form, long_base64, text};
use crate::output::Output;

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
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    push_quoted(out, text.as_bytes());
    out.push(b'"');
}

/// Appends the inside of a field in quotes.
fn push_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    for (i, part) in bytes.split(|&byte| byte == b'"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part);
    }
}

/// Writes a string as a field, a long one in pieces; nothing of one that cannot be read.
pub fn string(output: &mut Output, string: RdbString<'_>, buffer: &mut StringBuffer) -> Result<(), Stop> {
    if string.len() <= PIECE_BYTES {
        push(output.buffer(), string.bytes(buffer)?);
        return Ok(());
    }
    if Form::of_long(string)? == Form::Base64 {
        output.buffer().extend_from_slice(BASE64_MARK.as_bytes());
        return long_base64(output, string);
    }
    output.buffer().push(b'"');
    pieces(string, |piece| {
        push_quoted(output.buffer(), piece);
        output.flow()
    })?;
    output.buffer().push(b'"');
    Ok(())
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
        assert_eq!(csv(b"\r"), "\"\r\"");
        assert_eq!(csv("blau grün".as_bytes()), "blau grün");
        assert_eq!(csv(b"base64:x"), "base64:YmFzZTY0Ong=");
        assert_eq!(csv(b"\xFF,"), "base64:/yw=");
    }
}
