//! Numbers as C's `long double` has them on x86-64: 64 bits of precision, 15 of exponent (the x87's extended format).
//!
//! Redis counts INCRBYFLOAT in them, so that these digits are what clients know. Texts are read as `strtold` reads them, and
//! printed with 17 places after the point and no zeros behind the last other digit.
//!
//! ```text
//! +------+----------+----------------------------------+
//! | sign | exponent | significand, its first bit shown |     value = significand * 2^(exponent - 16383 - 63)
//! | 1 b  | 15 b     | 64 b                             |     exponent 0 counts as 1
//! +------+----------+----------------------------------+
//! ```

use std::fmt::Write;

use rustc_apfloat::Float;
use rustc_apfloat::ieee::X87DoubleExtended;

/// Texts of this length and more are no numbers.
const TEXT_LIMIT: usize = 5 * 1024;
/// Places after the point.
const PLACES: usize = 17;
const TEN_TO_PLACES: u64 = 10u64.pow(PLACES as u32);
/// What stands for 2^0 of the last bit of a significand.
const EXPONENT_OF_ONE: i32 = 16383 + 63;

/// See the module.
#[derive(Clone, Copy)]
pub(super) struct LongDouble(X87DoubleExtended);

impl LongDouble {
    pub(super) const ZERO: LongDouble = LongDouble(X87DoubleExtended::ZERO);

    /// Reads a decimal or hexadecimal number, or an infinity. Nothing for anything else, and for what is too large or so
    /// small that zero would be left of it.
    pub(super) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_LIMIT {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        let number = text.strip_prefix(['+', '-']).unwrap_or(text);
        if number.eq_ignore_ascii_case("inf") || number.eq_ignore_ascii_case("infinity") {
            let infinity = X87DoubleExtended::INFINITY;
            return Some(LongDouble(if text.starts_with('-') { -infinity } else { infinity }));
        }
        let (base, marks, rest) = match number.strip_prefix("0x").or(number.strip_prefix("0X")) {
            Some(rest) => (16, ['p', 'P'], rest),
            None => (10, ['e', 'E'], number),
        };
        let (digits, exponent) = rest.split_once(marks).map_or((rest, None), |(a, b)| (a, Some(b)));
        if !are_digits(digits, base) || !exponent.is_none_or(is_exponent) {
            return None;
        }
        let value = match exponent {
            None if base == 16 => format!("{text}p0").parse(), // the library wants one
            _ => text.parse(),
        };
        let value: X87DoubleExtended = value.ok()?;
        let is_nothing = value.is_zero() && digits.contains(|digit| digit != '0' && digit != '.');
        (!is_nothing && !value.is_infinite()).then_some(LongDouble(value))
    }

    pub(super) fn plus(self, other: LongDouble) -> LongDouble {
        LongDouble((self.0 + other.0).value)
    }

    /// Its decimal digits; nothing if it is infinite or no number.
    pub(super) fn decimal(self) -> Option<String> {
        if !self.0.is_finite() {
            return None;
        }
        let bits = self.0.to_bits();
        let (significand, exponent) = (bits as u64, (bits >> 64) as i32 & 0x7FFF);
        let shift = exponent.max(1) - EXPONENT_OF_ONE;
        let (mut whole, places) = match u32::try_from(-shift) {
            Ok(right) => parts(significand, right),
            Err(_) => (shifted_digits(significand, shift as u32), 0),
        };
        if places > 0 {
            let _ = write!(whole, ".{places:0PLACES$}"); // a string takes it
            whole.truncate(whole.trim_end_matches('0').len());
        }
        Some(if self.0.is_negative() && whole != "0" { format!("-{whole}") } else { whole })
    }
}

/// Digits of a base with at most one point among them.
fn are_digits(text: &str, base: u32) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digit = |digit: char| digit.is_digit(base);
    whole.chars().all(is_digit) && fraction.chars().all(is_digit) && whole.len() + fraction.len() > 0
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// `significand / 2^right`, rounded to [`PLACES`] places, to even if two are equally near: the whole number before the point, and
/// the digits behind it.
fn parts(significand: u64, right: u32) -> (String, u64) {
    let whole = significand.checked_shr(right).unwrap_or(0);
    let fraction = significand & !u64::MAX.checked_shl(right).unwrap_or(0);
    let scaled = u128::from(fraction) * u128::from(TEN_TO_PLACES); // below 2^64 * 2^57
    let (mut places, rest, half) = match right {
        0 => (0, 0, 1),
        1..=127 => (scaled >> right, scaled & ((1 << right) - 1), 1 << (right - 1)),
        _ => (0, 0, 1), // far below half of the last place
    };
    if rest > half || rest == half && places & 1 == 1 {
        places += 1;
    }
    let places = places as u64; // at most 10^17
    let carry = places / TEN_TO_PLACES;
    (itoa::Buffer::new().format(u128::from(whole) + u128::from(carry)).to_owned(), places % TEN_TO_PLACES)
}

/// The decimal digits of `significand * 2^left`.
fn shifted_digits(significand: u64, left: u32) -> String {
    /// Digits that are split off at once.
    const DIGITS: usize = 19;
    const SPLIT: u128 = 10u128.pow(DIGITS as u32);
    let mut limbs = vec![0u64; (left / 64) as usize];
    let shifted = u128::from(significand) << (left % 64);
    limbs.extend([shifted as u64, (shifted >> 64) as u64]);
    let mut groups = Vec::new();
    while limbs.iter().any(|limb| *limb > 0) {
        let mut rest = 0u128;
        for limb in limbs.iter_mut().rev() {
            let here = rest << 64 | u128::from(*limb);
            *limb = (here / SPLIT) as u64;
            rest = here % SPLIT;
        }
        limbs.truncate(limbs.iter().rposition(|limb| *limb > 0).map_or(0, |last| last + 1));
        groups.push(rest as u64);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        let _ = write!(text, "{group:0DIGITS$}"); // a string takes it
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Option<String> {
        LongDouble::parse(text.as_bytes())?.decimal()
    }

    #[test]
    fn digits_are_those_of_a_long_double() {
        // As printf("%.17Lf") gives them, less the zeros at the end.
        for (text, digits) in [
            ("0", "0"),
            ("-0", "0"),
            ("-1e-30", "0"),
            ("10.50", "10.5"),
            ("0.1", "0.1"),
            ("1e21", "1000000000000000000000"),
            ("123456789.123456789", "123456789.12345678899873747"),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551617", "18446744073709551616"),
            ("0.999999999999999999", "1"),
            ("1e-17", "0.00000000000000001"),
            ("0.000000000000000005", "0"),      // the next number below that
            ("0x1p-18", "0.00000381469726562"), // 0.000003814697265625: to the even digit
            ("0x3p-18", "0.00001144409179688"),
            ("0x1.8", "1.5"),
            ("0X.8P1", "1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+1.5E+1", "15"),
            ("2e-4951", "0"),
            ("0x1p-16445", "0"),
        ] {
            assert_eq!(decimal(text).as_deref(), Some(digits), "{text}");
        }
        assert_eq!(decimal("1e4932").unwrap().len(), 4933);
        assert_eq!(LongDouble::parse(b"-InFinity").unwrap().decimal(), None);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let long = "1".repeat(TEXT_LIMIT);
        for text in [
            "",
            " 1",
            "1 ",
            "-",
            "+-1",
            ".",
            "e1",
            "1e",
            "1e+",
            "1e1.5",
            "0x",
            "0x.",
            "0xg",
            "0x1p",
            "1p1",
            "nan",
            "infin",
            "1_0",
            "1,5",
            "1\0",
            "1e4933",
            "1e-4952",
            "-1e99999999999",
            "1e-99999999999",
            "0x1p99999999999",
            "-0x1p-99999999999",
            "0x0.0001p-2147483648",
            "0x10000p2147483647",
            &long,
        ] {
            assert!(LongDouble::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(LongDouble::parse(&long.as_bytes()[..4932]).is_some());
    }
}
