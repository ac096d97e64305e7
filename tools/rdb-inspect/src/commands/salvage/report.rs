//! What `salvage` kept and what not, for people and for programs.

use std::io::Write;

use formats::rdb::Version;
use serde_json::{Value, json};

use super::databases::{Repeated, Repeats};
use super::scan::{Broken, Doubtful, Lost, Piece, Scan};
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
    runs: Vec<RunOfAssumedDb>,
    runs_of_assumed_db: u64,
    identical_repeats: u64,
    different_repeats: u64,
    repeats: Vec<Repeated>,
    doubtful_keys: u64,
    doubtful: Vec<Doubtful>,
    command_bytes: u64,
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

/// Records whose database is not known.
struct RunOfAssumedDb {
    start: u64,
    end: u64,
    db: u64,
    is_spare: bool,
    keys: u64,
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
            runs: Vec::new(),
            runs_of_assumed_db: 0,
            identical_repeats: 0,
            different_repeats: 0,
            repeats: Vec::new(),
            doubtful_keys: 0,
            doubtful: Vec::new(),
            command_bytes: 0,
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

    /// Takes over where records of unknown database go.
    pub(super) fn take_runs(&mut self, scan: &Scan, limit: usize) {
        for piece in &scan.pieces {
            let Piece::Records(run) = piece else { continue };
            if run.unknown_until == run.start {
                continue;
            }
            self.runs_of_assumed_db += 1;
            if self.runs.len() < limit {
                let (start, end, db, is_spare) = (run.start, run.unknown_until, run.db, run.is_spare);
                self.runs.push(RunOfAssumedDb { start, end, db, is_spare, keys: 0 });
            }
        }
    }

    /// Notes that a key was written that stands in this run of unknown database, if any.
    pub(super) fn count_in_run(&mut self, run: Option<usize>) {
        let Some(run) = run else { return };
        self.keys_of_assumed_db += 1;
        if let Some(run) = self.runs.get_mut(run) {
            run.keys += 1;
        }
    }

    /// Takes over what the pass over the file found.
    pub(super) fn take(&mut self, scan: Scan, repeats: Repeats) {
        self.identical_repeats = repeats.identical;
        self.different_repeats = repeats.different;
        self.repeats = repeats.named;
        self.broken_values = scan.broken.count();
        self.broken = scan.named;
        self.doubtful_keys = scan.doubtful.count();
        self.doubtful = scan.named_doubtful;
        self.command_bytes = scan.command_bytes;
        self.has_end = scan.has_end;
        self.checksum_good = scan.checksum_good;
        self.lost = scan.lost;
        for piece in scan.pieces {
            let Piece::Lost { start, end, has_key, .. } = piece else { continue };
            self.lost_ranges += 1;
            self.lost_named += u64::from(has_key);
            self.bytes_lost += end - start;
        }
    }

    /// Whether nothing was lost and nothing changed.
    pub(super) fn is_sound(&self) -> bool {
        self.lost_ranges == 0
            && self.broken_values == 0
            && self.identical_repeats + self.different_repeats == 0
            && self.has_end
            && self.checksum_good
            && !self.version_is_guess
    }

    pub(super) fn write(&self, as_json: bool, out: &mut Vec<u8>) {
        let _ = if as_json { writeln!(out, "{}", self.json()) } else { self.text(out) }; // a Vec takes all
    }

    fn text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let guess = if self.version_is_guess { " (assumed: the first bytes do not say)" } else { "" };
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
        self.doubtful_text(out)?;
        self.assumed_text(out)?;
        self.repeats_text(out)?;
        if self.command_bytes > 0 {
            let bytes = self.command_bytes;
            writeln!(
                out,
                "  {bytes} bytes of commands follow, which an RDB file cannot hold: see `rdb-inspect log`"
            )?;
        }
        Ok(())
    }

    fn doubtful_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.doubtful_keys > 0 {
            let keys = self.doubtful_keys;
            writeln!(
                out,
                "  {keys} keys are doubtful, beside a damaged place or by their names, and were written:"
            )?;
        }
        for key in &self.doubtful {
            writeln!(out, "    offset {}: {} of database {}", key.offset, names::shown(&key.key), key.db)?;
        }
        more(out, self.doubtful_keys, self.doubtful.len())
    }

    fn assumed_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.runs_of_assumed_db == 0 {
            return Ok(());
        }
        let keys = self.keys_of_assumed_db;
        writeln!(out, "  {keys} keys behind a damaged place, whose database is not known, were put:")?;
        for run in &self.runs {
            let RunOfAssumedDb { start, end, db, is_spare, keys } = run;
            let why = if *is_spare { ", which the file does not use" } else { "" };
            writeln!(out, "    offset {start} to {end} ({keys} keys): into database {db}{why}")?;
        }
        more(out, self.runs_of_assumed_db, self.runs.len())
    }

    fn repeats_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let (identical, different) = (self.identical_repeats, self.different_repeats);
        if identical + different > 0 {
            let sum = identical + different;
            writeln!(
                out,
                "  {sum} keys were left out that came a second time, {different} with another value:"
            )?;
        }
        for key in &self.repeats {
            let value = if key.is_identical { "the same value" } else { "another value" };
            let name = names::shown(&key.key);
            writeln!(out, "    offset {}: {name} of database {}: {value}", key.offset, key.db)?;
        }
        more(out, identical + different, self.repeats.len())
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
        let doubtful: Vec<Value> = self.doubtful.iter().map(Doubtful::json).collect();
        let assumed_db: Vec<Value> = self.runs.iter().map(RunOfAssumedDb::json).collect();
        let repeated: Vec<Value> = self.repeats.iter().map(Repeated::json).collect();
        let partial: Vec<Value> = self.partial.iter().map(PartialKey::json).collect();
        json!({
            "file": text(self.name.as_bytes()),
            "version_read": self.version_read.to_string(),
            "version_assumed": self.version_is_guess,
            "version_written": self.version_written.to_string(),
            "keys_written": self.keys_written,
            "checksum_good": self.has_end && self.checksum_good,
            "command_bytes": self.command_bytes,
            "keys_lost": self.broken_values + self.lost_named + self.different_repeats,
            "lost": lost,
            "bytes_lost": self.bytes_lost,
            "ranges": ranges,
            "partial_keys": self.partial_keys,
            "partial": partial,
            "doubtful_keys": self.doubtful_keys,
            "doubtful": doubtful,
            "keys_of_assumed_db": self.keys_of_assumed_db,
            "runs_of_assumed_db": self.runs_of_assumed_db,
            "assumed_db": assumed_db,
            "repeated_keys": self.identical_repeats + self.different_repeats,
            "repeated_keys_that_differ": self.different_repeats,
            "repeated": repeated,
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

impl Doubtful {
    fn json(&self) -> Value {
        json!({ "offset": self.offset, "db": self.db, "key": text(&self.key) })
    }
}

impl RunOfAssumedDb {
    fn json(&self) -> Value {
        let RunOfAssumedDb { start, end, db, is_spare, keys } = self;
        json!({ "start": start, "end": end, "db": db, "spare": is_spare, "keys": keys })
    }
}

impl Repeated {
    fn json(&self) -> Value {
        let Repeated { offset, db, key, is_identical } = self;
        json!({ "offset": offset, "db": db, "key": text(key), "identical": is_identical })
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
