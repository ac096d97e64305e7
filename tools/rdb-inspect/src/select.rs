//! Which keys a command looks at: the filters that many commands share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use formats::glob;
use formats::rdb::string::StringBuffer;
use formats::rdb::{KeyRecord, RdbError, RdbString, ValueType};
use regex::bytes::Regex;

use crate::soundness::hash_with_seed;

/// Longest name that is unpacked to be looked at by a pattern.
const MAX_UNPACKED_BYTES: usize = 16 << 20;

/// Filters; a key must pass all that are given.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Which keys")]
pub struct Select {
    /// Keys that match this pattern, as of KEYS: `user:*`, `h?llo`, `[a-c]*`. A compressed name of more than 16 MiB matches
    /// no pattern
    #[arg(long = "match", value_name = "GLOB")]
    pub glob: Option<String>,
    /// Keys in which this regular expression is found
    #[arg(long, value_name = "REGEX")]
    pub regex: Option<Regex>,
    /// Keys of this type: string, list, set, zset, hash, stream, module; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    pub types: Vec<ValueType>,
    /// Keys of this database; may be repeated
    #[arg(long = "db", value_name = "NUMBER")]
    pub databases: Vec<u64>,
    /// Keys whose record in the file has at least so many bytes: 4096, 64k, 10m
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub min_size: Option<u64>,
    /// Keys that expire within this time from now, or have expired: 30s, 15m, 6h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub expires_within: Option<Duration>,
    /// Keys that never expire
    #[arg(long, conflicts_with = "expires_within")]
    pub no_ttl: bool,
    /// This share of the keys, chosen by the hash of their names: 0.1
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub sample: Option<f64>,
}

/// [`Select`] made ready for many keys.
pub struct Selector<'s> {
    select: &'s Select,
    looks_at_name: bool,
    expires_before_ms: Option<i64>,
    sample_below: Option<u64>,
    buffer: StringBuffer,
}

impl Select {
    pub fn selector(&self) -> Selector<'_> {
        let limit =
            |within: Duration| now_ms().saturating_add(within.as_millis().try_into().unwrap_or(i64::MAX));
        Selector {
            select: self,
            looks_at_name: self.glob.is_some() || self.regex.is_some() || self.sample.is_some(),
            expires_before_ms: self.expires_within.map(limit),
            sample_below: self.sample.map(|share| (share * u64::MAX as f64) as u64),
            buffer: StringBuffer::default(),
        }
    }

    /// Whether every key passes.
    pub fn is_all(&self) -> bool {
        let Select { glob, regex, types, databases, min_size, expires_within, no_ttl, sample } = self;
        glob.is_none()
            && regex.is_none()
            && types.is_empty()
            && databases.is_empty()
            && min_size.is_none()
            && expires_within.is_none()
            && !no_ttl
            && sample.is_none()
    }
}

impl Selector<'_> {
    /// Whether the key passes all filters. A name that cannot be unpacked is an error.
    #[inline]
    pub fn accepts(&mut self, record: &KeyRecord<'_>) -> Result<bool, RdbError> {
        Ok(self.accepts_facts(record) && self.accepts_identity(record)?)
    }

    /// Whether database and name pass the filters that look at these.
    #[inline]
    pub fn accepts_identity(&mut self, record: &KeyRecord<'_>) -> Result<bool, RdbError> {
        let databases = &self.select.databases;
        let db = databases.is_empty() || databases.contains(&record.db);
        Ok(db && (!self.looks_at_name || self.accepts_name(record)?))
    }

    /// Whether all that is not database and name passes the filters that look at it.
    pub fn accepts_facts(&self, record: &KeyRecord<'_>) -> bool {
        let select = self.select;
        let expiry = match (self.expires_before_ms, record.expires_at_ms) {
            (Some(limit), Some(at)) => at <= limit,
            (Some(_), None) => false,
            (None, expiry) => !select.no_ttl || expiry.is_none(),
        };
        expiry
            && (select.types.is_empty() || select.types.contains(&record.value.value_type()))
            && select.min_size.is_none_or(|least| record.bytes.len() as u64 >= least)
    }

    fn accepts_name(&mut self, record: &KeyRecord<'_>) -> Result<bool, RdbError> {
        let select = self.select;
        if let Some(below) = self.sample_below
            && hash_with_seed(record.key, 0)? > below
        {
            return Ok(false);
        }
        if select.glob.is_none() && select.regex.is_none() {
            return Ok(true);
        }
        if matches!(record.key, RdbString::Lzf { length, .. } if length > MAX_UNPACKED_BYTES) {
            return Ok(false);
        }
        let name = record.key.bytes(&mut self.buffer)?;
        Ok(select.glob.as_ref().is_none_or(|pattern| glob::glob_match(pattern.as_bytes(), name, false))
            && select.regex.as_ref().is_none_or(|regex| regex.is_match(name)))
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_millis().try_into().unwrap_or(i64::MAX)
}

fn parse_type(text: &str) -> Result<ValueType, String> {
    let names = || ValueType::ALL.map(ValueType::name).join(", ");
    ValueType::from_name(text).ok_or_else(|| format!("one of {}", names()))
}

/// A number with an optional unit, each unit with what it multiplies by.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Bytes, with `k`, `m`, `g` for powers of 1024.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("b", 1),
        ("k", 1 << 10),
        ("kb", 1 << 10),
        ("m", 1 << 20),
        ("mb", 1 << 20),
        ("g", 1 << 30),
        ("gb", 1 << 30),
    ];
    with_unit(text, &units).ok_or_else(|| "a number of bytes such as 4096, 64k, 10m, 2g".into())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let units = [("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];
    let seconds = with_unit(text, &units).ok_or("a time such as 30s, 15m, 6h, 7d")?;
    Ok(Duration::from_secs(seconds))
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share above 0 and up to 1, such as 0.1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64K"), Ok(65536));
        assert!(parse_bytes("99999999999g").is_err());
        assert!(parse_bytes("1x").is_err());
        assert_eq!(parse_time("7d"), Ok(Duration::from_secs(604_800)));
        assert!(parse_share("0").is_err());
        assert!(parse_share("1.5").is_err());
    }
}
