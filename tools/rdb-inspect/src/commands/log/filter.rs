//! Which commands are looked at: a range of places or times, and a pattern of keys.

use std::ops::RangeInclusive;

use formats::glob;
use formats::log::{Gsn, ShardId};

use super::command::Command;
use crate::dates;

/// An end of the range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bound {
    /// Offset in each file.
    Offset(u64),
    /// Milliseconds since 1970.
    TimeMs(i64),
}

/// Filters; a command must pass all that are given.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Which commands")]
pub struct Filter {
    /// Commands from here on: an offset in the file, or a time
    ///
    /// 4096 is an offset in each file. 2026-11-20, 2026-11-20T07:47 and 2026-11-20T07:47:12 are times in UTC,
    /// @1763624832 and @1763624832.250 are seconds since 1970. A log of Everfast tells the time of each frame, an
    /// append-only file only if `aof-timestamp-enabled` was set: a command whose time is not known is left out where a
    /// time is asked for.
    #[arg(long, value_name = "PLACE", value_parser = parse_bound)]
    pub from: Option<Bound>,
    /// Commands before here: an offset in the file, or a time, as --from
    #[arg(long, value_name = "PLACE", value_parser = parse_bound)]
    pub until: Option<Bound>,
    /// Commands whose first key matches this pattern, as of KEYS: `user:*`, `h?llo`, `[a-c]*`
    ///
    /// Commands without a key are left out.
    #[arg(long = "match", value_name = "GLOB")]
    pub glob: Option<String>,
    /// For logs of Everfast.
    #[arg(skip)]
    pub only: Only,
}

/// Places in logs of Everfast, and one command; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    pub shard: Option<ShardId>,
    /// Parts of the transactions with these numbers.
    pub gsns: Option<RangeInclusive<Gsn>>,
    /// The command's name, in letters of any size.
    pub command: Option<String>,
}

impl Only {
    fn wants(&self, command: &Command<'_, '_>) -> bool {
        let gsn = || command.origin.and_then(|origin| origin.gsn);
        self.shard.is_none_or(|shard| command.place.is_some_and(|(other, _)| other == shard))
            && self.gsns.as_ref().is_none_or(|gsns| gsn().is_some_and(|gsn| gsns.contains(&gsn)))
            && self.command.as_ref().is_none_or(|name| command.name().eq_ignore_ascii_case(name.as_bytes()))
    }
}

impl Filter {
    /// Whether the command is in the range.
    #[inline]
    pub fn in_range(&self, command: &Command<'_, '_>) -> bool {
        self.from.is_none_or(|from| !is_before(command, from, true))
            && self.until.is_none_or(|until| is_before(command, until, false))
            && self.only.wants(command)
    }

    /// Whether every command passes.
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.until.is_none() && self.glob.is_none() && self.only == Only::default()
    }

    /// Whether the key matches.
    pub fn matches(&self, pattern: &str, key: Option<&[u8]>) -> bool {
        key.is_some_and(|key| glob::glob_match(pattern.as_bytes(), key, false))
    }
}

fn is_before(command: &Command<'_, '_>, bound: Bound, unknown: bool) -> bool {
    match bound {
        Bound::Offset(offset) => command.offset < offset,
        Bound::TimeMs(limit) => command.time_ms.map_or(unknown, |time| time < limit),
    }
}

fn parse_bound(text: &str) -> Result<Bound, String> {
    let bound = match text.strip_prefix('@') {
        Some(seconds) => parse_seconds(seconds).map(Bound::TimeMs),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Bound::Offset),
        None => dates::parse(text).map(Bound::TimeMs),
    };
    bound.ok_or_else(|| "an offset such as 4096, or a time such as 2026-11-20T07:47:12 or @1763624832".into())
}

fn parse_seconds(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let ms = match fraction.len() {
        1..=3 => fraction.parse::<u16>().ok()? as i64 * 10_i64.pow(3 - fraction.len() as u32),
        _ => return None,
    };
    seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add_signed(ms)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_times_are_told_apart() {
        assert_eq!(parse_bound("4096"), Ok(Bound::Offset(4096)));
        assert_eq!(parse_bound("@1763624832"), Ok(Bound::TimeMs(1_763_624_832_000)));
        assert_eq!(parse_bound("@1.25"), Ok(Bound::TimeMs(1250)));
        assert_eq!(parse_bound("2000-02-29T23:59:59Z"), Ok(Bound::TimeMs(951_868_799_000)));
        for wrong in ["", "-1", "2026-13-01", "@1.2345", "@x", "x"] {
            assert!(parse_bound(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_time_is_in_no_range_of_times() {
        let filter = |from, until| Filter { from, until, glob: None, only: Only::default() };
        let command = |time_ms| Command {
            file: 0,
            offset: 5,
            bytes: 1,
            time_ms,
            db: 0,
            place: None,
            origin: None,
            args: &[],
        };
        let (early, late) = (Some(Bound::TimeMs(10)), Some(Bound::TimeMs(20)));
        for (time, expected) in
            [(Some(9), false), (Some(10), true), (Some(19), true), (Some(20), false), (None, false)]
        {
            assert_eq!(filter(early, late).in_range(&command(time)), expected, "{time:?}");
        }
        assert!(
            !filter(early, None).in_range(&command(None)) && !filter(None, late).in_range(&command(None))
        );
        assert!(filter(Some(Bound::Offset(5)), Some(Bound::Offset(6))).in_range(&command(None)));
        assert!(!filter(Some(Bound::Offset(6)), None).in_range(&command(None)));
    }
}
