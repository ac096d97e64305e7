//! What commands that look into values share: why a visit ends early, strings in pieces, what to call an encoding.

use formats::rdb::{RdbError, RdbString, Value, ValueKind};

use crate::failure::Failure;

/// Strings up to this many bytes are handled whole, longer ones in pieces of this size.
pub const PIECE_BYTES: usize = 64 << 10;

/// Why the visit of a value's elements ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// The content is damaged; the next record can be read nevertheless.
    Content(RdbError),
    /// The run cannot go on.
    Failure(Failure),
}

impl Stop {
    /// For what needs the content whole.
    pub fn into_failure(self) -> Failure {
        match self {
            Stop::Content(error) => Failure::Damage { name: "input".into(), what: error.to_string() },
            Stop::Failure(failure) => failure,
        }
    }
}

impl From<RdbError> for Stop {
    fn from(error: RdbError) -> Stop {
        Stop::Content(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

/// Tells damage, which is reported, from failures, which end the run.
pub fn damage_of<T>(result: Result<T, Stop>) -> Result<Option<RdbError>, Failure> {
    match result {
        Ok(_) => Ok(None),
        Err(Stop::Content(error)) => Ok(Some(error)),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

/// Visits a string in pieces of [`PIECE_BYTES`] at most.
pub fn pieces(
    string: RdbString<'_>,
    mut visit: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Stop> {
    let mut result = Ok(());
    string.for_each_chunk(|chunk| {
        for piece in chunk.chunks(PIECE_BYTES) {
            if result.is_ok() {
                result = visit(piece);
            }
        }
    })?;
    Ok(result?)
}

/// How the file holds a value: the encoding of its type, and of a string whether it is raw, an integer or compressed.
pub fn encoding(value: &Value<'_>) -> &'static str {
    match (value.kind, value.bytes.first()) {
        (ValueKind::String, Some(0xC3)) => "lzf",
        (ValueKind::String, Some(0xC0..)) => "int",
        (ValueKind::String, _) => "raw",
        (kind, _) => kind.encoding(),
    }
}
