//! Which format a file is in: its magic and its version.

use super::error::{Problem, RdbError};

/// Whose numbering of types and versions a file follows: they part at version 12.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    Redis,
    Valkey,
}

/// The version that the first bytes name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Version {
    pub dialect: Dialect,
    pub number: u16,
}

/// Bytes of magic and version.
pub const HEADER_BYTES: usize = 9;
/// Versions of the dialect Redis that are understood.
pub const REDIS_VERSIONS: std::ops::RangeInclusive<u16> = 1..=12;
/// Versions of the dialect Valkey that are understood; they start where Redis' are reserved up to 79.
pub const VALKEY_VERSIONS: std::ops::RangeInclusive<u16> = 80..=80;

impl Version {
    pub const fn redis(number: u16) -> Version {
        Version { dialect: Dialect::Redis, number }
    }

    pub const fn valkey(number: u16) -> Version {
        Version { dialect: Dialect::Valkey, number }
    }

    /// Reads `REDISnnnn` or `VALKEYnnn` from the start of a file.
    pub fn parse(bytes: &[u8]) -> Result<Version, RdbError> {
        let error = |problem| RdbError::new(0, "magic and version", problem);
        if bytes.len() < HEADER_BYTES {
            return Err(error(Problem::Truncated { need: HEADER_BYTES as u64, have: bytes.len() as u64 }));
        }
        let (dialect, digits) = match (bytes.strip_prefix(b"REDIS"), bytes.strip_prefix(b"VALKEY")) {
            (Some(rest), _) => (Dialect::Redis, &rest[..4]),
            (_, Some(rest)) => (Dialect::Valkey, &rest[..3]),
            _ => return Err(error(Problem::NoMagic)),
        };
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| error(Problem::NoMagic))?;
        let understood = match dialect {
            Dialect::Redis => REDIS_VERSIONS,
            Dialect::Valkey => VALKEY_VERSIONS,
        };
        if !understood.contains(&number) {
            return Err(error(Problem::UnknownVersion { found: number }));
        }
        Ok(Version { dialect, number })
    }

    /// The bytes of magic and version.
    pub fn header(self) -> Vec<u8> {
        match self.dialect {
            Dialect::Redis => format!("REDIS{:04}", self.number),
            Dialect::Valkey => format!("VALKEY{:03}", self.number),
        }
        .into_bytes()
    }

    /// Whether a CRC-64 follows the end.
    pub fn has_checksum(self) -> bool {
        self.number >= 5
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dialect = match self.dialect {
            Dialect::Redis => "Redis",
            Dialect::Valkey => "Valkey",
        };
        write!(f, "{dialect} RDB {}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_magics_are_known() {
        assert_eq!(Version::parse(b"REDIS0011"), Ok(Version::redis(11)));
        assert_eq!(Version::parse(b"VALKEY080"), Ok(Version::valkey(80)));
        assert_eq!(
            (Version::redis(7).header(), Version::valkey(80).header()),
            (b"REDIS0007".into(), b"VALKEY080".into())
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let problem = |bytes: &[u8]| Version::parse(bytes).unwrap_err().problem().clone();
        assert_eq!(problem(b"REDIS0099"), Problem::UnknownVersion { found: 99 });
        assert_eq!(problem(b"VALKEY012"), Problem::UnknownVersion { found: 12 });
        assert_eq!(problem(b"REDIS+010"), Problem::NoMagic);
        assert_eq!(problem(b"RUBIS0010"), Problem::NoMagic);
        assert_eq!(problem(b"REDIS00"), Problem::Truncated { need: 9, have: 7 });
    }
}
