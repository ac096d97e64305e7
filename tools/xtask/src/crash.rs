//! The crash campaign: builds the suite and the server that it kills, and runs it.

use std::path::PathBuf;

use crate::steps::{cargo, run, target};

/// Optimised, with assertions, without the long link.
const PROFILE: [&str; 2] = ["--profile", "test-release"];

/// Runs the campaign; `args` are its own.
pub fn crash(args: &[String]) -> Result<(), String> {
    let server = build_server()?;
    let package = ["--quiet", "--package", "everfast-recovery-tests", "--bin", "crash", "--", "--server"];
    run(cargo(&["run"]).args(PROFILE).args(package).arg(server).args(args))
}

/// Builds the server's program; answers where it is.
fn build_server() -> Result<PathBuf, String> {
    run(cargo(&["build", "--quiet", "--bin", "everfast"]).args(PROFILE))?;
    Ok(target().join("test-release/everfast"))
}
