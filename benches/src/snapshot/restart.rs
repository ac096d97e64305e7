//! Killed without warning and started again: how long until it answers, how much memory that takes, and whether all is there.

use std::thread;
use std::time::Duration;

use super::figures::{Figure, Figures};
use super::saving::{Saved, Saving, save};
use super::session::Notes;
use crate::compare::CompareError;
use crate::compare::measure::{SETTLE_AFTER_FILL, check_key_count, write_each};
use crate::compare::peer::{Peer, Role};
use crate::compare::server::Server;
use crate::process;

const SCENARIO: &str = "restart";
const WRITE: &str = "SET {key} {random}";

/// One start on what a killed process left.
struct Restart {
    took: Duration,
    /// Most resident memory until it was ready, of what the process before it used; mapped files count.
    peak: f64,
    /// The same without mapped files, which the page cache holds anyway.
    anonymous_peak: f64,
    /// Of all files.
    bytes: u64,
}

/// Writes every key twice, kills and restarts; then again behind a snapshot; then, with our server, on other numbers of shards.
pub fn measure(
    server: &mut Server,
    keys: u64,
    reshard: impl Fn(usize) -> Result<Peer, CompareError>,
    notes: &mut Notes,
) -> Result<Figures, CompareError> {
    let peer = server.peer.clone();
    write_each(server, WRITE, keys, SCENARIO)?;
    write_each(server, WRITE, keys, SCENARIO)?;
    let restart = crash(server, keys, None)?;
    let mut figures = Figures::from([
        (Figure::LogSeconds, restart.took.as_secs_f64()),
        (Figure::LogPeak, restart.peak),
        (Figure::LogAnonymousPeak, restart.anonymous_peak),
        (Figure::LogBytes, restart.bytes as f64),
    ]);
    let saving = if peer.is_ours() { Saving::Snapshot } else { Saving::Rewrite };
    if let Saved::Refused(reason) = save(server, saving, SCENARIO, || 0)? {
        notes.add(&peer.name, SCENARIO, &reason);
        return Ok(figures);
    }
    write_each(server, WRITE, (keys / 5).max(1), SCENARIO)?;
    let restart = crash(server, keys, None)?;
    figures.extend([
        (Figure::SnapshotLogSeconds, restart.took.as_secs_f64()),
        (Figure::SnapshotLogPeak, restart.peak),
        (Figure::SnapshotLogAnonymousPeak, restart.anonymous_peak),
        (Figure::SnapshotLogBytes, restart.bytes as f64),
    ]);
    if peer.role != Role::OneShard {
        return Ok(figures);
    }
    for (shards, figure) in
        [(4, Figure::To4ShardsSeconds), (3, Figure::To3ShardsSeconds), (2, Figure::To2ShardsSeconds)]
    {
        match crash(server, keys, Some(reshard(shards)?)) {
            Ok(restart) => figures.insert(figure, restart.took.as_secs_f64()),
            Err(CompareError::Start { log, .. }) => {
                let last = log.lines().last().unwrap_or_default();
                notes.add(&peer.name, SCENARIO, &format!("does not start with {shards} shards: {last}"));
                break;
            }
            Err(error) => return Err(error),
        };
    }
    Ok(figures)
}

/// Waits until `everysec` has done what it promises, kills, starts, counts the keys.
fn crash(server: &mut Server, keys: u64, another: Option<Peer>) -> Result<Restart, CompareError> {
    thread::sleep(SETTLE_AFTER_FILL);
    let bytes = server.data_bytes().map_err(|error| server.process_error(error))?;
    let resident = process::resident_bytes(server.pid()).map_err(|error| server.process_error(error))?;
    let anonymous = process::anonymous_bytes(server.pid()).map_err(|error| server.process_error(error))?;
    let peer = another.unwrap_or_else(|| server.peer.clone());
    let took = server.crash_and_restart_as(peer)?;
    let peak = process::peak_resident_bytes(server.pid()).map_err(|error| server.process_error(error))?;
    check_key_count(server, keys, SCENARIO)?;
    let share = |peak: u64, before: u64| peak as f64 / before.max(1) as f64;
    Ok(Restart {
        took,
        peak: share(peak, resident),
        anonymous_peak: share(server.anonymous_at_start, anonymous),
        bytes,
    })
}
