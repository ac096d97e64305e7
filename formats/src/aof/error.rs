//! Why an append-only file could not be read on.

use std::fmt;

/// Why there is no next record. Offsets are within the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AofError {
    /// The file ends before the record that starts at `offset` does: a write was cut off.
    #[error("offset {offset}: the file ends at {end} inside a record, expected {expected}")]
    Torn { offset: u64, end: u64, expected: Expected },
    /// The file ends inside a bracket that MULTI opened at `offset`.
    #[error("offset {offset}: the file ends at {end} before the EXEC of this MULTI")]
    OpenTransaction { offset: u64, end: u64 },
    /// In the record that starts at `offset` there are zeros from `zeros` to the end at `end`, where something else
    /// belongs: after a power cut, a file that was made longer and then not written.
    #[error("offset {offset}: zeros from {zeros} up to the end at {end}")]
    Zeros { offset: u64, zeros: u64, end: u64 },
    /// A byte that cannot be there; `record` is where the record starts.
    #[error("offset {offset}: expected {expected}, found byte 0x{found:02x} (record at {record})")]
    Malformed { record: u64, offset: u64, expected: Expected, found: u8 },
    /// More than a limit allows; `record` is where the record starts.
    #[error("offset {offset}: {found} is more than the limit of {limit} (record at {record})")]
    Limit { record: u64, offset: u64, found: u64, limit: u64 },
    #[error("offset {offset}: MULTI inside the transaction that starts at {open}")]
    NestedMulti { offset: u64, open: u64 },
    #[error("offset {offset}: EXEC without MULTI")]
    StrayExec { offset: u64 },
}

impl AofError {
    /// Whether the file only ends early, as after a crash: all before is good.
    pub fn is_torn(&self) -> bool {
        matches!(self, AofError::Torn { .. } | AofError::OpenTransaction { .. } | AofError::Zeros { .. })
    }

    /// Where the record starts that could not be read.
    pub fn record_offset(&self) -> u64 {
        match *self {
            AofError::Torn { offset, .. }
            | AofError::OpenTransaction { offset, .. }
            | AofError::Zeros { offset, .. }
            | AofError::NestedMulti { offset, .. }
            | AofError::StrayExec { offset } => offset,
            AofError::Malformed { record, .. } | AofError::Limit { record, .. } => record,
        }
    }
}

/// What should have stood at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `*` or `#`.
    RecordStart,
    /// A number of arguments, one at least.
    ArgumentCount,
    /// `$`.
    ArgumentStart,
    ArgumentLength,
    ArgumentBytes,
    /// `\r\n`.
    LineEnd,
    /// Digits behind `#TS:`.
    Timestamp,
    Annotation,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::RecordStart => "'*' or '#'",
            Expected::ArgumentCount => "a number of arguments",
            Expected::ArgumentStart => "'$'",
            Expected::ArgumentLength => "the length of an argument",
            Expected::ArgumentBytes => "the bytes of an argument",
            Expected::LineEnd => "the end of a line",
            Expected::Timestamp => "a timestamp",
            Expected::Annotation => "an annotation",
        })
    }
}
