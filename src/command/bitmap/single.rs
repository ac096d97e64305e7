//! SETBIT and GETBIT.

use super::bit_offset;
use crate::command::args::integer;
use crate::shard::context::{CommandError, Context};

type Result = std::result::Result<(), CommandError>;

/// SETBIT key offset bit
pub fn set_bit(context: &mut Context<'_>) -> Result {
    const NOT_A_BIT: &str = "ERR bit is not an integer or out of range";
    let key = context.key(0);
    let offset = bit_offset(context, context.arg(2), None)?;
    let bit = match integer(context.arg(3)) {
        Ok(bit @ 0..=1) => bit as u8,
        _ => return Err(NOT_A_BIT.into()),
    };
    let (place, shift) = place_of(offset);
    let old = context.string_to_change(key)?.and_then(|(bytes, _)| bytes.get(place).copied());
    let old_byte = old.unwrap_or(0);
    let byte = old_byte & !(1 << shift) | bit << shift;
    if old != Some(byte) {
        context.overwrite_string(key, place, &[byte])?;
    }
    context.reply.integer((old_byte >> shift & 1).into());
    Ok(())
}

/// GETBIT key offset
pub fn get_bit(context: &mut Context<'_>) -> Result {
    let (place, shift) = place_of(bit_offset(context, context.arg(2), None)?);
    let value = context.read_string(context.key(0))?;
    let byte = value.and_then(|bytes| bytes.get(place).copied()).unwrap_or(0);
    context.reply.integer((byte >> shift & 1).into());
    Ok(())
}

/// The byte that a bit is in, and how far it is from that byte's lowest.
fn place_of(offset: u64) -> (usize, u32) {
    ((offset >> 3) as usize, 7 - (offset & 7) as u32)
}
