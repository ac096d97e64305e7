//! Walks through a file from record to record.
//!
//! Invariants:
//! 1. Every byte of the file belongs to the header, to one item, or to the end; an item is answered only when all
//!    of it is there.
//! 2. After an error the decoder is done. [`Decoder::resume`] starts another one at a place of the caller's choice.

use super::error::{Problem, RdbError};
use super::input::{Input, Overlong};
use super::kind::ValueKind;
use super::opcode;
use super::string::RdbString;
use super::value::{ModuleId, Value, skip_value};
use super::version::{HEADER_BYTES, Version};

mod rare;

/// A record of the file.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    Key(KeyRecord<'a>),
    Aux {
        name: RdbString<'a>,
        value: RdbString<'a>,
    },
    SelectDb(u64),
    /// How many keys, and how many that expire, the database has: a hint.
    ResizeDb {
        keys: u64,
        expires: u64,
    },
    /// The same for one slot of a cluster.
    SlotInfo {
        slot: u64,
        keys: u64,
        expires: u64,
    },
    /// Slots that are being imported (Valkey 9): job and ranges as they stand.
    SlotImport {
        bytes: &'a [u8],
    },
    /// A library of functions.
    Function {
        code: RdbString<'a>,
    },
    /// One in the form of a release candidate, which no release loads.
    FunctionPreGa {
        bytes: &'a [u8],
    },
    /// Data of a module that belongs to no key.
    ModuleAux {
        module: ModuleId,
        bytes: &'a [u8],
    },
    /// The end, with the CRC-64 of all bytes before it as the file has it; `None` before version 5, `Some(0)` where it
    /// was not computed.
    End {
        checksum: Option<u64>,
    },
}

/// A key with its value.
#[derive(Clone, Copy, Debug)]
pub struct KeyRecord<'a> {
    /// The database.
    pub db: u64,
    pub key: RdbString<'a>,
    pub value: Value<'a>,
    /// Milliseconds since 1970 at which it expires.
    pub expires_at_ms: Option<i64>,
    /// Seconds since it was used.
    pub idle_seconds: Option<u64>,
    /// How often it is used, on a logarithmic scale.
    pub frequency: Option<u8>,
    /// The record as encoded, with what precedes the type: expiry, idle time, frequency.
    pub bytes: &'a [u8],
    /// Where `bytes` start in the file.
    pub offset: u64,
}

/// Reads the records of a file, in order.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    input: Input<'a>,
    version: Version,
    db: u64,
    state: State<'a>,
}

#[derive(Clone, Copy, Debug)]
enum State<'a> {
    /// Between two records.
    Ready,
    /// In a record whose key is known; where an error ends it there, that is the key to name.
    InKey(RdbString<'a>),
    /// Behind the end, or behind an error outside a key's value.
    Done,
}

/// What may stand before a key's type.
#[derive(Default)]
struct Attributes {
    expires_at_ms: Option<i64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl<'a> Decoder<'a> {
    /// Reads magic and version.
    pub fn new(file: &'a [u8]) -> Result<Self, RdbError> {
        let version = Version::parse(file)?;
        Ok(Decoder::resume(file, HEADER_BYTES, version, 0))
    }

    /// A decoder that starts at the record at `offset`, in database `db`.
    pub fn resume(file: &'a [u8], offset: usize, version: Version, db: u64) -> Self {
        let rest = file.get(offset..).unwrap_or_default();
        Decoder { input: Input::new(rest, offset as u64), version, db, state: State::Ready }
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// Offset of the next record; behind the end and its checksum at last.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The database that the next key belongs to.
    pub fn db(&self) -> u64 {
        self.db
    }

    /// What follows the last item.
    pub fn rest(&self) -> &'a [u8] {
        self.input.rest()
    }

    /// Lengths outside packed values that took more bytes than they need, so far.
    pub fn overlong(&self) -> Overlong {
        self.input.overlong()
    }

    /// The key in whose record the last error was, if it came to be read.
    pub fn failed_key(&self) -> Option<RdbString<'a>> {
        match self.state {
            State::InKey(key) => Some(key),
            _ => None,
        }
    }

    /// The next record; `None` behind the end, and behind an error.
    #[inline]
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>, RdbError> {
        if !matches!(self.state, State::Ready) {
            return Ok(None);
        }
        let item = self.item();
        if item.is_err() && matches!(self.state, State::Ready) {
            self.state = State::Done;
        }
        item.map(Some)
    }

    #[inline]
    fn item(&mut self) -> Result<Item<'a>, RdbError> {
        let start = self.input;
        let first = self.input.byte("type or opcode")?;
        match ValueKind::from_byte(first, self.version.dialect) {
            Some(kind) => self.key(start, kind, Attributes::default()),
            None => self.opcode(start, first),
        }
    }

    #[inline]
    fn key(
        &mut self,
        start: Input<'a>,
        kind: ValueKind,
        attributes: Attributes,
    ) -> Result<Item<'a>, RdbError> {
        let key = self.input.string("key")?;
        let value_start = self.input;
        self.state = State::InKey(key);
        skip_value(&mut self.input, kind)?;
        self.state = State::Ready;
        Ok(Item::Key(KeyRecord {
            db: self.db,
            key,
            value: Value { kind, bytes: self.between(value_start), offset: value_start.offset() },
            expires_at_ms: attributes.expires_at_ms,
            idle_seconds: attributes.idle_seconds,
            frequency: attributes.frequency,
            bytes: self.between(start),
            offset: start.offset(),
        }))
    }

    /// What was read since `start`.
    #[inline]
    fn between(&self, start: Input<'a>) -> &'a [u8] {
        &start.rest()[..start.rest().len() - self.input.rest().len()]
    }

    fn opcode(&mut self, start: Input<'a>, first: u8) -> Result<Item<'a>, RdbError> {
        let input = &mut self.input;
        match first {
            opcode::EXPIRE_MS | opcode::EXPIRE_SECONDS | opcode::IDLE | opcode::FREQUENCY => {
                self.key_with_attributes(start, first)
            }
            opcode::AUX => {
                Ok(Item::Aux { name: input.string("aux name")?, value: input.string("aux value")? })
            }
            opcode::SELECT_DB => {
                self.db = input.length("database number")?;
                Ok(Item::SelectDb(self.db))
            }
            opcode::RESIZE_DB => Ok(Item::ResizeDb {
                keys: input.length("number of keys")?,
                expires: input.length("number of keys that expire")?,
            }),
            opcode::EOF => self.end(),
            _ => self.rare(start, first),
        }
    }

    fn key_with_attributes(&mut self, start: Input<'a>, first: u8) -> Result<Item<'a>, RdbError> {
        let mut attributes = Attributes::default();
        let mut next = first;
        loop {
            match next {
                opcode::EXPIRE_MS => {
                    // Redis' own mark of a key that does not expire.
                    attributes.expires_at_ms = Some(self.input.millis("expiry")?).filter(|&at| at != -1);
                }
                opcode::EXPIRE_SECONDS => {
                    let seconds = i32::from_le_bytes(self.input.array("expiry")?);
                    attributes.expires_at_ms = Some(i64::from(seconds) * 1000);
                }
                opcode::IDLE => attributes.idle_seconds = Some(self.input.length("idle time")?),
                opcode::FREQUENCY => attributes.frequency = Some(self.input.byte("frequency")?),
                type_byte => {
                    let kind = ValueKind::from_byte(type_byte, self.version.dialect);
                    let kind = kind.ok_or_else(|| self.unknown(type_byte))?;
                    return self.key(start, kind, attributes);
                }
            }
            next = self.input.byte("type")?;
        }
    }

    fn end(&mut self) -> Result<Item<'a>, RdbError> {
        let checksum = match self.version.has_checksum() {
            true => Some(u64::from_le_bytes(self.input.array("checksum")?)),
            false => None,
        };
        self.state = State::Done;
        Ok(Item::End { checksum })
    }

    #[cold]
    fn unknown(&self, byte: u8) -> RdbError {
        RdbError::new(self.input.offset() - 1, "type or opcode", Problem::UnknownType(byte))
    }
}
