//! Small cases: every crash point with every subset of what was not synced, every bit and every length of every file.
//! Here a share that takes seconds; `cargo xtask crash --complete` tries all of them.

use recovery_tests::exhaustive::damage::{self, Share};
use recovery_tests::exhaustive::subsets::{self, Depth};

#[test]
fn every_crash_point_with_every_subset_of_what_was_not_synced() {
    let depth = Depth { full_up_to: 6, random: 8, recovery_stride: 199, work_stride: 97 };
    let counts = subsets::everything(depth).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{:?}", counts.0);
    assert!(counts.0["crashes"] > 10_000, "{counts:?}");
}

#[test]
fn every_bit_and_every_length_of_every_file() {
    let share = Share { bits: 16, lengths: 4, mixtures: 2 };
    let counts = damage::everything(share).unwrap_or_else(|violation| panic!("{violation}"));
    println!("{:?}", counts.0);
    assert!(counts.0["bits flipped"] > 1000 && counts.0["ends cut"] > 10, "{counts:?}");
}
