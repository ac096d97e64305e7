//! RESP values as a client reads them, and the encoding of commands: for tools, tests and load generators.
//!
//! Invariants:
//! 1. Nesting is limited, and no allocation is made for elements that are announced but not there.
//! 2. "Need more" (`Ok(None)`) and "broken" (`Err`) are told apart.

use super::parse_i64;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;
/// Longest single string that is read.
const MAX_BULK_BYTES: i64 = 1 << 40;

/// Any RESP2 or RESP3 value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `$-1`, `*-1` and RESP3's `_`.
    Null,
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Boolean(bool),
    Double(f64),
    BigNumber(String),
    Verbatim {
        format: String,
        text: Vec<u8>,
    },
}

/// The bytes are not RESP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not RESP at byte {offset}: {what}")]
pub struct DecodeError {
    pub offset: usize,
    pub what: &'static str,
}

/// Reads one value from the front of `bytes`: the value and its length, or `None` where it is not complete.
pub fn decode(bytes: &[u8]) -> Result<Option<(Value, usize)>, DecodeError> {
    let mut decoder = Decoder { bytes, position: 0 };
    Ok(decoder.value(0)?.map(|value| (value, decoder.position)))
}

/// Appends a command as an array of bulk strings.
pub fn encode_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    let mut reply = super::Reply::new(out, super::Protocol::Resp2);
    reply.array(args.len());
    for arg in args {
        reply.bulk(arg.as_ref());
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Decoder<'a> {
    fn error<T>(&self, what: &'static str) -> Result<T, DecodeError> {
        Err(DecodeError { offset: self.position, what })
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let tail = &self.bytes[self.position..];
        let end = tail.windows(2).position(|pair| pair == b"\r\n")?;
        self.position += end + 2;
        Some(&tail[..end])
    }

    fn text(line: &[u8]) -> String {
        String::from_utf8_lossy(line).into_owned()
    }

    /// A string of a length that the line gave, and the line break behind it.
    fn bulk(&mut self, length: i64) -> Option<&'a [u8]> {
        let length = length as usize; // checked by the caller: 0..=MAX_BULK_BYTES
        let tail = &self.bytes[self.position..];
        let bytes = tail.get(..length)?;
        tail.get(length..length + 2)?;
        self.position += length + 2;
        Some(bytes)
    }

    fn values(&mut self, count: i64, depth: usize) -> Result<Option<Vec<Value>>, DecodeError> {
        let mut values = Vec::new();
        for _ in 0..count {
            match self.value(depth + 1)? {
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        Ok(Some(values))
    }

    fn value(&mut self, depth: usize) -> Result<Option<Value>, DecodeError> {
        if depth > MAX_DEPTH {
            return self.error("nested too deep");
        }
        let Some(line) = self.line() else {
            return Ok(None);
        };
        let Some((&kind, rest)) = line.split_first() else {
            return self.error("an empty line");
        };
        let plain = match kind {
            b'+' => Value::Simple(Self::text(rest)),
            b'-' => Value::Error(Self::text(rest)),
            b'_' => Value::Null,
            b'#' => Value::Boolean(rest == b"t"),
            b'(' => Value::BigNumber(Self::text(rest)),
            b',' => match Self::text(rest).parse() {
                Ok(double) => Value::Double(double),
                Err(_) => return self.error("not a double"),
            },
            _ => return self.counted(kind, rest, depth),
        };
        Ok(Some(plain))
    }

    fn counted(&mut self, kind: u8, rest: &[u8], depth: usize) -> Result<Option<Value>, DecodeError> {
        let Some(count) = parse_i64(rest) else {
            return self.error("not a number");
        };
        match (kind, count) {
            (b':', _) => return Ok(Some(Value::Integer(count))),
            (b'$' | b'*', -1) => return Ok(Some(Value::Null)),
            (_, 0..=MAX_BULK_BYTES) => {}
            _ => return self.error("a length out of range"),
        }
        Ok(match kind {
            b'$' => self.bulk(count).map(|bytes| Value::Bulk(bytes.to_vec())),
            b'=' => match self.bulk(count) {
                Some([a, b, c, b':', text @ ..]) => {
                    Some(Value::Verbatim { format: Self::text(&[*a, *b, *c]), text: text.to_vec() })
                }
                Some(_) => return self.error("a verbatim string without its format"),
                None => None,
            },
            b'*' => self.values(count, depth)?.map(Value::Array),
            b'~' => self.values(count, depth)?.map(Value::Set),
            b'>' => self.values(count, depth)?.map(Value::Push),
            b'%' => self.values(count * 2, depth)?.map(|flat| {
                let mut flat = flat.into_iter();
                let mut pairs = Vec::new();
                while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                    pairs.push((key, value));
                }
                Value::Map(pairs)
            }),
            _ => return self.error("an unknown type byte"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_type_and_tells_incomplete_from_broken() {
        let bytes = b"*9\r\n+a\r\n-ERR b\r\n:-3\r\n$2\r\nhi\r\n$-1\r\n%1\r\n+k\r\n~1\r\n#t\r\n,1.5\r\n(123\r\n=7\r\ntxt:abc\r\n";
        let (value, length) = decode(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        let Value::Array(items) = value else { panic!("not an array") };
        assert_eq!(items[4], Value::Null);
        assert_eq!(
            items[5],
            Value::Map(vec![(Value::Simple("k".into()), Value::Set(vec![Value::Boolean(true)]))])
        );
        assert_eq!(items[8], Value::Verbatim { format: "txt".into(), text: b"abc".to_vec() });
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]).unwrap(), None, "cut at {cut}");
        }
        for broken in [&b"?\r\n"[..], b":x\r\n", b"$-2\r\n", b"\r\n", b",x\r\n", b"=2\r\nab\r\n"] {
            assert!(decode(broken).is_err(), "{broken:?}");
        }
        assert!(decode(&b"*1\r\n".repeat(100)).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"*$%~+-:_#,(=>\r\n019-".to_vec())], 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
