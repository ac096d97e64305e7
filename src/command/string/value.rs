//! GET, MGET, GETDEL, STRLEN, APPEND.

use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// GET key
pub fn get(context: &mut Context<'_>) -> Result {
    let key = context.key(0);
    context.reply_string(key).map(|_| ())
}

/// MGET key [key ...]: a key that holds no string answers null.
pub fn mget(context: &mut Context<'_>) -> Result {
    context.reply.array(context.keys.len());
    for index in 0..context.keys.len() {
        let key = context.key(index);
        if context.reply_string(key).is_err() {
            context.reply.null();
        }
    }
    Ok(())
}

/// GETDEL key
pub fn get_del(context: &mut Context<'_>) -> Result {
    let key = context.key(0);
    if context.reply_string(key)? {
        context.delete(key);
    }
    Ok(())
}

/// STRLEN key
pub fn strlen(context: &mut Context<'_>) -> Result {
    let length = context.read_string(context.key(0))?.map_or(0, <[u8]>::len);
    context.reply.integer(length as i64);
    Ok(())
}

/// APPEND key bytes
pub fn append(context: &mut Context<'_>) -> Result {
    let (key, bytes) = (context.key(0), context.arg(2));
    let old = context.string_to_change(key)?.map(|(old, _)| old.len());
    if let Some(old) = old {
        context.check_string_length(old as u64, bytes.len() as u64)?;
        if bytes.is_empty() {
            context.reply.integer(old as i64);
            return Ok(());
        }
    }
    let length = context.append_string(key, bytes)?;
    context.reply.integer(length as i64);
    Ok(())
}
