//! Writes the record of a key: as it stands, or changed.

use formats::rdb::kind::ValueKind;
use formats::rdb::{KeyRecord, Scratch, ValueType, opcode};

use super::elements::{self, Kept};
use super::{RdbFile, Sink};
use crate::failure::Failure;
use crate::names;

/// What happened beside copying.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Values that were written in another form.
    pub converted: u64,
    /// Hashes whose fields no longer expire.
    pub lost_field_expiries: u64,
    /// Keys of which nothing was left.
    pub emptied: u64,
}

/// Writes records of one input.
pub struct RecordWriter {
    scratch: Scratch,
    lossy: bool,
    remove_expiry: bool,
    now_ms: i64,
    pub tally: Tally,
}

impl RecordWriter {
    pub fn new(lossy: bool, remove_expiry: bool) -> RecordWriter {
        let now_ms = crate::select::now_ms();
        RecordWriter { scratch: Scratch::default(), lossy, remove_expiry, now_ms, tally: Tally::default() }
    }

    /// Writes the record into the database that it names.
    pub fn write<S: Sink>(&mut self, file: &mut RdbFile<S>, record: &KeyRecord<'_>) -> Result<(), Failure> {
        let parts = Parts::of(record);
        if record.value.kind.is_in(file.version()) {
            file.start_key(record.db);
            self.attributes(file, record, parts.attributes)?;
            return file.raw(parts.rest);
        }
        self.convert(file, record, &parts)
    }

    fn attributes<S: Sink>(
        &self,
        file: &mut RdbFile<S>,
        record: &KeyRecord<'_>,
        attributes: &[u8],
    ) -> Result<(), Failure> {
        if !self.remove_expiry {
            return file.raw(attributes);
        }
        if let Some(idle) = record.idle_seconds {
            file.byte(opcode::IDLE);
            file.length(idle);
        }
        match record.frequency {
            Some(frequency) => file.raw(&[opcode::FREQUENCY, frequency]),
            None => Ok(()),
        }
    }

    /// Writes a value whose form the version lacks.
    fn convert<S: Sink>(
        &mut self,
        file: &mut RdbFile<S>,
        record: &KeyRecord<'_>,
        parts: &Parts<'_>,
    ) -> Result<(), Failure> {
        let refuse = |what: &str| {
            let (key, version) = (names::of(record.key), file.version());
            Failure::Usage(format!("{key} of database {}: {what} {version}", record.db))
        };
        let mut kept = Kept::default();
        let now_ms = self.now_ms;
        let value = record.value;
        match value.value_type() {
            ValueType::Stream if ValueKind::Stream2.is_in(file.version()) => {}
            ValueType::List | ValueType::Set | ValueType::SortedSet | ValueType::Hash => {
                kept = elements::count(&value, &mut self.scratch, file.version(), now_ms)?;
                if kept.loses_expiries && !self.lossy {
                    return Err(refuse("fields that expire cannot be held (--lossy gives that up) by"));
                }
                if kept.elements == 0 {
                    self.tally.emptied += 1;
                    return Ok(());
                }
            }
            _ => return Err(refuse("its form is unknown to")),
        }
        self.tally.converted += 1;
        self.tally.lost_field_expiries += u64::from(kept.loses_expiries);
        file.start_key(record.db);
        self.attributes(file, record, parts.attributes)?;
        if value.value_type() == ValueType::Stream {
            return elements::stream_without_active_times(file, parts.key, &value);
        }
        elements::write(file, parts.key, &value, &mut self.scratch, &kept, now_ms)
    }
}

/// A record in its parts.
pub struct Parts<'a> {
    /// Expiry, idle time, frequency.
    pub attributes: &'a [u8],
    /// Type, key and value.
    pub rest: &'a [u8],
    /// The key with its length.
    pub key: &'a [u8],
}

impl<'a> Parts<'a> {
    pub fn of(record: &KeyRecord<'a>) -> Parts<'a> {
        let (attributes, rest) = record.bytes.split_at(attributes_len(record.bytes));
        let key = &rest[1..rest.len() - record.value.bytes.len()];
        Parts { attributes, rest, key }
    }
}

/// Bytes before the type, of a record or what may be one.
pub fn attributes_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        at += match first {
            opcode::EXPIRE_MS => 9,
            opcode::EXPIRE_SECONDS => 5,
            opcode::FREQUENCY => 2,
            opcode::IDLE => match bytes.get(at + 1) {
                Some(0x40..0x80) => 3,
                Some(&opcode::LENGTH_32) => 6,
                Some(&opcode::LENGTH_64) => 10,
                _ => 2,
            },
            _ => break,
        };
    }
    at.min(bytes.len())
}
