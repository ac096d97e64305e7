//! The sound keys of a damaged snapshot of our own.
//!
//! ```text
//! header │ facts │ SELECTDB 0 │ keys │ ~~ hole ~~ │ keys of which database? │ SELECTDB 2 │ keys │ ~~ hole ~~ │ …
//! └────────── stretch ──────────────┘            └────────────── stretch ─────────────┘
//! ```
//!
//! Invariants:
//! 1. A key is kept if its record can be read from end to end, this version can hold it, and its hash says that it belongs to
//!    the shard of the snapshot.
//! 2. Behind a place that cannot be read, or a key that cannot be kept, records count again where [`SURE_RECORDS`] of them follow each other, or fewer up
//!    to the very end of the file.
//! 3. Behind a hole that may have held a SELECTDB the database is a guess, the one before, and is told as such. Where a key
//!    of that name is in the database already, the stretch goes into one that the file does not use: no value replaces
//!    another.
//! 4. Zeros are a hole, although they have the form of an empty key with an empty value.
//! 5. The checksum of the file does not fit, and only one for all there is: a value may be damaged where its form is sound.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use formats::rdb::encode::EncodeVersion;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, HEADER_BYTES, Item, KeyRecord, Scratch, Version};

use super::ImportError;
use super::route::{FileError, ShardFile, write_error};
use crate::persist::fresh::FreshDir;
use crate::persist::recovery::salvage::DamagedSnapshot;
use crate::persist::{Gsn, ShardId, SnapshotEntry};
use crate::server::offline::DATABASES;
use crate::snapshot::can_hold;
use crate::store::KeyHasher;

/// Records in a row that are no accident.
const SURE_RECORDS: usize = 4;
/// Least bytes that a key takes in a file: type, length of the key, length of the value.
const LEAST_RECORD_BYTES: u64 = 3;

/// Most keys that are named as suspects, and most that are named for their database.
pub const MAX_SUSPECTS: usize = 1000;

/// What was had of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    pub kept: u64,
    /// How many keys there were, if MANIFEST or the file says.
    pub announced: Option<u64>,
    /// Bytes in which no records are found.
    pub holes: Vec<Range<u64>>,
    /// Keys that are kept and stand next to a hole: damage may reach into their values. Escaped; not more than
    /// [`MAX_SUSPECTS`].
    pub suspects: Vec<String>,
    /// Keys that are kept and whose database is not known, by where they are now.
    pub unplaced: Vec<Unplaced>,
}

/// Keys whose database is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unplaced {
    /// Where they are now.
    pub db: u64,
    /// The file does not use that database: in the one before them keys have the same names.
    pub is_spare: bool,
    pub count: u64,
    /// Escaped; not more than [`MAX_SUSPECTS`].
    pub first: Vec<String>,
}

impl Rescued {
    /// Keys that are lost, if it is known how many there were.
    pub fn lost(&self) -> Option<u64> {
        self.announced.map(|announced| announced.saturating_sub(self.kept))
    }

    fn suspect(&mut self, key: &[u8]) {
        if self.suspects.len() < MAX_SUSPECTS {
            self.suspects.push(key.escape_ascii().to_string());
        }
    }

    fn unplaced(&mut self, stretch: &Stretch, key: &[u8]) {
        let is_same = |group: &&mut Unplaced| (group.db, group.is_spare) == (stretch.db, stretch.is_spare);
        let group = match self.unplaced.iter_mut().find(is_same) {
            Some(group) => group,
            None => {
                let (db, is_spare) = (stretch.db, stretch.is_spare);
                self.unplaced.push(Unplaced { db, is_spare, ..Unplaced::default() });
                let last = self.unplaced.len() - 1;
                &mut self.unplaced[last]
            }
        };
        group.count += 1;
        if group.first.len() < MAX_SUSPECTS {
            group.first.push(key.escape_ascii().to_string());
        }
    }
}

/// Records that follow each other.
#[derive(Clone, Debug)]
struct Stretch {
    bytes: Range<u64>,
    /// From here on the file says which database; before it, `db` is a guess.
    known_from: u64,
    db: u64,
    is_spare: bool,
    /// The database that the file names last in it, if it names one.
    last_db: Option<u64>,
}

/// Writes the sound keys into the snapshot of `shard` in `fresh`.
pub fn rescue(
    fresh: &FreshDir,
    shard: ShardId,
    damaged: &DamagedSnapshot,
) -> Result<(SnapshotEntry, Rescued), ImportError> {
    let failed = write_error(fresh);
    let mut file = ShardFile::create(fresh, shard, 1, Gsn(0)).map_err(&failed)?;
    let bytes: &[u8] = &damaged.map;
    let mut judge = Judge {
        hasher: KeyHasher::new(fresh.hash_seed()),
        shard: damaged.shard.0,
        shards: damaged.shards,
        key: StringBuffer::default(),
        scratch: Scratch::default(),
    };
    let mut found = Finder::of(bytes).run(&mut judge);
    place(bytes, found.version, &mut judge, &mut found.stretches);
    let mut rescued =
        Rescued { announced: damaged.keys.or(found.announced), holes: found.holes, ..Rescued::default() };
    for stretch in &found.stretches {
        copy(bytes, found.version, stretch, &mut judge, &mut file, &mut rescued).map_err(&failed)?;
    }
    if damaged.keys.is_none() {
        rescued.announced = rescued.announced.filter(|&keys| keys >= rescued.kept && keys > 0);
    }
    Ok((file.finish().map_err(&failed)?, rescued))
}

/// Copies the sound keys of a stretch.
fn copy(
    bytes: &[u8],
    version: Version,
    stretch: &Stretch,
    judge: &mut Judge,
    file: &mut ShardFile,
    rescued: &mut Rescued,
) -> Result<(), FileError> {
    let mut last: Option<KeyRecord<'_>> = None;
    let is_behind_hole = stretch.bytes.start > HEADER_BYTES as u64;
    for record in stretch.records(bytes, version) {
        if !judge.is_sound(&record) {
            continue; // what was found sound is so, but for a database beyond all numbers
        }
        file.copy(&record)?;
        rescued.kept += 1;
        let key = record.key.bytes(&mut judge.key)?;
        if last.is_none() && is_behind_hole {
            rescued.suspect(key);
        }
        if record.offset < stretch.known_from {
            rescued.unplaced(stretch, key);
        }
        last = Some(record);
    }
    if let Some(record) = last.filter(|_| (stretch.bytes.end as usize) < bytes.len()) {
        rescued.suspect(record.key.bytes(&mut judge.key)?);
    }
    Ok(())
}

/// What a walk over the file found.
struct Found {
    version: Version,
    stretches: Vec<Stretch>,
    holes: Vec<Range<u64>>,
    /// Keys that the file announces.
    announced: Option<u64>,
}

/// Looks for stretches and for what is known of their databases.
struct Finder<'a> {
    bytes: &'a [u8],
    decoder: Decoder<'a>,
    /// The stretch that is gone through.
    start: u64,
    known_from: u64,
    last_db: Option<u64>,
    /// Where the last record begins: a damaged length may have made it swallow others.
    last_record: u64,
    /// Keys that the database still has, less those that were found.
    to_come: Option<u64>,
    /// The same, less what may have been in holes.
    at_least_to_come: Option<u64>,
    found: Found,
}

impl<'a> Finder<'a> {
    fn of(bytes: &'a [u8]) -> Finder<'a> {
        let version = Version::parse(bytes);
        let found = Found {
            version: *version.as_ref().unwrap_or(&EncodeVersion::V10.version()),
            stretches: Vec::new(),
            holes: Vec::new(),
            announced: None,
        };
        // A damaged header costs nothing: a server of ours writes one version.
        let start = if version.is_ok() { HEADER_BYTES as u64 } else { 0 };
        Finder {
            bytes,
            decoder: Decoder::resume(bytes, start as usize, found.version, 0),
            start,
            known_from: start,
            last_db: None,
            last_record: start,
            to_come: None,
            at_least_to_come: None,
            found,
        }
    }

    fn run(mut self, judge: &mut Judge) -> Found {
        loop {
            let offset = self.decoder.offset();
            match self.decoder.next_item() {
                Ok(Some(Item::End { .. })) if self.decoder.rest().is_empty() => {
                    self.end_stretch(self.bytes.len() as u64);
                    return self.found;
                }
                Ok(Some(Item::Key(record))) if judge.is_sound(&record) => {
                    self.key(offset);
                }
                Ok(Some(Item::End { .. } | Item::Key(_)) | None) | Err(_) => {
                    self.end_stretch(offset);
                    if !self.pass_hole(offset, judge) {
                        return self.found;
                    }
                }
                Ok(Some(Item::SelectDb(db))) => self.select(offset, db),
                Ok(Some(Item::ResizeDb { keys, .. })) => self.resize(keys),
                Ok(Some(_)) => {}
            }
        }
    }

    /// One more than the database has: a SELECTDB is missing somewhere before it.
    fn key(&mut self, offset: u64) {
        if self.to_come == Some(0) && self.known_from < u64::MAX {
            self.end_stretch(offset);
            (self.start, self.known_from, self.last_db) = (offset, u64::MAX, None);
        }
        self.last_record = offset;
        let less_one = |keys: &mut u64| *keys = keys.saturating_sub(1);
        self.to_come.iter_mut().chain(&mut self.at_least_to_come).for_each(less_one);
    }

    /// A SELECTDB right behind a hole may be an accident.
    fn select(&mut self, offset: u64, db: u64) {
        self.last_db = Some(db);
        (self.to_come, self.at_least_to_come) = (None, None);
        if self.known_from == u64::MAX && offset > self.start {
            self.known_from = offset;
        }
    }

    fn resize(&mut self, keys: u64) {
        *self.found.announced.get_or_insert(0) += keys;
        (self.to_come, self.at_least_to_come) = (Some(keys), Some(keys));
        if self.known_from == u64::MAX && self.last_db.is_some() {
            self.known_from = self.start;
        }
    }

    fn end_stretch(&mut self, end: u64) {
        if end > self.start {
            let (bytes, known_from, last_db) = (self.start..end, self.known_from, self.last_db);
            self.found.stretches.push(Stretch { bytes, known_from, db: 0, is_spare: false, last_db });
        }
    }

    /// Goes on behind it, if there is anything.
    fn pass_hole(&mut self, from: u64, judge: &mut Judge) -> bool {
        let (version, db) = (self.found.version, self.decoder.db());
        let resumed = (from as usize + 1..self.bytes.len())
            .map(|at| Decoder::resume(self.bytes, at, version, db))
            .find(|decoder| judge.is_sure(decoder.clone()));
        let end = resumed.as_ref().map_or(self.bytes.len() as u64, Decoder::offset);
        self.found.holes.push(from..end);
        let Some(resumed) = resumed else { return false };
        // A SELECTDB can have been there only if all the keys before it can.
        let lost = (end - self.last_record) / LEAST_RECORD_BYTES;
        self.at_least_to_come = self.at_least_to_come.map(|keys| keys.saturating_sub(lost));
        let is_known = self.at_least_to_come.is_some_and(|keys| keys > 0);
        (self.start, self.decoder, self.last_db) = (end, resumed, None);
        self.known_from = if is_known { end } else { u64::MAX };
        true
    }
}

/// Decides where keys of unknown database go.
fn place(bytes: &[u8], version: Version, judge: &mut Judge, stretches: &mut [Stretch]) {
    let is_guess = |stretch: &Stretch| stretch.known_from > stretch.bytes.start;
    let mut used: BTreeSet<u64> = stretches.iter().filter_map(|stretch| stretch.last_db).collect();
    let (mut db, mut taken) = (0, HashSet::new());
    for stretch in &mut *stretches {
        let is_doubtful = stretch.known_from == u64::MAX;
        stretch.db = stretch.last_db.filter(|_| is_doubtful).unwrap_or(db);
        db = stretch.last_db.unwrap_or(db);
        used.insert(stretch.db);
    }
    if !stretches.iter().any(is_guess) {
        return;
    }
    for stretch in &*stretches {
        for record in stretch.records(bytes, version).filter(|record| record.offset >= stretch.known_from) {
            used.insert(record.db);
            taken.extend(judge.name(&record).map(|name| (record.db, name)));
        }
    }
    // The database of the stretch before, which may have gone elsewhere.
    let mut moved: Option<u64> = None;
    for stretch in stretches.iter_mut() {
        if is_guess(stretch) {
            (stretch.db, stretch.is_spare) = (moved.unwrap_or(stretch.db), moved.is_some());
            let names: Vec<u64> = stretch
                .records(bytes, version)
                .take_while(|record| record.offset < stretch.known_from)
                .filter_map(|record| judge.name(&record))
                .collect();
            if names.iter().any(|name| taken.contains(&(stretch.db, *name))) {
                let spare = (stretch.db + 1..).find(|db| used.insert(*db)).unwrap_or(u64::MAX);
                (stretch.db, stretch.is_spare, moved) = (spare, true, Some(spare));
            }
            taken.extend(names.into_iter().map(|name| (stretch.db, name)));
        }
        moved = moved.filter(|_| stretch.known_from == u64::MAX);
    }
}

impl Stretch {
    fn records<'a>(
        &self,
        bytes: &'a [u8],
        version: Version,
    ) -> impl Iterator<Item = KeyRecord<'a>> + use<'a> {
        let start = self.bytes.start as usize;
        let (end, known_from, db) = (self.bytes.end, self.known_from, self.db);
        let mut decoder = Decoder::resume(bytes, start, version, db);
        std::iter::from_fn(move || {
            while decoder.offset() < end {
                match decoder.next_item() {
                    Ok(Some(Item::Key(record))) if record.offset < known_from => {
                        return Some(KeyRecord { db, ..record });
                    }
                    Ok(Some(Item::Key(record))) => return Some(record),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
            None
        })
    }
}

/// Whether there are just zeros.
fn is_blank(record: &KeyRecord<'_>) -> bool {
    record.bytes.iter().all(|&byte| byte == 0)
}

struct Judge {
    hasher: KeyHasher,
    shard: u16,
    /// `None`: where keys belong is not known.
    shards: Option<u16>,
    key: StringBuffer,
    scratch: Scratch,
}

impl Judge {
    fn is_sound(&mut self, record: &KeyRecord<'_>) -> bool {
        let Ok(key) = record.key.bytes(&mut self.key) else { return false };
        let shard = self.shards.map(|shards| self.hasher.shard(key, self.hasher.hash(key), shards));
        shard.is_none_or(|shard| shard == self.shard)
            && !is_blank(record)
            && record.db < u64::from(DATABASES)
            && can_hold(record.value.value_type())
            && record.value.check(&mut self.scratch).is_ok()
    }

    /// What stands for a sound key's name; two names that share it cost a database of their own.
    fn name(&mut self, record: &KeyRecord<'_>) -> Option<u64> {
        let is_sound = self.is_sound(record);
        let key = record.key.bytes(&mut self.key).ok().filter(|_| is_sound)?;
        Some(self.hasher.hash(key).0)
    }

    fn is_sure(&mut self, mut decoder: Decoder<'_>) -> bool {
        let (mut keys, start) = (0, decoder.offset());
        while keys < SURE_RECORDS {
            let offset = decoder.offset();
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) if self.is_sound(&record) => keys += 1,
                Ok(Some(Item::SelectDb(_))) if keys > 0 || offset == start => {}
                Ok(Some(Item::ResizeDb { .. })) if offset > start => {}
                Ok(Some(Item::End { .. })) => return keys > 0 && decoder.rest().is_empty(),
                _ => return false,
            }
        }
        true
    }
}
