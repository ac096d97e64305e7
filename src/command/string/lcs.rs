//! LCS: the longest sequence of bytes that two strings have in common, not necessarily side by side.
//!
//! The textbook's dynamic program: the length for each pair of beginnings follows from those of shorter ones. Of its table only
//! two rows of lengths are kept, and a bit per pair that tells the way back.

use formats::resp::{Reply, Request};

use crate::command::args::{SYNTAX, integer, is};
use crate::command::key::across::{add, encode, fetch, fetched, read_record, reading};
use crate::command::{Invocation, TwoStepPlan};
use crate::shard::Shard;
use crate::shard::context::{CommandError, Context, Record};
use crate::shard::transaction::{Decision, Parts};

type Result<T = ()> = std::result::Result<T, CommandError>;

const NOT_STRINGS: &str = "ERR The specified keys must contain string values";
const TOO_LONG: &str = "ERR String too long for LCS";
const TOO_MUCH: &str = "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    /// Not the sequence but how long it is.
    length: bool,
    /// Not the sequence but where it stands in both strings.
    places: bool,
    /// Shorter stretches are left out of the places.
    least: u64,
    with_lengths: bool,
}

impl Options {
    fn parse(args: Request<'_>) -> Result<Options> {
        let mut options = Options::default();
        let mut index = 0;
        while let Some(word) = args.get(index) {
            index += 1;
            match word {
                _ if is(word, "IDX") => options.places = true,
                _ if is(word, "LEN") => options.length = true,
                _ if is(word, "WITHMATCHLEN") => options.with_lengths = true,
                _ if is(word, "MINMATCHLEN") => {
                    options.least = integer(args.get(index).ok_or(SYNTAX)?)?.max(0) as u64;
                    index += 1;
                }
                _ => return Err(SYNTAX.into()),
            }
        }
        if options.length && options.places {
            return Err("ERR If you want both the length and indexes, please just use IDX.".into());
        }
        Ok(options)
    }
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN], both keys on this shard
pub fn lcs(context: &mut Context<'_>) -> Result {
    let [one, other] = [0, 1].map(|index| read_record(context, index));
    let (options, limit) = (Options::parse(context.request.skip(3)), context.max_string_bytes());
    answer(&one, &other, options, limit, &mut context.reply)
}

/// The same, with the keys on several shards.
pub fn across(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan> {
    let (request, protocol) = (invocation.request(), invocation.protocol);
    let (options, limit) = (Options::parse(request.skip(3)), shard.engine.borrow().max_string_bytes);
    let call = reading(fetch, invocation.db);
    let mut read = Parts::default();
    let places = [1, 2].map(|key| add(&mut read, shard, &call, &[request.arg(0), request.arg(key)], None));
    let decide = move |read: &mut Parts| {
        let [one, other] = places.map(|place| fetched(read, place));
        Decision::Release(encode(protocol, |reply| {
            if let Err(error) = answer(&one, &other, options, limit, reply) {
                reply.error(&error.0);
            }
        }))
    };
    Ok(TwoStepPlan { read, decide: Box::new(decide) })
}

/// `limit`: bytes that the whole table of lengths may have, though less of it is kept.
fn answer(
    one: &Option<Record>,
    other: &Option<Record>,
    options: Result<Options>,
    limit: u64,
    reply: &mut Reply<'_>,
) -> Result {
    let (one, other) = (text(one)?, text(other)?);
    let options = options?;
    if one.len().max(other.len()) >= u32::MAX as usize - 1 {
        return Err(TOO_LONG.into());
    }
    if (one.len() as u128 + 1) * (other.len() as u128 + 1) * size_of::<u32>() as u128 > limit.into() {
        return Err(TOO_MUCH.into());
    }
    let common = Common::new(one, other, !options.length);
    if options.places {
        write_places(&common, options, reply);
    } else if options.length {
        reply.integer(common.length.into());
    } else {
        let stretches = common.stretches();
        let parts: Vec<&[u8]> = stretches.iter().rev().map(|stretch| &one[stretch.range()]).collect();
        reply.bulk(&parts.concat());
    }
    Ok(())
}

fn text(record: &Option<Record>) -> Result<&[u8]> {
    match record {
        None => Ok(b""),
        Some(record) => Ok(record.object.as_ref().as_str().ok_or(NOT_STRINGS)?),
    }
}

fn write_places(common: &Common<'_>, options: Options, reply: &mut Reply<'_>) {
    let stretches = common.stretches();
    let wanted = || stretches.iter().filter(|stretch| stretch.length as u64 >= options.least);
    reply.map(2);
    reply.bulk_str("matches");
    reply.array(wanted().count());
    for stretch in wanted() {
        reply.array(2 + usize::from(options.with_lengths));
        for start in [stretch.one, stretch.other] {
            reply.array(2);
            reply.integer(start as i64);
            reply.integer((start + stretch.length - 1) as i64);
        }
        if options.with_lengths {
            reply.integer(stretch.length as i64);
        }
    }
    reply.bulk_str("len");
    reply.integer(common.length.into());
}

/// A part of the sequence that stands side by side in both strings: where it begins, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    one: usize,
    other: usize,
    length: usize,
}

impl Stretch {
    fn range(self) -> std::ops::Range<usize> {
        self.one..self.one + self.length
    }
}

/// What two strings have in common.
struct Common<'a> {
    one: &'a [u8],
    other: &'a [u8],
    length: u32,
    /// A bit per pair of places: the way back leaves out the byte of `one`, and not that of `other`.
    leaves_one: Vec<u64>,
}

impl<'a> Common<'a> {
    fn new(one: &'a [u8], other: &'a [u8], with_way_back: bool) -> Self {
        let bits = if with_way_back { one.len() * other.len() } else { 0 };
        let mut leaves_one = vec![0u64; bits.div_ceil(64)];
        let (mut above, mut row) = (vec![0u32; other.len() + 1], vec![0u32; other.len() + 1]);
        for (i, left) in one.iter().enumerate() {
            for (j, right) in other.iter().enumerate() {
                let (without_one, without_other) = (above[j + 1], row[j]);
                row[j + 1] = if left == right { above[j] + 1 } else { without_one.max(without_other) };
                if with_way_back && without_one > without_other {
                    let bit = i * other.len() + j;
                    leaves_one[bit / 64] |= 1 << (bit % 64);
                }
            }
            std::mem::swap(&mut above, &mut row);
        }
        Common { one, other, length: above[other.len()], leaves_one }
    }

    /// From the last one to the first.
    fn stretches(&self) -> Vec<Stretch> {
        let (mut i, mut j) = (self.one.len(), self.other.len());
        let mut stretches: Vec<Stretch> = Vec::new();
        while i > 0 && j > 0 {
            if self.one[i - 1] != self.other[j - 1] {
                let bit = (i - 1) * self.other.len() + j - 1;
                if self.leaves_one[bit / 64] >> (bit % 64) & 1 == 1 {
                    i -= 1
                } else {
                    j -= 1
                }
                continue;
            }
            match stretches.last_mut() {
                Some(stretch) if (stretch.one, stretch.other) == (i, j) => {
                    stretch.length += 1;
                    (stretch.one, stretch.other) = (i - 1, j - 1);
                }
                _ => stretches.push(Stretch { one: i - 1, other: j - 1, length: 1 }),
            }
            (i, j) = (i - 1, j - 1);
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_line;

    #[test]
    fn options_are_those_of_redis() {
        let parse = |line| with_line(line, Options::parse);
        let all = Options { length: false, places: true, least: 4, with_lengths: true };
        assert_eq!(parse("idx minmatchlen 4 WITHMATCHLEN"), Ok(all));
        assert_eq!(parse("MINMATCHLEN -4"), Ok(Options::default()));
        for line in ["LEN IDX", "MINMATCHLEN", "MINMATCHLEN x", "nosuch"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_way_back_goes_through_what_is_common() {
        let common = Common::new(b"ohmytext", b"mynewtext", true);
        assert_eq!(common.length, 6);
        let stretches = [Stretch { one: 4, other: 5, length: 4 }, Stretch { one: 2, other: 0, length: 2 }];
        assert_eq!(common.stretches(), stretches);
        assert_eq!(Common::new(b"ohmytext", b"mynewtext", false).length, 6);
        assert_eq!(Common::new(b"", b"x", true).stretches(), []);
    }
}
