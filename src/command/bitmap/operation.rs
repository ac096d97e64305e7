//! BITOP: AND, OR, XOR or NOT of whole strings.

use std::rc::Rc;

use formats::resp::Request;

use crate::command::args::{SYNTAX, is};
use crate::command::key::across::{add, encode, fetch, fetched, read_record, reading, store, writing};
use crate::command::key::basic;
use crate::command::{Invocation, TwoStepPlan};
use crate::shard::Shard;
use crate::shard::context::{CommandError, Context, Record, WRONG_TYPE};
use crate::shard::transaction::{Decision, Parts};
use crate::store::Object;

type Result<T = ()> = std::result::Result<T, CommandError>;

/// So much of the result is made from all sources before the next part: it stays in the cache meanwhile.
const PIECE: usize = 32 * 1024;

#[derive(Clone, Copy)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(request: Request<'_>) -> Result<Operation> {
        let word = request.arg(1);
        let operation = match word {
            _ if is(word, "AND") => Operation::And,
            _ if is(word, "OR") => Operation::Or,
            _ if is(word, "XOR") => Operation::Xor,
            _ if is(word, "NOT") && request.len() == 4 => Operation::Not,
            _ if is(word, "NOT") => {
                return Err("ERR BITOP NOT must be called with a single source key.".into());
            }
            _ => return Err(SYNTAX.into()),
        };
        Ok(operation)
    }

    /// The result is as long as the longest source; shorter ones go on with zeros.
    fn apply(self, sources: &[Option<Record>]) -> Result<Vec<u8>> {
        let sources = sources.iter().map(bytes_of).collect::<Result<Vec<_>>>()?;
        let mut result = vec![0; sources.iter().map(|source| source.len()).max().unwrap_or(0)];
        for (index, piece) in result.chunks_mut(PIECE).enumerate() {
            let mut parts = sources.iter().map(|source| {
                let start = (index * PIECE).min(source.len());
                &source[start..source.len().min(start + PIECE)]
            });
            if let Some(first) = parts.next() {
                piece[..first.len()].copy_from_slice(first);
            }
            match self {
                Operation::Not => piece.iter_mut().for_each(|byte| *byte = !*byte),
                _ => parts.for_each(|part| self.combine(piece, part)),
            }
        }
        Ok(result)
    }

    fn combine(self, piece: &mut [u8], part: &[u8]) {
        let (head, tail) = piece.split_at_mut(part.len());
        let pairs = head.iter_mut().zip(part);
        match self {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                tail.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => {}
        }
    }
}

fn bytes_of(record: &Option<Record>) -> Result<&[u8]> {
    match record {
        None => Ok(b""),
        Some(record) => Ok(record.object.as_ref().as_str().ok_or(WRONG_TYPE)?),
    }
}

fn new_string(bytes: Vec<u8>) -> Record {
    Record { object: Object::string(bytes), expire_at: None }
}

/// BITOP operation destination key [key ...], all keys on this shard
pub fn bit_op(context: &mut Context<'_>) -> Result {
    let operation = Operation::parse(context.request)?;
    let sources: Vec<_> = (1..context.keys.len()).map(|index| read_record(context, index)).collect();
    let result = operation.apply(&sources)?;
    let (key, length) = (context.key(0), result.len());
    if result.is_empty() {
        context.delete(key);
    } else {
        context.put_record(context.db, key, new_string(result));
    }
    context.reply.integer(length as i64);
    Ok(())
}

/// The same, with the keys on several shards.
pub fn across(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan> {
    let (request, db, protocol) = (invocation.request(), invocation.db, invocation.protocol);
    let operation = Operation::parse(request)?;
    let mut read = Parts::default();
    // It is not read, but locked.
    let destination = request.arg(2).to_vec();
    let look = reading(basic::exists_uncounted, db);
    add(&mut read, shard, &look, &[b"exists", &destination], None);
    let sources: Vec<_> = request
        .skip(3)
        .iter()
        .map(|key| add(&mut read, shard, &reading(fetch, db), &[b"get", key], None))
        .collect();
    let shard_of_client = Rc::clone(&invocation.shard);
    let decide = move |read: &mut Parts| {
        let sources: Vec<_> = sources.iter().map(|source| fetched(read, *source)).collect();
        let result = match operation.apply(&sources) {
            Ok(result) => result,
            Err(error) => return Decision::Release(encode(protocol, |reply| reply.error(&error.0))),
        };
        let (mut parts, length) = (Parts::default(), result.len() as i64);
        let (handler, record) = match length {
            0 => (writing(basic::del, db), None),
            _ => (writing(store, db), Some(new_string(result))),
        };
        add(&mut parts, &shard_of_client, &handler, &[b"bitop", &destination], record);
        Decision::Commit(parts, Box::new(move |_| encode(protocol, |reply| reply.integer(length))))
    };
    Ok(TwoStepPlan { read, decide: Box::new(decide) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lengths around the borders of pieces, and missing strings.
    fn source() -> impl Strategy<Value = Option<Vec<u8>>> {
        let lengths = prop_oneof![0..40usize, PIECE - 2..PIECE + 3, 2 * PIECE..2 * PIECE + 40];
        let bytes = (lengths, any::<[u8; 7]>())
            .prop_map(|(length, pattern)| pattern.into_iter().cycle().take(length).collect());
        prop::option::of(bytes)
    }

    proptest! {
        #[test]
        fn results_agree_with_a_loop_over_bytes(sources in prop::collection::vec(source(), 1..5)) {
            let records: Vec<_> = sources.iter().cloned().map(|source| source.map(new_string)).collect();
            let byte = |source: &Option<Vec<u8>>, place: usize| {
                source.as_ref().and_then(|bytes| bytes.get(place).copied()).unwrap_or(0)
            };
            let length = sources.iter().flatten().map(Vec::len).max().unwrap_or(0);
            let expected = |combine: fn(u8, u8) -> u8| -> Vec<u8> {
                let at = |place| sources.iter().map(|source| byte(source, place)).reduce(combine);
                (0..length).filter_map(at).collect()
            };
            prop_assert!(Operation::And.apply(&records).unwrap() == expected(|a, b| a & b));
            prop_assert!(Operation::Or.apply(&records).unwrap() == expected(|a, b| a | b));
            prop_assert!(Operation::Xor.apply(&records).unwrap() == expected(|a, b| a ^ b));
            let inverted: Vec<u8> = sources[0].iter().flatten().map(|byte| !byte).collect();
            prop_assert!(Operation::Not.apply(&records[..1]).unwrap() == inverted);
        }
    }
}
