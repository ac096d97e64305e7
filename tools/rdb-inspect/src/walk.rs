//! One pass over a file, with progress and interruption.
//!
//! [`walk`] reads all records, and takes the checksum on another thread; [`walk_again`] does without the checksum;
//! [`seek`] ends where enough was seen.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use formats::checksum::Crc64;
use formats::rdb::error::Problem;
use formats::rdb::input::Overlong;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, Version};

use crate::failure::Failure;
use crate::input::Input;
use crate::interrupt;
use crate::names;
use crate::progress::Progress;

/// Records between two looks at the clock and at the signals.
const RECORDS_BETWEEN_CHECKS: u32 = 1024;
/// Bytes of which the checksum is taken between two looks at whether it is still wanted.
const CHECKSUM_CHUNK: usize = 1 << 20;

/// What a pass found out beside the records.
#[derive(Debug, Default)]
pub struct Findings {
    pub version: Option<Version>,
    /// Where the records end and why, if not at the end of the file.
    pub damage: Option<Damage>,
    pub checksum: Checksum,
    /// Bytes behind the end and the checksum that should not be there.
    pub trailing_bytes: u64,
    /// Bytes of commands there: the file is an append-only file with an RDB file at its start.
    pub command_bytes: u64,
    pub overlong: Overlong,
}

/// The first place that cannot be read.
#[derive(Debug)]
pub struct Damage {
    pub error: RdbError,
    /// The key in whose record it is, if that came to be read.
    pub key: Option<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Checksum {
    /// The file is older than checksums, or has none because it was told so.
    Absent,
    Good,
    Wrong {
        expected: u64,
        found: u64,
    },
    /// The end was not reached.
    #[default]
    Unknown,
}

impl Findings {
    /// Whether nothing speaks against the file.
    pub fn is_sound(&self) -> bool {
        self.damage.is_none() && !matches!(self.checksum, Checksum::Wrong { .. }) && self.trailing_bytes == 0
    }

    /// Fails where the file is not sound, or has commands behind its end that are not to be ignored; for commands that
    /// need all of it.
    pub fn require_sound(&self, name: &str, ignore_commands: bool) -> Result<(), Failure> {
        let what = match (&self.damage, self.checksum) {
            (Some(damage), _) => damage.to_string(),
            (None, Checksum::Wrong { expected, found }) => Problem::Checksum { expected, found }.to_string(),
            _ if self.trailing_bytes > 0 => format!("{} bytes behind the end", self.trailing_bytes),
            _ if self.command_bytes > 0 && !ignore_commands => {
                return Err(Failure::Usage(format!(
                    "{name}: {} bytes of commands follow, which are not looked at; --ignore-commands takes the RDB part \
                     alone",
                    self.command_bytes
                )));
            }
            _ => return Ok(()),
        };
        Err(Failure::Damage { name: name.into(), what })
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{} (key {})", self.error, names::shown(key)),
            None => write!(f, "{}", self.error),
        }
    }
}

/// Visits all records of `input`, and checks the checksum meanwhile. What is wrong with the file is no failure of the
/// pass: it ends there and is told.
pub fn walk<'a>(
    input: &'a Input,
    visit: impl FnMut(Item<'a>) -> Result<(), Failure>,
) -> Result<Findings, Failure> {
    let progress = Progress::new(input.len());
    let unwanted = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let checksum = scope.spawn(|| checksum(input.bytes(), &unwanted));
        records(input, &progress, visit, checksum, &unwanted)
    })
}

/// Visits all records without a look at the checksum: for a second pass.
pub fn walk_again<'a>(
    input: &'a Input,
    mut visit: impl FnMut(Item<'a>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let progress = Progress::new(input.len());
    let Ok(mut decoder) = Decoder::new(input.bytes()) else { return Ok(()) };
    each(&mut decoder, &progress, |item| visit(item).map(ControlFlow::Continue)).map(drop)
}

/// Visits keys until `visit` breaks. What is wrong before that is told; what is behind it is not known.
pub fn seek<'a>(
    input: &'a Input,
    mut visit: impl FnMut(KeyRecord<'a>) -> Result<ControlFlow<()>, Failure>,
) -> Result<Findings, Failure> {
    let progress = Progress::new(input.len());
    let mut findings = Findings::default();
    let Some(mut decoder) = begin(input, &mut findings)? else { return Ok(findings) };
    let end = each(&mut decoder, &progress, |item| match item {
        Item::Key(record) => visit(record),
        _ => Ok(ControlFlow::Continue(())),
    })?;
    if let End::Damaged(damage) = end {
        findings.damage = Some(damage);
    }
    Ok(findings)
}

fn records<'a>(
    input: &'a Input,
    progress: &Progress,
    mut visit: impl FnMut(Item<'a>) -> Result<(), Failure>,
    checksum: ScopedJoinHandle<'_, Option<u64>>,
    unwanted: &AtomicBool,
) -> Result<Findings, Failure> {
    let mut findings = Findings::default();
    let Some(mut decoder) = begin(input, &mut findings)? else { return Ok(findings) };
    let expected = match each(&mut decoder, progress, |item| visit(item).map(ControlFlow::Continue))? {
        End::Reached(expected) => expected,
        End::Damaged(damage) => {
            findings.damage = Some(damage);
            return Ok(findings);
        }
        End::Enough => return Ok(findings),
    };
    let behind = match decoder.rest() {
        [b'*' | b'#', ..] => &mut findings.command_bytes,
        _ => &mut findings.trailing_bytes,
    };
    *behind = decoder.rest().len() as u64;
    findings.overlong = decoder.overlong();
    findings.checksum = match expected {
        None | Some(0) => {
            unwanted.store(true, Ordering::Relaxed);
            Checksum::Absent
        }
        Some(expected) => {
            let found = match decoder.rest() {
                [] => checksum.join().ok().flatten(),
                // The other thread took what trails for data and the checksum.
                rest => {
                    unwanted.store(true, Ordering::Relaxed);
                    Some(crc64(&input.bytes()[..input.bytes().len() - rest.len() - 8]))
                }
            };
            match found {
                Some(found) if found == expected => Checksum::Good,
                Some(found) => Checksum::Wrong { expected, found },
                None => Checksum::Unknown,
            }
        }
    };
    Ok(findings)
}

/// Reads the version. Without one there is nothing to be read; a file of another kind is a failure.
fn begin<'a>(input: &'a Input, findings: &mut Findings) -> Result<Option<Decoder<'a>>, Failure> {
    match Decoder::new(input.bytes()) {
        Ok(decoder) => {
            findings.version = Some(decoder.version());
            Ok(Some(decoder))
        }
        Err(error) => {
            input.refuse_other_kinds()?;
            findings.damage = Some(Damage { error, key: None });
            Ok(None)
        }
    }
}

/// Where a pass ended.
enum End {
    /// At the end of the records, with the checksum that stands there.
    Reached(Option<u64>),
    /// Where enough was seen.
    Enough,
    Damaged(Damage),
}

fn each<'a>(
    decoder: &mut Decoder<'a>,
    progress: &Progress,
    mut visit: impl FnMut(Item<'a>) -> Result<ControlFlow<()>, Failure>,
) -> Result<End, Failure> {
    let mut checksum = None;
    loop {
        for _ in 0..RECORDS_BETWEEN_CHECKS {
            match decoder.next_item() {
                Ok(Some(item)) => {
                    if let Item::End { checksum: expected } = item {
                        checksum = expected;
                    }
                    if visit(item)?.is_break() {
                        return Ok(End::Enough);
                    }
                }
                Ok(None) => return Ok(End::Reached(checksum)),
                Err(error) => {
                    let key = decoder.failed_key().map(names::kept);
                    return Ok(End::Damaged(Damage { error, key }));
                }
            }
        }
        interrupt::check()?;
        progress.at(decoder.offset());
    }
}

/// CRC-64 of all but the last eight bytes; `None` if the user asked to stop, or it is unwanted, or there are not so many.
fn checksum(file: &[u8], unwanted: &AtomicBool) -> Option<u64> {
    let covered = &file[..file.len().checked_sub(8)?];
    let mut crc = Crc64::new();
    for chunk in covered.chunks(CHECKSUM_CHUNK) {
        interrupt::check().ok()?;
        if unwanted.load(Ordering::Relaxed) {
            return None;
        }
        crc.update(chunk);
    }
    Some(crc.value())
}

fn crc64(bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(bytes);
    crc.value()
}
