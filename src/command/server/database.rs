//! DBSIZE, FLUSHDB, FLUSHALL, SWAPDB: each shard answers for its part.

use formats::resp::parse_i64;

use crate::command::args::{NO_DATABASE, SYNTAX, is};
use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// DBSIZE
pub fn dbsize(context: &mut Context<'_>) -> Result {
    let count = context.keyspace().len();
    context.reply.integer(count as i64);
    Ok(())
}

/// FLUSHDB [ASYNC | SYNC]
pub fn flush_db(context: &mut Context<'_>) -> Result {
    flush(context, Some(context.db))
}

/// FLUSHALL [ASYNC | SYNC]
pub fn flush_all(context: &mut Context<'_>) -> Result {
    flush(context, None)
}

fn flush(context: &mut Context<'_>, db: Option<u16>) -> Result {
    // Both words mean the same to a client: the keys are gone when the answer comes.
    match (context.request.get(1), context.request.len()) {
        (None, _) => {}
        (Some(word), 2) if is(word, "ASYNC") || is(word, "SYNC") => {}
        _ => return Err(SYNTAX.into()),
    }
    context.flush(db);
    context.reply.ok();
    Ok(())
}

/// SWAPDB index1 index2
pub fn swap_db(context: &mut Context<'_>) -> Result {
    let databases = context.databases();
    let one = number(context.arg(1), "ERR invalid first DB index")?;
    let other = number(context.arg(2), "ERR invalid second DB index")?;
    let is_there = |number: i32| u16::try_from(number).ok().filter(|&db| db < databases);
    let (one, other) = is_there(one).zip(is_there(other)).ok_or(NO_DATABASE)?;
    context.swap(one, other);
    context.reply.ok();
    Ok(())
}

fn number(arg: &[u8], otherwise: &'static str) -> std::result::Result<i32, CommandError> {
    parse_i64(arg).and_then(|number| i32::try_from(number).ok()).ok_or_else(|| otherwise.into())
}
