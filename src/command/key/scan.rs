//! KEYS and SCAN.
//!
//! One cursor covers all shards, one after the other. What a walk promises is what the keyspace promises on each shard.
//!
//! ```text
//! +------------------------------------------+------------------+
//! | the keyspace's cursor, its bits reversed | the shard        |
//! | 48 bits                                  | 16 bits          |
//! +------------------------------------------+------------------+
//! ```
//!
//! The keyspace's cursor is where a page starts: a fraction, of which a page that shares `n` bits with no other has `n`
//! digits, and zeros behind them. Reversed, it is below `2^n`. So a cursor stays below 2^53, beyond which clients that
//! keep numbers as floating-point ones lose digits, up to 2^37 pages in a shard.

use formats::glob::glob_match;
use formats::resp::{Reply, Request};

use crate::command::args::{SYNTAX, integer, is};
use crate::shard::context::{CommandError, Context};
use crate::store::Entry;

type Result<T = ()> = std::result::Result<T, CommandError>;

/// Bits of the shard's number.
const SHARD_BITS: u32 = 16;
/// Keys that a call looks at unless it asks for another number.
const DEFAULT_COUNT: u64 = 10;
/// Pages that one call looks at, per key that was asked for: where pages are nearly empty it ends early.
const PAGES_PER_KEY: u64 = 10;

/// Keys collected in their wire form, counted.
struct Found {
    count: usize,
    encoded: Vec<u8>,
    protocol: formats::resp::Protocol,
}

impl Found {
    fn new(context: &Context<'_>) -> Found {
        Found { count: 0, encoded: Vec::new(), protocol: context.reply.protocol() }
    }

    fn add(&mut self, key: &[u8]) {
        self.count += 1;
        Reply::new(&mut self.encoded, self.protocol).bulk(key);
    }

    fn write(&self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        reply.raw(&self.encoded);
    }
}

/// A lone star takes every key, which a glob does not: none but the empty one matches an empty text.
fn matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob_match(pattern, key, false)
}

/// KEYS pattern: this shard's part.
pub fn keys(context: &mut Context<'_>) -> Result {
    let (pattern, now_ms) = (context.arg(1), context.now_ms);
    let mut found = Found::new(context);
    context.keyspace().for_each(|entry| {
        if !entry.is_expired(now_ms) && matches(pattern, entry.key) {
            found.add(entry.key);
        }
    });
    found.write(&mut context.reply);
    Ok(())
}

/// Which keys SCAN answers.
#[derive(Debug, PartialEq, Eq)]
struct Filter<'a> {
    count: u64,
    pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: Request<'a>) -> Result<Filter<'a>> {
        let mut filter = Filter { count: DEFAULT_COUNT, pattern: None, kind: None };
        let mut index = 0;
        while let Some(word) = args.get(index) {
            let value = args.get(index + 1).ok_or(SYNTAX)?;
            match word {
                _ if is(word, "COUNT") => match integer(value)? {
                    count @ 1.. => filter.count = count.unsigned_abs(),
                    _ => return Err(SYNTAX.into()),
                },
                _ if is(word, "MATCH") => filter.pattern = Some(value),
                _ if is(word, "TYPE") => filter.kind = Some(value),
                _ => return Err(SYNTAX.into()),
            }
            index += 2;
        }
        Ok(filter)
    }

    fn wants(&self, entry: &Entry<'_>, now_ms: u64) -> bool {
        !entry.is_expired(now_ms)
            && self.pattern.is_none_or(|pattern| matches(pattern, entry.key))
            && self.kind.is_none_or(|kind| is(kind, entry.kind.name()))
    }
}

/// A cursor as Redis reads it: any number that fits into 64 bits, a negative one counting from the top; nothing is 0.
fn parse_cursor(text: &[u8]) -> Result<u64> {
    let invalid = || CommandError::from("ERR invalid cursor");
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid());
    }
    let number: u64 =
        std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or_else(invalid)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

/// The shard that a SCAN goes to. A cursor from a time with more shards ends the walk, wherever it is answered.
pub fn route(request: Request<'_>, shards: u16) -> Result<u16> {
    let (shard, _) = split_cursor(parse_cursor(request.arg(1))?);
    Ok(if shard < shards { shard } else { 0 })
}

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
pub fn scan(context: &mut Context<'_>) -> Result {
    let (wanted, cursor) = split_cursor(parse_cursor(context.arg(1))?);
    let filter = Filter::parse(context.request.skip(2))?;
    let mut found = Found::new(context);
    let (shard, shards) = context.shard();
    let next = if wanted == shard {
        let next = walk(context, cursor, &filter, &mut found);
        join_cursor(shard, shards, next)
    } else {
        0
    };
    context.reply.array(2);
    context.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    found.write(&mut context.reply);
    Ok(())
}

fn walk(context: &Context<'_>, mut cursor: u64, filter: &Filter<'_>, found: &mut Found) -> u64 {
    let mut pages = filter.count.saturating_mul(PAGES_PER_KEY);
    let mut seen = 0;
    loop {
        cursor = context.keyspace().scan(cursor, |entry| {
            seen += 1;
            if filter.wants(&entry, context.now_ms) {
                found.add(entry.key);
            }
        });
        pages -= 1;
        if cursor == 0 || seen >= filter.count || pages == 0 {
            return cursor;
        }
    }
}

/// The cursor that goes on at `next` of this shard, or, where that is 0, with the next shard.
fn join_cursor(shard: u16, shards: u16, next: u64) -> u64 {
    match next {
        0 if shard + 1 < shards => u64::from(shard + 1),
        0 => 0,
        next => next.reverse_bits() | u64::from(shard), // the keyspace's cursor has 48 bits: 16 are free below them
    }
}

/// The shard of a cursor, and where to go on there. Any number is a cursor.
fn split_cursor(cursor: u64) -> (u16, u64) {
    (cursor as u16, (cursor >> SHARD_BITS << SHARD_BITS).reverse_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("", Some(0)),
            ("281474976710657", Some((1 << 48) + 1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("-1", Some(u64::MAX)),
            ("+7", Some(7)),
            ("18446744073709551616", None),
            ("x", None),
            ("1x", None),
            (" 1", None),
            ("-", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cursor_leads_through_all_shards_and_ends() {
        assert_eq!(join_cursor(0, 1, 0), 0);
        assert_eq!(join_cursor(0, 3, 0), 1);
        assert_eq!(join_cursor(1, 3, 0), 2);
        assert_eq!(join_cursor(2, 3, 0), 0);
        for (shard, next) in [(0, 1), (1, 5), (2, (1 << 48) - 1), (1023, 1 << 47)] {
            assert_eq!(split_cursor(join_cursor(shard, 1024, next)), (shard, next));
        }
        assert_eq!(split_cursor(7), (7, 0));
        assert_eq!(split_cursor(u64::MAX), (u16::MAX, (1 << 48) - 1));
    }

    #[test]
    fn cursors_of_many_shards_fit_into_a_floating_point_number() {
        for bits in 1..=37 {
            let last_page = ((1 << bits) - 1) << (48 - bits);
            assert!(join_cursor(1023, 1024, last_page) < 1 << 53, "pages told apart by {bits} bits");
        }
    }
}
