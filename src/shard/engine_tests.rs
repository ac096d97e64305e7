//! Tests of the engine: what waits for locks runs in order, and reads are gated by their own keys.

use super::*;
use crate::shard::batch::Origin;
use crate::shard::context::CommandError;
use crate::shard::locks::TransactionId;

#[test]
fn a_read_waits_for_its_own_key_and_for_displaced_ones_alone() {
    let mut slot = RecentWrite::default();
    let gates = |slot: RecentWrite| [1, 2, 3].map(|hash| slot.gate(KeyHash(hash)).0);
    slot.note(KeyHash(1), Position(5));
    assert_eq!(gates(slot), [5, 0, 0]);
    slot.note(KeyHash(1), Position(7));
    assert_eq!(gates(slot), [7, 0, 0]);
    slot.note(KeyHash(2), Position(9));
    assert_eq!(gates(slot), [7, 9, 7], "the third may have been written before the first");
    slot.note(KeyHash(3), Position(10));
    assert_eq!(gates(slot), [9, 9, 10], "each covers the key's last write");
    slot.note(KeyHash(3), Position(12));
    assert_eq!(gates(slot), [9, 9, 12]);
}

fn set(context: &mut Context<'_>) -> Result<(), CommandError> {
    context.put_string(context.key(0), context.arg(1), None);
    context.reply.ok();
    Ok(())
}

fn get(context: &mut Context<'_>) -> Result<(), CommandError> {
    let value = context.read_string(context.key(0))?.map(<[u8]>::to_vec);
    context.reply.bulk(&value.unwrap_or_default());
    Ok(())
}

fn append(context: &mut Context<'_>) -> Result<(), CommandError> {
    context.lookup(context.key(0)); // as every command does that asks for the type
    let length = context.append_string(context.key(0), context.arg(1))?;
    context.reply.integer(length as i64);
    Ok(())
}

fn overwrite(context: &mut Context<'_>) -> Result<(), CommandError> {
    context.lookup(context.key(0));
    let length = context.overwrite_string(context.key(0), 0, context.arg(1))?;
    context.reply.integer(length as i64);
    Ok(())
}

#[test]
fn a_write_under_way_when_a_pause_begins_meets_no_key_that_has_ended() {
    for handler in [append, overwrite] {
        let mut engine = engine();
        let hash = engine.hasher.hash(b"k");
        engine.dbs[0].set_str(hash, b"k", b"old value", Some(1));
        engine.pause.begin(Paused::Writes, u64::MAX);
        let read = batch(&engine, 5, Mode::Plain, &["k"]);
        assert_eq!(run(&mut engine, read), ["$0\r\n\r\n"]);
        assert_eq!(engine.dbs[0].len(), 1, "a read leaves it for the time behind the pause");
        let mut write = batch(&engine, 5, Mode::Plain, &["k=new"]);
        write.calls[0].call.handler = handler;
        assert_eq!(run(&mut engine, write), [":3\r\n"]);
        engine.pause.end();
        let read = batch(&engine, 5, Mode::Plain, &["k"]);
        assert_eq!(run(&mut engine, read), ["$3\r\nnew\r\n"], "it has no end");
    }
}

#[test]
fn replies_of_a_batch_end_where_the_client_is_over_its_limit() {
    let mut engine = engine();
    let mut config = Config::default();
    config.set(&[("client-output-buffer-limit", "normal 20 0 0")]).unwrap();
    engine.watch(&config);
    let plain = batch(&engine, 5, Mode::Plain, &["k=0123456789", "k", "k", "k=1", "k"]);
    let error = "-ERR the replies to this pipeline are too large\r\n";
    let replies = format!("+OK\r\n$10\r\n0123456789\r\n{error}+OK\r\n{error}");
    assert_eq!(run(&mut engine, plain), [replies], "a write is never left out");
    let hash = engine.hasher.hash(b"k");
    assert_eq!(engine.dbs[0].get(hash, b"k").unwrap().value.as_str(), Some(&b"1"[..]));
    config.set(&[("client-output-buffer-limit", "normal 0 0 0")]).unwrap();
    engine.watch(&config);
    assert_eq!(engine.max_reply_bytes, MAX_REPLY_BYTES);
}

fn engine() -> Engine {
    Engine::new(ShardId(0), 1, KeyHasher::new(7), 7)
}

/// A batch of commands, `key=value` to set and `key` to get; `client` 0 stands for a transaction.
fn batch(engine: &Engine, client: u64, mode: Mode, words: &[&str]) -> Box<Batch> {
    let mut batch = Box::new(Batch::new());
    batch.mode = mode;
    if client > 0 {
        batch.origin = Origin::Connection { shard: ShardId(0), slot: 0, client, round: 0, part: 0 };
    }
    for word in words {
        let (key, value) = word.split_once('=').map_or((*word, None), |(key, value)| (key, Some(value)));
        let handler = if value.is_some() { set } else { get };
        let call = Call { handler, command: u16::MAX, writes: value.is_some(), whole_keyspace: false, db: 0 };
        let hash = engine.hasher.hash(key.as_bytes());
        let args = [key.as_bytes(), value.unwrap_or_default().as_bytes()];
        batch.push(&call, args.into_iter(), std::iter::once(KeyRef { arg: 0, hash }));
    }
    batch
}

/// Runs a batch and returns the replies of all batches that this completed, one text for each.
fn run(engine: &mut Engine, batch: Box<Batch>) -> Vec<String> {
    let mut done = Vec::new();
    engine.run(batch, 1, &mut |_, batch| done.push(String::from_utf8_lossy(&batch.replies).into_owned()));
    done
}

#[test]
fn what_a_connection_sends_behind_a_lock_runs_in_its_order() {
    let mut engine = engine();
    let lock = batch(&engine, 0, Mode::Lock(TransactionId(1)), &["k"]);
    assert_eq!(run(&mut engine, lock), ["$0\r\n\r\n"], "nobody holds it");
    let sent: [&[&str]; 3] = [&["k=1", "k=2", "m=1"], &["k=3"], &["m=2", "m"]];
    for words in sent {
        let plain = batch(&engine, 5, Mode::Plain, words);
        assert!(run(&mut engine, plain).is_empty(), "{words:?} must wait");
    }
    let other = batch(&engine, 6, Mode::Plain, &["m=0", "m"]);
    assert_eq!(run(&mut engine, other), ["+OK\r\n$1\r\n0\r\n"], "another connection does not wait for it");
    let commit = batch(&engine, 0, Mode::Commit(TransactionId(1), None), &[]);
    let done = run(&mut engine, commit);
    assert_eq!(done, ["", "+OK\r\n+OK\r\n+OK\r\n", "+OK\r\n", "+OK\r\n$1\r\n2\r\n"]);
    let read = batch(&engine, 7, Mode::Plain, &["k", "m"]);
    assert_eq!(run(&mut engine, read), ["$1\r\n3\r\n$1\r\n2\r\n"]);
    assert!(engine.waiting.is_empty() && engine.locks.is_empty());
}

#[test]
fn reads_pass_a_lock_and_writes_wait_for_every_holder_in_turn() {
    let mut engine = engine();
    let locks = [1, 2].map(|id| batch(&engine, 0, Mode::Lock(TransactionId(id)), &["k"]));
    let [first, second] = locks;
    assert_eq!(run(&mut engine, first).len(), 1);
    assert!(run(&mut engine, second).is_empty(), "the second waits for the first");
    let write = batch(&engine, 5, Mode::Plain, &["k=1"]);
    assert!(run(&mut engine, write).is_empty());
    let release = |engine: &Engine, id| batch(engine, 0, Mode::Commit(TransactionId(id), None), &[]);
    let commit = release(&engine, 1);
    assert_eq!(run(&mut engine, commit), ["", "$0\r\n\r\n"], "the second holds it now, and sees it empty");
    let commit = release(&engine, 2);
    assert_eq!(run(&mut engine, commit), ["", "+OK\r\n"]);
    let third = batch(&engine, 0, Mode::Lock(TransactionId(3)), &["k"]);
    assert_eq!(run(&mut engine, third), ["$1\r\n1\r\n"]);
    let read = batch(&engine, 6, Mode::Plain, &["k"]);
    assert_eq!(run(&mut engine, read), ["$1\r\n1\r\n"], "a read passes while nobody waits");
}

fn flush(context: &mut Context<'_>) -> Result<(), CommandError> {
    context.flush(None);
    Ok(())
}

#[test]
fn changes_are_keys_and_what_is_replayed_is_none() {
    let mut engine = engine();
    for (mode, words, changes) in [
        (Mode::Plain, &["a=1", "b=1", "a=2", "a"][..], 3),
        (Mode::Replay, &["c=1", "d=1"], 3),
        (Mode::Plain, &["c=2"], 4),
    ] {
        let sent = batch(&engine, 5, mode, words);
        run(&mut engine, sent);
        assert_eq!(engine.changes, changes, "{words:?}");
    }
    let mut all = batch(&engine, 5, Mode::Plain, &[]);
    let call = Call { handler: flush, command: u16::MAX, writes: true, whole_keyspace: true, db: 0 };
    all.push(&call, std::iter::empty(), std::iter::empty());
    run(&mut engine, all);
    assert_eq!(engine.changes, 8, "a flush changes every key that there was");
}
