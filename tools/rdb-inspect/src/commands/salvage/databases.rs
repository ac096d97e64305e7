//! Which database keys belong to behind a damaged place that may have held a SELECTDB, and which keys come twice.
//!
//! Invariants:
//! 1. No sound value is dropped for another one under its name while its database is not known: the run that it stands in
//!    goes into a database that the file does not use.
//! 2. Whatever is dropped is counted, and named up to the limit.

use std::cell::Cell;
use std::str::FromStr;

use formats::rdb::{KeyRecord, Version};

use super::scan::{Found, Piece, Scan, each_item, head_at};
use crate::bits::Bits;
use crate::duplicates::{Take, each_duplicate};
use crate::failure::Failure;
use crate::key_table::Place;
use crate::names;

/// Databases below this are remembered one by one: 8 KiB.
const REMEMBERED: u64 = 1 << 16;
/// Passes in which runs that clash take those behind them along; after that each gets a database of its own.
const SHARED_ROUNDS: u32 = 6;

/// Where keys of unknown database go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AssumeDb {
    Number(u64),
    Spare,
}

impl FromStr for AssumeDb {
    type Err = String;

    fn from_str(text: &str) -> Result<AssumeDb, String> {
        match text {
            "spare" => Ok(AssumeDb::Spare),
            number => number
                .parse()
                .map(AssumeDb::Number)
                .map_err(|_| "the number of a database, or `spare`".into()),
        }
    }
}

/// The databases that a file names.
#[derive(Default)]
pub(super) struct Databases {
    used: Bits,
    largest: u64,
}

impl Databases {
    pub(super) fn note(&mut self, db: u64) {
        self.largest = self.largest.max(db);
        if db < REMEMBERED {
            self.used.set(db);
        }
    }

    /// The first number behind `db` that is not used; from now on it is.
    fn take_free(&mut self, db: u64) -> u64 {
        let free = (db.saturating_add(1)..REMEMBERED).find(|&number| !self.used.get(number));
        let free = free.unwrap_or(self.largest.max(REMEMBERED - 1).saturating_add(1));
        self.note(free);
        free
    }
}

/// What decides where keys go.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) assume_db: Option<AssumeDb>,
    /// Parts of broken values are kept.
    pub(super) partial: bool,
    /// Most repeats that are named.
    pub(super) limit: usize,
    /// Bytes of the table that finds repeats.
    pub(super) memory: u64,
}

/// Keys that come a second time in their database.
#[derive(Default)]
pub(super) struct Repeats {
    /// By number: those that are dropped.
    pub(super) dropped: Bits,
    /// Records that are the same to the byte.
    pub(super) identical: u64,
    /// Records with another value, which is lost.
    pub(super) different: u64,
    /// The first of them.
    pub(super) named: Vec<Repeated>,
}

pub(super) struct Repeated {
    pub(super) offset: u64,
    pub(super) db: u64,
    pub(super) key: Vec<u8>,
    pub(super) is_identical: bool,
}

/// Gives every run of unknown database one, and tells which keys are to be dropped then.
pub(super) fn settle(
    file: &[u8],
    version: Version,
    scan: &mut Scan,
    rules: Rules,
) -> Result<Repeats, Failure> {
    if let Some(assumed) = rules.assume_db {
        assume(scan, assumed);
    }
    let mut round = 0;
    loop {
        let (repeats, clashing) = compare(file, version, scan, rules)?;
        if clashing.count() == 0 || round > SHARED_ROUNDS {
            return Ok(repeats);
        }
        move_runs(scan, &clashing, round == SHARED_ROUNDS);
        round += 1;
    }
}

/// Puts all runs of unknown database where the user wants them.
fn assume(scan: &mut Scan, assumed: AssumeDb) {
    let (mut db, mut is_known) = (0, true);
    for piece in &mut scan.pieces {
        match piece {
            Piece::Lost { db: of_lost, .. } => *of_lost = db,
            Piece::Records(run) => {
                if run.unknown_until > run.start {
                    db = match assumed {
                        _ if !is_known => db,
                        AssumeDb::Number(number) => number,
                        AssumeDb::Spare => scan.databases.take_free(db),
                    };
                    is_known = false;
                    run.db = db;
                    run.is_spare = assumed == AssumeDb::Spare;
                }
                is_known |= run.last_db.is_some();
                db = run.last_db.unwrap_or(run.db);
            }
        }
    }
}

/// Puts runs that clash, and those behind them up to the next SELECTDB, into a database that was free; with `apart` each
/// into one of its own.
fn move_runs(scan: &mut Scan, clashing: &Bits, apart: bool) {
    let (mut db, mut is_moving) = (0, false);
    for (index, piece) in scan.pieces.iter_mut().enumerate() {
        match piece {
            Piece::Lost { db: of_lost, .. } => *of_lost = db,
            Piece::Records(run) => {
                if run.unknown_until > run.start {
                    if if is_moving { apart } else { clashing.get(index as u64) } {
                        db = scan.databases.take_free(db.max(run.db));
                        is_moving = true;
                    }
                    run.is_spare |= is_moving;
                    run.db = if is_moving { db } else { run.db };
                }
                is_moving &= run.last_db.is_none();
                db = run.last_db.unwrap_or(run.db);
            }
        }
    }
}

/// Keys that come twice, and the runs, by the index of their piece, whose database is doubtful for that.
fn compare<'a>(
    file: &'a [u8],
    version: Version,
    scan: &Scan,
    rules: Rules,
) -> Result<(Repeats, Bits), Failure> {
    let (mut repeats, mut clashing) = (Repeats::default(), Bits::default());
    let current = Cell::new((0, Class::Sound));
    let again = |place: Place| head_at(file, place.offset, version, place.db);
    let records = |take: Take<'_, 'a>| each_by_class(file, version, scan, rules.partial, &current, take);
    each_duplicate(scan.keys, rules.memory, records, again, |record, place| {
        let (number, class) = current.get();
        repeats.dropped.set(number);
        if class == Class::Broken {
            return Ok(()); // it is told as lost
        }
        let first = place.record(file, version);
        let is_identical = first.is_some_and(|first| first.bytes == record.bytes);
        if class == Class::Sound && !is_identical {
            let (here, there) = (run_at(scan, record.offset), run_at(scan, place.offset));
            if here != there {
                here.or(there).into_iter().for_each(|run| clashing.set(run as u64));
            }
        }
        repeats.add(record, is_identical, rules.limit);
        Ok(())
    })?;
    Ok((repeats, clashing))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Sound,
    Doubtful,
    Broken,
}

/// Hands over all records, those first that are to be kept rather: sound ones, doubtful ones, and broken ones, of which at
/// best a part is kept.
fn each_by_class<'a>(
    file: &'a [u8],
    version: Version,
    scan: &Scan,
    partial: bool,
    current: &Cell<(u64, Class)>,
    take: Take<'_, 'a>,
) -> Result<(), Failure> {
    for class in [Class::Sound, Class::Doubtful, Class::Broken] {
        let is_needed = match class {
            Class::Sound => true,
            Class::Doubtful => scan.doubtful.count() > 0,
            Class::Broken => partial,
        };
        if !is_needed {
            continue;
        }
        each_item(file, version, scan, |found| {
            let (number, found_class, record) = match found {
                Found::Key { number, record, .. } => (number, class_of(scan, number), record),
                Found::Lost(number, Some(record)) => (number, Class::Broken, record),
                _ => return Ok(()),
            };
            if found_class != class {
                return Ok(());
            }
            current.set((number, class));
            take(record)
        })?;
    }
    Ok(())
}

fn class_of(scan: &Scan, number: u64) -> Class {
    match (scan.broken.get(number), scan.doubtful.get(number)) {
        (true, _) => Class::Broken,
        (false, true) => Class::Doubtful,
        (false, false) => Class::Sound,
    }
}

/// The index of the run in which the record at `offset` is, if its database is not known.
fn run_at(scan: &Scan, offset: u64) -> Option<usize> {
    let behind = scan.pieces.partition_point(|piece| piece.start() <= offset);
    let index = behind.checked_sub(1)?;
    match scan.pieces[index] {
        Piece::Records(run) if offset < run.unknown_until => Some(index),
        _ => None,
    }
}

impl Repeats {
    fn add(&mut self, record: &KeyRecord<'_>, is_identical: bool, limit: usize) {
        *(if is_identical { &mut self.identical } else { &mut self.different }) += 1;
        if self.named.len() < limit {
            let (offset, db, key) = (record.offset, record.db, names::kept(record.key));
            self.named.push(Repeated { offset, db, key, is_identical });
        }
    }
}
