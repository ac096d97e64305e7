//! The crash campaign: builds the suite and the server that it kills, and runs it.

use crate::steps::{cargo, fail_point_server, run};

/// Optimised, with assertions, without the long link.
const PROFILE: [&str; 2] = ["--profile", "test-release"];

/// Runs the campaign; `args` are its own.
pub fn crash(args: &[String]) -> Result<(), String> {
    let server = fail_point_server()?;
    let package = ["--quiet", "--package", "everfast-recovery-tests", "--bin", "crash", "--", "--server"];
    run(cargo(&["run"]).args(PROFILE).args(package).arg(server).args(args))
}
