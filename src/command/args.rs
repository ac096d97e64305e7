//! What the arguments of many commands have in common: numbers, option words, times.

use formats::resp::parse_i64;

use crate::shard::context::CommandError;

pub const SYNTAX: &str = "ERR syntax error";
pub const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub const NO_DATABASE: &str = "ERR DB index is out of range";
const NOT_32_BITS: &str = "ERR value is out of range, value must between -2147483648 and 2147483647";

/// An integer in Redis' strict form.
pub fn integer(arg: &[u8]) -> Result<i64, CommandError> {
    parse_i64(arg).ok_or_else(|| NOT_AN_INTEGER.into())
}

/// Whether an argument is this option, in either case.
#[inline]
pub fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The number of a database below `databases`.
pub fn database(arg: &[u8], databases: u16) -> Result<u16, CommandError> {
    let number = integer(arg)?;
    if i32::try_from(number).is_err() {
        return Err(NOT_32_BITS.into());
    }
    match u16::try_from(number) {
        Ok(number) if number < databases => Ok(number),
        _ => Err(NO_DATABASE.into()),
    }
}

/// The places `start` to `end` of `length` places in a row, both included; negative ones are counted from the last, and those
/// beyond the first or last are the first or last. `None`: there are no places between them.
pub fn span(start: i64, end: i64, length: u64) -> Option<(u64, u64)> {
    let from_first = |place: i64| match u64::try_from(place) {
        Ok(place) => place,
        Err(_) => length.saturating_sub(place.unsigned_abs()),
    };
    let (start, end) = (from_first(start), from_first(end).min(length.checked_sub(1)?));
    (start <= end).then_some((start, end))
}

/// Whether both are counted from the last place, and `start` stands behind `end`.
pub fn is_backwards(start: i64, end: i64) -> bool {
    end < start && start < 0
}

/// `ERR wrong number of arguments for '<name>' command`
pub fn wrong_arity(name: &str) -> CommandError {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// What a client sent, as it may stand in an error text: at most `limit` bytes of it, up to the first that is 0.
pub fn quoted(arg: &[u8], limit: usize) -> std::borrow::Cow<'_, str> {
    let arg = &arg[..arg.len().min(limit)];
    String::from_utf8_lossy(arg.split(|byte| *byte == 0).next().unwrap_or(arg))
}

/// How a command gives a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    /// Seconds from now.
    InSeconds,
    /// Milliseconds from now.
    InMillis,
    /// Unix time in seconds.
    AtSeconds,
    /// Unix time in milliseconds.
    AtMillis,
}

impl TimeForm {
    /// Unix milliseconds; may lie before 1970. Nothing if that does not fit into an `i64`.
    pub fn unix_ms(self, value: i64, now_ms: u64) -> Option<i64> {
        let millis = match self {
            TimeForm::InSeconds | TimeForm::AtSeconds => value.checked_mul(1000)?,
            TimeForm::InMillis | TimeForm::AtMillis => value,
        };
        match self {
            TimeForm::InSeconds | TimeForm::InMillis => millis.checked_add_unsigned(now_ms),
            TimeForm::AtSeconds | TimeForm::AtMillis => Some(millis),
        }
    }
}

/// `ERR invalid expire time in '<name>' command`
pub fn invalid_expiry(name: &[u8]) -> CommandError {
    let name = name.to_ascii_lowercase();
    format!("ERR invalid expire time in '{}' command", String::from_utf8_lossy(&name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_fit_are_told_apart() {
        let now_ms = 1_000_000;
        assert_eq!(TimeForm::InSeconds.unix_ms(5, now_ms), Some(1_005_000));
        assert_eq!(TimeForm::InMillis.unix_ms(-2_000_000, now_ms), Some(-1_000_000));
        assert_eq!(TimeForm::AtSeconds.unix_ms(5, now_ms), Some(5000));
        assert_eq!(TimeForm::AtMillis.unix_ms(5, now_ms), Some(5));
        assert_eq!(TimeForm::AtSeconds.unix_ms(i64::MAX / 1000 + 1, now_ms), None);
        assert_eq!(TimeForm::InMillis.unix_ms(i64::MAX - 999_999, now_ms), None);
        assert_eq!(TimeForm::InMillis.unix_ms(i64::MAX - 1_000_000, now_ms), Some(i64::MAX));
    }

    #[test]
    fn spans_are_cut_to_what_is_there() {
        for (start, end, length, expected) in [
            (0, -1, 5, Some((0, 4))),
            (1, 2, 5, Some((1, 2))),
            (-3, -2, 5, Some((2, 3))),
            (-9, 9, 5, Some((0, 4))),
            (-9, -8, 5, Some((0, 0))),
            (4, 4, 5, Some((4, 4))),
            (5, 9, 5, None),
            (3, 2, 5, None),
            (0, -1, 0, None),
            (i64::MIN, i64::MAX, 5, Some((0, 4))),
            (i64::MAX, i64::MIN, 5, None),
        ] {
            assert_eq!(span(start, end, length), expected, "{start} {end} of {length}");
        }
        assert!(is_backwards(-1, -2) && !is_backwards(-2, -1) && !is_backwards(1, 0) && !is_backwards(0, -1));
    }

    #[test]
    fn databases_are_counted_from_zero() {
        assert_eq!(database(b"15", 16), Ok(15));
        assert_eq!(database(b"16", 16), Err("ERR DB index is out of range".into()));
        assert_eq!(database(b"-1", 16), Err("ERR DB index is out of range".into()));
        assert_eq!(database(b"99999999999", 16), Err(NOT_32_BITS.into()));
        assert_eq!(database(b"x", 16), Err(NOT_AN_INTEGER.into()));
    }
}
