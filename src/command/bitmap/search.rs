//! BITCOUNT and BITPOS: how many bits are 1, and which is the first.

use formats::resp::Request;

use super::bits::{self, BitSpan};
use crate::command::args::{SYNTAX, integer, is, is_backwards, span};
use crate::shard::context::{CommandError, Context};

type Result<T = ()> = std::result::Result<T, CommandError>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Bits,
}

impl Unit {
    fn parse(word: &[u8]) -> Result<Unit> {
        match word {
            _ if is(word, "BIT") => Ok(Unit::Bits),
            _ if is(word, "BYTE") => Ok(Unit::Bytes),
            _ => Err(SYNTAX.into()),
        }
    }

    /// The bits from `start` to `end`, counted in this unit, of `length` bytes.
    fn span(self, start: i64, end: i64, length: usize) -> Option<BitSpan> {
        match self {
            Unit::Bytes => {
                span(start, end, length as u64).map(|(first, last)| BitSpan::of_bytes(first, last))
            }
            Unit::Bits => span(start, end, length as u64 * 8).map(|(first, last)| BitSpan { first, last }),
        }
    }
}

/// BITCOUNT key [start end [BYTE | BIT]]
pub fn bit_count(context: &mut Context<'_>) -> Result {
    let request = context.request;
    let count = match context.read_string(context.key(0))? {
        Some(bytes) => span_to_count(request, bytes.len())?.map_or(0, |span| bits::count_ones(bytes, span)),
        None => 0, // whatever stands behind the key
    };
    context.reply.integer(count as i64);
    Ok(())
}

fn span_to_count(request: Request<'_>, length: usize) -> Result<Option<BitSpan>> {
    match request.len() {
        2 => Ok(Unit::Bytes.span(0, -1, length)),
        4 | 5 => {
            let (start, end) = (integer(request.arg(2))?, integer(request.arg(3))?);
            if is_backwards(start, end) {
                return Ok(None); // before the unit is looked at
            }
            Ok(request.get(4).map_or(Ok(Unit::Bytes), Unit::parse)?.span(start, end, length))
        }
        _ => Err(SYNTAX.into()),
    }
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub fn bit_pos(context: &mut Context<'_>) -> Result {
    let request = context.request;
    let one = match integer(request.arg(2))? {
        0 => false,
        1 => true,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let found = match context.read_string(context.key(0))? {
        None => (!one).then_some(0),
        Some(bytes) => match span_to_search(request, bytes.len())? {
            None => None,
            Some(span) => bits::find(bytes, span, one).or_else(|| {
                // Without an end, the zeros behind the string count too.
                (!one && request.len() < 5).then_some(bytes.len() as u64 * 8)
            }),
        },
    };
    context.reply.integer(found.map_or(-1, |bit| bit as i64));
    Ok(())
}

fn span_to_search(request: Request<'_>, length: usize) -> Result<Option<BitSpan>> {
    if request.len() > 6 {
        return Err(SYNTAX.into());
    }
    let start = request.get(3).map_or(Ok(0), integer)?;
    let unit = request.get(5).map_or(Ok(Unit::Bytes), Unit::parse)?;
    let end = request.get(4).map_or(Ok(-1), integer)?;
    Ok(unit.span(start, end, length))
}
