//! Real server processes: every fail point is reached once, and a round of each other family.
//!
//! They need the server's program with its fail points: `cargo xtask test` builds it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use everfast::fail_point::{LIFELINE, POINTS};
use recovery_tests::family::{Counts, Family, Place};
use recovery_tests::processes::{FAMILIES, fail_point, strace};
use recovery_tests::random::Random;
use recovery_tests::server_process::{fail_point_binary, free_port};

fn place() -> (tempfile::TempDir, Place) {
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let server = fail_point_binary().unwrap_or_else(|error| panic!("{error}"));
    let place = Place { scratch: scratch.path().to_owned(), server, shrinks: true };
    (scratch, place)
}

fn run(name: &str, seed: u64) -> Counts {
    let (_scratch, place) = place();
    let family: &Family = FAMILIES.iter().find(|family| family.name == name).expect("a family");
    (family.round)(seed, &place).unwrap_or_else(|violation| panic!("{name}, seed {seed}: {violation}"))
}

fn count(counts: &Counts, what: &str) -> u64 {
    counts.0.get(what).copied().unwrap_or(0)
}

#[test]
fn nothing_acknowledged_is_lost_when_a_server_is_killed() {
    let counts = run("kill", 2);
    assert!(count(&counts, "kills") > 0 && count(&counts, "commands acknowledged") > 0, "{counts:?}");
}

#[test]
fn nothing_acknowledged_is_lost_when_the_disk_fails() {
    let counts = run("disk-error", 4);
    assert!(count(&counts, "commands acknowledged") > 0 && count(&counts, "calls failed") > 0, "{counts:?}");
}

/// A program that hides a variable from the server.
fn without(variable: &str, place: &Place) -> PathBuf {
    let program = place.scratch.join("without");
    let script = format!("#!/bin/sh\nunset {variable}\nexec {} \"$@\"\n", place.server.display());
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("may be run");
    program
}

#[test]
fn a_program_that_cannot_fail_is_no_proof() {
    let cases = [
        ("disk-error", "DISK_FAULTS", "has no disk that fails"),
        ("fail-point", "FAILPOINTS", "has no fail points"),
    ];
    for (name, variable, text) in cases {
        let (_scratch, place) = place();
        let family = FAMILIES.iter().find(|family| family.name == name).expect("a family");
        let server = without(variable, &place);
        let what = (family.round)(3, &Place { server, ..place }).expect_err("nothing can have failed");
        assert!(what.contains(text), "{what}");
    }
}

#[test]
fn a_round_at_a_fail_point_goes_well() {
    assert!(count(&run("fail-point", 1), "commands acknowledged") > 0);
}

#[test]
fn a_server_ends_with_whoever_started_it() {
    let (_scratch, place) = place();
    let mut child = Command::new(&place.server)
        .args(["--port", &free_port().expect("a port").to_string(), "--dir"])
        .arg(place.scratch.join("data"))
        .env(LIFELINE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a server");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("it can be asked").is_none(), "it runs as long as its input is open");
    drop(child.stdin.take());
    let deadline = Instant::now() + Duration::from_secs(10);
    while child.try_wait().expect("it can be asked").is_none() {
        if Instant::now() > deadline {
            let _ = child.kill(); // nobody else would
            panic!("it outlives its input");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_acknowledged_is_lost_on_a_full_file_system() {
    let counts = run("full-disk", 1);
    let (filled, skipped) = (count(&counts, "file systems filled"), count(&counts, "skipped, no tmpfs"));
    assert_eq!(filled + skipped, 1, "{counts:?}");
}

#[test]
fn nothing_acknowledged_is_lost_when_calls_of_the_system_fail() {
    for injection in ["inject=fdatasync:error=EIO:when=5..30", "inject=pwrite64:error=ENOSPC:when=3..40"] {
        let (_scratch, place) = place();
        let counts = strace::round_with(injection, &mut Random::new(3), &place)
            .unwrap_or_else(|violation| panic!("{violation}"));
        let (failed, acknowledged) =
            (count(&counts, "calls failed"), count(&counts, "commands acknowledged"));
        let is_proof = failed > 0 && acknowledged > 0;
        assert!(count(&counts, "skipped, no strace") == 1 || is_proof, "{injection}: {counts:?}");
    }
}

#[test]
fn every_point_is_reached_and_nothing_acknowledged_is_lost_there() {
    let mut missed = Vec::new();
    for point in POINTS {
        let (_scratch, place) = place();
        let counts = fail_point::short_round(point, &mut Random::new(1), &place)
            .unwrap_or_else(|violation| panic!("{}: {violation}", point.name));
        if count(&counts, point.name) == 0 {
            missed.push(point.name);
        }
    }
    assert_eq!(missed, [""; 0], "never reached");
}
