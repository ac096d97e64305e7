//! DEBUG DIGEST and DIGEST-VALUE: the digests that Redis makes of the same keys.
//!
//! ```text
//! mix(d, bytes)   = SHA-1(d xor SHA-1(bytes))
//! value           = mix(mix(0, type), bytes of the string) [xor SHA-1("!!expire!!") if it has an end]
//! key             = the same, begun with mix(0, key) instead of 0
//! keyspace        = for each database that has keys, in order: mix(d, number), then xor of SHA-1(key) for all its keys
//! ```
//!
//! Numbers count as four bytes, big endian. Keys are put together by exclusive or: so each shard does its own.
//!
//! Source: Redis' `debug.c`.

use formats::resp::Protocol;
use sha1_smol::Sha1;

use super::asking;
use crate::command::Invocation;
use crate::shard::context::{CommandError, Context};
use crate::shard::transaction::{self, Parts};
use crate::store::{Entry, ValueRef};

const BYTES: usize = 20;
/// What one shard tells of a database: whether it has keys, and their digest.
const ANSWER_BYTES: usize = 1 + BYTES;

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Digest([u8; BYTES]);

impl Digest {
    fn xor(&mut self, other: Digest) {
        self.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
    }

    fn xor_of(&mut self, bytes: &[u8]) {
        self.xor(Digest(Sha1::from(bytes).digest().bytes()));
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.xor_of(bytes);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    fn mix_value(&mut self, entry: &Entry<'_>) {
        self.mix(&u32::from(entry.kind as u8).to_be_bytes());
        match entry.value {
            ValueRef::Str(bytes) => self.mix(bytes),
        }
        if entry.expire_at.is_some() {
            self.xor_of(b"!!expire!!");
        }
    }

    fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// DEBUG DIGEST: at one point of the common order.
pub async fn of_all(invocation: &Invocation) -> String {
    let shard = &invocation.shard;
    let mut parts = Parts::default();
    for target in shard.shared.shard_ids() {
        let (_, batch) = parts.batch(shard, target, Protocol::Resp2);
        batch.push(&asking(invocation, of_shard), std::iter::empty(), std::iter::empty());
    }
    let mut parts = transaction::read(shard, parts).await;
    let databases = shard.engine.borrow().dbs.len();
    let mut all = Digest::default();
    for db in 0..databases {
        let mut keys = Digest::default();
        let mut is_empty = true;
        for batch in parts.batches() {
            let answer = batch.reply(0).get(db * ANSWER_BYTES..(db + 1) * ANSWER_BYTES);
            let Some((&has_keys, digest)) = answer.and_then(|answer| answer.split_first_chunk::<1>()) else {
                continue;
            };
            is_empty &= has_keys == [0];
            keys.xor(Digest(digest.try_into().unwrap_or_default()));
        }
        if !is_empty {
            all.mix(&(db as u32).to_be_bytes());
            all.xor(keys);
        }
    }
    parts.recycle(shard);
    all.hex()
}

/// Answers bytes, not a reply: [`ANSWER_BYTES`] for each database.
fn of_shard(context: &mut Context<'_>) -> Result<(), CommandError> {
    for db in 0..context.databases() {
        context.db = db;
        let mut all = Digest::default();
        context.keyspace().for_each(|entry| {
            let mut digest = Digest::default();
            digest.mix(entry.key);
            digest.mix_value(&entry);
            all.xor_of(&digest.0);
        });
        let has_keys = !context.keyspace().is_empty();
        context.reply.raw(&[u8::from(has_keys)]);
        context.reply.raw(&all.0);
    }
    Ok(())
}

/// DEBUG DIGEST-VALUE, of one key: zeros where it is not there.
pub fn of_value(context: &mut Context<'_>) -> Result<(), CommandError> {
    let mut digest = Digest::default();
    let key = context.key(0);
    if let Some(entry) = context.keyspace().get(key.hash, key.bytes) {
        digest.mix_value(&entry);
    }
    context.reply.simple(&digest.hex());
    Ok(())
}
