//! The pass over a damaged file: where records are, where not, and whose values are broken.

use formats::checksum::Crc64;
use formats::rdb::error::Problem;
use formats::rdb::input::Input as Bytes;
use formats::rdb::kind::ValueKind;
use formats::rdb::version::HEADER_BYTES;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, RdbString, Value, ValueType, Version};

use super::candidate::{Search, is_zeros};
use super::databases::Databases;
use super::tail::{Mark, Tail};
use crate::bits::Bits;
use crate::failure::Failure;
use crate::interrupt;
use crate::names;
use crate::rewrite::items::FUNCTIONS_SINCE;
use crate::rewrite::record::attributes_len;
use crate::soundness::Checker;

/// Most parts of a file, 48 bytes each; behind them the rest is lost.
const MAX_PIECES: usize = 1 << 19;
/// The version up to which there is nothing that an older form could not hold.
const LAST_WITHOUT_EXPIRING_FIELDS: u16 = 11;
/// Evidence behind a record that confirms it beyond doubt.
const CONFIRMED: u32 = 24;
/// Evidence behind a record that makes it likely.
const LIKELY: u32 = 8;
/// Records between two looks at whether the user asked to stop.
const RECORDS_BETWEEN_CHECKS: u64 = 1 << 16;

/// A part of the file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    Records(Run),
    /// Bytes in which no record could be read. `has_key`: the key of the record with which they begin can be.
    Lost {
        start: u64,
        end: u64,
        db: u64,
        has_key: bool,
    },
}

/// Records, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Of the keys before the first SELECTDB.
    pub(super) db: u64,
    /// Up to here the database is not known, and `db` assumed; `start` if it is known.
    pub(super) unknown_until: u64,
    /// What the last SELECTDB names, if there is one.
    pub(super) last_db: Option<u64>,
    /// `db` is one that the file itself does not use.
    pub(super) is_spare: bool,
}

impl Piece {
    pub(super) fn start(&self) -> u64 {
        match self {
            Piece::Records(run) => run.start,
            Piece::Lost { start, .. } => *start,
        }
    }
}

/// A lost part, for the report.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) db: u64,
    pub(super) problem: String,
    /// The key in whose record it begins, if that came to be read.
    pub(super) key: Option<Vec<u8>>,
}

/// A key that was kept although nothing confirms its record.
pub(super) struct Doubtful {
    pub(super) offset: u64,
    pub(super) db: u64,
    pub(super) key: Vec<u8>,
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
    /// Which of them nothing confirms: beside a damaged place, or under a name that looks like chance.
    pub(super) doubtful: Bits,
    /// The first of them.
    pub(super) named_doubtful: Vec<Doubtful>,
    /// The first lost parts.
    pub(super) lost: Vec<Lost>,
    /// Which databases the file names.
    pub(super) databases: Databases,
    /// Bytes of commands behind the end: the file is an append-only file with an RDB file at its start.
    pub(super) command_bytes: u64,
    /// The end of the file was found where it belongs.
    pub(super) has_end: bool,
    /// The sum of the whole file is the one in it, or there is none.
    pub(super) checksum_good: bool,
    /// The first version that has all forms of values.
    pub(super) needs_version: u16,
}

impl Scan {
    /// Notes that nothing confirms a record.
    fn doubt(&mut self, number: u64, record: Option<KeyRecord<'_>>, limit: usize) {
        self.doubtful.set(number);
        if let Some(record) = record.filter(|_| self.named_doubtful.len() < limit) {
            let (offset, db, key) = (record.offset, record.db, names::kept(record.key));
            self.named_doubtful.push(Doubtful { offset, db, key });
        }
    }

    /// Whether the file is sound as a whole; then so are its records, whatever they look like.
    fn is_whole(&self) -> bool {
        self.has_end && self.checksum_good && matches!(self.pieces[..], [] | [Piece::Records(_)])
    }
}

/// Walks through a file.
pub(super) struct Scanner<'a> {
    file: &'a [u8],
    version: Version,
    checker: Checker,
    search: Search<'a>,
    any_version: bool,
    limit: usize,
    tail: Tail,
    scan: Scan,
}

/// A place behind which records could not be read.
struct Damaged<'a> {
    at: u64,
    db: u64,
    problem: String,
    key: Option<RdbString<'a>>,
}

impl<'a> Scanner<'a> {
    /// At most `limit` of what is found is named. With `any_version` the version says nothing about the forms of values.
    pub(super) fn new(file: &'a [u8], version: Version, any_version: bool, limit: usize) -> Scanner<'a> {
        Scanner {
            file,
            version,
            checker: Checker::default(),
            search: Search::new(file, version, any_version),
            any_version,
            limit,
            tail: Tail::default(),
            scan: Scan::default(),
        }
    }

    pub(super) fn scan(mut self, start: usize) -> Result<Scan, Failure> {
        let (mut start, mut db) = (start, 0);
        while let Some(damaged) = self.run(start, db)? {
            match self.go_on(damaged)? {
                (Some(place), last_db) => (start, db) = (place, last_db),
                (None, _) => break,
            }
        }
        if self.scan.is_whole() {
            self.scan.doubtful = Bits::default();
            self.scan.named_doubtful.clear();
        }
        Ok(self.scan)
    }

    /// Notes what was lost and searches on behind it; within the records before only where these are not sound, or where
    /// other records in them go on behind the damage. Answers where records start again, and the last database.
    fn go_on(&mut self, damaged: Damaged<'a>) -> Result<(Option<usize>, u64), Failure> {
        let Damaged { at, db, problem, key } = damaged;
        let mut lost =
            Lost { start: at, end: self.file.len() as u64, db, problem, key: key.map(names::kept) };
        let mut place = None;
        if self.scan.pieces.len() >= MAX_PIECES {
            lost.problem = "damaged at so many places that the rest was not searched".into();
        } else {
            place = self.search.next_place(at as usize + 1, self.file.len(), &mut self.checker)?;
            let mut failed = key;
            if let Some((mark, inner)) = self.records_within(at as usize, place)? {
                self.take_back(&mark, &mut lost, "its length reaches over other records");
                self.tail.truncate(mark.offset);
                failed = head_at(self.file, mark.offset, self.version, mark.db).map(|head| head.key);
                place = Some(inner);
            }
            self.look_back(&mut lost, failed);
        }
        lost.end = place.map_or(lost.end, |place| place as u64);
        self.tail.clear();
        let db = lost.db;
        if lost.end > lost.start {
            let (start, end, has_key) = (lost.start, lost.end, lost.key.is_some());
            self.scan.pieces.push(Piece::Lost { start, end, db: lost.db, has_key });
            if self.scan.lost.len() < self.limit {
                self.scan.lost.push(lost);
            }
        }
        Ok((place, db))
    }

    /// The last record that was accepted before `at` though other records stand in it, and the first of these.
    fn records_within(&mut self, at: usize, next: Option<usize>) -> Result<Option<(Mark, usize)>, Failure> {
        let Some(last) = self.tail.last() else { return Ok(None) };
        let mut inner = None;
        if self.scan.broken.get(last.keys) {
            inner = self.search.next_place(last.offset as usize + 1, at, &mut self.checker)?;
        }
        if inner.is_none() && at < self.file.len() {
            let first = self.tail.unconfirmed(CONFIRMED).next().map_or(at, |first| first.offset as usize + 1);
            inner = self.search.place_that_joins(
                first..at,
                next.unwrap_or(self.file.len()),
                &mut self.checker,
            )?;
        }
        Ok(inner.and_then(|inner| Some((self.tail.before(inner as u64)?, inner))))
    }

    /// Looks at the records just before a damaged place: those that look like chance are taken back, and others that
    /// nothing confirms are named.
    fn look_back(&mut self, lost: &mut Lost, failed: Option<RdbString<'a>>) {
        let evidence = failed.map_or(0, |key| self.search.evidence_of_name(key));
        self.tail.follow(evidence);
        let chance = self.tail.unconfirmed(CONFIRMED).find(|mark| mark.looks_like_chance).copied();
        if let Some(mark) = chance {
            self.take_back(&mark, lost, "it looks like chance, just before a damaged place");
            self.tail.truncate(mark.offset);
        }
        for mark in self.tail.unconfirmed(LIKELY).filter(|mark| !mark.looks_like_chance) {
            let head = head_at(self.file, mark.offset, self.version, mark.db);
            self.scan.doubt(mark.keys, head, self.limit);
        }
    }

    /// Undoes the acceptance of a record and of those behind it.
    fn take_back(&mut self, mark: &Mark, lost: &mut Lost, problem: &str) {
        lost.start = mark.offset;
        lost.db = mark.db;
        lost.problem = problem.into();
        lost.key = head_at(self.file, mark.offset, self.version, mark.db).map(|head| names::kept(head.key));
        for key in mark.keys..self.scan.keys {
            self.scan.broken.remove(key);
            self.scan.doubtful.remove(key);
        }
        let is_kept = |doubtful: &Doubtful| doubtful.offset < mark.offset;
        self.scan.named_doubtful.truncate(self.scan.named_doubtful.partition_point(is_kept));
        self.scan.keys = mark.keys;
        self.scan.needs_version = mark.needs_version;
        self.scan.named.truncate(mark.named);
        if let Some(Piece::Records(run)) = self.scan.pieces.last_mut() {
            run.end = mark.offset;
            run.unknown_until = run.unknown_until.min(mark.offset);
            run.last_db = mark.last_db;
            if run.start == run.end {
                self.scan.pieces.pop();
            }
        }
    }

    /// Reads records from `start` on, as far as they can be read; `None` at the end of the file.
    fn run(&mut self, start: usize, db: u64) -> Result<Option<Damaged<'a>>, Failure> {
        let mut decoder = Decoder::resume(self.file, start, self.version, db);
        let is_first = self.scan.pieces.is_empty() && start == HEADER_BYTES;
        let (mut known_from, mut last_db) = (is_first.then_some(start as u64), None);
        let damaged = loop {
            let (at, db) = (decoder.offset(), decoder.db());
            let damaged = |problem: String, key| Some(Damaged { at, db, problem, key });
            break match decoder.next_item() {
                Ok(Some(Item::Key(record))) if self.is_padding(&record) => {
                    damaged("zeros where a record belongs".into(), None)
                }
                Ok(Some(Item::Key(record))) => {
                    self.key(&record, last_db)?;
                    if !is_first && record.offset == start as u64 {
                        // It may be the inside of a value that has lost its head.
                        self.scan.doubt(self.scan.keys - 1, Some(record), self.limit);
                    }
                    continue;
                }
                Ok(Some(Item::SelectDb(db))) => {
                    known_from.get_or_insert(at);
                    last_db = Some(db);
                    self.scan.databases.note(db);
                    continue;
                }
                Ok(Some(Item::End { checksum })) => match decoder.rest() {
                    [] => {
                        self.end(at, checksum);
                        None
                    }
                    rest if are_commands(rest) => {
                        self.scan.command_bytes = rest.len() as u64;
                        self.end(at, checksum);
                        None
                    }
                    _ => damaged("an end that is not at the end of the file".into(), None),
                },
                Ok(Some(item)) => {
                    if matches!(item, Item::Function { .. }) {
                        self.scan.needs_version = self.scan.needs_version.max(FUNCTIONS_SINCE);
                    }
                    continue;
                }
                Ok(None) => None,
                Err(error) => damaged(text(&error), decoder.failed_key()),
            };
        };
        let end =
            damaged.as_ref().map_or(self.file.len() as u64 - self.scan.command_bytes, |damaged| damaged.at);
        if end > start as u64 {
            let unknown_until = known_from.unwrap_or(end);
            let run = Run { start: start as u64, end, db, unknown_until, last_db, is_spare: false };
            self.scan.pieces.push(Piece::Records(run));
        }
        Ok(damaged)
    }

    fn key(&mut self, record: &KeyRecord<'_>, last_db: Option<u64>) -> Result<(), Failure> {
        let checked = self.check(record);
        let evidence = self.search.evidence_of_accepted(record, checked.is_ok());
        let scan = &mut self.scan;
        if scan.keys.is_multiple_of(RECORDS_BETWEEN_CHECKS) {
            interrupt::check()?;
        }
        self.tail.push(
            Mark {
                offset: record.offset,
                db: record.db,
                last_db,
                keys: scan.keys,
                needs_version: scan.needs_version,
                named: scan.named.len(),
                looks_like_chance: false,
                followed_by: 0,
            },
            evidence,
        );
        if evidence.is_none() {
            scan.doubt(scan.keys, Some(*record), self.limit);
        }
        let kind = record.value.kind;
        // A lone value of a newer form is rather a damaged byte, and is written in an older one if that holds it.
        let is_needed = self.any_version || kind.since() > LAST_WITHOUT_EXPIRING_FIELDS;
        if checked.is_ok() && is_needed && !kind.is_in(self.version) {
            scan.needs_version = scan.needs_version.max(kind.since());
        }
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

/// Whether an append-only file's commands start here.
fn are_commands(bytes: &[u8]) -> bool {
    match bytes {
        [b'*', first, ..] => first.is_ascii_digit(),
        bytes => bytes.starts_with(b"#TS:"),
    }
}

/// Calls `each` with all records of all pieces; keys with their number, lost places with numbers behind those.
pub(super) fn each_item<'a>(
    file: &'a [u8],
    version: Version,
    scan: &Scan,
    mut each: impl FnMut(Found<'a>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (mut number, mut lost_number, mut runs) = (0, scan.keys, 0);
    for piece in &scan.pieces {
        let run = match *piece {
            Piece::Records(run) => run,
            Piece::Lost { start, end, db, has_key } => {
                let record = if has_key { head_at(&file[..end as usize], start, version, db) } else { None };
                each(Found::Lost(lost_number, record))?;
                lost_number += 1;
                continue;
            }
        };
        let mut decoder = Decoder::resume(&file[..run.end as usize], run.start as usize, version, run.db);
        while decoder.offset() < run.end {
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) => {
                    if number % RECORDS_BETWEEN_CHECKS == 0 {
                        interrupt::check()?;
                    }
                    let unknown_run = (record.offset < run.unknown_until).then_some(runs);
                    each(Found::Key { number, record, unknown_run })?;
                    number += 1;
                }
                Ok(Some(item)) => each(Found::Item(item))?,
                // The first pass came through here.
                _ => break,
            }
        }
        runs += usize::from(run.unknown_until > run.start);
    }
    Ok(())
}

/// What is found in the pieces, in order.
pub(super) enum Found<'a> {
    Key {
        number: u64,
        record: KeyRecord<'a>,
        /// Which of the runs of unknown database it stands in.
        unknown_run: Option<usize>,
    },
    Item(Item<'a>),
    /// A lost part: the record in which it begins, if its key can be read; its value goes as far as may be.
    Lost(u64, Option<KeyRecord<'a>>),
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
