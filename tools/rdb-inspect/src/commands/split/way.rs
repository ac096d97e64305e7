//! Which file a key goes to.

use std::str::FromStr;

use formats::rdb::string::StringBuffer;
use formats::rdb::{KeyRecord, RdbError, RdbString};

use super::files::FileName;
use super::slot::{SLOTS, slot_of};
use crate::failure::Failure;
use crate::names::kept;
use crate::rewrite::plan::name_salvage;
use crate::select::parse_bytes;

/// Bytes of a name in which its prefix ends.
const HEAD_BYTES: usize = 64 << 10;

/// How a file is split.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Db,
    Slot,
    Prefix,
    Count(u64),
    Size(u64),
    Shard(u16),
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        let number = |digits: &str| digits.parse().ok().filter(|&number: &u64| number > 0);
        let way = match text.split_once('=') {
            None => match text {
                "db" => Some(Way::Db),
                "slot" => Some(Way::Slot),
                "prefix" => Some(Way::Prefix),
                _ => None,
            },
            Some(("count", keys)) => number(keys).map(Way::Count),
            Some(("size", bytes)) => match parse_bytes(bytes)? {
                0 => None,
                bytes => Some(Way::Size(bytes)),
            },
            Some(("shard", count)) => {
                number(count).and_then(|count| count.try_into().ok()).filter(|&n| n <= SLOTS).map(Way::Shard)
            }
            Some(_) => None,
        };
        way.ok_or_else(|| {
            "one of db, slot, prefix, count=KEYS, size=BYTES, shard=NUMBER (up to 16384)".into()
        })
    }
}

impl Way {
    pub(super) fn sorter(self, separator: &[u8]) -> Sorter<'_> {
        Sorter { way: self, separator, buffer: StringBuffer::default(), part: 0, in_part: 0, bytes: 0 }
    }
}

/// Sorts keys into files.
pub(super) struct Sorter<'s> {
    way: Way,
    separator: &'s [u8],
    buffer: StringBuffer,
    part: u64,
    in_part: u64,
    bytes: u64,
}

impl Sorter<'_> {
    pub(super) fn file_of(&mut self, record: &KeyRecord<'_>, input: &str) -> Result<FileName, Failure> {
        let numbered = match self.way {
            Way::Db => FileName::Db(record.db),
            Way::Count(limit) => self.part(self.in_part >= limit),
            Way::Size(limit) => self.part(self.in_part > 0 && self.bytes + record.bytes.len() as u64 > limit),
            Way::Slot | Way::Shard(_) | Way::Prefix => return self.file_by_name(record, input),
        };
        Ok(numbered)
    }

    /// Notes how long a record became.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    fn part(&mut self, is_full: bool) -> FileName {
        if is_full || self.part == 0 {
            self.part += 1;
            (self.in_part, self.bytes) = (0, 0);
        }
        self.in_part += 1;
        FileName::Part(self.part)
    }

    fn file_by_name(&mut self, record: &KeyRecord<'_>, input: &str) -> Result<FileName, Failure> {
        let damage =
            |error: RdbError| name_salvage(Failure::Damage { name: input.into(), what: error.to_string() });
        Ok(match self.way {
            Way::Slot => FileName::Slot(slot_of(record.key).map_err(damage)?),
            Way::Shard(count) => {
                let slot = slot_of(record.key).map_err(damage)?;
                FileName::Shard((u32::from(slot) * u32::from(count) / u32::from(SLOTS)) as u16)
            }
            _ => self.prefix(record.key).map_err(damage)?,
        })
    }

    fn prefix(&mut self, key: RdbString<'_>) -> Result<FileName, RdbError> {
        let head;
        let name = match key {
            RdbString::Lzf { length, .. } if length > HEAD_BYTES => {
                key.check()?;
                head = kept(key);
                &head[..]
            }
            key => key.bytes(&mut self.buffer)?,
        };
        let name = &name[..name.len().min(HEAD_BYTES)];
        Ok(match find(name, self.separator) {
            Some(end) => FileName::Prefix(name[..end].to_vec()),
            None => FileName::Other,
        })
    }
}

fn find(name: &[u8], separator: &[u8]) -> Option<usize> {
    if separator.is_empty() {
        return None;
    }
    name.windows(separator.len()).position(|window| window == separator)
}
