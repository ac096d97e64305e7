//! DEBUG LOADAOF: what a start would find takes the place of the keys.
//!
//! All shards stop at one point of the common order until it is done: what was run before is in the log, and durable
//! before the log is read; what comes behind meets the keys that came back.
//!
//! Invariants:
//! 1. While the shards stand still nothing is logged, no save runs, and every transaction is in the log whole or not at all.
//! 2. After an error the keys are the same as before.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use formats::log::{Position, ShardId};

use crate::clock;
use crate::command::Invocation;
use crate::shard::Shard;
use crate::shard::context::CommandError;
use crate::shard::mailbox::Message;
use crate::shard::shared::Shared;
use crate::store::Keyspace;

/// Longest wait for the log's disk, with all shards standing still.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at a save that runs: behind it the log is loaded.
const SAVE_WAIT: Duration = Duration::from_millis(10);

/// A shard that stands still: where its log ends, and how it goes on, with other databases or its own.
struct Stopped {
    shard: ShardId,
    appended: Position,
    go_on: Sender<Option<Vec<Keyspace>>>,
}

/// DEBUG LOADAOF
pub async fn run(invocation: &Invocation) -> Result<Vec<u8>, CommandError> {
    let shared = Arc::clone(&invocation.shard.shared);
    if shared.is_loading() {
        return Err("LOADING Redis is loading the dataset in memory".into());
    }
    if shared.load_log.get().is_none() {
        return Err("ERR DEBUG LOADAOF needs a log: appendonly is no".into());
    }
    while shared.saves.running().is_some() {
        tokio::time::sleep(SAVE_WAIT).await;
    }
    let stopped = stop_all(&shared).await;
    let reloaded = tokio::task::spawn_blocking(move || reload(&shared, stopped)).await;
    match reloaded {
        Ok(Ok(())) => Ok(invocation.reply(|reply| reply.ok())),
        Ok(Err(error)) => {
            Err(format!("ERR DEBUG LOADAOF: {}", error.lines().collect::<Vec<_>>().join("; ")).into())
        }
        Err(_) => Err("ERR DEBUG LOADAOF: its thread ended early".into()),
    }
}

/// Tells all shards to stop, each at the same point of the common order.
async fn stop_all(shared: &Shared) -> Receiver<Stopped> {
    let (sender, stopped) = channel();
    let section = shared.sequencer.exclusive().await;
    for mailbox in &shared.mailboxes {
        let sender = sender.clone();
        mailbox.push(Message::Call(Box::new(move |shard| stand_still(shard, &sender))));
    }
    drop(section);
    shared.mailboxes.iter().for_each(|mailbox| mailbox.wake());
    stopped
}

/// Hands the log over and waits for how to go on.
fn stand_still(shard: &Shard, stopped: &Sender<Stopped>) {
    let mut engine = shard.engine.borrow_mut();
    let Some(log) = &mut engine.log else { return }; // the server is ending
    log.request_sync();
    log.submit_all();
    log.submit(clock::unix_ms());
    let (go_on, way) = channel();
    let appended = log.appended();
    if stopped.send(Stopped { shard: shard.id, appended, go_on }).is_ok()
        && let Ok(Some(databases)) = way.recv()
    {
        engine.replace(databases);
    }
}

/// On a thread of its own: the shards stand still meanwhile. They go on when `stopped` is dropped, whatever happens.
fn reload(shared: &Shared, stopped: Receiver<Stopped>) -> Result<(), String> {
    let mut shards: Vec<Stopped> = Vec::new();
    while shards.len() < usize::from(shared.shards()) {
        shards.push(stopped.recv_timeout(PATIENCE).map_err(|_| "a shard does not stop")?);
    }
    if shared.saves.running().is_some() {
        return Err("a save is running".to_owned());
    }
    wait_for_logs(shared, &shards)?;
    let load_log = shared.load_log.get().ok_or("there is no log")?;
    let mut databases = load_log()?;
    for stopped in shards {
        let own = databases.get_mut(usize::from(stopped.shard.0)).map(std::mem::take);
        let _ = stopped.go_on.send(own); // it waits for that
    }
    Ok(())
}

fn wait_for_logs(shared: &Shared, shards: &[Stopped]) -> Result<(), String> {
    let is_durable = |stopped: &Stopped| {
        let log = shared.logs[usize::from(stopped.shard.0)].get();
        log.is_none_or(|log| log.durable() >= stopped.appended)
    };
    let deadline = clock::now() + PATIENCE;
    while !shards.iter().all(is_durable) {
        if let Some(reason) = shared.log_refuses() {
            return Err(reason);
        }
        if clock::now() > deadline {
            return Err("the log does not become durable".to_owned());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
