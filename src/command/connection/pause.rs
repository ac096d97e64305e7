//! CLIENT PAUSE, UNPAUSE and UNBLOCK: who waits, and until when.

use formats::resp::parse_i64;

use crate::clock;
use crate::command::args::{integer, is};
use crate::command::{Invocation, TaskFuture};
use crate::shard::Shard;
use crate::shard::client::Unblock;
use crate::shard::context::CommandError;
use crate::shard::pause::Paused;

type Result<T> = std::result::Result<T, CommandError>;

/// CLIENT PAUSE timeout-ms [WRITE|ALL]
///
/// Answered when nothing runs any more that the pause holds up: once every shard has looked, none begins such a command; then
/// transactions that had begun end, and with the second look what was sent to other shards has been run.
pub fn pause(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let (kind, until_ms) = match arguments(&invocation) {
            Ok(arguments) => arguments,
            Err(error) => return invocation.error(&error.0),
        };
        let shared = &invocation.shard.shared;
        shared.pause.begin(kind, until_ms);
        shared.call_all(|_| ()).await;
        drop(shared.sequencer.exclusive().await);
        shared.call_all(|_| ()).await;
        drop(shared.sequencer.exclusive().await); // of tasks that had begun and not yet looked
        invocation.reply(|reply| reply.ok())
    })
}

fn arguments(invocation: &Invocation) -> Result<(Paused, u64)> {
    let request = invocation.request();
    let kind = match (request.get(3), request.len()) {
        (None, _) => Paused::All,
        (Some(word), 4) if is(word, "ALL") => Paused::All,
        (Some(word), 4) if is(word, "WRITE") => Paused::Writes,
        (Some(_), 4) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
        _ => return Err(wrong_count(invocation)),
    };
    Ok((kind, clock::unix_ms().saturating_add(timeout_ms(request.arg(2))?)))
}

/// A timeout in ms; 0 stands for none.
pub fn timeout_ms(arg: &[u8]) -> Result<u64> {
    match parse_i64(arg) {
        Some(millis @ 0..) => Ok(millis.unsigned_abs()),
        Some(_) => Err("ERR timeout is negative".into()),
        None => Err("ERR timeout is not an integer or out of range".into()),
    }
}

fn wrong_count(invocation: &Invocation) -> CommandError {
    let word = String::from_utf8_lossy(invocation.request().arg(1)).into_owned();
    format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP.").into()
}

/// CLIENT UNPAUSE
pub fn unpause(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let shared = &invocation.shard.shared;
        shared.pause.end();
        shared.call_all(wake_paused).await;
        invocation.reply(|reply| reply.ok())
    })
}

fn wake_paused(shard: &Shard) {
    let clients = shard.clients.borrow();
    clients.iter().filter(|(_, client)| client.paused.get()).for_each(|(_, client)| client.wake());
}

/// CLIENT UNBLOCK id [TIMEOUT|ERROR]: ends the wait of a client that is blocked in a command. Answers whether it was.
pub fn unblock(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let (id, how) = match unblock_arguments(&invocation) {
            Ok(arguments) => arguments,
            Err(error) => return invocation.error(&error.0),
        };
        let unblock_here = move |shard: &Shard| {
            let clients = shard.clients.borrow();
            let blocked = clients.iter().find(|(_, client)| i64::try_from(client.id) == Ok(id));
            let waits = blocked.and_then(|(_, client)| client.unblock.borrow_mut().take());
            waits.is_some_and(|waits| waits.send(how).is_ok())
        };
        let unblocked = invocation.shard.shared.call_all(unblock_here).await.contains(&true);
        invocation.reply(|reply| reply.integer(i64::from(unblocked)))
    })
}

fn unblock_arguments(invocation: &Invocation) -> Result<(i64, Unblock)> {
    let request = invocation.request();
    let how = match (request.get(3), request.len()) {
        (None, _) => Unblock::Timeout,
        (Some(word), 4) if is(word, "TIMEOUT") => Unblock::Timeout,
        (Some(word), 4) if is(word, "ERROR") => Unblock::Error,
        (Some(_), 4) => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
        _ => return Err(wrong_count(invocation)),
    };
    Ok((integer(request.arg(2))?, how))
}
