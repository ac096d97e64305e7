//! The crash campaign: builds the suite, and the server that it kills where it will, and becomes the suite.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::steps::{cargo, fail_point_server, root, run, target};

/// Optimised, with assertions, without the long link.
const PROFILE: &str = "test-release";

/// Runs the campaign in place of this program, so that signals reach it and its exit code counts; `args` are its own.
pub fn crash(args: &[String]) -> Result<(), String> {
    let mut command = campaign(args)?;
    Err(format!("{command:?} cannot be run: {}", command.exec()))
}

/// Runs a short campaign as one step of several: the same rounds each time, so that what fails has to do with the change.
pub fn short() -> Result<(), String> {
    run(&mut campaign(&["--minutes", "1.5", "--seed", "1"].map(str::to_owned))?)
}

/// The campaign, built and ready to be run.
fn campaign(args: &[String]) -> Result<Command, String> {
    run(cargo(&["build", "--quiet", "--profile", PROFILE]).args([
        "--package",
        "everfast-recovery-tests",
        "--bin",
        "crash",
    ]))?;
    let program = target().join(PROFILE).join("crash");
    let mut command = Command::new(&program);
    command.args(args).current_dir(root());
    if needs_server(Command::new(&program).args(args))? {
        command.arg("--server").arg(fail_point_server()?);
    }
    Ok(command)
}

/// Whether the campaign asks for a server that is to be built. Where it does not understand its arguments it will say so.
fn needs_server(command: &mut Command) -> Result<bool, String> {
    if command.get_args().any(|arg| arg.to_str().is_some_and(|arg| arg.starts_with("--server"))) {
        return Ok(false);
    }
    let command = command.arg("--needs-server").current_dir(root());
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?} cannot be run: {error}"))?;
    Ok(output.stdout.trim_ascii() == b"true")
}
