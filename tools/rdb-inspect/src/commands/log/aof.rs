//! Append-only files of Redis and Valkey, one or a directory of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use formats::aof::{AofError, AofItem, AofKind, AofLimits, AofReader, AofRecord, Manifest, aof_kind};
use formats::checksum::Crc64;
use formats::rdb::{Decoder, Item};

use super::command::Command;
use super::report::{FileFacts, Finding, Kind, Preamble, Report};
use super::sink::Sink;
use crate::content::Stop;
use crate::failure::Failure;
use crate::input::Input;
use crate::interrupt;
use crate::progress::Progress;

/// Most arguments of commands behind a damaged place that are taken for commands.
const RESUMED_ARGS: u64 = 1024;
/// Commands that must follow each other there, if the file is not at its end before.
const RESUMED_COMMANDS: usize = 3;
/// Bytes between two looks at the signals.
const CHUNK_BYTES: usize = 1 << 20;
/// Records between two updates of the progress bar.
const RECORDS_BETWEEN_UPDATES: u32 = 1 << 14;
/// Most bytes of a manifest.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Reads one file.
pub fn file(input: &Input, max_args: u64, sink: &mut Sink<'_>) -> Result<Report, Failure> {
    let mut report = Report::new(&input.name, Kind::AppendOnlyFile);
    let name = Path::new(&input.name).file_name().map_or(input.name.as_str().into(), OsStr::to_string_lossy);
    read(input, &name, "commands", max_args, sink, &mut report)?;
    let is_rdb =
        |file: &FileFacts| file.preamble.as_ref().is_some_and(|preamble| preamble.bytes == file.bytes);
    if report.files.iter().any(is_rdb) {
        report.remarks.push("an RDB file without commands behind it: see `rdb-inspect summary`".to_owned());
    }
    Ok(report)
}

/// What is in a folder, in the order of names.
pub fn paths_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut paths: Vec<PathBuf> = entries.map_err(|error| Failure::file(dir, error))?;
    paths.sort();
    Ok(paths)
}

/// The manifest in `dir`, if there is one and only one.
pub fn manifest_in(dir: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut found = paths_in(dir)?;
    found.retain(|path| is_manifest(path));
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(Failure::Usage(format!(
            "{} holds {} manifests: name one of them, such as {}",
            dir.display(),
            found.len(),
            found[0].display()
        ))),
    }
}

/// Whether this is called as the manifest of an append-only directory.
pub fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "manifest")
}

/// Reads the files that a manifest names.
pub fn directory(name: &str, manifest: &Path, max_args: u64, sink: &mut Sink<'_>) -> Result<Report, Failure> {
    let mut report = Report::new(name, Kind::AppendOnlyDirectory);
    let shown = manifest.display().to_string();
    let input = Input::open(manifest)?;
    if input.len() > MAX_MANIFEST_BYTES {
        return Err(Failure::Damage { name: shown, what: "too long for a manifest".into() });
    }
    let files = match Manifest::parse(input.bytes()) {
        Ok(manifest) => manifest,
        Err(error) => return Err(Failure::Damage { name: shown, what: error.to_string() }),
    };
    if !files.history.is_empty() {
        report.remarks.push(format!("{} files of the past that are no longer needed", files.history.len()));
    }
    let dir = manifest.parent().unwrap_or(Path::new("."));
    let last = files.files_to_load().count().saturating_sub(1);
    for (i, file) in files.files_to_load().enumerate() {
        let path = dir.join(OsStr::from_bytes(&file.name));
        let role = if files.base.is_some() && i == 0 { "base" } else { "increment" };
        let name = String::from_utf8_lossy(&file.name).into_owned();
        let input = match Input::open(&path) {
            Ok(input) => input,
            Err(Failure::File { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                report.findings.push(Finding::damage(
                    &name,
                    None,
                    "the manifest names this file, but it is missing".into(),
                ));
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let findings = report.findings.len();
        let wants_more = read(&input, &name, role, max_args, sink, &mut report)?;
        if i < last
            && let Some(finding) = report.findings.get_mut(findings)
        {
            finding.what.push_str(" (files follow: a server refuses this whatever aof-load-truncated says)");
        }
        if !wants_more {
            break;
        }
    }
    Ok(report)
}

/// Reads one file into the report. `false`: no more commands are wanted.
fn read(
    input: &Input,
    name: &str,
    role: &'static str,
    max_args: u64,
    sink: &mut Sink<'_>,
    report: &mut Report,
) -> Result<bool, Failure> {
    let bytes = input.bytes();
    let mut facts = FileFacts::new(name.to_owned(), role, input.len());
    let start = match aof_kind(bytes) {
        AofKind::Empty | AofKind::Commands => Ok(0),
        AofKind::RdbPreamble => read_preamble(bytes, name, &mut facts, report)?,
        AofKind::Unknown => {
            Err(Finding::damage(name, Some(0), "neither commands nor an RDB file; nothing was read".into()))
        }
    };
    let end = match start {
        Ok(start) => commands(input, start, report.files.len(), max_args, sink, &mut facts)?,
        Err(finding) => {
            report.findings.push(finding);
            End::Whole
        }
    };
    if let End::Broken(error) = &end {
        report.findings.push(broken(bytes, name, error, facts.sound_until)?);
    }
    report.files.push(facts);
    Ok(!matches!(end, End::Enough))
}

/// Where the commands begin, behind the RDB file; or why that cannot be told.
fn read_preamble(
    bytes: &[u8],
    name: &str,
    facts: &mut FileFacts,
    report: &mut Report,
) -> Result<Result<usize, Finding>, Failure> {
    let preamble = match preamble(bytes) {
        Ok(preamble) => preamble,
        Err(Stop::Content(error)) => {
            let what = format!("the RDB file at the start is damaged: {error}; no command was read");
            return Ok(Err(Finding::damage(name, Some(error.offset()), what)));
        }
        Err(Stop::Failure(failure)) => return Err(failure),
    };
    if preamble.checksum == "wrong" {
        let what = "the checksum of the RDB file at the start is wrong".to_owned();
        report.findings.push(Finding::damage(name, Some(preamble.bytes.saturating_sub(8)), what));
    }
    let start = preamble.bytes as usize;
    facts.preamble = Some(preamble);
    Ok(Ok(start))
}

/// How the commands of a file ended.
enum End {
    Whole,
    /// No more were wanted.
    Enough,
    Broken(AofError),
}

fn commands(
    input: &Input,
    start: usize,
    file: usize,
    max_args: u64,
    sink: &mut Sink<'_>,
    facts: &mut FileFacts,
) -> Result<End, Failure> {
    let progress = Progress::new(input.len());
    let limits = AofLimits { max_args, ..AofLimits::default() };
    let mut reader = AofReader::with_limits(&input.bytes()[start..], start as u64, limits);
    sink.gathered.next_file();
    let (mut db, mut time_ms) = (0, None);
    let mut until_update = 0;
    let end = loop {
        let AofRecord { offset, bytes, item } = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break End::Whole,
            Err(error) => break End::Broken(error),
        };
        let args = match item {
            AofItem::Command(args) => args,
            AofItem::Timestamp(seconds) => {
                time_ms = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000));
                continue;
            }
            AofItem::Annotation(_) => continue,
        };
        if let [name, number] = args
            && name.eq_ignore_ascii_case(b"SELECT")
        {
            db = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()).unwrap_or(db);
        }
        facts.commands += 1;
        let command = Command { file, offset, bytes, time_ms, db, place: None, origin: None, args };
        if !sink.command(&command, &facts.name)? {
            break End::Enough;
        }
        until_update += 1;
        if until_update == RECORDS_BETWEEN_UPDATES {
            until_update = 0;
            progress.at(offset);
        }
    };
    facts.sound_until = reader.complete_until();
    Ok(end)
}

/// Goes through the RDB file at the start.
fn preamble(bytes: &[u8]) -> Result<Preamble, Stop> {
    let mut decoder = Decoder::new(bytes)?;
    let mut keys = 0;
    let mut expected = None;
    while let Some(item) = decoder.next_item()? {
        match item {
            Item::Key(_) => keys += 1,
            Item::End { checksum } => expected = checksum.filter(|&sum| sum != 0),
            _ => {}
        }
        if keys % 4096 == 0 {
            interrupt::check()?;
        }
    }
    let len = decoder.offset();
    let mut crc = Crc64::new();
    if expected.is_some() {
        for chunk in bytes[..len as usize - 8].chunks(CHUNK_BYTES) {
            interrupt::check()?;
            crc.update(chunk);
        }
    }
    let checksum = match expected {
        None => "absent",
        Some(expected) if expected == crc.value() => "good",
        Some(_) => "wrong",
    };
    Ok(Preamble { version: decoder.version().to_string(), keys, bytes: len, checksum })
}

/// Says what is wrong, and looks for commands that go on behind it.
fn broken(bytes: &[u8], name: &str, error: &AofError, sound_until: u64) -> Result<Finding, Failure> {
    // Of zeros up to the end, and of a bracket that is read to the end, nothing is left to be looked at.
    let search = !matches!(error, AofError::Zeros { .. } | AofError::OpenTransaction { .. });
    let resumed = match search {
        true => resumes_at(bytes, error.record_offset() as usize + 1)?,
        false => None,
    };
    Ok(Finding {
        file: name.to_owned(),
        offset: Some(error.record_offset()),
        what: error.to_string(),
        sound_until: Some(sound_until),
        bytes_behind: bytes.len() as u64 - sound_until,
        vouched_by: resumed.map(|at| format!("commands that read well go on at offset {at}")),
        is_end: error.is_torn(),
        is_damage: true,
    })
}

/// Where from `from` on whole commands stand again at the start of a line: several, or up to the end.
fn resumes_at(bytes: &[u8], from: usize) -> Result<Option<usize>, Failure> {
    for start in (from..bytes.len()).step_by(CHUNK_BYTES) {
        interrupt::check()?;
        let chunk = &bytes[start..bytes.len().min(start + CHUNK_BYTES)];
        let stars = chunk.iter().enumerate().filter(|(_, byte)| **byte == b'*').map(|(at, _)| start + at);
        for at in stars {
            if at > 0 && bytes[at - 1] == b'\n' && are_commands(&bytes[at..]) {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

fn are_commands(bytes: &[u8]) -> bool {
    let limits = AofLimits { max_args: RESUMED_ARGS, ..AofLimits::default() };
    let mut reader = AofReader::with_limits(bytes, 0, limits);
    let mut commands = 0;
    while commands < RESUMED_COMMANDS {
        match reader.next_record() {
            Ok(Some(AofRecord { item: AofItem::Command(args), .. })) => {
                let name = args.first().copied().unwrap_or_default();
                if name.is_empty()
                    || !name.iter().all(|byte| byte.is_ascii_alphabetic() || b"._-".contains(byte))
                {
                    return false;
                }
                commands += 1;
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(AofError::OpenTransaction { .. }) => break,
            // The MULTI stood before.
            Err(AofError::StrayExec { .. }) => return true,
            Err(_) => return false,
        }
    }
    commands > 0
}
