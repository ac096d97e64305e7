//! Simulated servers: a share of the runs, and that a seed decides everything.

use recovery_tests::sim::choices::Choices;
use recovery_tests::sim::{lives, run_one};

/// Other runs than the usual: `EVERFAST_CRASH_SEED=<number>`.
#[test]
fn no_run_breaks_a_promise() {
    let from = std::env::var("EVERFAST_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0u64);
    for seed in from * 1000..from * 1000 + 200 {
        if let Err(violation) = run_one(seed, true) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_seed_makes_the_same_run_again() {
    for seed in 0..20 {
        let [first, second] = [(); 2].map(|()| lives::run(Choices::of_seed(seed), true));
        assert_eq!(first.choices, second.choices, "seed {seed}");
        for (line, (first, second)) in first.trace.iter().zip(&second.trace).enumerate() {
            assert_eq!(first, second, "seed {seed}, line {line}");
        }
        let again = lives::run(Choices::again(first.choices.clone()), true);
        assert_eq!(again.trace, first.trace, "seed {seed}: its choices do not make it");
    }
}
