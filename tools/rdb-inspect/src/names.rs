//! How keys and elements are shown: to people, cut and escaped; in JSON, whole and unambiguous.

use formats::rdb::RdbString;
use serde_json::Value;

/// Most bytes of a name that people are shown.
const SHOWN_BYTES: usize = 96;
/// Most bytes of a name that are kept.
const KEPT_BYTES: usize = 64 << 10;
/// Marks base64 in JSON.
const BASE64: &str = "base64:";

/// The first 64 KiB of a string; as far as it can be unpacked.
pub fn kept(string: RdbString<'_>) -> Vec<u8> {
    let mut name = Vec::new();
    // What cannot be unpacked is named by what came before.
    let _ = string.for_each_chunk(|part| {
        let room = KEPT_BYTES - name.len();
        name.extend_from_slice(&part[..part.len().min(room)]);
    });
    name
}

/// In quotes, on one line, short.
pub fn shown(name: &[u8]) -> String {
    match name.split_at_checked(SHOWN_BYTES) {
        Some((head, rest)) if !rest.is_empty() => {
            format!("\"{}\"… ({} bytes)", head.escape_ascii(), name.len())
        }
        _ => match std::str::from_utf8(name) {
            Ok(text) => format!("{text:?}"),
            Err(_) => format!("\"{}\"", name.escape_ascii()),
        },
    }
}

/// The string itself, or `base64:` and its bytes where it is no UTF-8 or begins like that.
pub fn json(name: &[u8]) -> Value {
    match std::str::from_utf8(name) {
        Ok(text) if !text.starts_with(BASE64) => Value::from(text),
        _ => Value::from(format!("{BASE64}{}", base64(name))),
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize]);
            text.push(if i <= group.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_unambiguous() {
        assert_eq!(json(b"plain"), "plain");
        assert_eq!(json("größer".as_bytes()), "größer");
        assert_eq!(json(b"\xff"), "base64:/w==");
        assert_eq!(json(b"\xff\x00"), "base64:/wA=");
        assert_eq!(json(b"\xff\x00\x01"), "base64:/wAB");
        assert_eq!(json(b"base64:"), "base64:YmFzZTY0Og==");
    }

    #[test]
    fn people_see_one_short_line() {
        assert_eq!(shown(b"a\nb"), "\"a\\nb\"");
        assert_eq!(shown(b"\xff"), "\"\\xff\"");
        assert!(shown(&[b'x'; 1000]).ends_with("x\"… (1000 bytes)"));
    }
}
