//! DEL, UNLINK, EXISTS, TOUCH, TYPE.

use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// DEL key [key ...], UNLINK key [key ...]
pub fn del(context: &mut Context<'_>) -> Result {
    let deleted = (0..context.keys.len()).filter(|&index| context.delete(context.key(index))).count();
    context.reply.integer(deleted as i64);
    Ok(())
}

/// EXISTS key [key ...], TOUCH key [key ...]: a key that is named twice counts twice.
pub fn exists(context: &mut Context<'_>) -> Result {
    let there = (0..context.keys.len()).filter(|&index| context.read(context.key(index)).is_some()).count();
    context.reply.integer(there as i64);
    Ok(())
}

/// As [`exists`], for what is no question of a client: hits and misses are not counted.
pub fn exists_uncounted(context: &mut Context<'_>) -> Result {
    let there = (0..context.keys.len()).filter(|&index| context.lookup(context.key(index)).is_some()).count();
    context.reply.integer(there as i64);
    Ok(())
}

/// TYPE key
pub fn type_of(context: &mut Context<'_>) -> Result {
    let name = context.type_of(context.key(0)).map_or("none", |kind| kind.name());
    context.reply.simple(name);
    Ok(())
}
