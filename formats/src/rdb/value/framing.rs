//! Finds the end of a value without looking into its strings.

use crate::rdb::error::{Problem, RdbError};
use crate::rdb::input::Input;
use crate::rdb::kind::ValueKind;
use crate::rdb::opcode;

/// Moves `input` behind a value of `kind`.
#[inline]
pub(in crate::rdb) fn skip_value(input: &mut Input<'_>, kind: ValueKind) -> Result<(), RdbError> {
    match kind {
        ValueKind::String => input.string("string").map(drop),
        _ => skip_collection(input, kind),
    }
}

fn skip_collection(input: &mut Input<'_>, kind: ValueKind) -> Result<(), RdbError> {
    match kind {
        ValueKind::String => input.string("string").map(drop),
        ValueKind::List => repeat(input, 1, "list length", |input| input.string("list item").map(drop)),
        ValueKind::Set => repeat(input, 1, "set size", |input| input.string("set member").map(drop)),
        ValueKind::SortedSetText => repeat(input, 2, "sorted set size", |input| {
            input.string("sorted set member")?;
            input.text_double("score").map(drop)
        }),
        ValueKind::SortedSet => repeat(input, 9, "sorted set size", |input| {
            input.string("sorted set member")?;
            input.take(8, "score").map(drop)
        }),
        ValueKind::Hash => repeat(input, 2, "hash size", |input| {
            input.string("hash field")?;
            input.string("hash value").map(drop)
        }),
        ValueKind::HashZipmap
        | ValueKind::ListZiplist
        | ValueKind::SetIntset
        | ValueKind::SortedSetZiplist
        | ValueKind::HashZiplist
        | ValueKind::HashListpack
        | ValueKind::SortedSetListpack
        | ValueKind::SetListpack
        | ValueKind::HashListpackExPreGa => input.string("packed value").map(drop),
        ValueKind::HashListpackEx => {
            input.take(8, "earliest expiry")?;
            input.string("packed value").map(drop)
        }
        ValueKind::ListQuicklist => {
            repeat(input, 1, "quicklist length", |input| input.string("quicklist node").map(drop))
        }
        ValueKind::ListQuicklist2 => repeat(input, 2, "quicklist length", |input| {
            input.length("quicklist container")?;
            input.string("quicklist node").map(drop)
        }),
        ValueKind::HashExpiringPreGa => skip_expiring_hash(input),
        ValueKind::HashExpiring => {
            input.take(8, "earliest expiry")?;
            skip_expiring_hash(input)
        }
        ValueKind::ValkeyHashExpiring => repeat(input, 10, "hash size", |input| {
            input.string("hash field")?;
            input.string("hash value")?;
            input.take(8, "field's expiry").map(drop)
        }),
        ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => skip_stream(input, kind),
        ValueKind::Module => skip_module(input),
        ValueKind::OpaqueModule => Err(input.error("module value", Problem::OpaqueModule)),
    }
}

/// A count, then so many elements of at least `least` bytes.
fn repeat<'a>(
    input: &mut Input<'a>,
    least: u64,
    part: &'static str,
    mut skip: impl FnMut(&mut Input<'a>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    for _ in 0..input.count(least, part)? {
        skip(input)?;
    }
    Ok(())
}

fn skip_expiring_hash(input: &mut Input<'_>) -> Result<(), RdbError> {
    repeat(input, 3, "hash size", |input| {
        input.length("field's expiry")?;
        input.string("hash field")?;
        input.string("hash value").map(drop)
    })
}

fn skip_stream(input: &mut Input<'_>, kind: ValueKind) -> Result<(), RdbError> {
    repeat(input, 2, "stream nodes", |input| {
        input.string("stream node id")?;
        input.string("stream node").map(drop)
    })?;
    let has_first_id = kind != ValueKind::Stream1;
    for _ in 0..if has_first_id { 8 } else { 3 } {
        input.length("stream's length and ids")?;
    }
    repeat(input, 5, "consumer groups", |input| {
        input.string("group name")?;
        for _ in 0..if has_first_id { 3 } else { 2 } {
            input.length("group's last id")?;
        }
        repeat(input, 25, "pending entries", |input| {
            input.take(24, "pending entry")?;
            input.length("deliveries").map(drop)
        })?;
        let times = if kind == ValueKind::Stream3 { 16 } else { 8 };
        repeat(input, times + 2, "consumers", |input| {
            input.string("consumer name")?;
            input.take(times, "consumer's times")?;
            repeat(input, 16, "consumer's pending entries", |input| input.take(16, "pending id").map(drop))
        })
    })
}

fn skip_module(input: &mut Input<'_>) -> Result<(), RdbError> {
    input.length("module id")?;
    skip_module_parts(input)
}

/// Moves behind the end of a module's parts.
pub(in crate::rdb) fn skip_module_parts(input: &mut Input<'_>) -> Result<(), RdbError> {
    const PART: &str = "module part";
    loop {
        match input.length(PART)? {
            opcode::MODULE_EOF => return Ok(()),
            opcode::MODULE_SIGNED | opcode::MODULE_UNSIGNED => input.length(PART).map(drop)?,
            opcode::MODULE_FLOAT => input.take(4, PART).map(drop)?,
            opcode::MODULE_DOUBLE => input.take(8, PART).map(drop)?,
            opcode::MODULE_STRING => input.string(PART).map(drop)?,
            _ => return Err(input.error(PART, Problem::Malformed("unknown kind of part"))),
        }
    }
}
