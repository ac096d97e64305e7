//! A disk that fails under a server: writes and syncs of the log, of MANIFEST, of snapshots, and their names.
//!
//! A sync that fails takes back what it was for, so that whoever relies on a later one loses data that the check misses.
//! Under `always` nothing acknowledged may be lost whatever fails; under `everysec` what is left is a prefix.
//!
//! Counted are the calls that failed, as the server told them, not the rules that were drawn: a rule may ask for a call
//! that no run gets to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use everfast::fail_point;

use super::load::Fleet;
use crate::family::{Counts, Place};
use crate::random::Random;

/// The environment variable of [`everfast::persist::disk`]'s faulty disk.
const VARIABLE: &str = "DISK_FAULTS";
/// And where it tells which rules met a call: a byte for each call, the number of the rule.
const FIRED_VARIABLE: &str = "DISK_FAULTS_FIRED";
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
    // There are few calls that are about names.
    let limits = if matches!(call, "write" | "sync") { [5, 30, 300] } else { [1, 3, 12] };
    let limit = limits[random.below(3) as usize];
    let from = random.below(limit);
    let count = ["+1", "+3", "+40", ""][random.below(4) as usize];
    let what = match call {
        "write" => ["eio", "enospc", "short"][random.below(3) as usize],
        _ => ["eio", "enospc"][random.below(2) as usize],
    };
    (call, format!("{call}:{prefix}:{from}{count}:{what}"))
}

/// What a call that failed is counted as.
fn counted(call: &str) -> &'static str {
    match call {
        "write" => "writes failed or short",
        "sync" => "syncs failed",
        "sync-dir" => "syncs of the directory failed",
        _ => "other calls failed",
    }
}

/// Counts which rules met calls.
///
/// # Errors
/// The server told nothing: it knows of no faults, so that the round proves nothing.
fn count_fired(fired: &Path, rules: &[(&'static str, String)], counts: &mut Counts) -> Result<(), String> {
    let fired = std::fs::read(fired).map_err(|error| {
        format!("the server's program has no disk that fails: {}: {error}", fired.display())
    })?;
    for (number, (call, _)) in rules.iter().enumerate() {
        let calls = fired.iter().filter(|byte| usize::from(**byte) == number).count() as u64;
        counts.add(counted(call), calls);
        counts.add("calls failed", calls);
        let rule = if calls > 0 { "rules that fired" } else { "rules that never fired" };
        counts.add(rule, 1);
    }
    Ok(())
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
    let (mut fleet, mut promise) = Fleet::on_a_failing_disk(place, random)?;
    let mut launch = fleet.launch(1 + random.below(4));
    let fired: PathBuf = place.scratch.join("fired");
    launch.variables.push((VARIABLE, text.to_owned()));
    launch.variables.push((FIRED_VARIABLE, fired.display().to_string()));
    if random.below(3) == 0 {
        // Threads meet in other ways when one is late.
        let point = fail_point::POINTS[random.below(fail_point::POINTS.len() as u64) as usize].name;
        launch.variables.push((fail_point::VARIABLE, format!("{point}=20%sleep(5)")));
    }
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
    count_fired(&fired, rules, &mut counts)?;
    fleet.live_on(promise, random, &mut counts)?;
    Ok(counts)
}
