//! One argument of a directive, from its text and back: integers, sizes, yes/no, words.
//!
//! The errors are worded as Redis words them, because clients and test suites compare them.

/// The units of a size, longest first where one ends another.
const UNITS: &[(&str, u64)] = &[
    ("gb", 1 << 30),
    ("mb", 1 << 20),
    ("kb", 1 << 10),
    ("g", 1_000_000_000),
    ("m", 1_000_000),
    ("k", 1_000),
    ("b", 1),
    ("", 1),
];

/// An integer in `min..=max`; no sign but `-`, no blanks, no leading zeros.
pub fn parse_integer(text: &[u8], min: i64, max: i64) -> Result<i64, String> {
    let number = canonical_integer(text).ok_or("argument couldn't be parsed into an integer")?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(out_of_range(min, max)) }
}

fn canonical_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A number of bytes in `min..=max`: `1024`, `1kb` (1024), `1k` (1000), likewise `m`, `g`, in either case.
pub fn parse_bytes(text: &[u8], min: u64, max: u64) -> Result<u64, String> {
    let bytes = split_unit(text).ok_or("argument must be a memory value")?;
    match u64::try_from(bytes) {
        Ok(bytes) if (min..=max).contains(&bytes) => Ok(bytes),
        _ => Err(out_of_range(min, max)),
    }
}

fn split_unit(text: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(text).ok()?.to_ascii_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // A number too long for 64 bits is out of range, not malformed.
    let number: u128 = if digits > 20 { u64::MAX.into() } else { number.parse().ok()? };
    Some(number * u128::from(*factor))
}

fn out_of_range(min: impl std::fmt::Display, max: impl std::fmt::Display) -> String {
    format!("argument must be between {min} and {max} inclusive")
}

/// `yes` or `no`, in either case.
pub fn parse_yes_no(text: &[u8]) -> Result<bool, String> {
    match text {
        yes if yes.eq_ignore_ascii_case(b"yes") => Ok(true),
        no if no.eq_ignore_ascii_case(b"no") => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Which of `words` this is, in either case.
pub fn parse_choice(text: &[u8], words: &[&str]) -> Result<usize, String> {
    let found = words.iter().position(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    found.ok_or_else(|| format!("argument(s) must be one of the following: {}", words.join(", ")))
}

/// A size as people write it: in the largest unit that divides it.
pub fn bytes_with_unit(bytes: u64) -> String {
    let fits = |(name, factor): &&(&str, u64)| name.len() == 2 && bytes != 0 && bytes.is_multiple_of(*factor);
    match UNITS.iter().find(fits) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_strict() {
        for (text, expected) in [("0", 0), ("-5", -5), ("65535", 65535)] {
            assert_eq!(parse_integer(text.as_bytes(), -5, 65535), Ok(expected));
        }
        for text in
            ["", "abc", "5 ", " 5", "+5", "007", "-0", "1kb", "1.5", "\u{0661}", "9223372036854775808"]
        {
            let error = parse_integer(text.as_bytes(), -5, 65535).unwrap_err();
            assert_eq!(error, "argument couldn't be parsed into an integer", "{text:?}");
        }
        assert!(parse_integer(b"\xff", 0, 1).is_err());
        for text in ["-6", "65536", "9223372036854775807"] {
            let error = parse_integer(text.as_bytes(), -5, 65535).unwrap_err();
            assert_eq!(error, "argument must be between -5 and 65535 inclusive", "{text:?}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let sizes = [
            ("0", 0),
            ("1024", 1024),
            ("007", 7),
            ("1b", 1),
            ("1k", 1000),
            ("1kb", 1024),
            ("2M", 2_000_000),
            ("2Mb", 2 << 20),
            ("3g", 3_000_000_000),
            ("3GB", 3 << 30),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, expected) in sizes {
            assert_eq!(parse_bytes(text.as_bytes(), 0, u64::MAX), Ok(expected), "{text}");
        }
        for text in ["", "gb", "-1", "1x", "1 gb", "1.5gb", "10%", "1tb"] {
            let error = parse_bytes(text.as_bytes(), 0, 9).unwrap_err();
            assert_eq!(error, "argument must be a memory value", "{text:?}");
        }
        for text in ["0", "10", "99999999999gb", "18446744073709551616", &"9".repeat(60)] {
            let error = parse_bytes(text.as_bytes(), 1, 9).unwrap_err();
            assert_eq!(error, "argument must be between 1 and 9 inclusive", "{text:?}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit() {
        let sizes = [
            (0, "0"),
            (1000, "1000"),
            (1024, "1kb"),
            (1536, "1536"),
            (64 << 20, "64mb"),
            (1 << 40, "1024gb"),
        ];
        for (bytes, expected) in sizes {
            assert_eq!(bytes_with_unit(bytes), expected);
            assert_eq!(parse_bytes(expected.as_bytes(), 0, u64::MAX), Ok(bytes));
        }
    }

    #[test]
    fn words_match_in_either_case() {
        assert_eq!((parse_yes_no(b"YES"), parse_yes_no(b"no")), (Ok(true), Ok(false)));
        assert_eq!(parse_yes_no(b"on").unwrap_err(), "argument must be 'yes' or 'no'");
        assert_eq!(parse_choice(b"Always", &["everysec", "always"]), Ok(1));
        let error = parse_choice(b"foo", &["everysec", "always", "no"]).unwrap_err();
        assert_eq!(error, "argument(s) must be one of the following: everysec, always, no");
    }
}
