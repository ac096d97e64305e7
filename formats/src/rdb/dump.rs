//! The payloads of DUMP and RESTORE: one value apart from its key and its file.
//!
//! ```text
//! +------+--------------------+--------------------+------------------+
//! | type | value              | version            | CRC-64           |
//! | 1 B  | as in an RDB file  | 2 B, little endian | 8 B, of all before |
//! +------+--------------------+--------------------+------------------+
//! ```
//!
//! Invariants:
//! 1. A payload of a newer version than [`EncodeVersion::V10`], or whose checksum is another one, is not looked into.
//! 2. What stands between the value and the footer is passed over, as in Redis.
//!
//! Source: Redis' `cluster.c`.

use super::encode::EncodeVersion;
use super::encode::string::StringWriter;
use super::error::{Problem, RdbError};
use super::input::Input;
use super::kind::ValueKind;
use super::value::{Value, skip_value};
use super::version::Dialect;
use crate::checksum::Crc64;

/// Bytes of a payload before and behind the value.
pub const BYTES_AROUND: usize = 1 + FOOTER_BYTES;
/// Bytes behind the value.
const FOOTER_BYTES: usize = VERSION_BYTES + CHECKSUM_BYTES;
const VERSION_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 8;
/// What is written, and the newest that is read.
const VERSION: u16 = EncodeVersion::V10.version().number;

/// Why a payload holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("version or checksum are wrong")]
    Footer,
    #[error(transparent)]
    Content(#[from] RdbError),
}

/// The payload of a string. With `compress`, one of more than 20 bytes is compressed where that saves something.
pub fn encode_string(value: &[u8], compress: bool) -> Vec<u8> {
    let mut payload = vec![ValueKind::String.byte()];
    StringWriter::new(compress).put(&mut payload, value);
    payload.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = checksum(&payload);
    payload.extend_from_slice(&checksum.to_le_bytes());
    payload
}

/// The value of a payload: framed, and not looked into further.
///
/// # Errors
/// The footer is not that of a payload of version 10 or older, or the type or the framing of the value are broken.
pub fn decode(payload: &[u8]) -> Result<Value<'_>, PayloadError> {
    let (body, footer) = payload.split_last_chunk::<FOOTER_BYTES>().ok_or(PayloadError::Footer)?;
    let [version @ .., _, _, _, _, _, _, _, _] = *footer;
    let (covered, expected) = payload.split_last_chunk::<CHECKSUM_BYTES>().ok_or(PayloadError::Footer)?;
    let is_sound = checksum(covered) == u64::from_le_bytes(*expected);
    if !is_sound || u16::from_le_bytes(version) > VERSION {
        return Err(PayloadError::Footer);
    }
    let mut input = Input::new(body, 0);
    let byte = input.byte("type")?;
    let kind = ValueKind::from_byte(byte, Dialect::Redis);
    let kind = kind.ok_or_else(|| RdbError::new(0, "type", Problem::UnknownType(byte)))?;
    let start = input;
    skip_value(&mut input, kind)?;
    let bytes = &start.rest()[..start.rest().len() - input.rest().len()];
    Ok(Value { kind, bytes, offset: start.offset() })
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::ValueType;
    use crate::rdb::string::StringBuffer;

    /// `SET k 10` and `SET k <40 a's>`, DUMP k of Redis 7.0.15.
    const TEN: &[u8] = b"\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb";

    fn text(payload: &[u8]) -> Vec<u8> {
        let value = decode(payload).unwrap();
        value.string().unwrap().bytes(&mut StringBuffer::default()).unwrap().to_vec()
    }

    #[test]
    fn payloads_are_those_of_redis() {
        assert_eq!(encode_string(b"10", true), TEN);
        assert_eq!(text(TEN), b"10");
    }

    #[test]
    fn strings_come_back() {
        let long = vec![b'x'; 70_000];
        let strings = [&b""[..], b"-1", b"007", b"2147483648", b"hello", &[0; 100], &long];
        for string in strings {
            for compress in [false, true] {
                assert_eq!(text(&encode_string(string, compress)), string);
            }
        }
        assert!(encode_string(&long, true).len() < 2000 && encode_string(&long, false).len() > 70_000);
    }

    #[test]
    fn damage_newer_versions_and_short_payloads_are_refused() {
        let sound = encode_string(b"hello", false);
        for index in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[index] ^= 1;
            assert_eq!(decode(&damaged).unwrap_err(), PayloadError::Footer, "byte {index}");
        }
        for end in 0..sound.len() {
            assert_eq!(decode(&sound[..end]).unwrap_err(), PayloadError::Footer, "{end} bytes");
        }
        assert_eq!(decode(&sealed(b"\x00\x01a", VERSION + 1)).unwrap_err(), PayloadError::Footer);
        assert_eq!(text(&sealed(b"\x00\x01a", 6)), b"a");
    }

    #[test]
    fn what_is_no_value_is_told_from_what_is_behind_one() {
        for body in [&b""[..], b"\x08", b"\xfa", b"\x00", b"\x00\x05a", b"\x00\xc4", b"\x01\x01"] {
            let error = decode(&sealed(body, VERSION)).unwrap_err();
            assert!(matches!(error, PayloadError::Content(_)), "{body:?}");
        }
        assert_eq!(text(&sealed(b"\x00\x01abehind", VERSION)), b"a");
        let list = sealed(b"\x01\x01\x01a", VERSION);
        assert_eq!(decode(&list).unwrap().value_type(), ValueType::List);
    }

    fn sealed(body: &[u8], version: u16) -> Vec<u8> {
        let mut payload = body.to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        let checksum = checksum(&payload);
        payload.extend_from_slice(&checksum.to_le_bytes());
        payload
    }
}
