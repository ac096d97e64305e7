//! INCRBYFLOAT: numbers with a fraction kept as strings. The key keeps its end.

use super::long_double::LongDouble;
use crate::shard::context::{CommandError, Context};

const NOT_A_FLOAT: &str = "ERR value is not a valid float";

/// INCRBYFLOAT key number
pub fn incr_by_float(context: &mut Context<'_>) -> Result<(), CommandError> {
    let key = context.key(0);
    let (old, expire_at) = match context.string_to_change(key)? {
        Some((text, expire_at)) => (LongDouble::parse(text).ok_or(NOT_A_FLOAT)?, expire_at),
        None => (LongDouble::ZERO, None),
    };
    let number = LongDouble::parse(context.arg(2)).ok_or(NOT_A_FLOAT)?;
    let sum = old.plus(number);
    let text = sum.decimal().ok_or("ERR increment would produce NaN or Infinity")?;
    context.put_string(key, text.as_bytes(), expire_at);
    context.reply.bulk(text.as_bytes());
    Ok(())
}
