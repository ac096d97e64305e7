//! OBJECT: how a key's value is kept, as far as that is a client's affair.

use formats::resp::parse_i64;

use crate::command::{Session, help};
use crate::shard::context::{CommandError, Context};
use crate::store::ValueRef;

type Result = std::result::Result<(), CommandError>;

/// Longest string that Redis keeps in one piece with its header, in bytes.
const EMBEDDED_BYTES: usize = 44;
/// Redis holds the integers below once for all keys, and answers this for how many there are.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// What Redis calls the form of a string: of one that was set as it is, or came from a snapshot.
pub fn encoding(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Str(bytes) if parse_i64(bytes).is_some() => "int",
        ValueRef::Str(bytes) if bytes.len() <= EMBEDDED_BYTES => "embstr",
        ValueRef::Str(_) => "raw",
    }
}

/// How many there are of the value.
pub fn refcount(value: ValueRef<'_>) -> i64 {
    match value {
        ValueRef::Str(bytes) => {
            let is_shared = parse_i64(bytes).is_some_and(|number| SHARED_INTEGERS.contains(&number));
            if is_shared { SHARED_REFCOUNT } else { 1 }
        }
    }
}

/// OBJECT ENCODING key
pub fn encoding_of(context: &mut Context<'_>) -> Result {
    match context.read(context.key(0)).map(|entry| encoding(entry.value)) {
        Some(name) => context.reply.bulk_str(name),
        None => context.reply.null(),
    }
    Ok(())
}

/// OBJECT REFCOUNT key
pub fn refcount_of(context: &mut Context<'_>) -> Result {
    match context.read(context.key(0)).map(|entry| refcount(entry.value)) {
        Some(count) => context.reply.integer(count),
        None => context.reply.null(),
    }
    Ok(())
}

/// OBJECT FREQ key
pub fn frequency(context: &mut Context<'_>) -> Result {
    refuse(
        context,
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.",
    )
}

/// OBJECT IDLETIME key
pub fn idle_time(context: &mut Context<'_>) -> Result {
    refuse(context, "ERR No LRU maxmemory policy is selected, idle time not tracked.")
}

fn refuse(context: &mut Context<'_>, why: &'static str) -> Result {
    if context.read(context.key(0)).is_some() {
        return Err(why.into());
    }
    context.reply.null();
    Ok(())
}

/// OBJECT HELP
pub fn help(session: &mut Session<'_>) -> Result {
    help::write(&mut session.reply, "OBJECT", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("ENCODING <key>", &["Answers what Redis calls the form of the value: int, embstr or raw."]),
    ("FREQ <key>", &["Answers how often the key is used, where an LFU policy keeps track of that."]),
    (
        "IDLETIME <key>",
        &["Answers for how many seconds the key was not used, where an LRU policy keeps track of that."],
    ),
    ("REFCOUNT <key>", &["Answers how many references the value has: 1, or very many for a small integer."]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_follow_from_the_value() {
        let long = "x".repeat(45);
        for (value, form, count) in [
            ("0", "int", SHARED_REFCOUNT),
            ("9999", "int", SHARED_REFCOUNT),
            ("10000", "int", 1),
            ("-1", "int", 1),
            ("9223372036854775807", "int", 1),
            ("9223372036854775808", "embstr", 1),
            ("01", "embstr", 1),
            ("-0", "embstr", 1),
            ("", "embstr", 1),
            (&long[1..], "embstr", 1),
            (&long, "raw", 1),
        ] {
            let value = ValueRef::Str(value.as_bytes());
            assert_eq!((encoding(value), refcount(value)), (form, count), "{value:?}");
        }
    }
}
