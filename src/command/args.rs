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

/// `ERR wrong number of arguments for '<name>' command`
pub fn wrong_arity(name: &str) -> CommandError {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// What a client sent, as it may stand in an error text: at most `limit` bytes of it.
pub fn quoted(arg: &[u8], limit: usize) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&arg[..arg.len().min(limit)])
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
    fn databases_are_counted_from_zero() {
        assert_eq!(database(b"15", 16), Ok(15));
        assert_eq!(database(b"16", 16), Err("ERR DB index is out of range".into()));
        assert_eq!(database(b"-1", 16), Err("ERR DB index is out of range".into()));
        assert_eq!(database(b"99999999999", 16), Err(NOT_32_BITS.into()));
        assert_eq!(database(b"x", 16), Err(NOT_AN_INTEGER.into()));
    }
}
