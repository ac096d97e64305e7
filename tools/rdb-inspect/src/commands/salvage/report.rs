//! What `salvage` kept and what not, for people and for programs.

use std::io::Write;

use formats::rdb::Version;
use serde_json::{Value, json};

use super::scan::{Broken, Lost, Piece, Scan};
use crate::input::Input;
use crate::json_text::text;
use crate::names;

pub(super) struct Report {
    name: String,
    bytes: u64,
    pub(super) version_read: Version,
    version_is_guess: bool,
    pub(super) version_written: Version,
    pub(super) keys_written: u64,
    keys_of_assumed_db: u64,
    repeated_keys: u64,
    broken_values: u64,
    broken: Vec<Broken>,
    lost: Vec<Lost>,
    lost_ranges: u64,
    /// Of the lost ranges, those in whose first record the key could be read.
    lost_named: u64,
    bytes_lost: u64,
    has_end: bool,
    checksum_good: bool,
    partial: Vec<PartialKey>,
    partial_keys: u64,
}

/// A key of which a part was kept.
struct PartialKey {
    db: u64,
    key: Vec<u8>,
    elements: u64,
}

impl Report {
    pub(super) fn new(input: &Input, version: Version, version_is_guess: bool) -> Report {
        Report {
            name: input.name.clone(),
            bytes: input.len(),
            version_read: version,
            version_is_guess,
            version_written: version,
            keys_written: 0,
            keys_of_assumed_db: 0,
            repeated_keys: 0,
            broken_values: 0,
            broken: Vec::new(),
            lost: Vec::new(),
            lost_ranges: 0,
            lost_named: 0,
            bytes_lost: 0,
            has_end: false,
            checksum_good: false,
            partial: Vec::new(),
            partial_keys: 0,
        }
    }

    /// Notes that so many elements of a key were kept, if any.
    pub(super) fn kept_part(&mut self, db: u64, key: &[u8], elements: u64, limit: usize) {
        if elements == 0 {
            return;
        }
        self.partial_keys += 1;
        if self.partial.len() < limit {
            self.partial.push(PartialKey { db, key: key.to_vec(), elements });
        }
    }

    /// Takes over what the pass over the file found.
    pub(super) fn take(&mut self, scan: Scan, repeated: u64, limit: usize) {
        self.repeated_keys = repeated;
        self.keys_of_assumed_db = scan.keys_of_assumed_db;
        self.broken_values = scan.broken.count();
        self.broken = scan.named;
        self.has_end = scan.has_end;
        self.checksum_good = scan.checksum_good;
        for piece in scan.pieces {
            let Piece::Lost(lost) = piece else { continue };
            self.lost_ranges += 1;
            self.lost_named += u64::from(lost.key.is_some());
            self.bytes_lost += lost.end - lost.start;
            if self.lost.len() < limit {
                self.lost.push(lost);
            }
        }
    }

    /// Whether nothing was lost and nothing changed.
    pub(super) fn is_sound(&self) -> bool {
        self.lost_ranges == 0
            && self.broken_values == 0
            && self.repeated_keys == 0
            && self.has_end
            && self.checksum_good
            && !self.version_is_guess
    }

    pub(super) fn write(&self, as_json: bool, out: &mut Vec<u8>) {
        let _ = if as_json { writeln!(out, "{}", self.json()) } else { self.text(out) }; // a Vec takes all
    }

    fn text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let guess = if self.version_is_guess { " (assumed: the first bytes are broken)" } else { "" };
        writeln!(out, "{}: {}{guess}, {} bytes", self.name, self.version_read, self.bytes)?;
        writeln!(out, "  {} keys written, {}", self.keys_written, self.version_written)?;
        match (self.has_end, self.checksum_good) {
            _ if self.is_sound() => writeln!(out, "  nothing was lost")?,
            (true, true) => {}
            (true, false) => {
                writeln!(out, "  the checksum is wrong: values may be changed and still readable")?
            }
            (false, _) => writeln!(out, "  the file does not end as it should: what came then is unknown")?,
        }
        self.ranges_text(out)?;
        self.values_text(out)?;
        if self.keys_of_assumed_db > 0 {
            writeln!(
                out,
                "  {} keys behind a damaged place were put into the last database known before it",
                self.keys_of_assumed_db
            )?;
        }
        if self.repeated_keys > 0 {
            writeln!(out, "  {} keys were left out that came a second time", self.repeated_keys)?;
        }
        Ok(())
    }

    fn ranges_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.lost_ranges > 0 {
            writeln!(out, "  {} bytes lost in {} places:", self.bytes_lost, self.lost_ranges)?;
        }
        for lost in &self.lost {
            let bytes = lost.end - lost.start;
            write!(out, "    offset {} to {} ({bytes} bytes): ", lost.start, lost.end)?;
            if let Some(key) = &lost.key {
                write!(out, "from key {} of database {} on: ", names::shown(key), lost.db)?;
            }
            writeln!(out, "{}", lost.problem)?;
        }
        more(out, self.lost_ranges, self.lost.len())
    }

    fn values_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.broken_values > 0 {
            writeln!(out, "  {} keys have values that cannot be read:", self.broken_values)?;
        }
        for broken in &self.broken {
            let key = names::shown(&broken.key);
            writeln!(
                out,
                "    offset {}: {key} of database {}: {}",
                broken.offset, broken.db, broken.problem
            )?;
        }
        more(out, self.broken_values, self.broken.len())?;
        if self.partial_keys > 0 {
            writeln!(out, "  {} keys were kept in part:", self.partial_keys)?;
        }
        for partial in &self.partial {
            let key = names::shown(&partial.key);
            writeln!(out, "    {key} of database {}: {} elements", partial.db, partial.elements)?;
        }
        more(out, self.partial_keys, self.partial.len())
    }

    fn json(&self) -> Value {
        let lost: Vec<Value> = self.broken.iter().map(Broken::json).collect();
        let ranges: Vec<Value> = self.lost.iter().map(Lost::json).collect();
        let partial: Vec<Value> = self.partial.iter().map(PartialKey::json).collect();
        json!({
            "file": text(self.name.as_bytes()),
            "version_read": self.version_read.to_string(),
            "version_assumed": self.version_is_guess,
            "version_written": self.version_written.to_string(),
            "keys_written": self.keys_written,
            "checksum_good": self.has_end && self.checksum_good,
            "keys_of_assumed_db": self.keys_of_assumed_db,
            "keys_lost": self.broken_values + self.lost_named,
            "lost": lost,
            "bytes_lost": self.bytes_lost,
            "ranges": ranges,
            "partial_keys": self.partial_keys,
            "partial": partial,
            "repeated_keys": self.repeated_keys,
        })
    }
}

impl Broken {
    fn json(&self) -> Value {
        json!({
            "offset": self.offset, "db": self.db, "key": text(&self.key), "problem": self.problem,
        })
    }
}

impl Lost {
    fn json(&self) -> Value {
        json!({
            "start": self.start, "end": self.end, "problem": self.problem, "db": self.db,
            "key": self.key.as_deref().map(text),
        })
    }
}

impl PartialKey {
    fn json(&self) -> Value {
        json!({ "db": self.db, "key": text(&self.key), "elements": self.elements })
    }
}

fn more(out: &mut Vec<u8>, count: u64, named: usize) -> std::io::Result<()> {
    match count.saturating_sub(named as u64) {
        0 => Ok(()),
        more => writeln!(out, "    and {more} more"),
    }
}
