//! Everything that must hold before a change lands, in the order of its cost.

use std::time::Instant;

use crate::crash;
use crate::differential;
use crate::fuzz;
use crate::setup;
use crate::steps::{self, cargo};
use crate::tidy;

/// Tests run optimised, with assertions.
const PROFILE: [&str; 2] = ["--profile", "test-release"];

type Step = (&'static str, fn() -> Result<(), String>);

const STEPS: [Step; 8] = [
    ("set-up", setup::install),
    ("format", || steps::run(&mut cargo(&["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("lints", || {
        let args = ["clippy", "--quiet", "--workspace", "--all-targets"];
        steps::run(cargo(&args).args(PROFILE).args(["--", "-D", "warnings"]))
    }),
    ("tests", || {
        let (python, node_modules) = (setup::python_client()?, setup::node_client()?);
        let server = steps::fail_point_server()?;
        steps::run(
            cargo(&["test", "--workspace", "--exclude", "everfast-benches"])
                .args(PROFILE)
                .env("EVERFAST_TEST_PYTHON", python)
                .env("EVERFAST_TEST_NODE_MODULES", node_modules)
                .env("EVERFAST_FAIL_POINT_SERVER", server)
                .env("EVERFAST_TEST_CHROMIUM", setup::CHROMIUM),
        )
    }),
    ("differential runs", differential::short),
    ("fuzzing", fuzz::short),
    ("crash runs", crash::short),
];

/// Runs all steps; stops at the first that fails.
pub fn run() -> Result<(), String> {
    let started = Instant::now();
    for (name, step) in STEPS {
        let step_started = Instant::now();
        println!("== {name}");
        step().map_err(|error| format!("{name}: {error}"))?;
        println!("== {name}: done in {:.0?}", step_started.elapsed());
    }
    println!("all steps passed in {:.0?}", started.elapsed());
    Ok(())
}
