//! The differential tester: random commands on a Redis server and on Everfast; and the page that tells what differs.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::steps::{cargo, root, run, target};

/// Optimised, with assertions, without the long link.
const PROFILE: &str = "test-release";
const PACKAGE: &str = "everfast-differential";

/// Runs the campaign in place of this program, so that signals reach it and its exit code counts; `args` are its own.
pub fn differential(args: &[String]) -> Result<(), String> {
    let mut command = campaign(args)?;
    Err(format!("{command:?} cannot be run: {}", command.exec()))
}

/// A short campaign as one step of several: the same commands each time, so that what fails has to do with the change.
const SHORT: [&str; 8] = ["--commands", "300000", "--seed", "1", "--minutes", "0.67", "--at-least", "50000"];

/// Runs the short campaign; fails as well if a slow machine leaves next to nothing of it.
pub fn short() -> Result<(), String> {
    run(&mut campaign(&SHORT.map(str::to_owned))?)
}

/// The campaign and the server, built and ready to be run.
fn campaign(args: &[String]) -> Result<Command, String> {
    let build = ["build", "--quiet", "--profile", PROFILE];
    run(cargo(&build).args(["--package", PACKAGE, "--bin", "differential"]))?;
    run(cargo(&build).args(["--package", "everfast", "--bin", "everfast"]))?;
    let programs = target().join(PROFILE);
    let mut command = Command::new(programs.join("differential"));
    command.arg("--server").arg(programs.join("everfast")).args(args).current_dir(root());
    Ok(command)
}

/// Writes the page anew.
pub fn compatibility() -> Result<(), String> {
    run(&mut cargo(&["run", "--quiet", "--package", PACKAGE, "--bin", "compatibility"]))
}
