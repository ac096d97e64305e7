//! Finds the next place where records start again.
//!
//! A place is taken if what follows reads as a chain of records whose content is sound and plausible: three keys at least
//! with evidence enough, or some keys and then the end of the file, or up to a place where records are known to start.
//! Evidence are printable bytes of keys and packed structures, which hardly come about by chance; tables of small numbers do
//! look like records of short strings. An RDB file that stands whole in a value is passed over.
//!
//! Invariant: the work is linear in the bytes that are searched, whatever they are: every byte earns a number of bytes that
//! attempts may read, and an attempt sees no more than has been earned.

use std::ops::Range;

use formats::rdb::kind::ValueKind;
use formats::rdb::string::StringBuffer;
use formats::rdb::version::HEADER_BYTES;
use formats::rdb::{Decoder, Item, KeyRecord, RdbString, ValueType, Version, opcode};

use crate::failure::Failure;
use crate::interrupt;
use crate::soundness::Checker;

/// Keys that make a chain.
const MIN_KEYS: u32 = 3;
/// Evidence that makes a chain.
const MIN_EVIDENCE: u32 = 24;
/// Keys that make a chain without any evidence.
const MANY_KEYS: u32 = 64;
/// Evidence that makes a chain whose end is a known place.
const MIN_EVIDENCE_TO_JOIN: u32 = 8;
/// Most evidence that a key that was stored as a number gives: any bytes are some number.
const MAX_EVIDENCE_OF_NUMBER: u32 = 4;
/// A name that gives less is odd: of bytes that are not printable, or of a single letter.
const MIN_EVIDENCE_OF_NAME: u32 = 2;
/// If more than one of so many names is odd, that is nothing strange in this file.
const NAMES_PER_ODD_NAME: u64 = 8;
/// Most evidence that a key or a packed value gives.
const MAX_EVIDENCE_EACH: u32 = 8;
/// Bytes that attempts may read before any are earned.
const FIRST_CREDIT: u64 = 64 << 20;
/// Bytes that one more place earns.
const CREDIT_PER_BYTE: u64 = 16;
/// Bytes that an attempt may read when nothing is left.
const LEAST_WINDOW: u64 = 512;
/// Longest plausible key.
const MAX_KEY_BYTES: usize = 1 << 20;
/// Largest plausible number of a database.
const MAX_DB: u64 = 1 << 16;
/// Databases that a server has by default: with none beyond, two bytes are enough to look like the choice of one.
const DEFAULT_DATABASES: u64 = 16;
/// Plausible times at which keys expire: the years 1990 to 2200, in milliseconds since 1970.
const EXPIRY_MS: std::ops::Range<i64> = 631_152_000_000..7_258_118_400_000;
/// Places between two looks at whether the user asked to stop.
const PLACES_BETWEEN_CHECKS: usize = 1 << 20;

/// Searches a file.
pub(super) struct Search<'a> {
    file: &'a [u8],
    version: Version,
    any_version: bool,
    credit: u64,
    names: u64,
    odd_names: u64,
    buffer: StringBuffer,
}

/// What an attempt came to.
enum Chain {
    Taken,
    /// Refused after so many bytes.
    Refused(u64),
}

impl<'a> Search<'a> {
    pub(super) fn new(file: &'a [u8], version: Version, any_version: bool) -> Search<'a> {
        let buffer = StringBuffer::default();
        Search { file, version, any_version, credit: FIRST_CREDIT, names: 0, odd_names: 0, buffer }
    }

    /// The first place from `start` on, before `end`, where records start.
    pub(super) fn next_place(
        &mut self,
        start: usize,
        end: usize,
        checker: &mut Checker,
    ) -> Result<Option<usize>, Failure> {
        let mut place = start;
        while let Some(found) = self.place(place..end, None, checker)? {
            match self.end_of_image(found) {
                Some(end) => place = end,
                None => return Ok(Some(found)),
            }
        }
        Ok(None)
    }

    /// The first place in `places` where records start that go on up to `goal`, at which records are known to start.
    pub(super) fn place_that_joins(
        &mut self,
        places: Range<usize>,
        goal: usize,
        checker: &mut Checker,
    ) -> Result<Option<usize>, Failure> {
        self.place(places, Some(goal as u64), checker)
    }

    fn place(
        &mut self,
        places: Range<usize>,
        goal: Option<u64>,
        checker: &mut Checker,
    ) -> Result<Option<usize>, Failure> {
        for place in places {
            if place % PLACES_BETWEEN_CHECKS == 0 {
                interrupt::check()?;
            }
            self.credit += CREDIT_PER_BYTE;
            // What comes behind the head of an RDB file within a value is found by that.
            if goal.is_none() && self.end_of_image(place).is_some() {
                return Ok(Some(place));
            }
            if !self.may_start(self.file[place]) {
                continue;
            }
            match self.chain(place, goal, checker) {
                Chain::Taken => return Ok(Some(place)),
                Chain::Refused(bytes) => self.credit = self.credit.saturating_sub(bytes),
            }
        }
        Ok(None)
    }

    /// The end of an RDB file that stands at `place`, whole and before the end of this one.
    fn end_of_image(&mut self, place: usize) -> Option<usize> {
        let bytes = self.file.get(place..)?;
        if !matches!(bytes.first(), Some(b'R' | b'V')) {
            return None;
        }
        let version = Version::parse(bytes).ok()?;
        let window = usize::try_from(self.credit.max(LEAST_WINDOW)).unwrap_or(usize::MAX);
        let mut decoder = Decoder::resume(&bytes[..window.min(bytes.len())], HEADER_BYTES, version, 0);
        let end = loop {
            match decoder.next_item() {
                Ok(Some(Item::End { .. })) => break place + decoder.offset() as usize,
                Ok(Some(_)) => {}
                _ => {
                    self.credit = self.credit.saturating_sub(decoder.offset());
                    return None;
                }
            }
        };
        (end < self.file.len()).then_some(end)
    }

    fn may_start(&self, byte: u8) -> bool {
        match byte {
            opcode::EXPIRE_MS
            | opcode::EXPIRE_SECONDS
            | opcode::IDLE
            | opcode::FREQUENCY
            | opcode::SELECT_DB => true,
            byte => {
                let kind = ValueKind::from_byte(byte, self.version.dialect);
                kind.is_some_and(|kind| kind != ValueKind::OpaqueModule)
            }
        }
    }

    fn chain(&mut self, place: usize, goal: Option<u64>, checker: &mut Checker) -> Chain {
        let window = usize::try_from(self.credit.max(LEAST_WINDOW)).unwrap_or(usize::MAX);
        let end = place.saturating_add(window).min(self.file.len());
        let mut decoder = Decoder::resume(&self.file[..end], place, self.version, 0);
        let (mut keys, mut evidence) = (0, 0);
        loop {
            let before = decoder.offset();
            let read = |offset: u64| Chain::Refused(offset.saturating_sub(place as u64));
            match goal {
                Some(goal) if before > goal => return read(before),
                Some(goal) if before == goal => {
                    return if evidence >= MIN_EVIDENCE_TO_JOIN { Chain::Taken } else { read(before) };
                }
                Some(_) => {}
                None if keys >= MIN_KEYS && evidence >= MIN_EVIDENCE || keys >= MANY_KEYS => {
                    return Chain::Taken;
                }
                None => {}
            }
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) => match self.evidence(&record, keys, checker) {
                    // A record made by chance may end where true ones start: it must not come along with these.
                    Some(0) if goal.is_some() || keys == 0 && !self.has_odd_names() => {
                        return read(decoder.offset());
                    }
                    Some(more) => {
                        keys += 1;
                        evidence += more;
                    }
                    None => return read(decoder.offset()),
                },
                Ok(Some(Item::SelectDb(db))) if is_believable(db, decoder.rest()) => {}
                Ok(Some(Item::End { .. })) => {
                    let is_end = decoder.offset() == self.file.len() as u64;
                    return if keys > 0 && is_end { Chain::Taken } else { read(before) };
                }
                // Only a key or a database starts a chain; behind it all records are welcome.
                Ok(Some(_)) if keys > 0 => {}
                Ok(Some(Item::ResizeDb { .. })) if before > place as u64 => {}
                Ok(_) => return read(before),
                Err(error) => return read(error.offset()),
            }
        }
    }

    /// How much speaks for a candidate; `None` if it cannot be one.
    fn evidence(&mut self, record: &KeyRecord<'_>, keys: u32, checker: &mut Checker) -> Option<u32> {
        if !self.is_plausible(record) || keys == 0 && record.key.is_empty() {
            return None;
        }
        let value = &record.value;
        checker
            .check(value)
            .ok()
            .filter(|&elements| elements > 0 || value.value_type() == ValueType::Stream)?;
        record.key.check().ok()?;
        Some(self.evidence_of_name(record.key) + evidence_of_value(value.kind))
    }

    /// How much an accepted record speaks for those before it; `None` if it looks like chance itself.
    pub(super) fn evidence_of_accepted(&mut self, record: &KeyRecord<'_>, is_sound: bool) -> Option<u32> {
        let name = self.evidence_of_name(record.key);
        let value = if is_sound { evidence_of_value(record.value.kind) } else { 0 };
        self.names += 1;
        if record.key.is_empty() || value == 0 && name < MIN_EVIDENCE_OF_NAME {
            self.odd_names += 1;
            return self.has_odd_names().then_some(0);
        }
        self.is_plausible(record).then_some(name + value)
    }

    /// Whether odd names are nothing strange in this file.
    fn has_odd_names(&self) -> bool {
        self.odd_names > self.names / NAMES_PER_ODD_NAME
    }

    fn is_plausible(&self, record: &KeyRecord<'_>) -> bool {
        record.expires_at_ms.is_none_or(|at| EXPIRY_MS.contains(&at))
            && record.key.len() <= MAX_KEY_BYTES
            && (self.any_version || record.value.kind.is_in(self.version))
            && !is_zeros(record.bytes)
    }

    /// A name gives evidence by its letters, and none at all if it has bytes that are not printable.
    pub(super) fn evidence_of_name(&mut self, name: RdbString<'_>) -> u32 {
        let most = match name {
            RdbString::Int(_) => MAX_EVIDENCE_OF_NUMBER,
            _ => MAX_EVIDENCE_EACH,
        };
        if name.len() > MAX_KEY_BYTES {
            return 0;
        }
        let Ok(name) = name.bytes(&mut self.buffer) else { return 0 };
        match std::str::from_utf8(name) {
            Ok(text) if !text.contains(char::is_control) => {
                text.chars().filter(|letter| *letter != ' ').take(most as usize).count() as u32
            }
            _ => 0,
        }
    }
}

/// Whether a database is chosen, and not two bytes of something else: servers since Redis 3.2 tell its size at once.
fn is_believable(db: u64, rest: &[u8]) -> bool {
    db < DEFAULT_DATABASES || db < MAX_DB && rest.first() == Some(&opcode::RESIZE_DB)
}

/// Evidence of a packed structure that is sound.
fn evidence_of_value(kind: ValueKind) -> u32 {
    match kind.encoding() {
        "intset" | "listpack" | "listpack-ex" | "ziplist" | "quicklist" | "quicklist-2" | "stream-1"
        | "stream-2" | "stream-3" => MAX_EVIDENCE_EACH,
        _ => 0,
    }
}

/// Zeros read as an empty string under an empty key, again and again.
pub(super) fn is_zeros(record: &[u8]) -> bool {
    record == [0, 0, 0]
}
