//! How long listpacks and intsets get. Source: Redis' `listpack.c` and `intset.c`.

use formats::rdb::RdbString;

/// Head and end mark of a listpack.
pub const HEAD_AND_END: u64 = 7;
/// Most digits of an `i64`, with its sign.
const LONGEST_INTEGER: usize = 20;

/// The integer that `text` is the one decimal form of, if it is.
pub fn integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > LONGEST_INTEGER {
        return None;
    }
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut number = 0i64;
    for &digit in digits {
        let digit = i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        let shifted = number.checked_mul(10)?;
        number = if negative { shifted.checked_sub(digit)? } else { shifted.checked_add(digit)? };
    }
    Some(number)
}

/// The integer that a string of a file is, if it is.
#[inline]
pub fn integer_of(string: &RdbString<'_>) -> Option<i64> {
    match *string {
        RdbString::Int(number) => Some(number),
        RdbString::Raw(text) => integer(text),
        // What is compressed is longer than any integer.
        RdbString::Lzf { .. } => None,
    }
}

/// Bytes of an entry, with the length behind it.
#[inline]
pub fn entry(string: &RdbString<'_>) -> u64 {
    match integer_of(string) {
        Some(number) => integer_entry(number),
        None => text_entry(string.len() as u64),
    }
}

/// Bytes of an entry that is an integer.
fn integer_entry(number: i64) -> u64 {
    1 + match number {
        0..128 => 1,
        -4096..4096 => 2,
        -0x8000..0x8000 => 3,
        -0x80_0000..0x80_0000 => 4,
        -0x8000_0000..0x8000_0000 => 5,
        _ => 9,
    }
}

/// Bytes of an entry of so many bytes of text.
fn text_entry(length: u64) -> u64 {
    let bytes = length
        + match length {
            0..64 => 1,
            64..4096 => 2,
            _ => 5,
        };
    bytes
        + match bytes {
            0..128 => 1,
            128..16_383 => 2,
            16_383..2_097_151 => 3,
            2_097_151..268_435_455 => 4,
            _ => 5,
        }
}

/// Bytes of an entry that is a sorted set's score, which Redis 7.0 writes with 17 digits.
pub fn score_entry(score: f64) -> u64 {
    if score == score.trunc() && score.abs() < 1e15 {
        return integer_entry(score as i64);
    }
    text_entry(score_digits(score))
}

/// Length of the score as `%.17g` prints it.
fn score_digits(score: f64) -> u64 {
    if !score.is_finite() {
        return if score > 0.0 || score.is_nan() { 3 } else { 4 };
    }
    let text = format!("{:.16e}", score.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let digits = mantissa.trim_end_matches('0').bytes().filter(u8::is_ascii_digit).count() as i64;
    let unsigned = match exponent {
        -4..0 => 1 - exponent + digits,
        0..17 => digits.max(exponent + 1) + i64::from(digits > exponent + 1),
        _ => digits + i64::from(digits > 1) + if exponent.abs() < 100 { 4 } else { 5 },
    };
    unsigned as u64 + u64::from(score < 0.0)
}

/// Bytes of each member of an intset in which `number` is.
pub fn intset_width(number: i64) -> u64 {
    match number {
        -0x8000..0x8000 => 2,
        -0x8000_0000..0x8000_0000 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_decimal_form_is_an_integer() {
        for number in [0, 7, -1, i64::MAX, i64::MIN, 1_000_000] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for text in ["", "-", "-0", "01", "+1", "1 ", "1e3", "9223372036854775808", "-9223372036854775809"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn scores_are_as_long_as_seventeen_digits_make_them() {
        for (score, text) in [
            (0.5, "0.5"),
            (-0.1, "-0.10000000000000001"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1e22, "1e+22"),
            (1.5e300, "1.5000000000000001e+300"),
            (123_456.789, "123456.789"),
            (f64::NEG_INFINITY, "-inf"),
            (1e16, "10000000000000000"),
        ] {
            assert_eq!(score_digits(score), text.len() as u64, "{text}");
        }
    }

    #[test]
    fn entries_are_as_long_as_listpack_makes_them() {
        assert_eq!(entry(&RdbString::Raw(b"127")), 2);
        assert_eq!(entry(&RdbString::Raw(b"128")), 3);
        assert_eq!(entry(&RdbString::Raw(b"-4097")), 4);
        assert_eq!(entry(&RdbString::Raw(b"abc")), 5);
        assert_eq!(entry(&RdbString::Raw(&[b'x'; 63])), 65);
        assert_eq!(entry(&RdbString::Raw(&[b'x'; 64])), 67);
        assert_eq!(entry(&RdbString::Raw(&[b'x'; 126])), 130);
        assert_eq!(entry(&RdbString::Int(i64::MAX)), 10);
    }
}
