//! A snapshot, or a rewrite of the log: how it begins and when it is over.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use formats::resp::Value;

use super::info::Info;
use crate::compare::CompareError;
use crate::compare::client::Client;
use crate::compare::measure::wrong;
use crate::compare::server::Server;

/// How often the server is asked whether it is over: the grain of durations.
const POLL: Duration = Duration::from_millis(10);
/// A snapshot that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(600);

/// What writes the data set to disk beside the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// `BGSAVE`: a snapshot.
    Snapshot,
    /// `BGREWRITEAOF`: what gives the others a base and a short log.
    Rewrite,
}

impl Saving {
    fn command(self) -> &'static str {
        match self {
            Saving::Snapshot => "BGSAVE",
            Saving::Rewrite => "BGREWRITEAOF",
        }
    }

    fn in_progress(self) -> &'static str {
        match self {
            Saving::Snapshot => "rdb_bgsave_in_progress",
            Saving::Rewrite => "aof_rewrite_in_progress",
        }
    }

    fn status(self) -> &'static str {
        match self {
            Saving::Snapshot => "rdb_last_bgsave_status",
            Saving::Rewrite => "aof_last_bgrewrite_status",
        }
    }
}

/// What came of the wish for a snapshot.
pub enum Saved {
    Done(Times),
    /// The server said that it cannot, in these words.
    Refused(String),
}

#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub asked: Instant,
    /// The reply to the command: where the server forks, it has.
    pub acknowledged: Instant,
    /// INFO no longer said that it is in progress.
    pub over: Instant,
    /// What `count` told at `asked` and at `over`.
    pub counted: [u64; 2],
}

/// Asks for a snapshot and waits until it is on the disk.
pub fn save(
    server: &Server,
    saving: Saving,
    scenario: &'static str,
    count: impl Fn() -> u64,
) -> Result<Saved, CompareError> {
    let failed = |source: io::Error| server.process_error(source);
    let mut client = Client::connect(server.address).map_err(failed)?;
    let is_running = |info: &Info| info.number(saving.in_progress()).map(|number| number > 0.0);
    let info = Info::ask(&mut client, "persistence").map_err(failed)?;
    if let Some(field) =
        [saving.in_progress(), saving.status()].into_iter().find(|field| info.text(field).is_none())
    {
        return Ok(Saved::Refused(format!("INFO has no {field}")));
    }
    let (asked, at_asked) = (Instant::now(), count());
    if let Value::Error(reason) = client.ask(&[saving.command()]).map_err(failed)? {
        return Ok(Saved::Refused(format!("{} answers: {reason}", saving.command())));
    }
    let acknowledged = Instant::now();
    loop {
        let info = Info::ask(&mut client, "persistence").map_err(failed)?;
        let (over, at_over) = (Instant::now(), count());
        if is_running(&info) == Some(false) {
            let status = info.text(saving.status());
            if status != Some("ok") {
                return Err(wrong(server, scenario, format!("{} ended with {status:?}", saving.command())));
            }
            return Ok(Saved::Done(Times { asked, acknowledged, over, counted: [at_asked, at_over] }));
        }
        if over - acknowledged > LIMIT {
            return Err(wrong(server, scenario, format!("{} takes over {LIMIT:?}", saving.command())));
        }
        thread::sleep(POLL);
    }
}
