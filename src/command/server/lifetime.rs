//! SHUTDOWN and TIME.

use formats::resp::Request;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

use crate::clock;
use crate::command::args::{SYNTAX, is};
use crate::command::{Invocation, Session, TaskFuture};
use crate::shard::context::CommandError;
use crate::shard::shared::ShutdownRequest;

type Result<T> = std::result::Result<T, CommandError>;

/// TIME
pub fn time(session: &mut Session<'_>) -> Result<()> {
    let now = clock::since_epoch();
    let mut digits = itoa::Buffer::new();
    session.reply.array(2);
    session.reply.bulk_str(digits.format(now.as_secs()));
    session.reply.bulk_str(digits.format(now.subsec_micros()));
    Ok(())
}

/// What SHUTDOWN's words ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    save: bool,
    no_save: bool,
    now: bool,
    force: bool,
    abort: bool,
}

impl Words {
    fn parse(args: Request<'_>) -> Result<Words> {
        let mut words = Words::default();
        for arg in args.iter() {
            let word = match arg {
                _ if is(arg, "SAVE") => &mut words.save,
                _ if is(arg, "NOSAVE") => &mut words.no_save,
                _ if is(arg, "NOW") => &mut words.now,
                _ if is(arg, "FORCE") => &mut words.force,
                _ if is(arg, "ABORT") => &mut words.abort,
                _ => return Err(SYNTAX.into()),
            };
            *word = true;
        }
        let alone = !(words.save || words.no_save || words.now || words.force);
        if words.save && words.no_save || words.abort && !alone {
            return Err(SYNTAX.into());
        }
        Ok(words)
    }
}

/// SHUTDOWN [SAVE | NOSAVE] [NOW] [FORCE] [ABORT]: answers only if the server stays.
pub fn shutdown(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let words = match Words::parse(invocation.request().skip(1)) {
            Ok(words) => words,
            Err(error) => return invocation.error(&error.0),
        };
        let shared = &invocation.shard.shared;
        if words.abort {
            // A shutdown waits for nothing that a client could still call back.
            return invocation.error(match shared.shutting_down.load(Ordering::Acquire) {
                true => "ERR Shutdown is already under way and cannot be aborted.",
                false => "ERR No shutdown in progress.",
            });
        }
        let (answer, refused) = oneshot::channel();
        let request = ShutdownRequest { force: words.force, no_save: words.no_save, save: words.save };
        if shared.shutdown.get().is_none_or(|server| server.send((request, Some(answer))).is_err()) {
            return invocation.error("ERR Errors trying to SHUTDOWN. Check logs.");
        }
        match refused.await {
            Ok(error) => invocation.error(&error),
            Err(_) => std::future::pending().await, // the server ends, and this connection with it
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_line;

    fn parse(line: &str) -> Result<Words> {
        with_line(line, Words::parse)
    }

    #[test]
    fn words_exclude_each_other_as_in_redis() {
        assert_eq!(parse(""), Ok(Words::default()));
        assert_eq!(
            parse("now FORCE save"),
            Ok(Words { save: true, now: true, force: true, ..Words::default() })
        );
        assert_eq!(parse("abort"), Ok(Words { abort: true, ..Words::default() }));
        for line in ["save nosave", "abort now", "abort save", "foo"] {
            assert_eq!(parse(line), Err(SYNTAX.into()), "{line}");
        }
    }
}
