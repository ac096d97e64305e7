//! Real server processes: every fail point is reached once, and a round of each other family.
//!
//! They need the server's program with its fail points: `cargo xtask test` builds it.

use everfast::fail_point::POINTS;
use recovery_tests::family::{Counts, Family, Place};
use recovery_tests::processes::{FAMILIES, fail_point};
use recovery_tests::random::Random;
use recovery_tests::server_process::fail_point_binary;

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
    assert!(count(&run("disk-error", 3), "commands acknowledged") > 0);
}

#[test]
fn nothing_acknowledged_is_lost_on_a_full_file_system() {
    let counts = run("full-disk", 1);
    let (filled, skipped) = (count(&counts, "file systems filled"), count(&counts, "skipped, no tmpfs"));
    assert_eq!(filled + skipped, 1, "{counts:?}");
}

#[test]
fn nothing_acknowledged_is_lost_when_calls_of_the_system_fail() {
    let counts = run("strace", 4);
    assert!(count(&counts, "skipped, no strace") == 1 || counts.0.len() > 1, "{counts:?}");
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
