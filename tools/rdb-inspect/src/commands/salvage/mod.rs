//! `salvage`: all that can be read of a damaged file, in a sound one.

mod candidate;
mod databases;
mod partial;
mod report;
mod scan;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use formats::rdb::error::Problem;
use formats::rdb::version::{HEADER_BYTES, REDIS_VERSIONS, VALKEY_VERSIONS};
use formats::rdb::{Dialect, KeyRecord, Version};

use self::databases::{AssumeDb, Repeats, Rules, settle};
use self::report::Report;
use self::scan::{Found, Scan, Scanner, each_item};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::TableMemory;
use crate::names;
use crate::output::Output;
use crate::rewrite::items::ItemWriter;
use crate::rewrite::record::RecordWriter;
use crate::rewrite::target::{FromTo, parse_version};
use crate::rewrite::{RdbFile, Sink};

/// Write all keys that can be read of a damaged file into a sound one
///
/// Reads the file as a server would. Where a value cannot be read, its key is left out. Where the end of a record cannot be
/// found, the next place is searched at which records start again: at least three that are sound in every respect and do
/// not look like chance. Records just before such a place are left out where they look like chance themselves, and named as
/// doubtful where nothing behind them confirms them; so is the first record behind such a place.
///
/// Which database the keys behind such a place belong to is not known until the file names one. They are put into the last
/// one known; but if there is another value under one of their names, all of them into one that the file does not use, so
/// that none is lost. A record that comes a second time is left out.
///
/// A change of bytes within a string that was not compressed cannot be noticed: of a file whose checksum is wrong, all values
/// are to be taken with care. Commands behind the end, in an append-only file, are not for an RDB file: see `log`. Exit code
/// 0: nothing was lost, 1: something was; the file is written in both cases.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: FromTo,
    /// Keep what can be read of broken collections: elements up to where they break, without those that cannot be unpacked;
    /// of streams, nodes that are sound, without groups
    #[arg(long)]
    partial: bool,
    /// Database for keys whose own is not known, or `spare`: one that the file does not use
    #[arg(long, value_name = "NUMBER")]
    assume_db: Option<AssumeDb>,
    /// Version to read the file as where its first bytes do not say, or one that is newer than this program: 10, 11, 12, 80
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    assume_version: Option<Version>,
    /// Name at most so many keys and places, which takes some hundred bytes of memory for each; all are counted
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    memory: TableMemory,
    /// One JSON object: file, version_read, version_assumed, version_written, keys_written, checksum_good (also
    /// where the file has none), command_bytes (behind the end, not written), keys_lost (of those that could be counted), lost (offset, db, key, problem), bytes_lost,
    /// ranges (start, end, problem, db, key), doubtful_keys and doubtful (offset, db, key), keys_of_assumed_db,
    /// runs_of_assumed_db and assumed_db (start, end, db, spare, keys), partial_keys and partial (db, key, elements),
    /// repeated_keys, repeated_keys_that_differ (which are lost) and repeated (offset, db, key, identical)
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let input = args.files.open()?;
    input.refuse_known_kinds()?;
    let destination = Output::to(Some(&args.files.output), std::slice::from_ref(&args.files.file))?;
    let (report, output) = salvage(&input, args, destination)?;
    output.finish()?;
    if args.files.output.as_os_str() == "-" {
        let mut text = Vec::new();
        report.write(args.json, &mut text);
        eprint!("{}", String::from_utf8_lossy(&text));
    } else {
        let mut output = Output::stdout();
        report.write(args.json, output.buffer());
        output.finish()?;
    }
    Ok(Verdict::of(!report.is_sound()))
}

/// Writes what can be read to `sink`.
fn salvage<S: Sink>(input: &Input, args: &Args, sink: S) -> Result<(Report, S), Failure> {
    let (version, is_guess) = version_of(input, args.assume_version)?;
    let mut scan = Scanner::new(input.bytes(), version, is_guess, args.limit).scan(HEADER_BYTES)?;
    let Args { assume_db, partial, limit, .. } = *args;
    let memory = args.memory.bytes;
    let repeats = settle(input.bytes(), version, &mut scan, Rules { assume_db, partial, limit, memory })?;
    let mut report = Report::new(input, version, is_guess);
    report.take_runs(&scan, limit);
    let sink = write(input, &scan, &repeats, args, &mut report, sink)?;
    report.take(scan, repeats);
    Ok((report, sink))
}

/// The version that the file names, or else the likeliest; whether it is a guess. Fails where the file is newer than this
/// program, unless the user says what to read it as.
fn version_of(input: &Input, assumed: Option<Version>) -> Result<(Version, bool), Failure> {
    let file = input.bytes();
    let newer = match Version::parse(file) {
        Ok(version) => return Ok((version, false)),
        Err(error) => match *error.problem() {
            Problem::UnknownVersion { found } if found > newest(file) => Some(found),
            _ => None,
        },
    };
    match (assumed, newer) {
        (Some(version), _) => Ok((version, true)),
        (None, Some(found)) => Err(Failure::Usage(format!(
            "{}: RDB version {found} is newer than this program; if that is damage, --assume-version says what to read it as",
            input.name
        ))),
        (None, None) => Ok((likeliest_version(file), true)),
    }
}

/// The newest version that is understood, of the dialect that the file names.
fn newest(file: &[u8]) -> u16 {
    *if file.starts_with(b"VALKEY") { VALKEY_VERSIONS } else { REDIS_VERSIONS }.end()
}

fn likeliest_version(file: &[u8]) -> Version {
    let likeness = |magic: &[u8]| magic.iter().zip(file).filter(|(a, b)| a == b).count();
    let (redis, valkey) = (likeness(b"REDIS00"), likeness(b"VALKEY080"));
    if valkey > redis {
        return Version::valkey(80);
    }
    let digits = file.get(5..9).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=12).contains(number));
    Version::redis(number.unwrap_or(10))
}

/// The version to write: the one that was read, unless that has not all forms of values.
fn version_to_write(version: Version, scan: &Scan) -> Version {
    match version.dialect {
        Dialect::Redis => Version::redis(version.number.max(scan.needs_version)),
        Dialect::Valkey => version,
    }
}

fn write<S: Sink>(
    input: &Input,
    scan: &Scan,
    repeats: &Repeats,
    args: &Args,
    report: &mut Report,
    sink: S,
) -> Result<S, Failure> {
    let version = version_to_write(report.version_read, scan);
    let mut file = RdbFile::new(version, sink, BTreeMap::new());
    let mut items = ItemWriter::new(true);
    let mut records = RecordWriter::new(true, false);
    let read = report.version_read;
    let part = |file: &mut RdbFile<S>, report: &mut Report, record: Option<KeyRecord<'_>>| {
        let Some(record) = record.filter(|_| args.partial) else { return Ok(()) };
        let elements = partial::write(file, &record)?;
        report.kept_part(record.db, &names::kept(record.key), elements, args.limit);
        Ok(())
    };
    each_item(input.bytes(), read, scan, |found| match found {
        Found::Key { number, .. } | Found::Lost(number, _) if repeats.dropped.get(number) => Ok(()),
        Found::Key { number, record, unknown_run } if !scan.broken.get(number) => {
            report.count_in_run(unknown_run);
            records.write(&mut file, &record)
        }
        Found::Key { record, .. } => part(&mut file, report, Some(record)),
        Found::Lost(_, record) => part(&mut file, report, record),
        Found::Item(item) => items.write(&mut file, &item),
    })?;
    report.version_written = version;
    report.keys_written = file.keys();
    file.finish()
}
