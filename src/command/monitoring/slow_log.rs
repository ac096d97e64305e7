//! SLOWLOG GET, LEN, RESET, HELP.
//!
//! They run in tasks: so what their connection sent before has been run, wherever, and stands in the log if it was slow.

use formats::resp::{Reply, parse_i64};

use crate::command::{Invocation, Session, TaskFuture, help};
use crate::shard::context::CommandError;
use crate::shard::slow_log::Entry;

type Result<T = ()> = std::result::Result<T, CommandError>;

/// Entries that GET answers if it is not told how many.
const DEFAULT_COUNT: usize = 10;

/// SLOWLOG GET [count]
pub fn get(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let count = match count(&invocation) {
            Ok(count) => count,
            Err(error) => return invocation.error(&error.0),
        };
        let log = invocation.shard.shared.slow_log();
        invocation.reply(|reply| {
            reply.array(count.min(log.len()));
            log.entries().take(count).for_each(|entry| write_entry(reply, entry));
        })
    })
}

fn count(invocation: &Invocation) -> Result<usize> {
    let request = invocation.request();
    let Some(count) = request.get(2) else { return Ok(DEFAULT_COUNT) };
    if request.len() > 3 {
        return Err("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP."
            .replace("GET", &String::from_utf8_lossy(request.arg(1)))
            .into());
    }
    match parse_i64(count) {
        Some(-1) => Ok(usize::MAX),
        Some(count @ 0..) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err("ERR count should be greater than or equal to -1".into()),
    }
}

fn write_entry(reply: &mut Reply<'_>, entry: &Entry) {
    reply.array(6);
    reply.integer(entry.id as i64);
    reply.integer(entry.unix_seconds as i64);
    reply.integer(entry.micros as i64);
    reply.array(entry.args.len());
    entry.args.iter().for_each(|arg| reply.bulk(arg));
    reply.bulk_str(&entry.client_address);
    reply.bulk(&entry.client_name);
}

/// SLOWLOG LEN
pub fn len(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let len = invocation.shard.shared.slow_log().len();
        invocation.reply(|reply| reply.integer(len as i64))
    })
}

/// SLOWLOG RESET
pub fn reset(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        invocation.shard.shared.slow_log().reset();
        invocation.reply(|reply| reply.ok())
    })
}

/// SLOWLOG HELP
pub fn help(session: &mut Session<'_>) -> Result {
    help::write(&mut session.reply, "SLOWLOG", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    (
        "GET [<count>]",
        &[
            "Answers the newest slow commands: 10, or so many; -1: all.",
            "Of each: number, Unix time, microseconds, words, address and name of the client.",
        ],
    ),
    ("LEN", &["Answers how many slow commands are kept."]),
    ("RESET", &["Forgets them."]),
];
