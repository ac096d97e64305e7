//! DEBUG: what tests of clients and servers use. Off unless `enable-debug-command` allows it. [`digest`] makes Redis'
//! digests, [`protocol`] shows replies of each kind, [`keys`] is about single keys, [`load_log`] does what a start would.

mod digest;
mod keys;
mod load_log;
mod protocol;

use std::sync::atomic::Ordering;
use std::time::Duration;

use formats::resp::Request;

use super::{reload, saving};
use crate::command::args::{is, quoted};
use crate::command::{Invocation, TaskFuture, help};
use crate::config::DebugCommand;
use crate::shard::context::{Call, CommandError, Handler, UNCOUNTED};

/// Bytes of a word that an error quotes.
const QUOTED_BYTES: usize = 128;

/// DEBUG subcommand [argument ...]
pub fn debug(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        match run(&invocation).await {
            Ok(reply) => reply,
            Err(error) => invocation.error(&error.0),
        }
    })
}

async fn run(invocation: &Invocation) -> Result<Vec<u8>, CommandError> {
    if !is_allowed(invocation) {
        return Err("ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
                    it from a local connection, otherwise you need to set this option in the configuration file, and \
                    then restart the server."
            .into());
    }
    let request = invocation.request();
    match (request.arg(1), request.len()) {
        (word, 2) if is(word, "HELP") => Ok(invocation.reply(|reply| help::write(reply, "DEBUG", HELP))),
        (word, 2) if is(word, "DIGEST") => {
            let digest = digest::of_all(invocation).await;
            Ok(invocation.reply(|reply| reply.simple(&digest)))
        }
        (word, 2..) if is(word, "DIGEST-VALUE") => Ok(keys::digest_values(invocation).await),
        (word, 3) if is(word, "ERROR") => Ok(invocation.reply(|reply| reply.error_bytes(request.arg(2)))),
        (word, 2..) if is(word, "LOADAOF") => load_log::run(invocation).await,
        (word, 3) if is(word, "LOG") => {
            tracing::warn!("DEBUG LOG: {}", String::from_utf8_lossy(request.arg(2)));
            Ok(invocation.reply(|reply| reply.ok()))
        }
        (word, 3) if is(word, "OBJECT") => Ok(keys::object(invocation).await),
        (word, 3..=5) if is(word, "POPULATE") => keys::populate(invocation).await,
        (word, 3) if is(word, "PROTOCOL") => {
            protocol::example(request.arg(2), invocation.protocol).ok_or_else(|| protocol::UNKNOWN.into())
        }
        (word, 2..) if is(word, "RELOAD") => {
            check_reload_options(request.skip(2))?;
            reload_all(invocation).await?;
            Ok(invocation.reply(|reply| reply.ok()))
        }
        (word, 3) if is(word, "SLEEP") => {
            sleep(invocation, request.arg(2)).await;
            Ok(invocation.reply(|reply| reply.ok()))
        }
        (word, 3) if is(word, "SET-ACTIVE-EXPIRE") => {
            let is_active = leading_number(request.arg(2)) != 0.0;
            invocation.shard.shared.active_expire.store(is_active, Ordering::Relaxed);
            Ok(invocation.reply(|reply| reply.ok()))
        }
        (word, _) => Err(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
            quoted(word, QUOTED_BYTES)
        )
        .into()),
    }
}

fn is_allowed(invocation: &Invocation) -> bool {
    match invocation.shard.config.borrow().enable_debug_command {
        DebugCommand::No => false,
        DebugCommand::Yes => true,
        DebugCommand::Local => invocation.client.address.ip().to_canonical().is_loopback(),
    }
}

/// A call that is not counted, in the database of the one who asks.
fn asking(invocation: &Invocation, handler: Handler) -> Call {
    Call { handler, command: UNCOUNTED, writes: false, whole_keyspace: true, db: invocation.db }
}

/// MERGE changes nothing where all keys are those of now.
fn check_reload_options(options: Request<'_>) -> Result<(), CommandError> {
    for option in options.iter() {
        if is(option, "NOSAVE") || is(option, "NOFLUSH") {
            return Err(
                "ERR DEBUG RELOAD reloads the keys of now: NOFLUSH and NOSAVE are not supported".into()
            );
        }
        if !is(option, "MERGE") {
            return Err("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.".into());
        }
    }
    Ok(())
}

/// Saves, as Redis does; then all keys of each shard go into the bytes of a snapshot and come back. Each shard does so in
/// one go and for itself: what its clients see is the same before and after.
async fn reload_all(invocation: &Invocation) -> Result<(), CommandError> {
    let shared = &invocation.shard.shared;
    if shared.is_loading() {
        return Err("LOADING Redis is loading the dataset in memory".into());
    }
    saving::save_in_turn(invocation).await?;
    let compress = invocation.shard.config.borrow().rdbcompression;
    let reloads =
        shared.call_all(move |shard| reload::reload(&mut shard.engine.borrow_mut(), compress)).await;
    for (shard, reload) in reloads.into_iter().enumerate() {
        reload.map_err(|error| {
            tracing::error!(shard, "DEBUG RELOAD: {error}");
            CommandError::from("ERR Error trying to load the RDB dump, check server logs.")
        })?;
    }
    Ok(())
}

/// Stops all shards, as a server that hangs would.
async fn sleep(invocation: &Invocation, seconds: &[u8]) {
    let pause = Duration::try_from_secs_f64(leading_number(seconds)).unwrap_or_default();
    invocation.shard.shared.call_all(move |_| std::thread::sleep(pause)).await;
}

/// The number at the beginning of `text`, 0 if there is none: as C reads one.
fn leading_number(text: &[u8]) -> f64 {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let digits = text.iter().take_while(|byte| is_part(byte)).count();
    let number = |end: usize| std::str::from_utf8(&text[..end]).ok()?.parse().ok();
    (1..=digits).rev().find_map(number).unwrap_or(0.0)
}

const HELP: help::Lines = &[
    ("DIGEST", &["Answers a digest of all keys: Redis' own of the same keys."]),
    ("DIGEST-VALUE <key> [<key> ...]", &["Answers a digest of the value of each key."]),
    ("ERROR <text>", &["Answers an error of this text."]),
    ("LOADAOF", &["Makes the log durable and puts what a start would find in it in the place of the keys."]),
    ("LOG <text>", &["Writes the text into the server's log."]),
    ("OBJECT <key>", &["Tells how the value of the key is kept."]),
    (
        "POPULATE <count> [<prefix>] [<size>]",
        &[
            "Makes keys <prefix>:0, <prefix>:1, ... where they are not there; values are padded with zeros to <size>.",
        ],
    ),
    ("PROTOCOL <kind>", &["Answers an example of a kind of reply."]),
    (
        "RELOAD [MERGE]",
        &["Saves; then all keys go through the form that they have in a snapshot and come back."],
    ),
    (
        "SET-ACTIVE-EXPIRE <0|1>",
        &["With 0, keys whose time has come are removed only when they are looked up."],
    ),
    ("SLEEP <seconds>", &["Stops the server for so long. Decimals are allowed."]),
];

#[cfg(test)]
mod tests {
    use super::leading_number;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, number) in
            [("0.5", 0.5), ("1x", 1.0), ("x", 0.0), ("", 0.0), ("-1", -1.0), ("1e", 1.0), ("2e1", 20.0)]
        {
            assert_eq!(leading_number(text.as_bytes()), number, "{text:?}");
        }
    }
}
