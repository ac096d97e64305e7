//! From one RDB file into the snapshots of a new data directory, record by record.
//!
//! Invariants:
//! 1. A record is copied as it stands where version 10 knows its form; others are written anew, element by element.
//! 2. What is held back is [`PIECE_BYTES`] and one element per shard, however large a record is.
//! 3. Nothing that a start would refuse is written: a type that this version cannot hold is an error that names it.

use formats::rdb::encode::{EncodeError, EncodeVersion, Encoder, KeyMeta};
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Element, Item, KeyRecord, RdbError, Scratch, ValueType};

use super::{ImportError, Progress, Source};
use crate::persist::disk::DiskFile;
use crate::persist::fresh::FreshDir;
use crate::persist::{Gsn, ShardId, SnapshotEntry};
use crate::server::offline;
use crate::snapshot::{can_hold, with_article};
use crate::store::KeyHasher;

/// What is written at once.
const PIECE_BYTES: usize = 256 * 1024;
/// A file is synced each time so many bytes were written, so that the last sync is short.
const SYNC_BYTES: u64 = 32 << 20;
/// Records between two looks at the progress.
const RECORDS_PER_STEP: u64 = 4096;
/// Most bytes of a key that an error shows.
const SHOWN_KEY_BYTES: usize = 128;

/// What was routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Routed {
    pub keys: u64,
    /// Values that were written in a form of version 10.
    pub converted: u64,
    /// Libraries of functions that were left out.
    pub functions: u64,
    /// The highest database with a key.
    pub highest_database: u64,
}

/// The snapshots of all shards while they are written.
pub struct Router<'f> {
    fresh: &'f FreshDir,
    hasher: KeyHasher,
    files: Vec<ShardFile>,
    key: StringBuffer,
    scratch: Scratch,
    routed: Routed,
}

impl<'f> Router<'f> {
    /// Snapshots of `shards` shards, numbered from `first` on. `gsn`: the last global sequence number that they stand for.
    pub fn create(fresh: &'f FreshDir, first: u16, shards: u16, gsn: Gsn) -> Result<Self, ImportError> {
        let hasher = KeyHasher::new(fresh.hash_seed());
        let mut files = Vec::new();
        for shard in first..first + shards {
            files.push(ShardFile::create(fresh, ShardId(shard), shards, gsn).map_err(write_error(fresh))?);
        }
        let (key, scratch) = (StringBuffer::default(), Scratch::default());
        Ok(Router { fresh, hasher, files, key, scratch, routed: Routed::default() })
    }

    /// Takes in all records of the RDB file at the start of `source`.
    pub fn take(
        &mut self,
        source: &Source,
        skip_functions: bool,
        progress: &Progress,
    ) -> Result<(), ImportError> {
        let damaged = |error: RdbError| source.damaged(error.offset(), error.to_string());
        let mut decoder = Decoder::new(source.rdb()).map_err(damaged)?;
        let (mut counted, mut records) = (0, 0u64);
        while let Some(item) = {
            records += 1;
            if records.is_multiple_of(RECORDS_PER_STEP) {
                let done = decoder.offset();
                progress.advance(done - counted);
                source.map.forget(counted as usize..done as usize); // else the memory of the whole file is ours
                counted = done;
            }
            decoder.next_item().map_err(damaged)?
        } {
            let offset = decoder.offset();
            let unheld = |what: &str| Err(source.unsupported(offset, what.to_owned()));
            match item {
                Item::Key(record) => self.key(source, &record)?,
                Item::Function { .. } | Item::FunctionPreGa { .. } if skip_functions => {
                    self.routed.functions += 1;
                }
                Item::Function { .. } | Item::FunctionPreGa { .. } => {
                    return Err(source.functions(offset));
                }
                Item::ModuleAux { .. } => return unheld("before it data of a module"),
                Item::SlotImport { .. } => return unheld("before it slots that were being imported"),
                // Facts and hints.
                Item::Aux { .. } | Item::SelectDb(_) | Item::ResizeDb { .. } | Item::SlotInfo { .. } => {}
                Item::End { .. } => break,
            }
        }
        progress.advance(source.rdb().len() as u64 - counted);
        Ok(())
    }

    #[inline]
    fn key(&mut self, source: &Source, record: &KeyRecord<'_>) -> Result<(), ImportError> {
        let key = record.key.bytes(&mut self.key);
        let key = key.map_err(|error| source.damaged(error.offset(), error.to_string()))?;
        check_record(source, record, key)?;
        let hash = self.hasher.hash(key);
        let shard = self.hasher.shard(key, hash, self.files.len() as u16);
        let file = &mut self.files[usize::from(shard)];
        self.routed.keys += 1;
        self.routed.highest_database = self.routed.highest_database.max(record.db);
        let written = match record.value.kind.is_in(EncodeVersion::V10.version()) {
            true => file.copy(record),
            false => {
                self.routed.converted += 1;
                file.convert(record, key, &mut self.scratch)
            }
        };
        written.map_err(|error| match error {
            FileError::Write(error) => write_error(self.fresh)(FileError::Write(error)),
            FileError::Content(error) => source.damaged(error.offset(), error.to_string()),
            FileError::Form(what) => {
                source.unsupported(record.offset, format!("key '{}': {what}", shown(key)))
            }
        })
    }

    /// Ends all files and makes them durable.
    pub fn finish(self) -> Result<(Vec<SnapshotEntry>, Routed), ImportError> {
        let entries = self.files.into_iter().map(ShardFile::finish).collect::<Result<_, _>>();
        Ok((entries.map_err(write_error(self.fresh))?, self.routed))
    }
}

/// Whether this version can hold what the record has.
#[inline]
fn check_record(source: &Source, record: &KeyRecord<'_>, key: &[u8]) -> Result<(), ImportError> {
    if record.db >= u64::from(offline::DATABASES) {
        return Err(source.unsupported(record.offset, format!("a key of database {}", record.db)));
    }
    if !can_hold(record.value.value_type()) {
        let holds = with_article(record.value.value_type());
        let what = format!("key '{}' in database {} holds {holds}", shown(key), record.db);
        return Err(source.unsupported(record.offset, what));
    }
    Ok(())
}

fn shown(key: &[u8]) -> String {
    key[..key.len().min(SHOWN_KEY_BYTES)].escape_ascii().to_string()
}

pub(super) fn write_error(fresh: &FreshDir) -> impl Fn(FileError) -> ImportError {
    let path = fresh.path().to_path_buf();
    move |error| {
        let source = match error {
            FileError::Write(error) => error,
            FileError::Content(error) => std::io::Error::other(error),
            FileError::Form(what) => std::io::Error::other(what),
        };
        ImportError::Io { action: "write to", path: path.clone(), source }
    }
}

pub(super) enum FileError {
    Write(std::io::Error),
    Content(RdbError),
    /// The record's form is beyond what version 10 holds.
    Form(&'static str),
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        FileError::Write(error)
    }
}

impl From<RdbError> for FileError {
    fn from(error: RdbError) -> Self {
        FileError::Content(error)
    }
}

impl From<EncodeError> for FileError {
    fn from(error: EncodeError) -> Self {
        FileError::Write(std::io::Error::other(error))
    }
}

/// One shard's snapshot.
pub(super) struct ShardFile {
    shard: ShardId,
    encoder: Encoder,
    file: Box<dyn DiskFile>,
    db: Option<u64>,
    keys: u64,
    written: u64,
    synced: u64,
}

impl ShardFile {
    pub(super) fn create(
        fresh: &FreshDir,
        shard: ShardId,
        shards: u16,
        gsn: Gsn,
    ) -> Result<ShardFile, FileError> {
        let mut encoder = Encoder::new(EncodeVersion::V10, true);
        for (name, value) in offline::facts(fresh, shard, shards, gsn).0 {
            encoder.aux(name.as_bytes(), value.as_bytes())?;
        }
        let file = fresh.create_snapshot(shard)?;
        Ok(ShardFile { shard, encoder, file, db: None, keys: 0, written: 0, synced: 0 })
    }

    #[inline]
    fn select(&mut self, db: u64) -> Result<(), FileError> {
        self.keys += 1;
        if self.db != Some(db) {
            self.encoder.select_db(db)?;
            self.db = Some(db);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn copy(&mut self, record: &KeyRecord<'_>) -> Result<(), FileError> {
        self.select(record.db)?;
        for piece in record.bytes.chunks(PIECE_BYTES) {
            self.encoder.copy_records(piece)?;
            self.relieve()?;
        }
        Ok(())
    }

    /// Writes a value in a form of version 10.
    fn convert(
        &mut self,
        record: &KeyRecord<'_>,
        key: &[u8],
        scratch: &mut Scratch,
    ) -> Result<(), FileError> {
        let count = record.value.count(scratch)?;
        self.select(record.db)?;
        let KeyRecord { expires_at_ms, idle_seconds, frequency, .. } = *record;
        let encoder = self.encoder.key(key, KeyMeta { expires_at_ms, idle_seconds, frequency })?;
        match record.value.value_type() {
            ValueType::Set => encoder.begin_set(count)?,
            ValueType::Hash => encoder.begin_hash(count)?,
            _ => return Err(FileError::Form("its form is newer than version 10 of the format")),
        }
        let (mut first, mut second) = (StringBuffer::default(), StringBuffer::default());
        record.value.for_each(scratch, |element| {
            match element {
                Element::SetMember(member) => self.encoder.set_member(member.bytes(&mut first)?)?,
                Element::HashField { field, value, expires_at_ms: None } => {
                    self.encoder.hash_field(field.bytes(&mut first)?, value.bytes(&mut second)?)?;
                }
                Element::HashField { .. } => return Err(FileError::Form("fields that expire")),
                _ => {}
            }
            self.relieve()
        })
    }

    #[inline]
    fn relieve(&mut self) -> Result<(), FileError> {
        if self.encoder.pending().len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.file.write_all_at(self.written, self.encoder.pending())?;
        self.written += self.encoder.pending().len() as u64;
        self.encoder.clear_pending();
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<SnapshotEntry, FileError> {
        self.encoder.finish()?;
        let crc64 = self.encoder.pending().last_chunk().copied().map_or(0, u64::from_le_bytes);
        self.flush()?;
        self.file.sync_data()?;
        Ok(SnapshotEntry { shard: self.shard, bytes: self.written, keys: self.keys, crc64 })
    }
}
