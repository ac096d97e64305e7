//! RANDOMKEY: a shard is chosen by its number of keys, then a key of that shard.
//!
//! Every key has the same chance, as far as the keyspace gives its keys the same chance and no key comes or goes
//! between the two questions.

use formats::log::ShardId;
use formats::resp::{Protocol, parse_i64};

use crate::command::{Invocation, TaskFuture, index_of};
use crate::shard::context::{Call, CommandError, Context, Handler};
use crate::shard::transaction::{self, Parts};

/// Draws of a shard before the answer is that there is no key: all that were met had expired.
const TRIES: usize = 8;

/// RANDOMKEY
pub fn random_key(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let mut command = index_of(b"randomkey").unwrap_or(u16::MAX);
        for _ in 0..TRIES {
            let counts = ask_all(&invocation, count_keys, command).await;
            command = u16::MAX; // counted once
            let Some(shard) = choose(&counts, invocation.shard.engine.borrow_mut().random()) else { break };
            let reply = ask(&invocation, ShardId(shard as u16), pick_key).await;
            if reply.first() == Some(&b'$') && !reply.starts_with(b"$-1") {
                return reply;
            }
        }
        invocation.reply(|reply| reply.null())
    })
}

/// The index drawn by `random` out of counts, each with a chance of its size; nothing if all are 0.
fn choose(counts: &[u64], random: u64) -> Option<usize> {
    let total: u64 = counts.iter().sum();
    let mut drawn = ((u128::from(random) * u128::from(total)) >> 64) as u64;
    counts.iter().position(|&count| {
        let here = drawn < count;
        drawn = drawn.saturating_sub(count);
        here
    })
}

fn count_keys(context: &mut Context<'_>) -> Result<(), CommandError> {
    let count = context.keyspace().len();
    context.reply.integer(count as i64);
    Ok(())
}

fn pick_key(context: &mut Context<'_>) -> Result<(), CommandError> {
    match context.random_key() {
        Some(key) => context.reply.bulk(&key),
        None => context.reply.null(),
    }
    Ok(())
}

fn call(invocation: &Invocation, handler: Handler, command: u16) -> Call {
    Call { handler, command, writes: false, whole_keyspace: true, db: invocation.db }
}

/// What every shard answers to a handler that answers a number.
async fn ask_all(invocation: &Invocation, handler: Handler, command: u16) -> Vec<u64> {
    let shard = &invocation.shard;
    let mut parts = Parts::default();
    for target in shard.shared.shard_ids() {
        let command = if target == shard.id { command } else { u16::MAX };
        let (_, batch) = parts.batch(shard, target, Protocol::Resp2);
        batch.push(&call(invocation, handler, command), std::iter::empty(), std::iter::empty());
    }
    let mut parts = transaction::read(shard, parts).await;
    let counts = parts.batches().map(|batch| number(batch.reply(0))).collect();
    parts.recycle(shard);
    counts
}

fn number(reply: &[u8]) -> u64 {
    let digits = reply.strip_prefix(b":").and_then(|rest| rest.strip_suffix(b"\r\n"));
    digits.and_then(parse_i64).map_or(0, i64::unsigned_abs)
}

async fn ask(invocation: &Invocation, target: ShardId, handler: Handler) -> Vec<u8> {
    let shard = &invocation.shard;
    let mut parts = Parts::default();
    let (_, batch) = parts.batch(shard, target, invocation.protocol);
    batch.push(&call(invocation, handler, u16::MAX), std::iter::empty(), std::iter::empty());
    let mut parts = transaction::read(shard, parts).await;
    let reply = parts.part(0).reply(0).to_vec();
    parts.recycle(shard);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_follow_the_counts() {
        assert_eq!(choose(&[], 7), None);
        assert_eq!(choose(&[0, 0], u64::MAX), None);
        assert_eq!(choose(&[0, 3], 0), Some(1));
        assert_eq!(choose(&[0, 3, 0], u64::MAX), Some(1));
        let counts = [1, 0, 2, 5];
        let mut drawn = [0; 4];
        for step in 0..8 {
            drawn[choose(&counts, (u64::MAX / 8) * step + step + 1).unwrap()] += 1;
        }
        assert_eq!(drawn, [1, 0, 2, 5]);
    }
}
