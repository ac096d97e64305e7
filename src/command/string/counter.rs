//! INCR, INCRBY, DECR, DECRBY: integers kept as strings. The key keeps its end.

use formats::resp::parse_i64;

use crate::command::args::{NOT_AN_INTEGER, integer};
use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// INCR key
pub fn incr(context: &mut Context<'_>) -> Result {
    add(context, 1)
}

/// DECR key
pub fn decr(context: &mut Context<'_>) -> Result {
    add(context, -1)
}

/// INCRBY key number
pub fn incr_by(context: &mut Context<'_>) -> Result {
    let number = integer(context.arg(2))?;
    add(context, number)
}

/// DECRBY key number
pub fn decr_by(context: &mut Context<'_>) -> Result {
    let number = integer(context.arg(2))?.checked_neg().ok_or("ERR decrement would overflow")?;
    add(context, number)
}

fn add(context: &mut Context<'_>, number: i64) -> Result {
    let key = context.key(0);
    let (old, expire_at) = match context.string_to_change(key)? {
        Some((text, expire_at)) => (parse_i64(text).ok_or(NOT_AN_INTEGER)?, expire_at),
        None => (0, None),
    };
    let sum = old.checked_add(number).ok_or("ERR increment or decrement would overflow")?;
    context.put_string(key, itoa::Buffer::new().format(sum).as_bytes(), expire_at);
    context.reply.integer(sum);
    Ok(())
}
