//! Calls of the system that fail, or kill who makes them, by `strace`: nothing of the server is in the way.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::load::{Fleet, start, was_killed};
use crate::clients::model::Promise;
use crate::family::{Counts, Place};
use crate::random::Random;
use crate::server_process::Launch;

const CALLS: [&str; 6] = ["fdatasync", "fdatasync", "pwrite64", "pwrite64", "fsync", "rename"];

/// What is done to a call from the n-th of a thread on: one, some, or all.
fn draw_injection(random: &mut Random) -> String {
    let call = CALLS[random.below(CALLS.len() as u64) as usize];
    let what = match (call, random.below(3)) {
        (_, 0) => "signal=KILL",
        ("pwrite64", 1) => "error=ENOSPC",
        _ => "error=EIO",
    };
    let limit = [3, 20, 200][random.below(3) as usize];
    let from = 1 + random.below(limit);
    let range = match random.below(3) {
        0 => format!("{from}"),
        1 => format!("{from}..{}", from + 20),
        _ => format!("{from}+"),
    };
    format!("inject={call}:{what}:when={range}")
}

/// `output` gets a line for each call of the kind.
fn wrapper(injection: &str, output: &Path) -> Vec<String> {
    let call = injection.trim_start_matches("inject=").split(':').next().unwrap_or_default();
    let (trace, output) = (format!("trace={call}"), output.display().to_string());
    let words =
        ["strace", "-f", "-qqq", "--seccomp-bpf", "-s", "0", "-o", &output, "-e", &trace, "-e", injection];
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Calls that strace answered in the system's place. A signal is not marked so: it shows in how the server ends.
fn injected(output: &Path) -> u64 {
    let text = std::fs::read(output).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter(|line| line.contains("(INJECTED)")).count() as u64
}

/// Whether it is installed, and may trace.
fn is_possible() -> bool {
    let words = wrapper("inject=fdatasync:error=EIO:when=1", Path::new("/dev/null"));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// See the module.
pub fn round(seed: u64, place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let injection = draw_injection(&mut random);
    round_with(&injection, &mut random, place)
}

/// A round with this expression for `strace -e`: `inject=call:what:when=from`.
pub fn round_with(injection: &str, random: &mut Random, place: &Place) -> Result<Counts, String> {
    let mut counts = Counts::default();
    if !is_possible() {
        counts.add("skipped, no strace", 1);
        return Ok(counts);
    }
    run(injection, random, place, &mut counts).map_err(|what| format!("with {injection}: {what}"))?;
    Ok(counts)
}

fn run(injection: &str, random: &mut Random, place: &Place, counts: &mut Counts) -> Result<(), String> {
    let (mut fleet, promise) = Fleet::on_a_failing_disk(place, random)?;
    let output = place.scratch.join("strace.log");
    let mut launch = fleet.launch(1 + random.below(4));
    launch.wrapper = wrapper(injection, &output);
    let promise = traced_life(&launch, &mut fleet, promise, random, counts)?;
    let failed = injected(&output);
    counts.add("calls failed", failed);
    let killed = counts.0.contains_key("killed at a call") || counts.0.contains_key("ends in a start");
    if failed == 0 && !killed {
        counts.add("injections that met no call", 1);
    }
    let server = start(&fleet.launch(1 + random.below(4)))?;
    fleet.check(&server, promise)?;
    fleet.count(counts);
    Ok(())
}

/// A server from its start to its end, whichever call fails meanwhile. Answers what is promised then.
fn traced_life(
    launch: &Launch,
    fleet: &mut Fleet,
    promise: Promise,
    random: &mut Random,
    counts: &mut Counts,
) -> Result<Promise, String> {
    let mut server = launch.spawn().map_err(|error| error.to_string())?;
    match server.wait_until_it_serves().map_err(|error| error.to_string())? {
        Some(status) if was_killed(status) => {
            counts.add("ends in a start", 1);
            return Ok(promise);
        }
        Some(status) if status.code() == Some(1) => {
            counts.add("starts refused", 1);
            return Ok(promise);
        }
        Some(status) => return Err(format!("a start ended with {status}")),
        None => {}
    }
    let mut ended_by_itself = fleet.check_of_mortal(&mut server, promise)?;
    let mut promise = promise;
    if ended_by_itself.is_none() {
        let time = Duration::from_millis(100 + random.below(900));
        let ended = fleet.load(&mut server, time, true, true)?;
        promise = fleet.promise(&ended);
        ended_by_itself = ended.by_itself;
    }
    match ended_by_itself {
        None => counts.add("kills", 1),
        Some(status) if was_killed(status) => counts.add("killed at a call", 1),
        Some(status) => return Err(format!("the server ended by itself: {status}")),
    }
    Ok(promise)
}
