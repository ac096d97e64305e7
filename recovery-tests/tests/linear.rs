//! Concurrent clients see one order of all operations, also across crashes: a few seconds' share of each kind of run.

use std::path::PathBuf;

use recovery_tests::family::{Counts, Place};
use recovery_tests::linear::FAMILIES;
use recovery_tests::server_process::fail_point_binary;

/// Runs the rounds of a family with these seeds.
fn rounds(name: &str, server: PathBuf, seeds: std::ops::Range<u64>) -> Counts {
    let family = FAMILIES.iter().find(|family| family.name == name).expect("there is such a family");
    let mut counts = Counts::default();
    for seed in seeds {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let place = Place { scratch: scratch.path().to_owned(), server: server.clone(), shrinks: true };
        match (family.round)(seed, &place) {
            Ok(more) => counts.merge(&more),
            Err(violation) => panic!("{name}, seed {seed}: {violation}"),
        }
    }
    counts
}

fn count(counts: &Counts, what: &str) -> u64 {
    counts.0.get(what).copied().unwrap_or(0)
}

/// A history that is too hard to decide proves nothing.
fn assert_decided(counts: &Counts) {
    let (all, undecided) = (count(counts, "histories"), count(counts, "undecided"));
    assert!(undecided * 20 <= all, "{undecided} of {all} histories are undecided");
}

#[test]
fn clients_of_a_server_see_one_order() {
    let counts = rounds("linear", PathBuf::new(), 0..12);
    assert_decided(&counts);
    assert!(count(&counts, "operations") > 1000 && count(&counts, "crashes") == 0, "{counts:?}");
}

#[test]
fn power_cuts_lose_nothing_that_was_acknowledged_or_seen() {
    let counts = rounds("linear-power-cut", PathBuf::new(), 0..25);
    assert_decided(&counts);
    assert!(count(&counts, "operations") > 1000 && count(&counts, "crashes") > 100, "{counts:?}");
}

#[test]
fn kills_lose_nothing_that_was_acknowledged_or_seen() {
    let server = fail_point_binary().unwrap_or_else(|error| panic!("{error}"));
    let counts = rounds("linear-kill", server, 0..5);
    assert_decided(&counts);
    assert!(count(&counts, "operations") > 100 && count(&counts, "crashes") > 10, "{counts:?}");
}
