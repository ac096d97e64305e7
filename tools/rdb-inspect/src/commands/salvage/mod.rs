//! `salvage`: all that can be read of a damaged file, in a sound one.

mod candidate;
mod partial;
mod report;
mod scan;
#[cfg(test)]
mod tests;

use formats::rdb::version::HEADER_BYTES;
use formats::rdb::{Dialect, KeyRecord, Version};
use std::collections::BTreeMap;

use self::report::Report;
use self::scan::{Found, Scan, Scanner, each_item, head_at};
use crate::bits::Bits;
use crate::duplicates::{Take, each_duplicate};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::{Place, TableMemory};
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
/// not look like chance. Which database its keys belong to is then not known: they are put into the last one known until
/// the file names another. A key that comes a second time is left out.
///
/// A change of bytes within a string that was not compressed cannot be noticed: of a file whose checksum is wrong, all values
/// are to be taken with care. Exit code 0: nothing was lost, 1: something was; the file is written in both cases.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: FromTo,
    /// Keep what can be read of broken collections: elements up to where they break, without those that cannot be unpacked;
    /// of streams, nodes that are sound, without groups
    #[arg(long)]
    partial: bool,
    /// Version to read the file as where its first bytes do not say: 10, 11, 12, 80
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    assume_version: Option<Version>,
    /// Name at most so many keys and places; all are counted
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    memory: TableMemory,
    /// One JSON object: file, version_read, version_assumed, version_written, keys_written, checksum_good,
    /// keys_of_assumed_db, keys_lost (of those that could be counted), lost (offset, db, key, problem), bytes_lost, ranges
    /// (start, end, problem, db, key), partial_keys, partial (db, key, elements), repeated_keys
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let input = args.files.open()?;
    let (report, output) = salvage(&input, args, Output::to(Some(&args.files.output))?)?;
    output.finish()?;
    if args.files.output.as_os_str() == "-" {
        let mut text = Vec::new();
        report.write(args.json, &mut text);
        eprint!("{}", String::from_utf8_lossy(&text));
    } else {
        let mut output = Output::to(None)?;
        report.write(args.json, output.buffer());
        output.finish()?;
    }
    Ok(Verdict::of(!report.is_sound()))
}

/// Writes what can be read to `sink`.
fn salvage<S: Sink>(input: &Input, args: &Args, sink: S) -> Result<(Report, S), Failure> {
    let (version, is_guess) = version_of(input.bytes(), args.assume_version);
    let scan = Scanner::new(input.bytes(), version, is_guess, args.limit).scan(HEADER_BYTES)?;
    let repeated = repeated_keys(input.bytes(), version, &scan, args)?;
    let mut report = Report::new(input, version, is_guess);
    let sink = write(input, &scan, &repeated, args, &mut report, sink)?;
    report.take(scan, repeated.count(), args.limit);
    Ok((report, sink))
}

/// The version that the file names, or else the likeliest; whether it is a guess.
fn version_of(file: &[u8], assumed: Option<Version>) -> (Version, bool) {
    if let Ok(version) = Version::parse(file) {
        return (version, false);
    }
    if let Some(version) = assumed {
        return (version, true);
    }
    let likeness = |magic: &[u8]| magic.iter().zip(file).filter(|(a, b)| a == b).count();
    let (redis, valkey) = (likeness(b"REDIS00"), likeness(b"VALKEY080"));
    if valkey > redis {
        return (Version::valkey(80), true);
    }
    let digits = file.get(5..9).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok()).filter(|number| (1..=12).contains(number));
    (Version::redis(number.unwrap_or(10)), true)
}

/// The version to write: the one that was read, unless that has not all forms of values.
fn version_to_write(version: Version, scan: &Scan) -> Version {
    match version.dialect {
        Dialect::Redis => Version::redis(version.number.max(scan.needs_version)),
        Dialect::Valkey => version,
    }
}

/// Which keys come a second time, by number.
fn repeated_keys<'a>(file: &'a [u8], version: Version, scan: &Scan, args: &Args) -> Result<Bits, Failure> {
    let mut repeated = Bits::default();
    let number = std::cell::Cell::new(0);
    let records = |take: Take<'_, 'a>| {
        // Sound ones first: a part is kept only of keys that are nowhere whole.
        [false, true].into_iter().filter(|&broken| !broken || args.partial).try_for_each(|broken| {
            each_item(file, version, scan, |found| {
                let (key, record) = match found {
                    Found::Key(key, record) if scan.broken.get(key) == broken => (key, Some(record)),
                    Found::Lost(key, lost) if broken => (key, lost.record(file, version)),
                    _ => return Ok(()),
                };
                number.set(key);
                record.map_or(Ok(()), &mut *take)
            })
        })
    };
    let again = |place: Place| head_at(file, place.offset, version, place.db);
    each_duplicate(scan.keys, args.memory.bytes, records, again, |_, _| {
        repeated.set(number.get());
        Ok(())
    })?;
    Ok(repeated)
}

fn write<S: Sink>(
    input: &Input,
    scan: &Scan,
    repeated: &Bits,
    args: &Args,
    report: &mut Report,
    sink: S,
) -> Result<S, Failure> {
    let version = version_to_write(report.version_read, scan);
    let mut file = RdbFile::new(version, sink, BTreeMap::new());
    let mut items = ItemWriter::new(true);
    let mut records = RecordWriter::new(true, false);
    let read = report.version_read;
    let mut part = |file: &mut RdbFile<S>, record: Option<KeyRecord<'_>>| {
        let Some(record) = record.filter(|_| args.partial) else { return Ok(()) };
        let elements = partial::write(file, &record)?;
        report.kept_part(record.db, &names::kept(record.key), elements, args.limit);
        Ok(())
    };
    each_item(input.bytes(), read, scan, |found| match found {
        Found::Key(number, _) | Found::Lost(number, _) if repeated.get(number) => Ok(()),
        Found::Key(number, record) if !scan.broken.get(number) => records.write(&mut file, &record),
        Found::Key(_, record) => part(&mut file, Some(record)),
        Found::Lost(_, lost) => part(&mut file, lost.record(input.bytes(), read)),
        Found::Item(item) => items.write(&mut file, &item),
    })?;
    report.version_written = version;
    report.keys_written = file.keys();
    file.finish()
}
