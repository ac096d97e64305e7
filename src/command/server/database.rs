//! DBSIZE, FLUSHDB, FLUSHALL: each shard answers for its part.

use crate::command::args::{SYNTAX, is};
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
