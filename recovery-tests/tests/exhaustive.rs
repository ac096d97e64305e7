//! Small cases: every crash point with every subset of what was not synced, every bit and every length of every file.
//! Here a share that takes seconds; `cargo xtask crash --complete` tries all of them.

use recovery_tests::exhaustive::damage::{self, Share};
use recovery_tests::exhaustive::subsets::{self, Depth};
use recovery_tests::exhaustive::{FAMILIES, run};
use recovery_tests::family::{FAULTS, Place};

#[test]
fn every_crash_point_with_every_subset_of_what_was_not_synced() {
    let depth = Depth { full_up_to: 6, random: 8, recovery_stride: 199, work_stride: 97 };
    let counts = subsets::everything(depth, &|_| {}).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{:?}", counts.0);
    assert!(counts.0["crashes"] > 10_000, "{counts:?}");
}

#[test]
fn every_bit_and_every_length_of_every_file() {
    let share = Share { bits: 16, lengths: 4, mixtures: 2 };
    let counts = damage::everything(share, &|_| {}).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{:?}", counts.0);
    assert!(counts.0["bits flipped"] > 1000 && counts.0["ends cut"] > 10, "{counts:?}");
}

#[test]
fn a_seed_gives_the_same_round_again() {
    let place = Place { scratch: "/nowhere".into(), server: "/nowhere".into(), shrinks: false };
    let mut faults = 0;
    for family in FAMILIES {
        for seed in [2, 5] {
            let [first, second] = [(), ()].map(|()| (family.round)(seed, &place).expect("no violation"));
            assert_eq!(first, second, "{}, seed {seed}", family.name);
            faults += first.0.get(FAULTS).copied().unwrap_or(0);
        }
    }
    assert!(faults > 0, "other seeds have failing calls");
}

#[test]
fn a_seed_gives_the_same_files_at_every_disk_call() {
    let setup = run::Setup::usual(2, everfast::persist::SyncPolicy::Always);
    let [first, second] = [(), ()].map(|()| run::alone(7, || run::record(&setup)).expect("a sound disk"));
    assert_eq!(first.states.len(), second.states.len());
    for (call, (first, second)) in first.states.iter().zip(&second.states).enumerate() {
        assert!(first.unsynced() == second.unsynced(), "what is not synced before call {call}");
        let names = first.mount().list(std::path::Path::new(run::DIR)).unwrap_or_default();
        for name in names {
            let path = run::path(&name);
            assert!(first.contents(&path) == second.contents(&path), "{name} before call {call}");
        }
    }
}
