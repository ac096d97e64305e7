//! Strings as rows of bits: [`single`] (SETBIT, GETBIT), [`search`] (BITCOUNT, BITPOS), [`operation`] (BITOP), and [`fields`] (BITFIELD),
//! on the words of [`bits`].
//!
//! Bit 0 is the highest bit of the first byte. A string goes on with zeros behind its end. What is logged is the bytes that
//! changed, and where they stand.

mod bits;
pub mod fields;
pub mod operation;
pub mod search;
pub mod single;

use formats::resp::parse_i64;

use crate::shard::context::{CommandError, Context};

/// The number of a bit, which may be counted in fields of `width` bits: `#2`.
fn bit_offset(context: &Context<'_>, arg: &[u8], width: Option<u32>) -> Result<u64, CommandError> {
    let offset = match (arg.strip_prefix(b"#"), width) {
        // A product that is too large wraps, as in Redis.
        (Some(number), Some(width)) => parse_i64(number).map(|number| number.wrapping_mul(width.into())),
        _ => parse_i64(arg),
    };
    let offset = offset.and_then(|offset| u64::try_from(offset).ok());
    let is_within = |offset: &u64| offset >> 3 < context.max_string_bytes();
    Ok(offset.filter(is_within).ok_or("ERR bit offset is not an integer or out of range")?)
}
