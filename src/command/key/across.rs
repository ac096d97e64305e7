//! RENAME, RENAMENX, COPY and MSETNX where the keys are on several shards: two-step transactions.
//!
//! The first step reads under the locks of all keys: a value comes back detached, in its call's record, whether a key
//! is there as an integer. The second step writes, with the value in the record of its call.

use std::rc::Rc;

use formats::log::ShardId;
use formats::resp::{Protocol, Reply, parse_i64};

use super::basic;
use super::transfer::{CopyOptions, NO_SUCH_KEY};
use crate::command::{Invocation, TwoStepPlan, index_of, string};
use crate::shard::Shard;
use crate::shard::context::{Call, CommandError, Context, Handler, KeyRef, Record};
use crate::shard::transaction::{Decision, Parts};

/// A call that is not to be counted: the command is counted once, where it writes.
const UNCOUNTED: u16 = u16::MAX;

/// Where a call is among the parts.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    call: usize,
}

/// Adds a call on the key `args[1]`, or on every second argument from there (`step` 2), all on one shard.
fn add(
    parts: &mut Parts,
    shard: &Shard,
    call: &Call,
    args: &[&[u8]],
    step: usize,
    record: Option<Record>,
) -> Place {
    let hasher = shard.engine.borrow().hasher;
    let target = hasher.shard(args[1], hasher.hash(args[1]), shard.shared.shards());
    let keys =
        (1..args.len()).step_by(step).map(|arg| KeyRef { arg: arg as u32, hash: hasher.hash(args[arg]) });
    let (part, batch) = parts.batch(shard, ShardId(target), Protocol::Resp2);
    batch.push(call, args.iter().copied(), keys).record = record;
    Place { part, call: batch.calls.len() - 1 }
}

fn reading(handler: Handler, db: u16) -> Call {
    Call { handler, command: UNCOUNTED, writes: false, whole_keyspace: false, db }
}

fn writing(handler: Handler, command: u16, db: u16) -> Call {
    Call { handler, command, writes: true, whole_keyspace: false, db }
}

/// The integer that a call answered.
fn number(parts: &mut Parts, place: Place) -> i64 {
    let reply = parts.part(place.part).reply(place.call);
    let digits = reply.strip_prefix(b":").and_then(|rest| rest.strip_suffix(b"\r\n"));
    digits.and_then(parse_i64).expect("these handlers answer integers")
}

fn encode(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Reply::new(&mut out, protocol));
    out
}

/// Reads the key's value into the record of its call.
fn detach(context: &mut Context<'_>) -> Result<(), CommandError> {
    *context.record = context.detach(context.db, context.key(0));
    context.reply.ok();
    Ok(())
}

/// Stores the record of its call at the key.
fn store(context: &mut Context<'_>) -> Result<(), CommandError> {
    if let Some(record) = context.record.take() {
        context.put_record(context.db, context.key(0), record);
    }
    context.reply.ok();
    Ok(())
}

/// RENAME
pub fn rename(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let options = CopyOptions { db: invocation.db, replace: true };
    Ok(transfer_plan(shard, invocation, options, Kind::Rename))
}

/// RENAMENX
pub fn rename_nx(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let options = CopyOptions { db: invocation.db, replace: false };
    Ok(transfer_plan(shard, invocation, options, Kind::RenameNx))
}

/// COPY
pub fn copy(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let databases = shard.engine.borrow().dbs.len() as u16;
    let options = CopyOptions::parse(invocation.request().skip(3), invocation.db, databases, false)?;
    Ok(transfer_plan(shard, invocation, options, Kind::Copy))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rename,
    RenameNx,
    Copy,
}

impl Kind {
    fn without_source(self, protocol: Protocol) -> Vec<u8> {
        encode(protocol, |reply| match self {
            Kind::Copy => reply.integer(0),
            Kind::Rename | Kind::RenameNx => reply.error(NO_SUCH_KEY),
        })
    }

    fn done(self, protocol: Protocol) -> Vec<u8> {
        encode(protocol, |reply| match self {
            Kind::Rename => reply.ok(),
            Kind::Copy | Kind::RenameNx => reply.integer(1),
        })
    }
}

fn transfer_plan(shard: &Shard, invocation: &Invocation, options: CopyOptions, kind: Kind) -> TwoStepPlan {
    let (db, protocol) = (invocation.db, invocation.protocol);
    let args: Vec<Vec<u8>> = invocation.request().iter().take(3).map(<[u8]>::to_vec).collect();
    let command = index_of(&args[0]).unwrap_or(UNCOUNTED);
    let shard_of_client = Rc::clone(&invocation.shard);
    let mut read = Parts::default();
    let source = add(&mut read, shard, &reading(detach, db), &[&args[0], &args[1]], 1, None);
    let exists =
        add(&mut read, shard, &reading(basic::exists_uncounted, options.db), &[&args[0], &args[2]], 1, None);
    let decide = move |read: &mut Parts| {
        let Some(record) = read.part(source.part).calls[source.call].record.take() else {
            return Decision::Release(kind.without_source(protocol));
        };
        if !options.replace && number(read, exists) > 0 {
            return Decision::Release(encode(protocol, |reply| reply.integer(0)));
        }
        let (shard, mut parts) = (&*shard_of_client, Parts::default());
        if kind != Kind::Copy {
            add(&mut parts, shard, &writing(basic::del, UNCOUNTED, db), &[b"del", &args[1]], 1, None);
        }
        let put = writing(store, command, options.db);
        add(&mut parts, shard, &put, &[&args[0], &args[2]], 1, Some(record));
        Decision::Commit(parts, Box::new(move |_| kind.done(protocol)))
    };
    TwoStepPlan { read, decide: Box::new(decide) }
}

/// MSETNX
pub fn mset_nx(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let (db, protocol) = (invocation.db, invocation.protocol);
    let args: Vec<Vec<u8>> = invocation.request().iter().map(<[u8]>::to_vec).collect();
    let command = index_of(&args[0]).unwrap_or(UNCOUNTED);
    let shard_of_client = Rc::clone(&invocation.shard);
    let mut read = Parts::default();
    let mut places = Vec::new();
    for pair in args[1..].chunks_exact(2) {
        places.push(add(
            &mut read,
            shard,
            &reading(basic::exists_uncounted, db),
            &[&args[0], &pair[0]],
            1,
            None,
        ));
    }
    let decide = move |read: &mut Parts| {
        if places.iter().any(|place| number(read, *place) > 0) {
            return Decision::Release(encode(protocol, |reply| reply.integer(0)));
        }
        let mut parts = Parts::default();
        for (index, pair) in args[1..].chunks_exact(2).enumerate() {
            let call = writing(string::set::mset, if index == 0 { command } else { UNCOUNTED }, db);
            add(&mut parts, &shard_of_client, &call, &[&args[0], &pair[0], &pair[1]], 2, None);
        }
        Decision::Commit(parts, Box::new(move |_| encode(protocol, |reply| reply.integer(1))))
    };
    Ok(TwoStepPlan { read, decide: Box::new(decide) })
}
