//! Makes one file of the bodies of several.

use std::ops::Range;

use formats::checksum::Crc64;
use formats::rdb::opcode;

use super::output::{Output, PIECE_BYTES};
use super::{Aux, Options, Progress, ReadError, WriteError, Written, read};
use crate::persist::disk::{DiskFile, Mapping};

/// A file whose body is taken.
#[derive(Clone)]
pub struct Part<'a> {
    /// The whole file.
    pub file: &'a Mapping,
    /// As [`write`](super::write()) or [`head`](super::head) answered it.
    pub body: Range<u64>,
    pub keys: u64,
}

/// Writes the bodies of `parts`, in their order, into one RDB file and makes it durable. Bodies may repeat a database.
/// The memory of the mapped parts is given back piece by piece.
///
/// # Errors
/// The disk failed, `progress` was cancelled, or a part is damaged or newer than `options.version`.
pub fn join(
    parts: &[Part<'_>],
    aux: &Aux,
    file: &mut dyn DiskFile,
    options: &Options,
    progress: &Progress,
) -> Result<Written, WriteError> {
    let mut output = Output::start(aux, file, options, progress)?;
    for (index, part) in parts.iter().enumerate() {
        progress.check()?;
        check_frame(part, options).map_err(|source| WriteError::Part { index, source })?;
        let crc = copy_body(part, &mut output)?;
        check_sum(part, crc).map_err(|source| WriteError::Part { index, source })?;
        output.count_keys(part.keys);
    }
    output.finish()
}

/// The part begins and ends as it should, its body is where it is said to be, and its version can be taken over.
fn check_frame(part: &Part<'_>, options: &Options) -> Result<(), ReadError> {
    let head = read::head(part.file)?;
    if head.body != part.body {
        return Err(ReadError::Shape {
            offset: head.body.start,
            what: "the keys are not where they were said to be",
        });
    }
    let target = options.version.version();
    if head.version.dialect != target.dialect || head.version.number > target.number {
        return Err(ReadError::Shape { offset: 0, what: "of a version newer than the file to be made" });
    }
    Ok(())
}

/// Answers the checksum of the part's bytes up to the end of its body.
fn copy_body(part: &Part<'_>, output: &mut Output<'_>) -> Result<Crc64, WriteError> {
    let (start, end) = (part.body.start as usize, part.body.end as usize);
    let mut crc = Crc64::new();
    crc.update(&part.file[..start]);
    let mut at = start;
    for piece in part.file[start..end].chunks(PIECE_BYTES) {
        crc.update(piece);
        output.encoder.copy_records(piece)?;
        output.relieve()?;
        part.file.forget(at..at + piece.len());
        at += piece.len();
    }
    Ok(crc)
}

fn check_sum(part: &Part<'_>, mut crc: Crc64) -> Result<(), ReadError> {
    crc.update(&[opcode::EOF]);
    let (found, computed) = (part.file.last_chunk().copied().map_or(0, u64::from_le_bytes), crc.value());
    if found == computed { Ok(()) } else { Err(ReadError::Checksum { found, computed }) }
}
