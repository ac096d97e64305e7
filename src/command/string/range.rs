//! GETRANGE, SUBSTR, SETRANGE: a part of a string.

use crate::command::args::{integer, is_backwards, span};
use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// GETRANGE key start end; SUBSTR, its first name
pub fn get_range(context: &mut Context<'_>) -> Result {
    let (start, end) = (integer(context.arg(2))?, integer(context.arg(3))?);
    if !context.reply_part(context.key(0), |value| part(value, start, end))? {
        context.reply.bulk(b"");
    }
    Ok(())
}

fn part(value: &[u8], start: i64, end: i64) -> &[u8] {
    match span(start, end, value.len() as u64) {
        Some((first, last)) if !is_backwards(start, end) => &value[first as usize..=last as usize],
        _ => b"",
    }
}

/// SETRANGE key offset bytes
pub fn set_range(context: &mut Context<'_>) -> Result {
    let (key, bytes) = (context.key(0), context.arg(3));
    let offset = u64::try_from(integer(context.arg(2))?).map_err(|_| "ERR offset is out of range")?;
    let old = context.string_to_change(key)?.map_or(0, |(old, _)| old.len());
    if bytes.is_empty() {
        context.reply.integer(old as i64);
        return Ok(());
    }
    context.check_string_length(offset, bytes.len() as u64)?;
    let length = context.overwrite_string(key, offset as usize, bytes)?;
    context.reply.integer(length as i64);
    Ok(())
}
