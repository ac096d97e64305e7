//! The pass over a damaged file: where records are, where not, and whose values are broken.

use formats::checksum::Crc64;
use formats::rdb::error::Problem;
use formats::rdb::input::Input as Bytes;
use formats::rdb::kind::ValueKind;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, Value, ValueType, Version};

use super::candidate::{MAX_DB, Search, is_zeros};
use crate::bits::Bits;
use crate::failure::Failure;
use crate::interrupt;
use crate::names;
use crate::rewrite::items::FUNCTIONS_SINCE;
use crate::rewrite::record::attributes_len;
use crate::soundness::Checker;

/// Most places at which a file may be damaged; behind them the rest is lost.
const MAX_PIECES: usize = 1 << 20;
/// The version up to which there is nothing that an older form could not hold.
const LAST_WITHOUT_EXPIRING_FIELDS: u16 = 11;
/// Records between two looks at whether the user asked to stop.
const RECORDS_BETWEEN_CHECKS: u64 = 1 << 16;

/// A part of the file.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Records, one behind the other; keys before a SELECTDB belong to `db`.
    Records { start: u64, end: u64, db: u64 },
    /// Bytes in which no record could be read.
    Lost(Lost),
}

#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) db: u64,
    pub(super) problem: String,
    /// The key in whose record it begins, if that came to be read.
    pub(super) key: Option<Vec<u8>>,
}

impl Lost {
    /// The record in which it begins, if its key can be read; its value goes as far as may be.
    pub(super) fn record<'a>(&self, file: &'a [u8], version: Version) -> Option<KeyRecord<'a>> {
        self.key.as_ref()?;
        head_at(&file[..self.end as usize], self.start, version, self.db)
    }
}

/// A key whose value cannot be read, though its end is known.
pub(super) struct Broken {
    pub(super) offset: u64,
    pub(super) db: u64,
    pub(super) key: Vec<u8>,
    pub(super) problem: String,
}

/// What the pass found.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) pieces: Vec<Piece>,
    /// Keys that were framed, sound or not.
    pub(super) keys: u64,
    /// Which of them, by number, have values that cannot be read.
    pub(super) broken: Bits,
    /// The first of them.
    pub(super) named: Vec<Broken>,
    /// Keys behind a lost place and before the next SELECTDB.
    pub(super) keys_of_assumed_db: u64,
    /// The end of the file was found where it belongs.
    pub(super) has_end: bool,
    /// The sum of the whole file is the one in it, or there is none.
    pub(super) checksum_good: bool,
    /// The first version that has all forms of values.
    pub(super) needs_version: u16,
}

/// Walks through a file.
pub(super) struct Scanner<'a> {
    file: &'a [u8],
    version: Version,
    checker: Checker,
    search: Search<'a>,
    any_version: bool,
    limit: usize,
    db_assumed: bool,
    scan: Scan,
}

/// Where a run of records ended.
enum Ended {
    AtEnd,
    Damaged {
        /// Of the record that could not be read.
        at: u64,
        /// Of the one before it.
        before: Option<u64>,
        db: u64,
        problem: String,
        key: Option<Vec<u8>>,
    },
}

impl<'a> Scanner<'a> {
    /// At most `limit` broken values are named. With `any_version` the version says nothing about the forms of values.
    pub(super) fn new(file: &'a [u8], version: Version, any_version: bool, limit: usize) -> Scanner<'a> {
        Scanner {
            file,
            version,
            checker: Checker::default(),
            search: Search::new(file, version, any_version),
            any_version,
            limit,
            db_assumed: false,
            scan: Scan::default(),
        }
    }

    pub(super) fn scan(mut self, start: usize) -> Result<Scan, Failure> {
        let mut start = start;
        let mut db = 0;
        while let Ended::Damaged { at, before, db: last_db, problem, key } = self.run(start, db)? {
            let lost = Lost { start: at, end: self.file.len() as u64, db: last_db, problem, key };
            db = last_db;
            match self.go_on(lost, before)? {
                Some(place) => start = place,
                None => break,
            }
        }
        Ok(self.scan)
    }

    /// Notes what was lost and searches on. The record before may have swallowed others: the search begins in it.
    fn go_on(&mut self, mut lost: Lost, before: Option<u64>) -> Result<Option<usize>, Failure> {
        let from = before.unwrap_or(lost.start) as usize + 1;
        let place = match self.scan.pieces.len() < MAX_PIECES {
            true => self.search.next_place(from, &mut self.checker)?,
            false => None,
        };
        if let Some(place) = place {
            lost.end = place as u64;
            if lost.end <= lost.start {
                self.take_back(&mut lost, before.unwrap_or(0));
            }
        }
        self.db_assumed = true;
        if lost.end > lost.start {
            self.scan.pieces.push(Piece::Lost(lost));
        }
        Ok(place)
    }

    /// The record at `before`, which had been accepted, has others in it.
    fn take_back(&mut self, lost: &mut Lost, before: u64) {
        lost.start = before;
        lost.problem = "its length reaches over other records".into();
        lost.key = head_at(self.file, before, self.version, lost.db).map(|head| names::kept(head.key));
        self.scan.keys -= 1;
        self.scan.broken.remove(self.scan.keys);
        if self.scan.named.last().is_some_and(|broken| broken.offset >= before) {
            self.scan.named.pop();
        }
        if let Some(Piece::Records { end, .. }) = self.scan.pieces.last_mut() {
            *end = before;
        }
    }

    /// Reads records from `start` on, as far as they can be read.
    fn run(&mut self, start: usize, db: u64) -> Result<Ended, Failure> {
        let mut decoder = Decoder::resume(self.file, start, self.version, db);
        let mut before = None;
        let first_db = db;
        loop {
            let at = decoder.offset();
            let db = decoder.db();
            let damaged = |problem: String, key| Ended::Damaged { at, before, db, problem, key };
            let ended = match decoder.next_item() {
                Ok(Some(Item::Key(record))) if self.is_padding(&record) => {
                    damaged("zeros where a record belongs".into(), None)
                }
                Ok(Some(Item::Key(record))) => {
                    before = Some(at);
                    self.key(&record)?;
                    continue;
                }
                Ok(Some(Item::SelectDb(db))) if db < MAX_DB => {
                    self.db_assumed = false;
                    continue;
                }
                Ok(Some(Item::SelectDb(db))) => damaged(format!("database {db}"), None),
                Ok(Some(Item::End { checksum })) => match decoder.rest() {
                    [] => {
                        self.end(at, checksum);
                        Ended::AtEnd
                    }
                    _ => damaged("an end that is not at the end of the file".into(), None),
                },
                Ok(Some(item)) => {
                    if matches!(item, Item::Function { .. }) {
                        self.scan.needs_version = self.scan.needs_version.max(FUNCTIONS_SINCE);
                    }
                    continue;
                }
                Ok(None) => Ended::AtEnd,
                Err(error) => damaged(text(&error), decoder.failed_key().map(names::kept)),
            };
            if at > start as u64 {
                self.scan.pieces.push(Piece::Records { start: start as u64, end: at, db: first_db });
            }
            return Ok(ended);
        }
    }

    fn key(&mut self, record: &KeyRecord<'_>) -> Result<(), Failure> {
        let checked = self.check(record);
        let scan = &mut self.scan;
        if scan.keys.is_multiple_of(RECORDS_BETWEEN_CHECKS) {
            interrupt::check()?;
        }
        let kind = record.value.kind;
        // A lone value of a newer form is rather a damaged byte, and is written in an older one if that holds it.
        let is_needed = self.any_version || kind.since() > LAST_WITHOUT_EXPIRING_FIELDS;
        if checked.is_ok() && is_needed && !kind.is_in(self.version) {
            scan.needs_version = scan.needs_version.max(kind.since());
        }
        scan.keys_of_assumed_db += u64::from(self.db_assumed);
        if let Err(error) = checked {
            scan.broken.set(scan.keys);
            if scan.named.len() < self.limit {
                let (offset, db, key) = (record.offset, record.db, names::kept(record.key));
                scan.named.push(Broken { offset, db, key, problem: text(&error) });
            }
        }
        scan.keys += 1;
        Ok(())
    }

    fn check(&mut self, record: &KeyRecord<'_>) -> Result<(), RdbError> {
        record.key.check()?;
        let value = &record.value;
        if !self.is_writable(value) {
            let problem = Problem::Malformed("a form that is newer than the file");
            return Err(RdbError::new(value.offset, "value", problem));
        }
        match self.checker.check(value)? {
            // A server skips it, and its checker takes it for damage.
            0 if value.value_type() != ValueType::Stream => {
                Err(RdbError::new(value.offset, "value", Problem::Malformed("a collection without elements")))
            }
            _ => Ok(()),
        }
    }

    /// Whether the written file can have the value, in some form.
    fn is_writable(&self, value: &Value<'_>) -> bool {
        let has = |kind: ValueKind| self.any_version || kind.is_in(self.version);
        match value.value_type() {
            ValueType::Module => has(value.kind),
            ValueType::Stream => has(value.kind) || has(ValueKind::Stream2),
            _ => true,
        }
    }

    fn is_padding(&self, record: &KeyRecord<'_>) -> bool {
        let next = self.file.get(record.offset as usize + record.bytes.len()..);
        is_zeros(record.bytes) && next.is_some_and(|next| next.starts_with(record.bytes))
    }

    fn end(&mut self, at: u64, checksum: Option<u64>) {
        self.scan.has_end = true;
        self.scan.checksum_good = match checksum {
            None | Some(0) => true,
            Some(expected) => {
                let mut crc = Crc64::new();
                crc.update(&self.file[..at as usize + 1]);
                crc.value() == expected
            }
        };
    }
}

fn text(error: &RdbError) -> String {
    format!("{}: {}", error.part(), error.problem())
}

/// Calls `each` with all records of all pieces; keys with their number, lost places with numbers behind those.
pub(super) fn each_item<'a>(
    file: &'a [u8],
    version: Version,
    scan: &Scan,
    mut each: impl FnMut(Found<'a, '_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut number, mut lost_number) = (0, scan.keys);
    for piece in &scan.pieces {
        let (start, end, db) = match piece {
            Piece::Records { start, end, db } => (*start, *end, *db),
            Piece::Lost(lost) => {
                each(Found::Lost(lost_number, lost))?;
                lost_number += 1;
                continue;
            }
        };
        let mut decoder = Decoder::resume(&file[..end as usize], start as usize, version, db);
        while decoder.offset() < end {
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) => {
                    if number % RECORDS_BETWEEN_CHECKS == 0 {
                        interrupt::check()?;
                    }
                    each(Found::Key(number, record))?;
                    number += 1;
                }
                Ok(Some(item)) => each(Found::Item(item))?,
                // The first pass came through here.
                _ => break,
            }
        }
    }
    Ok(())
}

/// What is found in the pieces, in order.
pub(super) enum Found<'a, 's> {
    Key(u64, KeyRecord<'a>),
    Item(Item<'a>),
    Lost(u64, &'s Lost),
}

/// The key at `offset`, and as its value all that follows: for records whose end is not known.
pub(super) fn head_at(file: &[u8], offset: u64, version: Version, db: u64) -> Option<KeyRecord<'_>> {
    let bytes = file.get(offset as usize..)?;
    let rest = &bytes[attributes_len(bytes)..];
    let (&first, rest) = rest.split_first()?;
    let kind = ValueKind::from_byte(first, version.dialect)?;
    let mut input = Bytes::new(rest, (file.len() - rest.len()) as u64);
    let key = input.string("key").ok()?;
    let value = Value { kind, bytes: input.rest(), offset: input.offset() };
    Some(KeyRecord {
        db,
        key,
        value,
        expires_at_ms: None,
        idle_seconds: None,
        frequency: None,
        bytes,
        offset,
    })
}
