//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE.
//!
//! With a log a save is a checkpoint, and these write the file `dbfilename` from the same cut; without one they write that
//! file alone.

use tokio::sync::oneshot;

use crate::command::args::{SYNTAX, is};
use crate::command::{Invocation, Session, TaskFuture};
use crate::config::Config;
use crate::shard::context::CommandError;
use crate::shard::saves::{Busy, Kind, Saves};

const SAVING: &str = "ERR Background save already in progress";
const REWRITING: &str = "ERR Background append only file rewriting already in progress";
const ENDING: &str = "ERR The server is ending";

/// SAVE: waits for its end. Other clients are served meanwhile.
pub fn save(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        if invocation.shard.shared.saves.running() == Some(Kind::Save) {
            return invocation.error(SAVING);
        }
        match save_in_turn(&invocation).await {
            Ok(()) => invocation.reply(|reply| reply.ok()),
            Err(error) => invocation.error(&error.0),
        }
    })
}

/// Saves and waits for that, behind whatever runs.
pub(super) async fn save_in_turn(invocation: &Invocation) -> Result<(), CommandError> {
    let dump = writes_dump(invocation)?;
    let saves = &invocation.shard.shared.saves;
    let (done, result) = oneshot::channel();
    match saves.start(Kind::Save, dump, Some(done)) {
        Ok(()) => result_of(result).await,
        Err(Busy::Running(_)) => save_next(saves, dump).await,
        Err(Busy::Ending) => Err(ENDING.into()),
    }
}

async fn save_next(saves: &Saves, dump: bool) -> Result<(), CommandError> {
    let (done, result) = oneshot::channel();
    saves.schedule(Kind::Save, dump, Some(done));
    result_of(result).await
}

async fn result_of(result: oneshot::Receiver<Result<(), String>>) -> Result<(), CommandError> {
    match result.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("ERR {}", error.lines().collect::<Vec<_>>().join("; ")).into()),
        Err(_) => Err(ENDING.into()),
    }
}

/// BGSAVE [SCHEDULE]. A task, so that what the connection sent before is run before the cut; as is BGREWRITEAOF.
pub fn bg_save(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let request = invocation.request();
        let may_wait = match (request.get(1), request.len()) {
            (None, _) => false,
            (Some(word), 2) if is(word, "SCHEDULE") => true,
            _ => return invocation.error(SYNTAX),
        };
        let saves = &invocation.shard.shared.saves;
        answer(&invocation, writes_dump(&invocation).and_then(|dump| begin_save(saves, dump, may_wait)))
    })
}

fn answer(invocation: &Invocation, answer: Result<&'static str, CommandError>) -> Vec<u8> {
    match answer {
        Ok(text) => invocation.reply(|reply| reply.simple(text)),
        Err(error) => invocation.error(&error.0),
    }
}

fn begin_save(saves: &Saves, dump: bool, may_wait: bool) -> Result<&'static str, CommandError> {
    match saves.start(Kind::Save, dump, None) {
        Ok(()) => Ok("Background saving started"),
        Err(Busy::Running(Kind::Save)) => Err(SAVING.into()),
        Err(Busy::Running(Kind::Rewrite | Kind::Heal)) if may_wait => {
            saves.schedule(Kind::Save, dump, None);
            Ok("Background saving scheduled")
        }
        Err(Busy::Running(Kind::Rewrite | Kind::Heal)) => Err(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
             schedule a BGSAVE whenever possible."
                .into(),
        ),
        Err(Busy::Ending) => Err(ENDING.into()),
    }
}

/// BGREWRITEAOF: a checkpoint, which releases the log before it.
pub fn bg_rewrite_aof(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        match invocation.shard.config.borrow().appendonly {
            true => answer(&invocation, begin_rewrite(&invocation.shard.shared.saves)),
            false => invocation.error("ERR There is no log to rewrite: appendonly is off"),
        }
    })
}

fn begin_rewrite(saves: &Saves) -> Result<&'static str, CommandError> {
    match saves.start(Kind::Rewrite, false, None) {
        Ok(()) => Ok("Background append only file rewriting started"),
        Err(Busy::Running(Kind::Rewrite)) => Err(REWRITING.into()),
        Err(Busy::Running(Kind::Save | Kind::Heal)) => {
            saves.schedule(Kind::Rewrite, false, None);
            Ok("Background append only file rewriting scheduled")
        }
        Err(Busy::Ending) => Err(ENDING.into()),
    }
}

/// LASTSAVE
pub fn last_save(session: &mut Session<'_>) -> Result<(), CommandError> {
    session.reply.integer(session.shard.shared.saves.last_save_unix() as i64);
    Ok(())
}

fn writes_dump(invocation: &Invocation) -> Result<bool, CommandError> {
    writes_dump_in(&invocation.shard.config.borrow())
}

/// Whether a save that somebody asks for writes the dump file.
fn writes_dump_in(config: &Config) -> Result<bool, CommandError> {
    let dump = config.writes_dump();
    if dump || config.appendonly {
        return Ok(dump);
    }
    Err("ERR There is nothing to save to: appendonly is off and dbfilename is empty".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::saves::Outcome;

    fn running(kind: Option<Kind>) -> Saves {
        let saves = Saves::default();
        saves.set_runner(Box::new(|_| {}));
        if let Some(kind) = kind {
            saves.start(kind, false, None).unwrap();
        }
        saves
    }

    fn text(answer: Result<&'static str, CommandError>) -> String {
        answer.map_or_else(|error| error.0.into_owned(), str::to_owned)
    }

    #[test]
    fn answers_depend_on_what_runs_as_in_redis() {
        const STARTED: &str = "Background saving started";
        const SCHEDULED: &str = "Background saving scheduled";
        const OTHER: &str = "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE \
                             SCHEDULE in order to schedule a BGSAVE whenever possible.";
        for (kind, plain, waiting) in [
            (None, STARTED, STARTED),
            (Some(Kind::Save), SAVING, SAVING),
            (Some(Kind::Rewrite), OTHER, SCHEDULED),
            (Some(Kind::Heal), OTHER, SCHEDULED),
        ] {
            for (may_wait, expected) in [(false, plain), (true, waiting)] {
                assert_eq!(text(begin_save(&running(kind), true, may_wait)), expected);
            }
        }
        for (kind, expected) in [
            (None, "Background append only file rewriting started"),
            (Some(Kind::Save), "Background append only file rewriting scheduled"),
            (Some(Kind::Heal), "Background append only file rewriting scheduled"),
            (Some(Kind::Rewrite), REWRITING),
        ] {
            assert_eq!(text(begin_rewrite(&running(kind))), expected);
        }
    }

    #[test]
    fn nothing_starts_while_the_server_ends() {
        let saves = running(None);
        saves.cancel();
        assert_eq!(begin_save(&saves, true, true), Err(ENDING.into()));
        assert_eq!(begin_rewrite(&saves), Err(ENDING.into()));
        saves.resume();
        assert!(begin_save(&saves, true, false).is_ok());
        saves.finished(Outcome::failure("x"));
    }

    #[test]
    fn a_save_needs_somewhere_to_go() {
        let config =
            |appendonly, name: &str| Config { appendonly, dbfilename: name.into(), ..Config::default() };
        assert_eq!(writes_dump_in(&config(true, "dump.rdb")), Ok(true));
        assert_eq!(writes_dump_in(&config(true, "")), Ok(false));
        assert_eq!(writes_dump_in(&config(false, "x")), Ok(true));
        assert!(writes_dump_in(&config(false, "")).is_err());
    }
}
