//! Before the end: whether the server may leave, and the save that it owes.
//!
//! Invariants:
//! 1. A save at the end has everything that was acknowledged: no commands are taken from before its cut on.
//! 2. A server that stays takes commands again, and saves by itself again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

use super::{call_all, drain};
use crate::config::Config;
use crate::shard::saves::Busy;
use crate::shard::shared::{Shared, ShutdownRequest};
use crate::{clock, waiting};

/// How long a cancelled save may take to notice; it looks after each page.
const CANCEL_PATIENCE: Duration = Duration::from_secs(60);
/// How long a log that a save has healed may take to say so.
const HEAL_PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Makes the server ready to end: gives up a save that runs, and saves if that is asked for or needed.
///
/// # Errors
/// Why the server should rather stay. It then serves on as before.
pub(super) fn prepare(shared: &Shared, request: ShutdownRequest) -> Result<(), String> {
    shared.shutting_down.store(true, Ordering::Release);
    shared.saves.cancel();
    let Err(reason) = make_ready(shared, request) else { return Ok(()) };
    if request.force {
        tracing::error!("the server ends all the same: {reason}");
        return Ok(());
    }
    stay(shared);
    Err(reason)
}

fn make_ready(shared: &Shared, request: ShutdownRequest) -> Result<(), String> {
    if !shared.saves.wait_until_idle(CANCEL_PATIENCE) {
        return Err("the save that runs does not end".to_owned());
    }
    if request.no_save {
        return Ok(());
    }
    let owed = owed(request, &shared.config(), shared.is_poisoned())?;
    if let Some(Save { dump }) = owed {
        drain(shared);
        save(shared, dump).map_err(|error| format!("the save before the end failed: {error}"))?;
        wait_until_healed(shared);
    }
    match shared.log_refuses() {
        Some(reason) => Err(format!("what is in memory cannot be made durable: {reason}")),
        None => Ok(()),
    }
}

/// A save before the end.
#[derive(Debug, PartialEq, Eq)]
struct Save {
    dump: bool,
}

/// With a log nothing is owed that is not asked for, unless the log is poisoned: a checkpoint has what it will never have.
/// Without one, save points say that data shall outlive the server.
fn owed(request: ShutdownRequest, config: &Config, is_poisoned: bool) -> Result<Option<Save>, String> {
    if config.appendonly {
        let dump = request.save && config.writes_dump();
        return Ok((request.save || is_poisoned).then_some(Save { dump }));
    }
    if request.save && !config.writes_dump() {
        return Err("there is nothing to save to: appendonly is off and dbfilename is empty".to_owned());
    }
    let is_owed = config.writes_dump() && (request.save || !config.save.is_empty());
    Ok(is_owed.then_some(Save { dump: true }))
}

fn save(shared: &Shared, dump: bool) -> Result<(), String> {
    let (done, result) = oneshot::channel();
    match shared.saves.start_last(dump, done) {
        Ok(()) => result.blocking_recv().unwrap_or_else(|_| Err("it ended early".to_owned())),
        Err(Busy::Running(_) | Busy::Ending) => Err("another one runs".to_owned()),
    }
}

fn wait_until_healed(shared: &Shared) {
    let deadline = clock::now() + HEAL_PATIENCE;
    while shared.is_poisoned() && clock::now() < deadline {
        waiting::sleep(LOOK);
    }
}

fn stay(shared: &Shared) {
    call_all(shared, |shard| {
        shard.stopping.set(false);
        for (_, client) in shard.clients.borrow().iter() {
            client.wake(); // it may have sent something meanwhile
        }
    });
    shared.shutting_down.store(false, Ordering::Release);
    shared.saves.resume();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_owed_where_it_is_asked_for_or_nothing_else_keeps_the_data() {
        const POISONED: bool = true;
        let owed_with = |appendonly, points: bool, name: &str, save, is_poisoned| {
            let mut config = Config { appendonly, dbfilename: name.into(), ..Config::default() };
            if !points {
                config.save.clear();
            }
            let request = ShutdownRequest { save, ..ShutdownRequest::default() };
            owed(request, &config, is_poisoned).map(|owed| owed.map(|save| save.dump))
        };
        for (appendonly, points, name, save, is_poisoned, expected) in [
            (true, true, "dump.rdb", false, false, None),
            (true, false, "dump.rdb", true, false, Some(true)),
            (true, true, "", true, false, Some(false)),
            (true, true, "dump.rdb", false, POISONED, Some(false)),
            (true, true, "dump.rdb", true, POISONED, Some(true)),
            (false, true, "dump.rdb", false, false, Some(true)),
            (false, false, "dump.rdb", false, false, None),
            (false, false, "dump.rdb", true, false, Some(true)),
            (false, true, "", false, false, None),
        ] {
            let owed = owed_with(appendonly, points, name, save, is_poisoned);
            assert_eq!(owed, Ok(expected), "{appendonly} {points} {name} {save} {is_poisoned}");
        }
        assert!(owed_with(false, true, "", true, false).is_err());
    }
}
