//! Power cuts at disk calls of a small run: nothing acknowledged is lost, nothing is half there.

use recovery_tests::power_cut::{Case, run};

/// Every `stride`-th disk call of a run, until a run ends before its cut.
fn cut_everywhere(shards: (u16, u16), writers: u16, keep_some: bool, stride: u64) {
    let mut cuts = 0;
    for call in (0..).step_by(stride as usize) {
        let case = Case { seed: 1000 + call, call, shards, writers, keep_some };
        let finished = run(case).unwrap_or_else(|violation| panic!("{violation}"));
        if finished {
            break;
        }
        cuts += 1;
    }
    assert!(cuts * stride > 40, "only {cuts} cuts with stride {stride}: the run does not test much");
}

#[test]
fn one_shard_loses_all_that_was_not_synced() {
    cut_everywhere((1, 2), 1, false, 1);
}

#[test]
fn three_shards_with_a_writer_each() {
    cut_everywhere((3, 2), 3, false, 1);
}

#[test]
fn three_shards_with_one_writer() {
    cut_everywhere((3, 1), 1, false, 1);
}

#[test]
fn two_shards_keep_some_of_what_was_not_synced() {
    cut_everywhere((2, 3), 2, true, 1);
}
