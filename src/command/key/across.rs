//! RENAME, RENAMENX and MSETNX where the keys are on several shards, COPY and MOVE: two-step transactions.
//!
//! The first step reads under the locks of all keys: a value comes back detached, in its call's record, whether a key
//! is there as an integer. The second step writes, with the value in the record of its call.

use std::rc::Rc;
use std::time::Duration;

use formats::log::ShardId;
use formats::resp::{Protocol, Reply, parse_i64};

use super::basic;
use super::transfer::{CopyOptions, NO_SUCH_KEY, move_target};
use crate::command::{Invocation, TaskFuture, TwoStepPlan, string};
use crate::shard::Shard;
use crate::shard::context::{Call, CommandError, Context, Handler, KeyRef, Record, UNCOUNTED};
use crate::shard::pause::Paused;
use crate::shard::transaction::{self, Decision, Parts};

/// How long a command waits for a log with room before it looks again.
const LOG_FULL_WAIT: Duration = Duration::from_millis(2);

/// Where a call is among the parts.
#[derive(Clone, Copy)]
pub(in crate::command) struct Place {
    part: usize,
    call: usize,
}

/// Adds a call on the key `args[1]` for the shard that has it.
pub(in crate::command) fn add(
    parts: &mut Parts,
    shard: &Shard,
    call: &Call,
    args: &[&[u8]],
    record: Option<Record>,
) -> Place {
    let hasher = shard.engine.borrow().hasher;
    let hash = hasher.hash(args[1]);
    let target = hasher.shard(args[1], hash, shard.shared.shards());
    let (part, batch) = parts.batch(shard, ShardId(target), Protocol::Resp2);
    batch.push(call, args.iter().copied(), std::iter::once(KeyRef { arg: 1, hash })).record = record;
    Place { part, call: batch.calls.len() - 1 }
}

// The command as a whole is counted where it begins, its calls are not.

pub(in crate::command) fn reading(handler: Handler, db: u16) -> Call {
    Call { handler, command: UNCOUNTED, writes: false, whole_keyspace: false, db }
}

pub(in crate::command) fn writing(handler: Handler, db: u16) -> Call {
    Call { handler, command: UNCOUNTED, writes: true, whole_keyspace: false, db }
}

/// The integer that a call answered.
fn number(parts: &mut Parts, place: Place) -> i64 {
    let reply = parts.part(place.part).reply(place.call);
    let digits = reply.strip_prefix(b":").and_then(|rest| rest.strip_suffix(b"\r\n"));
    digits.and_then(parse_i64).expect("these handlers answer integers")
}

pub(in crate::command) fn encode(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> Vec<u8> {
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

/// A detached copy of the value of the `index`-th key, which is counted as a hit or miss.
pub(in crate::command) fn read_record(context: &mut Context<'_>, index: usize) -> Option<Record> {
    let key = context.key(index);
    context.read(key);
    context.detach(context.db, key)
}

/// As [`detach`], and counted as a hit or miss.
pub(in crate::command) fn fetch(context: &mut Context<'_>) -> Result<(), CommandError> {
    *context.record = read_record(context, 0);
    context.reply.ok();
    Ok(())
}

/// What [`fetch`] read.
pub(in crate::command) fn fetched(parts: &mut Parts, place: Place) -> Option<Record> {
    parts.part(place.part).calls[place.call].record.take()
}

/// Stores the record of its call at the key.
pub(in crate::command) fn store(context: &mut Context<'_>) -> Result<(), CommandError> {
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

/// COPY source destination [DB number] [REPLACE]
///
/// Two-step wherever its keys are: the copy may go to another database, and only here is it locked there.
pub fn copy(invocation: Invocation) -> TaskFuture {
    two_step(invocation, copy_plan)
}

/// MOVE key db
///
/// Both keys are on one shard; as with COPY, only here is the one in the other database locked.
pub fn move_key(invocation: Invocation) -> TaskFuture {
    two_step(invocation, move_plan)
}

fn two_step(
    invocation: Invocation,
    plan: fn(&Invocation) -> Result<TwoStepPlan, CommandError>,
) -> TaskFuture {
    Box::pin(async move {
        let plan = match plan(&invocation) {
            Ok(plan) => plan,
            Err(error) => return invocation.error(&error.0),
        };
        if let Some(error) = wait_to_write(&invocation, &plan.read).await {
            plan.read.recycle(&invocation.shard);
            return invocation.error(&error);
        }
        transaction::two_step(&invocation.shard, plan.read, plan.decide).await
    })
}

fn copy_plan(invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let (shard, request) = (&invocation.shard, invocation.request());
    let databases = shard.engine.borrow().dbs.len() as u16;
    let options = CopyOptions::parse(request, invocation.db, databases)?;
    Ok(transfer_plan(shard, invocation, options, Kind::Copy))
}

fn move_plan(invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let (shard, request) = (&invocation.shard, invocation.request());
    let databases = shard.engine.borrow().dbs.len() as u16;
    let db = move_target(request, invocation.db, databases)?;
    Ok(transfer_plan(shard, invocation, CopyOptions { db, replace: false }, Kind::Move))
}

/// Waits until no pause holds writes up and the logs of all parts have room; the error if one takes no writes, or nobody waits
/// for the answer.
pub async fn wait_to_write(invocation: &Invocation, parts: &Parts) -> Option<String> {
    let shared = &invocation.shard.shared;
    loop {
        if invocation.client.killed.get() {
            return Some("ERR the client has gone".to_owned());
        }
        if let Some(reason) = shared.log_refuses() {
            return Some(format!("MISCONF Errors writing to the AOF file: {reason}"));
        }
        let is_free = shared.pause.now() == Paused::Nothing && !shared.sequencer.is_full();
        if is_free && !parts.shards().any(|shard| shared.log_is_full(shard)) {
            return None;
        }
        tokio::time::sleep(LOG_FULL_WAIT).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rename,
    RenameNx,
    Copy,
    /// To the same name in another database.
    Move,
}

impl Kind {
    fn without_source(self, protocol: Protocol) -> Vec<u8> {
        encode(protocol, |reply| match self {
            Kind::Copy | Kind::Move => reply.integer(0),
            Kind::Rename | Kind::RenameNx => reply.error(NO_SUCH_KEY),
        })
    }

    fn done(self, protocol: Protocol) -> Vec<u8> {
        encode(protocol, |reply| match self {
            Kind::Rename => reply.ok(),
            Kind::Copy | Kind::RenameNx | Kind::Move => reply.integer(1),
        })
    }
}

fn transfer_plan(shard: &Shard, invocation: &Invocation, options: CopyOptions, kind: Kind) -> TwoStepPlan {
    let (db, protocol) = (invocation.db, invocation.protocol);
    let mut args: Vec<Vec<u8>> = invocation.request().iter().take(3).map(<[u8]>::to_vec).collect();
    if kind == Kind::Move {
        args[2] = args[1].clone();
    }
    let shard_of_client = Rc::clone(&invocation.shard);
    let mut read = Parts::default();
    let source = add(&mut read, shard, &reading(detach, db), &[&args[0], &args[1]], None);
    let look = reading(basic::exists_uncounted, options.db);
    let exists = add(&mut read, shard, &look, &[&args[0], &args[2]], None);
    let decide = move |read: &mut Parts| {
        let Some(record) = fetched(read, source) else {
            return Decision::Release(kind.without_source(protocol));
        };
        if !options.replace && number(read, exists) > 0 {
            return Decision::Release(encode(protocol, |reply| reply.integer(0)));
        }
        let (shard, mut parts) = (&*shard_of_client, Parts::default());
        if kind != Kind::Copy {
            add(&mut parts, shard, &writing(basic::del, db), &[b"del", &args[1]], None);
        }
        add(&mut parts, shard, &writing(store, options.db), &[&args[0], &args[2]], Some(record));
        Decision::Commit(parts, Box::new(move |_| kind.done(protocol)))
    };
    TwoStepPlan { read, decide: Box::new(decide) }
}

/// MSETNX
pub fn mset_nx(shard: &Shard, invocation: &Invocation) -> Result<TwoStepPlan, CommandError> {
    let (db, protocol) = (invocation.db, invocation.protocol);
    let args: Vec<Vec<u8>> = invocation.request().iter().map(<[u8]>::to_vec).collect();
    let shard_of_client = Rc::clone(&invocation.shard);
    let mut read = Parts::default();
    let mut places = Vec::new();
    for pair in args[1..].chunks_exact(2) {
        let look = reading(basic::exists_uncounted, db);
        places.push(add(&mut read, shard, &look, &[&args[0], &pair[0]], None));
    }
    let decide = move |read: &mut Parts| {
        if places.iter().any(|place| number(read, *place) > 0) {
            return Decision::Release(encode(protocol, |reply| reply.integer(0)));
        }
        let mut parts = Parts::default();
        for pair in args[1..].chunks_exact(2) {
            let put = writing(string::set::mset, db);
            add(&mut parts, &shard_of_client, &put, &[&args[0], &pair[0], &pair[1]], None);
        }
        Decision::Commit(parts, Box::new(move |_| encode(protocol, |reply| reply.integer(1))))
    };
    Ok(TwoStepPlan { read, decide: Box::new(decide) })
}
