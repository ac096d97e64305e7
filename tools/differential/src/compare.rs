//! How two replies are held against each other.

use std::fmt::Write;

use formats::resp::Value;

use crate::client::Answer;

/// Where Redis promises less than every byte. Errors are always compared byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Every byte.
    Exact,
    /// The elements of an aggregate in any order; of an array, so many belong together.
    AnyOrder(usize),
    /// Integers, anywhere within, may differ by so much.
    Near(i64),
    /// The kind of the reply: what it tells is the server's own affair.
    Kind,
    /// The command is repeated with the cursor that is answered until it is 0; then all elements, in any order. The word
    /// with this index is the cursor; so many elements belong together.
    Walk { cursor: usize, group: usize },
}

/// Whether the answers mean the same.
pub fn same(how: How, redis: &Answer, ours: &Answer) -> bool {
    let (Answer::Reply { bytes: their_bytes, value: theirs }, Answer::Reply { bytes, value }) = (redis, ours)
    else {
        return redis == ours;
    };
    if their_bytes == bytes {
        return true;
    }
    if [theirs, value].iter().any(|value| matches!(value, Value::Error(_))) {
        // A client's bytes that are no UTF-8 are replaced in our texts: a known difference.
        return their_bytes[0] == bytes[0]
            && String::from_utf8_lossy(their_bytes) == String::from_utf8_lossy(bytes);
    }
    match how {
        How::Exact => false,
        How::AnyOrder(group) => their_bytes[0] == bytes[0] && sorted(theirs, group) == sorted(value, group),
        How::Near(limit) => near(theirs, value, limit),
        How::Kind => their_bytes[0] == bytes[0] && (*theirs == Value::Null) == (*value == Value::Null),
        How::Walk { .. } => their_bytes[0] == bytes[0],
    }
}

/// The elements of an aggregate in an order that does not depend on the server.
pub fn sorted(value: &Value, group: usize) -> Vec<String> {
    let mut elements: Vec<String> = match value {
        Value::Array(elements) => elements.chunks(group.max(1)).map(|part| format!("{part:?}")).collect(),
        Value::Set(elements) | Value::Push(elements) => {
            elements.iter().map(|element| format!("{element:?}")).collect()
        }
        Value::Map(pairs) => pairs.iter().map(|pair| format!("{pair:?}")).collect(),
        single => vec![format!("{single:?}")],
    };
    elements.sort_unstable();
    elements
}

pub fn near(redis: &Value, ours: &Value, limit: i64) -> bool {
    match (redis, ours) {
        (Value::Integer(redis), Value::Integer(ours)) => {
            // -1 and -2 say something else than a number.
            redis == ours || (*redis >= 0 && *ours >= 0 && redis.abs_diff(*ours) <= limit.unsigned_abs())
        }
        (Value::Array(redis), Value::Array(ours)) => {
            redis.len() == ours.len() && redis.iter().zip(ours).all(|(redis, ours)| near(redis, ours, limit))
        }
        (redis, ours) => redis == ours || both_near(redis, ours, limit),
    }
}

/// Numbers in texts, as TIME gives them.
fn both_near(redis: &Value, ours: &Value, limit: i64) -> bool {
    let number = |value: &Value| match value {
        Value::Bulk(text) => std::str::from_utf8(text).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    matches!((number(redis), number(ours)), (Some(redis), Some(ours)) if redis.abs_diff(ours) <= limit.unsigned_abs())
}

/// An answer for people, its first bytes if it is long.
pub fn show(answer: &Answer) -> String {
    const MOST: usize = 600;
    match answer {
        Answer::Reply { bytes, .. } if bytes.len() > MOST => {
            let mut text = bytes[..MOST].escape_ascii().to_string();
            let _ = write!(text, "… ({} bytes)", bytes.len()); // writing to a string does not fail
            text
        }
        Answer::Reply { bytes, .. } => bytes.escape_ascii().to_string(),
        Answer::Closed => "(connection closed)".to_owned(),
        Answer::Broken(why) => format!("({why})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let (value, _) = formats::resp::decode(text.as_bytes()).unwrap().unwrap();
        Answer::Reply { bytes: text.into(), value }
    }

    fn check(how: How, redis: &str, ours: &str) -> bool {
        same(how, &answer(redis), &answer(ours))
    }

    #[test]
    fn each_way_allows_what_it_says_and_no_more() {
        let (ab, ba) = ("*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\nb\r\n$1\r\na\r\n");
        assert!(check(How::Exact, ab, ab) && !check(How::Exact, ab, ba));
        assert!(check(How::AnyOrder(1), ab, ba) && !check(How::AnyOrder(2), ab, ba));
        assert!(!check(How::AnyOrder(1), ab, "*2\r\n$1\r\na\r\n$1\r\na\r\n"));
        assert!(!check(How::AnyOrder(1), ab, "~2\r\n$1\r\na\r\n$1\r\nb\r\n"));
        assert!(check(How::Near(5), ":100\r\n", ":104\r\n") && !check(How::Near(5), ":100\r\n", ":106\r\n"));
        assert!(!check(How::Near(5), ":-1\r\n", ":0\r\n"));
        assert!(
            check(How::Near(5), "*1\r\n:7\r\n", "*1\r\n:9\r\n")
                && !check(How::Near(5), "*1\r\n:7\r\n", "*0\r\n")
        );
        assert!(check(How::Kind, "$1\r\na\r\n", "$1\r\nb\r\n") && !check(How::Kind, "$1\r\na\r\n", ":1\r\n"));
    }

    #[test]
    fn errors_are_compared_byte_by_byte_in_every_way() {
        for how in [How::Exact, How::AnyOrder(1), How::Near(5), How::Kind, How::Walk { cursor: 1, group: 1 }]
        {
            assert!(check(how, "-ERR a\r\n", "-ERR a\r\n"));
            assert!(!check(how, "-ERR a\r\n", "-ERR b\r\n") && !check(how, "-ERR a\r\n", "+OK\r\n"));
        }
        assert!(same(How::Exact, &Answer::Closed, &Answer::Closed));
        assert!(!same(How::Kind, &Answer::Closed, &answer(":1\r\n")));
    }
}
