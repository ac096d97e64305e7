//! The Redis serialisation protocol, versions 2 and 3.
//!
//! - [`request`]: what a client sends, parsed in place from its read buffer.
//! - [`reply`]: what a server answers, written into a byte buffer.
//! - [`value`]: any RESP value as a client reads it (tools and tests), and the encoding of a command.
//!
//! Source: the protocol specification at redis.io/docs/reference/protocol-spec; limits and error texts as Redis 7.0 has them.

pub mod reply;
pub mod request;
pub mod value;

pub use reply::{Protocol, Reply};
pub use request::{ArgRange, Limits, Parsed, ProtocolError, Request, RequestParser};
pub use value::{DecodeError, Value, decode, encode_command};

/// Parses a decimal integer as Redis does where it wants one: an optional `-`, no leading zeros, no `+`, no spaces.
///
/// Returns `None` for anything else, and for what does not fit into an `i64`.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit); // at most 19 digits: below 10^19 < 2^64
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::parse_i64;

    #[test]
    fn integers_are_strict() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("-0", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), expected, "{text:?}");
        }
    }
}
