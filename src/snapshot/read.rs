//! Reads the keys of an RDB file, of ours or of Redis or Valkey.
//!
//! Invariants:
//! 1. One pass: the checksum is computed in pieces right behind the decoder, while they are in the processor's cache. So a
//!    caller has keys in hand before the checksum is known to fit, and must not serve them before [`read`] answers `Ok`.
//! 2. Nothing is skipped but hints: sizes of tables, and when a key was last used.

use std::convert::Infallible;
use std::ops::Range;

use formats::checksum::Crc64;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, RdbString, Version, opcode};

use super::value::{self, LoadedValue};

/// Bytes that the checksum takes in at once.
const SUMMED_BYTES: usize = 256 * 1024;
const NO_END: &str = "the end of the file should be here";
const BEHIND_END: &str = "bytes follow the end of the file";
/// Bytes of a key that an error shows.
const SHOWN_KEY_BYTES: usize = 128;

/// What is known of a file's checksum beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is this one, and fits.
    Is(u64),
    /// It fits.
    Fits,
    /// It fits, or was switched off where the file was made: a file that is not ours.
    MayBeOff,
}

/// A key as it is read.
#[derive(Debug)]
pub struct LoadedKey<'a> {
    pub db: u64,
    pub key: &'a [u8],
    pub value: LoadedValue<'a>,
    /// Unix milliseconds. A key that has expired is handed out like any other.
    pub expire_at: Option<u64>,
    /// How many keys the file announced for the part of the database that this one is in; a hint, 0 if there was none.
    pub announced: u64,
    /// Where the key's record starts in the file.
    pub offset: u64,
    /// All of the file before here has been read and summed up and is not looked at again.
    pub done_bytes: u64,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub keys: u64,
    /// The checksum that the file ends with; `None` if it has none, or was switched off.
    pub crc64: Option<u64>,
}

/// Why a file was not read. `E` is what the caller's visitor answers.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E = Infallible> {
    #[error(transparent)]
    Format(#[from] RdbError),
    #[error("the checksum at the end is {found:016x}, that of the bytes {computed:016x}")]
    Checksum { found: u64, computed: u64 },
    #[error("the checksum at the end is {found:016x}, and should be {expected:016x}")]
    OtherFile { found: u64, expected: u64 },
    #[error("the file has no checksum")]
    NoChecksum,
    #[error("offset {offset}: {what}")]
    Shape { offset: u64, what: &'static str },
    #[error(
        "offset {offset}: key '{key}' in database {db} holds {holds}, which this version cannot hold yet"
    )]
    Type { offset: u64, db: u64, key: String, holds: &'static str },
    #[error("offset {offset}: the file holds {holds}, which this version cannot hold")]
    Holds { offset: u64, holds: &'static str },
    #[error("{0}")]
    Visit(E),
}

/// What stands around a file's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub version: Version,
    /// The AUX fields; bytes that are not UTF-8 are replaced.
    pub aux: Vec<(String, String)>,
    /// From behind the AUX fields up to the EOF opcode.
    pub body: Range<u64>,
}

/// Reads what stands before the keys and finds where they end; nothing between is looked at.
///
/// # Errors
/// The head is damaged, or the file does not end as it should.
pub fn head(bytes: &[u8]) -> Result<Head, ReadError> {
    let mut decoder = Decoder::new(bytes)?;
    let version = decoder.version();
    let mut aux = Vec::new();
    let body_start = loop {
        let start = decoder.offset();
        match decoder.next_item()? {
            Some(Item::Aux { name, value }) => aux.push((text(name)?, text(value)?)),
            _ => break start,
        }
    };
    let end = bytes.len() - if version.has_checksum() { size_of::<u64>() } else { 0 } - 1;
    match bytes.get(end) {
        Some(&opcode::EOF) if end as u64 >= body_start => {
            Ok(Head { version, aux, body: body_start..end as u64 })
        }
        _ => Err(ReadError::Shape { offset: end as u64, what: NO_END }),
    }
}

fn text(string: RdbString<'_>) -> Result<String, RdbError> {
    let mut buffer = StringBuffer::default();
    string.bytes(&mut buffer).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Hands all keys to `visit`, in the order of the file.
///
/// # Errors
/// The file is damaged or holds what this version cannot hold, or `visit` answered an error. Keys were handed out
/// before that.
pub fn read<E>(
    bytes: &[u8],
    checksum: Checksum,
    mut visit: impl FnMut(LoadedKey<'_>) -> Result<(), E>,
) -> Result<Summary, ReadError<E>> {
    let mut decoder = Decoder::new(bytes)?;
    let mut reading = Reading { sum: Sum::new(bytes), announced: 0, keys: 0 };
    let mut buffers = [StringBuffer::default(), StringBuffer::default()];
    loop {
        let offset = decoder.offset();
        let Some(item) = decoder.next_item()? else {
            return Err(ReadError::Shape { offset, what: NO_END });
        };
        match item {
            Item::Key(record) => {
                reading.sum.follow(offset);
                visit(reading.key(&record, &mut buffers)?).map_err(ReadError::Visit)?;
            }
            Item::SelectDb(_) => reading.announced = 0,
            Item::ResizeDb { keys, .. } => reading.announced = keys,
            Item::Aux { .. } | Item::SlotInfo { .. } => {}
            Item::Function { .. } | Item::FunctionPreGa { .. } => {
                return Err(ReadError::Holds { offset, holds: "a library of functions" });
            }
            Item::ModuleAux { .. } => return Err(ReadError::Holds { offset, holds: "data of a module" }),
            Item::SlotImport { .. } => {
                return Err(ReadError::Holds { offset, holds: "slots that were being imported" });
            }
            Item::End { checksum: found } => {
                if !decoder.rest().is_empty() {
                    return Err(ReadError::Shape { offset: decoder.offset(), what: BEHIND_END });
                }
                let crc64 = reading.sum.check(found, checksum)?;
                return Ok(Summary { keys: reading.keys, crc64 });
            }
        }
    }
}

/// Computes the checksum of the whole file and compares; the keys are not looked at. Answers the checksum, `None` if it
/// was off and that is allowed.
///
/// # Errors
/// It does not fit, or the file does not begin and end as it should.
pub fn verify(bytes: &[u8], checksum: Checksum) -> Result<Option<u64>, ReadError> {
    let head = head(bytes)?;
    let found = bytes.last_chunk().copied().map(u64::from_le_bytes).filter(|_| head.version.has_checksum());
    Sum::new(bytes).check(found, checksum)
}

struct Reading<'a> {
    sum: Sum<'a>,
    announced: u64,
    keys: u64,
}

impl<'a> Reading<'a> {
    #[inline]
    fn key<'k, E>(
        &mut self,
        record: &KeyRecord<'a>,
        buffers: &'k mut [StringBuffer; 2],
    ) -> Result<LoadedKey<'k>, ReadError<E>>
    where
        'a: 'k,
    {
        let [key_buffer, value_buffer] = buffers;
        let key = record.key.bytes(key_buffer)?;
        let Some(value) = value::decode(&record.value, value_buffer)? else {
            return Err(unheld(record, key));
        };
        self.keys += 1;
        Ok(LoadedKey {
            db: record.db,
            key,
            value,
            // A time before 1970 is as good as its start.
            expire_at: record.expires_at_ms.map(|at| u64::try_from(at).unwrap_or(0)),
            announced: self.announced,
            offset: record.offset,
            done_bytes: self.sum.done as u64,
        })
    }
}

#[cold]
fn unheld<E>(record: &KeyRecord<'_>, key: &[u8]) -> ReadError<E> {
    let shown = &key[..key.len().min(SHOWN_KEY_BYTES)];
    ReadError::Type {
        offset: record.offset,
        db: record.db,
        key: shown.escape_ascii().to_string(),
        holds: value::with_article(record.value.value_type()),
    }
}

/// The checksum of a file's bytes as far as they were read.
struct Sum<'a> {
    bytes: &'a [u8],
    crc: Crc64,
    done: usize,
}

impl<'a> Sum<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Sum { bytes, crc: Crc64::new(), done: 0 }
    }

    /// Takes in what was read, up to `offset`, once it makes a piece.
    #[inline]
    fn follow(&mut self, offset: u64) {
        if offset as usize - self.done >= SUMMED_BYTES {
            self.advance(offset as usize);
        }
    }

    fn advance(&mut self, to: usize) {
        self.crc.update(&self.bytes[self.done..to]);
        self.done = to;
    }

    /// Compares with the checksum that was found at the end of the file, which is read as a whole.
    fn check<E>(mut self, found: Option<u64>, checksum: Checksum) -> Result<Option<u64>, ReadError<E>> {
        let Some(found) = found.filter(|&found| found != 0 || checksum != Checksum::MayBeOff) else {
            return if checksum == Checksum::MayBeOff { Ok(None) } else { Err(ReadError::NoChecksum) };
        };
        self.advance(self.bytes.len() - size_of::<u64>());
        let computed = self.crc.value();
        match checksum {
            _ if computed != found => Err(ReadError::Checksum { found, computed }),
            Checksum::Is(expected) if expected != found => Err(ReadError::OtherFile { found, expected }),
            _ => Ok(Some(found)),
        }
    }
}
