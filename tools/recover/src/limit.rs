//! Points in history, as people write them.

use std::num::ParseIntError;

use everfast::persist::{Gsn, Limit};
use rdb_inspect::dates;

/// `@` and more digits than seconds will have for some thousand years: milliseconds.
const MS_DIGITS: usize = 12;
const MINUTE_MS: i64 = 60_000;

/// The last moment to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    pub limit: Limit,
    /// A number without anything that says what it is.
    pub is_plain: bool,
}

/// A time, or a global sequence number: see the help of the program.
pub fn parse_until(text: &str) -> Result<Until, String> {
    let (digits, is_plain) = text.strip_prefix("gsn:").map_or((text, true), |digits| (digits, false));
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let gsn = digits.parse().map_err(|error: ParseIntError| error.to_string())?;
        return Ok(Until { limit: Limit::Gsn(Gsn(gsn)), is_plain });
    }
    let time = parse_time(text).map_err(|error| format!("{error}; or a GSN such as gsn:123"))?;
    Ok(Until { limit: Limit::Time(time), is_plain: false })
}

/// A time, in ms since 1970.
pub fn parse_time(text: &str) -> Result<u64, String> {
    let ms = match text.strip_prefix('@') {
        Some(number) => since_1970(number),
        None => calendar(text),
    };
    ms.and_then(|ms| u64::try_from(ms).ok())
        .ok_or_else(|| "a time such as 2026-11-20T07:47:12.345Z, 2026-11-20 07:47:12 or @1763624832".into())
}

fn since_1970(text: &str) -> Option<i64> {
    let (number, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let value: i64 = number.parse::<u32>().map(i64::from).or_else(|_| number.parse()).ok()?;
    if number.len() >= MS_DIGITS {
        return (text.len() == number.len()).then_some(value);
    }
    value.checked_mul(1000)?.checked_add(milliseconds(fraction)?)
}

/// `2026-11-20[T07:47[:12[.345]]][Z|+01:00]`
fn calendar(text: &str) -> Option<i64> {
    let (local, offset_ms) = split_offset(text)?;
    let (seconds, fraction) = local.split_once('.').unwrap_or((local, "0"));
    Some(dates::parse(seconds)? + milliseconds(fraction)? - offset_ms)
}

/// What stands behind the point; digits beyond the third do not count.
fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}").get(..3)?.parse().ok()
}

fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(utc) = text.strip_suffix(['Z', 'z']) {
        return Some((utc, 0));
    }
    // The date has `-` too: an offset stands behind the clock.
    let clock = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let Some(at) = text[clock..].find(['+', '-']).map(|at| clock + at) else { return Some((text, 0)) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let ms = (i64::from(hours) * 60 + i64::from(minutes)) * MINUTE_MS;
    let is_good = hours < 24 && minutes < 60;
    is_good.then_some((&text[..at], if text[at..].starts_with('-') { -ms } else { ms }))
}

/// A limit, for people.
pub fn limit_text(limit: Limit) -> String {
    match limit {
        Limit::Time(ms) => time_text(ms),
        Limit::Gsn(gsn) => format!("gsn:{gsn}"),
    }
}

pub fn time_text(ms: u64) -> String {
    dates::utc_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_told_apart() {
        let parse_limit = |text| parse_until(text).map(|until| until.limit);
        assert_eq!(parse_until("123"), Ok(Until { limit: Limit::Gsn(Gsn(123)), is_plain: true }));
        assert_eq!(parse_until("gsn:123"), Ok(Until { limit: Limit::Gsn(Gsn(123)), is_plain: false }));
        assert!(parse_until("foo").unwrap_err().contains("gsn:"));
        let ms = 1_795_161_103_905;
        for text in [
            "2026-11-20T07:51:43.905Z",
            "2026-11-20 07:51:43.905",
            "2026-11-20T08:51:43.9059+01:00",
            "2026-11-20 05:21:43.905-02:30",
            "@1795161103905",
            "@1795161103.905",
        ] {
            assert_eq!(parse_limit(text), Ok(Limit::Time(ms)), "{text}");
        }
        assert_eq!(parse_limit("2026-11-20T07:51"), Ok(Limit::Time(1_795_161_060_000)));
        assert_eq!(parse_limit("@1795161103"), Ok(Limit::Time(1_795_161_103_000)));
        assert_eq!(limit_text(Limit::Time(ms)), "2026-11-20T07:51:43.905Z");
        for wrong in
            ["", "x", "gsn:x", "@", "@1.", "2026-11-20T07:51:43.x", "2026-11-20T07:51+25:00", "-1", "@-1"]
        {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }
}
