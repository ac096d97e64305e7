//! What is to be imported: found, mapped and gone through from end to end before anything is written.
//!
//! ```text
//! dump.rdb                        an RDB file
//! appendonly.aof                  commands, behind an RDB file or not
//! appendonlydir/*.manifest        names a base (either of the above) and increments (commands)
//! ```
//!
//! Invariants:
//! 1. Only the end of the last file may be torn, as Redis has it: what is torn is left out and told. Everywhere else
//!    damage is an error with its place.
//! 2. A transaction without its EXEC does not count.

use std::path::{Path, PathBuf};

use formats::aof::{AofItem, AofKind, AofReader, FileType, Manifest, ManifestFile, aof_kind};
use formats::checksum::Crc64;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, RdbError, RdbString, Scratch};

use super::{ImportError, LeftOut};
use crate::persist::disk::{Disk, Mapping};
use crate::persist::file_names::FileKind;

/// Most bytes of a manifest.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// Summed, or gone through, at once: then its memory is given back.
const PIECE_BYTES: usize = 1 << 20;
/// The directory that Redis makes for its append-only files.
const APPEND_DIR: &str = "appendonlydir";
const MANIFEST_SUFFIX: &str = ".manifest";
const OURS: &str = "a data directory of Everfast, not of Redis: start a server on it, or make a new one of it with \
                    `everfast-recover replay` or, if it is damaged, `salvage`";
const PART: &str = "the snapshot of one of several shards of Everfast, so a part of the keys: name the data directory to \
                    `everfast-recover replay` or, if it is damaged, `salvage`";

/// One file.
pub struct Source {
    pub path: PathBuf,
    pub map: Mapping,
    /// Bytes of the RDB file at its start.
    pub rdb_bytes: usize,
    /// Up to here its commands count.
    pub end: usize,
    pub rdb_version: Option<String>,
    /// When the RDB file was made, in seconds since 1970, if it says so.
    created_s: Option<u64>,
}

impl Source {
    pub fn open(disk: &dyn Disk, path: PathBuf) -> Result<Source, ImportError> {
        let map = disk.map(&path).map_err(ImportError::io("open", &path))?;
        let end = map.len();
        Ok(Source { path, map, rdb_bytes: 0, end, rdb_version: None, created_s: None })
    }

    /// An RDB file that was verified, or has just been written.
    pub fn whole_rdb(path: PathBuf, map: Mapping) -> Source {
        let end = map.len();
        Source { path, map, rdb_bytes: end, end, rdb_version: None, created_s: None }
    }

    pub fn rdb(&self) -> &[u8] {
        &self.map[..self.rdb_bytes]
    }

    pub fn commands(&self) -> &[u8] {
        &self.map[self.rdb_bytes..self.end]
    }

    pub fn damaged(&self, offset: u64, what: String) -> ImportError {
        ImportError::Damaged { file: self.path.clone(), offset, what }
    }

    pub fn unsupported(&self, offset: u64, what: String) -> ImportError {
        ImportError::Unsupported { file: self.path.clone(), offset, what }
    }

    pub fn functions(&self, offset: u64) -> ImportError {
        ImportError::Functions { file: self.path.clone(), offset }
    }

    fn damaged_rdb(&self) -> impl Fn(RdbError) -> ImportError + use<'_> {
        |error| self.damaged(error.offset(), error.to_string())
    }
}

/// All files, in order.
pub struct Sources {
    pub files: Vec<Source>,
    pub left_out: Option<LeftOut>,
}

impl Sources {
    /// Finds and checks them. `until_ms`: commands behind this time do not count.
    pub fn open(disk: &dyn Disk, from: &Path, until_ms: Option<u64>) -> Result<Sources, ImportError> {
        let paths = find(disk, from)?;
        let mut all = Sources { files: Vec::new(), left_out: None };
        let mut times = Times { until_ms, is_told: false, is_over: false };
        let last = paths.len() - 1;
        for (index, (path, may_be_empty)) in paths.into_iter().enumerate() {
            let mut source = Source::open(disk, path)?;
            if source.map.is_empty() && !may_be_empty {
                return Err(ImportError::unknown(&source.path, "it is empty"));
            }
            read_rdb(&mut source, index == 0)?;
            let left_out = match times.is_over {
                true => Some((source.rdb_bytes as u64, "it comes after the time asked for".to_owned())),
                false => end_of_commands(&source, index == last, &mut times)?,
            };
            if let Some((offset, why)) = left_out {
                let bytes = source.map.len() as u64 - offset;
                source.end = offset as usize;
                let (file, is_torn) = (source.path.clone(), !times.is_over);
                all.left_out.get_or_insert(LeftOut { file, offset, bytes, why, is_torn });
            }
            all.files.push(source);
        }
        all.check_limit(&times)?;
        Ok(all)
    }

    /// Whether the point in time that is asked for can be found at all.
    fn check_limit(&self, times: &Times) -> Result<(), ImportError> {
        let (Some(until_ms), Some(first)) = (times.until_ms, self.files.first()) else { return Ok(()) };
        let no_such = |what| Err(ImportError::NoSuchMoment { file: first.path.clone(), what });
        match first.created_s {
            Some(created) if created.saturating_mul(1000) > until_ms => {
                no_such(format!("the RDB file at the start was made later, {created} s after 1970"))
            }
            _ if !times.is_told && self.has_commands() => {
                no_such("no times stand in it (`aof-timestamp-enabled` was off)".to_owned())
            }
            _ => Ok(()),
        }
    }

    pub fn has_commands(&self) -> bool {
        self.files.iter().any(|file| !file.commands().is_empty())
    }

    /// Bytes that will be gone through.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.end as u64).sum()
    }
}

/// The files in the order in which they are read, and which of them may be empty.
fn find(disk: &dyn Disk, from: &Path) -> Result<Vec<(PathBuf, bool)>, ImportError> {
    let Ok(names) = disk.list(from) else {
        let is_manifest = from.to_string_lossy().ends_with(MANIFEST_SUFFIX);
        return if is_manifest { named(disk, from) } else { Ok(vec![(from.to_path_buf(), false)]) };
    };
    let mut manifests: Vec<&String> = names.iter().filter(|name| name.ends_with(MANIFEST_SUFFIX)).collect();
    manifests.sort();
    match manifests[..] {
        [manifest] => named(disk, &from.join(manifest)),
        [_, _, ..] => Err(ImportError::unknown(from, "several manifests: name one of them")),
        [] if names.iter().any(|name| name == APPEND_DIR) => find(disk, &from.join(APPEND_DIR)),
        [] if names.iter().any(|name| is_ours(name)) => Err(ImportError::unknown(from, OURS)),
        [] => Err(ImportError::unknown(
            from,
            "a directory without a manifest of append-only files; name an RDB file, an append-only file or `appendonlydir`",
        )),
    }
}

/// A file of a data directory of Everfast.
fn is_ours(name: &str) -> bool {
    matches!(FileKind::of(name), FileKind::Manifest | FileKind::Segment(..) | FileKind::Snapshot(..))
}

fn named(disk: &dyn Disk, manifest: &Path) -> Result<Vec<(PathBuf, bool)>, ImportError> {
    let bytes = disk.read(manifest, MAX_MANIFEST_BYTES).map_err(ImportError::io("read", manifest))?;
    let parsed = Manifest::parse(&bytes).map_err(|error| ImportError::Damaged {
        file: manifest.to_path_buf(),
        offset: 0,
        what: error.to_string(),
    })?;
    let dir = manifest.parent().unwrap_or(Path::new("."));
    let path = |name: &[u8]| dir.join(String::from_utf8_lossy(name).as_ref());
    let is_increment = |file: &ManifestFile| file.file_type == FileType::Increment;
    let file = |file: &ManifestFile| (path(&file.name), is_increment(file));
    let paths: Vec<(PathBuf, bool)> = parsed.files_to_load().map(file).collect();
    if paths.is_empty() { Err(ImportError::unknown(manifest, "it names no file to load")) } else { Ok(paths) }
}

/// Goes through the RDB file at the start, if there is one.
fn read_rdb(source: &mut Source, is_first: bool) -> Result<(), ImportError> {
    match aof_kind(&source.map) {
        AofKind::Empty | AofKind::Commands => return Ok(()),
        AofKind::RdbPreamble if is_first => {}
        AofKind::RdbPreamble => {
            return Err(source.damaged(0, "an RDB file where only commands belong".to_owned()));
        }
        AofKind::Unknown => {
            return Err(ImportError::unknown(&source.path, "neither an RDB file nor an append-only file"));
        }
    }
    let mut decoder = Decoder::new(&source.map).map_err(source.damaged_rdb())?;
    let (mut created_s, mut forgotten) = (None, 0);
    let has_sum = loop {
        let done = decoder.offset() as usize;
        if done - forgotten >= PIECE_BYTES {
            source.map.forget(forgotten..done);
            forgotten = done;
        }
        match decoder.next_item().map_err(source.damaged_rdb())? {
            Some(Item::Aux { name, value }) => {
                created_s = created_s.or(number(name, value, b"ctime"));
                if number(name, value, b"everfast-shards").is_some_and(|shards| shards > 1) {
                    return Err(ImportError::unknown(&source.path, PART));
                }
            }
            Some(Item::End { checksum }) => break checksum.is_some_and(|checksum| checksum != 0),
            Some(_) => {}
            None => return Err(source.damaged(decoder.offset(), "the file ends early".to_owned())),
        }
    };
    let (bytes, version) = (decoder.offset() as usize, decoder.version().to_string());
    (source.rdb_bytes, source.created_s, source.rdb_version) = (bytes, created_s, Some(version));
    if has_sum { check_sum(source) } else { check_values(source) }
}

/// The number of a fact with this name.
fn number(name: RdbString<'_>, value: RdbString<'_>, wanted: &[u8]) -> Option<u64> {
    let (mut first, mut second) = (StringBuffer::default(), StringBuffer::default());
    let is_it = name.bytes(&mut first).is_ok_and(|name| name == wanted);
    std::str::from_utf8(value.bytes(&mut second).ok().filter(|_| is_it)?).ok()?.parse().ok()
}

fn check_sum(source: &Source) -> Result<(), ImportError> {
    let end = source.rdb_bytes.saturating_sub(size_of::<u64>());
    let (mut crc, mut at) = (Crc64::new(), 0);
    for piece in source.map[..end].chunks(PIECE_BYTES) {
        crc.update(piece);
        source.map.forget(at..at + piece.len());
        at += piece.len();
    }
    let (found, computed) = (&source.map[end..source.rdb_bytes], crc.value());
    if found == computed.to_le_bytes() {
        return Ok(());
    }
    Err(source
        .damaged(end as u64, format!("its checksum does not fit: that of the bytes is {computed:016x}")))
}

/// Decodes everything in a file without a checksum.
fn check_values(source: &Source) -> Result<(), ImportError> {
    let mut decoder = Decoder::new(source.rdb()).map_err(source.damaged_rdb())?;
    let mut scratch = Scratch::default();
    while let Some(item) = decoder.next_item().map_err(source.damaged_rdb())? {
        if let Item::Key(record) = item {
            let checked = record.key.check().and_then(|()| record.value.check(&mut scratch));
            checked.map_err(source.damaged_rdb())?;
        }
    }
    Ok(())
}

/// The times that stand in the files.
struct Times {
    until_ms: Option<u64>,
    is_told: bool,
    is_over: bool,
}

/// Where the commands cease to count before the file ends, and why.
fn end_of_commands(
    source: &Source,
    is_last: bool,
    times: &mut Times,
) -> Result<Option<(u64, String)>, ImportError> {
    let start = source.rdb_bytes;
    let mut reader = AofReader::new(&source.map[start..], start as u64);
    loop {
        let open = reader.open_transaction();
        match reader.next_record() {
            Ok(Some(record)) => {
                let AofItem::Timestamp(seconds) = record.item else { continue };
                times.is_told = true;
                times.is_over = times.until_ms.is_some_and(|until| seconds.saturating_mul(1000) > until);
                if times.is_over {
                    let why = format!("it was written {seconds} s after 1970, after the time asked for");
                    return Ok(Some((open.unwrap_or(record.offset), why)));
                }
            }
            Ok(None) => return Ok(None),
            Err(error) if error.is_torn() && is_last => {
                return Ok(Some((reader.complete_until(), error.to_string())));
            }
            Err(error) => {
                let note = if error.is_torn() { "; other files follow, so it may not be torn" } else { "" };
                return Err(source.damaged(error.record_offset(), format!("{error}{note}")));
            }
        }
    }
}
