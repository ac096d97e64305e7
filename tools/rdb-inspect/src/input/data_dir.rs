//! A data directory of Everfast as one RDB file: recovered in memory, written to a temporary file without a name.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use everfast::persist::disk::RealDisk;
use everfast::persist::file_names;
use everfast::persist::{PersistError, RecoveryReport};
use everfast::server::ServerError;
use everfast::server::offline::{self, Offline};
use everfast::store::{Entry, Frozen, ValueRef};
use formats::rdb::encode::{EncodeError, EncodeVersion, Encoder, KeyMeta};

use crate::failure::{Failure, say};
use crate::interrupt;

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The keys of `dir`, as a server that starts on it would serve them. What had to be left out is told on stderr.
pub fn as_rdb(dir: &Path) -> Result<File, Failure> {
    if !dir.join(file_names::MANIFEST).exists() {
        return Err(no_data_dir(dir));
    }
    let data = offline::load(Arc::new(RealDisk), dir).map_err(|error| failure(dir, &error))?;
    tell_cuts(dir, &data.report);
    let mut file = tempfile::tempfile().map_err(Failure::Output)?;
    write(data, &mut file)?;
    Ok(file)
}

/// Says what to name instead, where the directory is one of Redis or Valkey.
fn no_data_dir(dir: &Path) -> Failure {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return Failure::file(dir, error),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let ends = |path: &Path, ending: &str| path.extension().is_some_and(|extension| extension == ending);
    let rdb = paths.iter().find(|path| ends(path, "rdb")).map(|path| format!("name {}", path.display()));
    let holds_manifest = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.filter_map(Result::ok).any(|entry| ends(&entry.path(), "manifest"))
    };
    let log = match paths.iter().any(|path| path.is_dir() && holds_manifest(path)) {
        true => Some(dir),
        false if holds_manifest(dir) => Some(dir),
        false => paths.iter().find(|path| ends(path, "aof")).map(PathBuf::as_path),
    };
    let log = log.map(|path| format!("for the log use `rdb-inspect log {}`", path.display()));
    let advice: Vec<String> = rdb.into_iter().chain(log).collect();
    let what = match advice.is_empty() {
        true => "no data directory of Everfast: it has no MANIFEST".to_owned(),
        false => format!("a directory of Redis or Valkey: {}", advice.join("; ")),
    };
    Failure::file(dir, io::Error::new(io::ErrorKind::InvalidInput, what))
}

fn failure(dir: &Path, error: &ServerError) -> Failure {
    match error {
        ServerError::Persist(PersistError::Locked { .. }) => {
            let error = io::Error::new(io::ErrorKind::WouldBlock, "a server runs on this data directory");
            Failure::file(dir, error)
        }
        ServerError::Persist(PersistError::Io { .. }) => {
            Failure::file(dir, io::Error::other(error.to_string()))
        }
        damage => Failure::Damage { name: dir.display().to_string(), what: damage.to_string() },
    }
}

fn tell_cuts(dir: &Path, report: &RecoveryReport) {
    let dir = dir.display();
    for tail in &report.tails {
        say!("rdb-inspect: {dir}: torn end left out: {tail:?}");
    }
    if !report.transactions_cut.is_empty() {
        let (cut, effects) = (report.transactions_cut.len(), report.effects_cut);
        say!("rdb-inspect: {dir}: {cut} incomplete transactions left out ({effects} effects)");
    }
}

fn write(data: Offline, file: &mut File) -> Result<(), Failure> {
    let mut encoder = Encoder::new(EncodeVersion::default(), false);
    encoder.aux(b"everfast-ver", env!("CARGO_PKG_VERSION").as_bytes()).map_err(impossible)?;
    for (db, parts) in data.databases {
        let keys = parts.iter().map(|part| part.len() as u64).sum();
        let expires = parts.iter().map(|part| part.expires_len() as u64).sum();
        encoder.select_db(db.into()).and_then(|()| encoder.resize_db(keys, expires)).map_err(impossible)?;
        for part in parts {
            write_part(part, &mut encoder, file)?;
        }
    }
    encoder.finish().map_err(impossible)?;
    drain(&mut encoder, file)
}

fn write_part(part: Frozen, encoder: &mut Encoder, file: &mut File) -> Result<(), Failure> {
    for page in part {
        for entry in page.entries() {
            write_entry(&entry, encoder)?;
        }
        if encoder.pending().len() >= CHUNK_BYTES {
            interrupt::check()?;
            drain(encoder, file)?;
        }
    }
    Ok(())
}

fn write_entry(entry: &Entry<'_>, encoder: &mut Encoder) -> Result<(), Failure> {
    let expires_at_ms = entry.expire_at.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let meta = KeyMeta { expires_at_ms, ..KeyMeta::default() };
    let key = encoder.key(entry.key, meta).map_err(impossible)?;
    match entry.value {
        ValueRef::Str(value) => key.string(value).map_err(impossible),
    }
}

fn drain(encoder: &mut Encoder, file: &mut File) -> Result<(), Failure> {
    file.write_all(encoder.pending()).map_err(Failure::Output)?;
    encoder.clear_pending();
    Ok(())
}

/// The encoder refuses what cannot be encoded, and a keyspace holds nothing of that kind.
fn impossible(error: EncodeError) -> Failure {
    Failure::Output(io::Error::other(error))
}
