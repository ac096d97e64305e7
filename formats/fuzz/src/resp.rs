//! The protocol: requests whole and in pieces, replies, patterns.

use formats::glob::glob_match;
use formats::resp::request::{Limits, Parsed, RequestParser};
use formats::resp::value;

/// Most requests that are read from one input.
const MAX_REQUESTS: usize = 1000;

/// The first byte chooses.
pub fn decode(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    match choice % 3 {
        0 => assert_eq!(requests(bytes, bytes.len().max(1)), requests(bytes, 3), "pieces make a difference"),
        1 => {
            let _ = value::decode(bytes);
        }
        _ => {
            let split = usize::from(choice).min(bytes.len()).min(64);
            let (pattern, text) = bytes.split_at(split);
            glob_match(pattern, &text[..text.len().min(64)], choice & 128 != 0);
        }
    }
}

/// All requests of a stream that arrives `piece` bytes at a time.
fn requests(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let mut parser = RequestParser::new();
    let mut found = Vec::new();
    let (mut start, mut end) = (0, piece.min(bytes.len()));
    while found.len() < MAX_REQUESTS {
        match parser.parse(&bytes[start..end], &Limits::default()) {
            Ok(Parsed::NeedMore { .. }) if end == bytes.len() => break,
            Ok(Parsed::NeedMore { .. }) => end = (end + piece).min(bytes.len()),
            Ok(Parsed::Request { consumed }) => {
                found.push(parser.request(&bytes[start..end]).iter().map(<[u8]>::to_vec).collect());
                start += consumed;
            }
            Ok(Parsed::Nothing { consumed }) => start += consumed,
            Err(error) => return (found, Some(error.to_string())),
        }
    }
    (found, None)
}
