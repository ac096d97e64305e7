//! What `verify` found, for people and for programs.

use std::io::Write;

use formats::rdb::{KeyRecord, RdbError};
use serde_json::{Value, json};

use crate::input::Input;
use crate::json_text::text;
use crate::names;
use crate::walk::{Checksum, Findings};

/// Databases that are counted apart.
const MAX_DATABASES: usize = 4096;

pub(super) struct Report {
    name: String,
    bytes: u64,
    pub(super) keys: u64,
    pub(super) expiring: u64,
    pub(super) elements: u64,
    pub(super) functions: u64,
    pub(super) pre_ga_functions: u64,
    pub(super) empty: u64,
    pub(super) broken_values: u64,
    pub(super) broken: Vec<Broken>,
    /// `None` if they were not looked for.
    pub(super) duplicate_keys: Option<u64>,
    /// Database, key, offsets of the first and of this one.
    pub(super) duplicates: Vec<(u64, Vec<u8>, u64, u64)>,
    databases: Vec<u64>,
    pub(super) findings: Option<Findings>,
}

/// A value, or another string, that is framed and cannot be read.
pub(super) struct Broken {
    offset: u64,
    problem: String,
    /// Database, key and type, if it is a key's.
    key: Option<(u64, Vec<u8>, &'static str)>,
}

impl Broken {
    pub(super) fn new(record: Option<&KeyRecord<'_>>, error: &RdbError) -> Broken {
        let key = record.map(|record| (record.db, names::kept(record.key), record.value.value_type().name()));
        Broken { offset: error.offset(), problem: format!("{}: {}", error.part(), error.problem()), key }
    }
}

impl Report {
    pub(super) fn new(input: &Input) -> Report {
        Report {
            name: input.name.clone(),
            bytes: input.len(),
            keys: 0,
            expiring: 0,
            elements: 0,
            functions: 0,
            pre_ga_functions: 0,
            empty: 0,
            broken_values: 0,
            broken: Vec::new(),
            duplicate_keys: None,
            duplicates: Vec::new(),
            databases: Vec::new(),
            findings: None,
        }
    }

    pub(super) fn saw_db(&mut self, db: u64) {
        if self.databases.len() < MAX_DATABASES && !self.databases.contains(&db) {
            self.databases.push(db);
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.broken_values == 0
            && self.pre_ga_functions == 0
            && self.duplicate_keys.unwrap_or(0) == 0
            && self.findings.as_ref().is_some_and(Findings::is_sound)
    }

    /// Bytes from the first that cannot be read on.
    fn not_verified(&self) -> u64 {
        let damage = self.findings.as_ref().and_then(|findings| findings.damage.as_ref());
        damage.map_or(0, |damage| self.bytes.saturating_sub(damage.error.offset()))
    }

    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        let _ = self.text(out); // a Vec takes everything
    }

    fn text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let Some(findings) = &self.findings else { return Ok(()) };
        let verdict = if self.is_sound() { "sound" } else { "DAMAGED" };
        let version = findings.version.map_or("no RDB file".into(), |version| version.to_string());
        writeln!(out, "{}: {verdict}", self.name)?;
        writeln!(
            out,
            "  {version}, {} bytes, {} keys ({} expire) in {} databases, {} elements",
            self.bytes,
            self.keys,
            self.expiring,
            self.databases.len(),
            self.elements
        )?;
        writeln!(out, "  checksum: {}", checksum_text(findings.checksum))?;
        if let Some(damage) = &findings.damage {
            writeln!(out, "  {damage}")?;
            writeln!(
                out,
                "  {} bytes from there on are not verified; `rdb-inspect salvage` looks for keys in them",
                self.not_verified()
            )?;
        }
        self.values_text(out)?;
        self.remarks_text(out, findings)
    }

    fn values_text(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        if self.broken_values > 0 {
            writeln!(out, "  {} values cannot be read, all others can:", self.broken_values)?;
        }
        for broken in &self.broken {
            match &broken.key {
                Some((db, key, kind)) => writeln!(
                    out,
                    "    offset {}: {kind} {} of database {db}: {}",
                    broken.offset,
                    names::shown(key),
                    broken.problem
                )?,
                None => writeln!(out, "    offset {}: {}", broken.offset, broken.problem)?,
            }
        }
        more(out, self.broken_values, self.broken.len())?;
        if let Some(count) = self.duplicate_keys {
            writeln!(out, "  keys that stand there twice: {count}")?;
            for (db, key, first, again) in &self.duplicates {
                let key = names::shown(key);
                writeln!(out, "    {key} of database {db} at offsets {first} and {again}")?;
            }
            more(out, count, self.duplicates.len())?;
        } else {
            writeln!(out, "  keys that stand there twice: not looked for (--duplicates)")?;
        }
        Ok(())
    }

    fn remarks_text(&self, out: &mut Vec<u8>, findings: &Findings) -> std::io::Result<()> {
        if findings.trailing_bytes > 0 {
            writeln!(out, "  {} bytes behind the end", findings.trailing_bytes)?;
        }
        if findings.command_bytes > 0 {
            let bytes = findings.command_bytes;
            writeln!(
                out,
                "  {bytes} bytes of commands follow, which are not checked here: see `rdb-inspect log`"
            )?;
        }
        if self.pre_ga_functions > 0 {
            writeln!(out, "  functions in a form that no release loads: {}", self.pre_ga_functions)?;
        }
        if self.empty > 0 {
            writeln!(out, "  remark: {} empty collections; servers skip them", self.empty)?;
        }
        if findings.overlong.count > 0 {
            writeln!(
                out,
                "  remark: {} lengths take more bytes than they need, the first at offset {}",
                findings.overlong.count, findings.overlong.first
            )?;
        }
        Ok(())
    }

    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        let Some(findings) = &self.findings else { return };
        let damage = findings.damage.as_ref().map(|damage| {
            json!({
                "offset": damage.error.offset(),
                "reading": damage.error.part(),
                "problem": damage.error.problem().to_string(),
                "key": damage.key.as_deref().map(text),
                "bytes_not_verified": self.not_verified(),
            })
        });
        let checksum = match findings.checksum {
            Checksum::Good => "good",
            Checksum::Wrong { .. } => "wrong",
            Checksum::Absent => "absent",
            Checksum::Unknown => "unknown",
        };
        let duplicates: Vec<Value> = self.duplicates.iter().map(duplicate_json).collect();
        let object = json!({
            "file": text(self.name.as_bytes()),
            "version": findings.version.map(|version| version.to_string()),
            "bytes": self.bytes,
            "verdict": if self.is_sound() { "sound" } else { "damaged" },
            "keys": self.keys,
            "expiring": self.expiring,
            "databases": self.databases.len(),
            "functions": self.functions,
            "elements": self.elements,
            "checksum": checksum,
            "damage": damage,
            "broken_values": self.broken_values,
            "broken": self.broken.iter().map(Broken::json).collect::<Vec<_>>(),
            "empty_collections": self.empty,
            "overlong_lengths": findings.overlong.count,
            "trailing_bytes": findings.trailing_bytes,
            "command_bytes": findings.command_bytes,
            "duplicate_keys": self.duplicate_keys,
            "duplicates": duplicates,
        });
        let _ = writeln!(out, "{object}"); // a Vec takes everything
    }
}

impl Broken {
    fn json(&self) -> Value {
        let key = self.key.as_ref();
        json!({
            "offset": self.offset,
            "problem": self.problem,
            "db": key.map(|(db, ..)| db),
            "key": key.map(|(_, name, _)| text(name)),
            "type": key.map(|(.., kind)| kind),
        })
    }
}

fn duplicate_json((db, key, first, again): &(u64, Vec<u8>, u64, u64)) -> Value {
    json!({ "db": db, "key": text(key), "offsets": [first, again] })
}

fn more(out: &mut Vec<u8>, count: u64, named: usize) -> std::io::Result<()> {
    match count - named as u64 {
        0 => Ok(()),
        more => writeln!(out, "    and {more} more"),
    }
}

fn checksum_text(checksum: Checksum) -> String {
    match checksum {
        Checksum::Good => "good".into(),
        Checksum::Wrong { expected, found } => format!("WRONG: {found:016x}, the file says {expected:016x}"),
        Checksum::Absent => "none in the file".into(),
        Checksum::Unknown => "not reached".into(),
    }
}
