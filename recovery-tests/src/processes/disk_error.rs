//! A disk that fails under a server: writes and syncs of the log, of MANIFEST, of snapshots, and their names.
//!
//! A sync that fails takes back what it was for, so that whoever relies on a later one loses data that the check misses.
//! Under `always` nothing acknowledged may be lost whatever fails; under `everysec` what is left is a prefix.

use std::time::Duration;

use everfast::fail_point;

use super::load::{Fleet, Policy, start};
use crate::family::{Counts, Place};
use crate::model::Promise;
use crate::random::Random;

/// The environment variable of [`everfast::persist::disk`]'s faulty disk.
const VARIABLE: &str = "DISK_FAULTS";
/// Files of one kind, by the beginning of their names.
const PREFIXES: [&str; 6] = ["", "log-", "log-", "checkpoint-", "MANIFEST", "pool-"];

/// `call:prefix:from+count:what`, and the call for the counts.
fn draw_rule(random: &mut Random) -> (&'static str, String) {
    let call = [
        "write", "write", "write", "sync", "sync", "sync", "sync-dir", "rename", "create", "allocate",
        "open", "remove",
    ][random.below(12) as usize];
    // The directory's own name is no file's.
    let prefix = if call == "sync-dir" { "" } else { PREFIXES[random.below(6) as usize] };
    let limit = [5, 30, 300][random.below(3) as usize];
    let from = random.below(limit);
    let count = ["+1", "+3", "+40", ""][random.below(4) as usize];
    let what = match call {
        "write" => ["eio", "enospc", "short"][random.below(3) as usize],
        _ => ["eio", "enospc"][random.below(2) as usize],
    };
    (call, format!("{call}:{prefix}:{from}{count}:{what}"))
}

/// What a rule of this call is counted as.
fn counted(call: &str) -> &'static str {
    match call {
        "write" => "runs with failing writes",
        "sync" => "runs with failing syncs",
        "sync-dir" => "runs with failing syncs of the directory",
        _ => "runs with other failing calls",
    }
}

/// See the module.
pub fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let rules: Vec<_> = (0..1 + random.below(2)).map(|_| draw_rule(&mut random)).collect();
    let text = rules.iter().map(|(_, rule)| rule.as_str()).collect::<Vec<_>>().join(";");
    round_with(&rules, &text, &mut random, place).map_err(|what| format!("with {VARIABLE}='{text}': {what}"))
}

fn round_with(
    rules: &[(&'static str, String)],
    text: &str,
    random: &mut Random,
    place: &Place,
) -> Result<Counts, String> {
    let mut counts = Counts::default();
    let policy = Policy::draw(random);
    let mut fleet = Fleet::new(place, random, policy);
    fleet.disk_fails = true;
    let mut promise = Promise::All;
    if random.below(2) == 0 {
        // Something for a start to find.
        let mut server = start(&fleet.launch(1 + random.below(4)))?;
        let ended = fleet.load(&mut server, Duration::from_millis(50 + random.below(150)), true, true)?;
        promise = fleet.promise(&ended);
    }
    let mut launch = fleet.launch(1 + random.below(4));
    launch.variables.push((VARIABLE, text.to_owned()));
    if random.below(3) == 0 {
        // Threads meet in other ways when one is late.
        let point = fail_point::POINTS[random.below(fail_point::POINTS.len() as u64) as usize].name;
        launch.variables.push((fail_point::VARIABLE, format!("{point}=20%sleep(5)")));
    }
    rules.iter().for_each(|(call, _)| counts.add(counted(call), 1));
    let mut server = launch.spawn().map_err(|error| error.to_string())?;
    match server.wait_until_it_serves().map_err(|error| error.to_string())? {
        Some(status) if status.code() == Some(1) => counts.add("starts refused", 1),
        Some(status) => return Err(format!("a start ended with {status}")),
        None => {
            fleet.check(&server, promise)?;
            let time = Duration::from_millis(100 + random.below(1_200));
            let ended = fleet.load(&mut server, time, random.below(4) > 0, true)?;
            if let Some(status) = ended.by_itself {
                return Err(format!("the server ended by itself: {status}"));
            }
            promise = fleet.promise(&ended);
            counts.add("kills", 1);
        }
    }
    drop(server);
    let mut server = start(&fleet.launch(1 + random.below(4)))?;
    fleet.check(&server, promise)?;
    let ended = fleet.load(&mut server, Duration::from_millis(random.below(100)), true, true)?;
    let server = start(&fleet.launch(1 + random.below(4)))?;
    fleet.check(&server, fleet.promise(&ended))?;
    fleet.count(&mut counts);
    Ok(counts)
}
