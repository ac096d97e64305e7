//! `verify`: whether a file is sound, and where not.

mod report;

use formats::rdb::{Item, KeyRecord, RdbError, ValueType};

use self::report::{Broken, Report};
use crate::cli::Files;
use crate::duplicates::{Take, each_duplicate};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::{Place, TableMemory};
use crate::names;
use crate::output::Output;
use crate::soundness::Checker;
use crate::walk::{Findings, walk, walk_again};

/// Check files: framing, the content of every value, checksum
///
/// Reads every record and every element, as a server would that loads the file, and the checksum. Where a value is
/// broken but its end is known, the check goes on behind it; where the end of a record cannot be found it stops, and
/// `salvage` may find more. Exit code 0: sound, 1: damaged, 2: cannot be read.
///
/// Two elements of one collection that are equal are found; two keys that are equal only with --duplicates. A server
/// refuses to load a file that has either.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Also look for keys that stand in the file twice; takes a table of 24 bytes a key, and several passes if --memory
    /// is not enough for it
    #[arg(long)]
    duplicates: bool,
    #[command(flatten)]
    memory: TableMemory,
    /// Name at most so many broken values and repeated keys; all are counted
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
    /// One JSON object a file and line: file, version, bytes, verdict (sound, damaged), keys, expiring, databases,
    /// functions, elements, checksum (good, wrong, absent, unknown), damage (null, or offset, reading, problem, key,
    /// bytes_not_verified), broken_values, broken (offset, db, key, type, problem), empty_collections, overlong_lengths,
    /// trailing_bytes, command_bytes (of an append-only file), duplicate_keys (null if not looked for), duplicates
    /// (db, key, offsets)
    #[arg(long)]
    json: bool,
    /// Say nothing of sound files
    #[arg(long, short)]
    quiet: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = Output::to(None)?;
    let mut sound = true;
    for input in Input::open_all(&args.files.files)? {
        let report = verify(&input, args)?;
        sound &= report.is_sound();
        match () {
            () if args.json => report.write_json(output.buffer()),
            () if args.quiet && report.is_sound() => {}
            () => report.write_text(output.buffer()),
        }
        output.flow()?;
    }
    output.finish()?;
    Ok(Verdict::of(!sound))
}

fn verify(input: &Input, args: &Args) -> Result<Report, Failure> {
    let mut pass =
        Pass { report: Report::new(input), checker: Checker::default(), limit: args.limit, db: None };
    let findings = walk(input, |item| {
        pass.item(&item);
        Ok(())
    })?;
    let mut report = pass.report;
    if args.duplicates {
        find_duplicates(input, &findings, args, &mut report)?;
    }
    report.findings = Some(findings);
    Ok(report)
}

/// The one pass over a file.
struct Pass {
    report: Report,
    checker: Checker,
    limit: usize,
    db: Option<u64>,
}

impl Pass {
    fn item(&mut self, item: &Item<'_>) {
        let report = &mut self.report;
        let result = match item {
            Item::Key(record) => return self.key(record),
            Item::Aux { name, value } => name.check().and_then(|()| value.check()),
            Item::Function { code } => {
                report.functions += 1;
                code.check()
            }
            Item::FunctionPreGa { .. } => {
                report.pre_ga_functions += 1;
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = result {
            self.broken(None, &error);
        }
    }

    #[inline]
    fn key(&mut self, record: &KeyRecord<'_>) {
        self.report.keys += 1;
        self.report.expiring += u64::from(record.expires_at_ms.is_some());
        if self.db != Some(record.db) {
            self.db = Some(record.db);
            self.report.saw_db(record.db);
        }
        let checked = record.key.check().and_then(|()| self.checker.check(&record.value));
        match checked {
            Ok(elements) => {
                self.report.elements += elements;
                if elements == 0 && record.value.value_type() != ValueType::Stream {
                    self.report.empty += 1;
                }
            }
            Err(error) => self.broken(Some(record), &error),
        }
    }

    #[cold]
    fn broken(&mut self, record: Option<&KeyRecord<'_>>, error: &RdbError) {
        self.report.broken_values += 1;
        if self.report.broken.len() < self.limit {
            self.report.broken.push(Broken::new(record, error));
        }
    }
}

fn find_duplicates<'a>(
    input: &'a Input,
    findings: &Findings,
    args: &Args,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(version) = findings.version else { return Ok(()) };
    let mut count = 0;
    let named = &mut report.duplicates;
    let scan = |take: Take<'_, 'a>| {
        walk_again(input, |item| match item {
            Item::Key(record) => take(record),
            _ => Ok(()),
        })
    };
    let again = |place: Place| place.record(input.bytes(), version);
    each_duplicate(report.keys, args.memory.bytes, scan, again, |record, first| {
        count += 1;
        if named.len() < args.limit {
            named.push((record.db, names::kept(record.key), first.offset, record.offset));
        }
        Ok(())
    })?;
    report.duplicate_keys = Some(count);
    Ok(())
}

/// Whether a file is sound and has no key twice.
#[cfg(test)]
pub fn is_sound(input: &Input) -> Result<bool, Failure> {
    let files = Files { files: Vec::new() };
    let args =
        Args { files, duplicates: true, memory: TableMemory::default(), limit: 1, json: false, quiet: false };
    Ok(verify(input, &args)?.is_sound())
}
