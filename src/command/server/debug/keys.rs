//! DEBUG OBJECT, DIGEST-VALUE and POPULATE: single keys, wherever they are.

use std::sync::atomic::Ordering;

use formats::log::ShardId;
use formats::rdb::dump;
use formats::resp::{Protocol, parse_i64};

use super::{asking, digest};
use crate::command::Invocation;
use crate::command::key::{across, object};
use crate::shard::context::{Call, CommandError, Context, Handler, KeyRef, UNCOUNTED};
use crate::shard::transaction::{self, Parts};
use crate::store::{KeyHash, ValueRef};

/// Keys that POPULATE makes in one transaction, and the bytes of their values.
const KEYS_AT_ONCE: u64 = 256;
const BYTES_AT_ONCE: u64 = 4 << 20;

/// Where a key belongs.
fn place(invocation: &Invocation, key: &[u8]) -> (ShardId, KeyHash) {
    let hasher = invocation.shard.engine.borrow().hasher;
    let hash = hasher.hash(key);
    (ShardId(hasher.shard(key, hash, invocation.shard.shared.shards())), hash)
}

/// Runs a reading handler on each of these keys, and answers the replies in their order.
async fn ask_each(invocation: &Invocation, handler: Handler, keys: &[&[u8]]) -> Vec<Vec<u8>> {
    let shard = &invocation.shard;
    let (mut parts, mut places) = (Parts::default(), Vec::new());
    for key in keys {
        let (target, hash) = place(invocation, key);
        let (part, batch) = parts.batch(shard, target, invocation.protocol);
        let key_ref = KeyRef { arg: 0, hash };
        batch.push(&asking(invocation, handler), std::iter::once(*key), std::iter::once(key_ref));
        places.push((part, batch.calls.len() - 1));
    }
    let mut parts = transaction::read(shard, parts).await;
    let replies = places.into_iter().map(|(part, call)| parts.part(part).reply(call).to_vec()).collect();
    parts.recycle(shard);
    replies
}

/// DEBUG DIGEST-VALUE key [key ...]
pub async fn digest_values(invocation: &Invocation) -> Vec<u8> {
    let keys: Vec<&[u8]> = invocation.request().skip(2).iter().collect();
    let digests = ask_each(invocation, digest::of_value, &keys).await;
    invocation.reply(|reply| {
        reply.array(digests.len());
        digests.iter().for_each(|digest| reply.raw(digest));
    })
}

/// DEBUG OBJECT key
pub async fn object(invocation: &Invocation) -> Vec<u8> {
    let request = invocation.request();
    ask_each(invocation, describe, &[request.arg(2)]).await.pop().unwrap_or_default()
}

/// Values have no address that would stay, and no time of last use.
fn describe(context: &mut Context<'_>) -> Result<(), CommandError> {
    let (key, compress) = (context.key(0), context.compresses_dumps());
    let entry = context.keyspace().get(key.hash, key.bytes).ok_or("ERR no such key")?;
    let ValueRef::Str(bytes) = entry.value;
    let encoded_bytes = dump::encode_string(bytes, compress).len() - dump::BYTES_AROUND;
    let text = format!(
        "Value at:0x0 refcount:{} encoding:{} serializedlength:{encoded_bytes} lru:0 lru_seconds_idle:0",
        object::refcount(entry.value),
        object::encoding(entry.value),
    );
    context.reply.simple(&text);
    Ok(())
}

/// DEBUG POPULATE count [prefix] [size]. Unlike Redis', the keys are logged: they are there after a restart.
pub async fn populate(invocation: &Invocation) -> Result<Vec<u8>, CommandError> {
    let request = invocation.request();
    let count = positive(request.arg(2))?;
    let prefix = request.get(3).unwrap_or(b"key");
    let size = request.get(4).map(positive).transpose()?.unwrap_or(0);
    if size > invocation.shard.config.borrow().proto_max_bulk_len_bytes {
        return Err("ERR value is out of range".into());
    }
    let at_once = (BYTES_AT_ONCE / size.max(1)).clamp(1, KEYS_AT_ONCE);
    let mut first = 0;
    while first < count {
        if invocation.shard.shared.is_over_memory.load(Ordering::Relaxed) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        let parts = pairs(invocation, prefix, size as usize, first..count.min(first + at_once));
        if let Some(error) = across::wait_to_write(invocation, &parts).await {
            parts.recycle(&invocation.shard);
            return Err(error.into());
        }
        transaction::exclusive(&invocation.shard, parts).await.recycle(&invocation.shard);
        first += at_once;
    }
    Ok(invocation.reply(|reply| reply.ok()))
}

fn positive(arg: &[u8]) -> Result<u64, CommandError> {
    let number = parse_i64(arg).and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| "ERR value is out of range, must be positive".into())
}

/// The keys of these numbers, each for its shard.
fn pairs(invocation: &Invocation, prefix: &[u8], size: usize, numbers: impl Iterator<Item = u64>) -> Parts {
    let call =
        Call { handler: set_new, command: UNCOUNTED, writes: true, whole_keyspace: false, db: invocation.db };
    let mut parts = Parts::default();
    for number in numbers {
        let key = [prefix, format!(":{number}").as_bytes()].concat();
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let (target, hash) = place(invocation, &key);
        let (_, batch) = parts.batch(&invocation.shard, target, Protocol::Resp2);
        batch.push(&call, [&key[..], &value].into_iter(), std::iter::once(KeyRef { arg: 0, hash }));
    }
    parts
}

fn set_new(context: &mut Context<'_>) -> Result<(), CommandError> {
    let key = context.key(0);
    if context.lookup(key).is_none() {
        context.put_string(key, context.arg(1), None);
    }
    context.reply.ok();
    Ok(())
}
