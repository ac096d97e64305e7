//! The server's program that a campaign is given: whether it is one with fail points.
//!
//! With another one all families would pass that wait for a server to end at a point it does not have.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use everfast::fail_point::VARIABLE;

use crate::server_process::free_port;

/// A point that no server has.
const NO_POINT: &str = "no-such-point";
/// Longest wait for it to refuse that.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// Starts the program once, with a fail point that does not exist: one that has fail points refuses and names it.
///
/// # Errors
/// It cannot be run, or has no fail points.
pub fn check_server(program: &Path, scratch: &Path) -> Result<(), String> {
    let io = |what: &str, path: &Path| {
        let text = format!("{what} {}", path.display());
        move |error: std::io::Error| format!("{text}: {error}")
    };
    // A program without fail points soon ends too: its directory is a file.
    let (said, dir) = (scratch.join("check-server.log"), scratch.join("no-directory"));
    fs::write(&dir, "").map_err(io("no file", &dir))?;
    let log = File::create(&said).map_err(io("no file", &said))?;
    let port = free_port().map_err(|error| format!("no port: {error}"))?;
    let child = Command::new(program)
        .args(["--port", &port.to_string(), "--dir"])
        .arg(&dir)
        .env(VARIABLE, format!("{NO_POINT}=off"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(io("no file", &said))?)
        .stderr(log)
        .spawn();
    let mut child = child.map_err(io("the server's program cannot be run:", program))?;
    let deadline = Instant::now() + PATIENCE;
    let mut status: Option<ExitStatus> = None;
    while status.is_none() && Instant::now() < deadline {
        sleep(LOOK);
        status = child.try_wait().map_err(io("the server's program:", program))?;
    }
    if status.is_none() {
        let _ = child.kill().and_then(|()| child.wait()); // it may have ended by now
    }
    let said = String::from_utf8_lossy(&fs::read(&said).unwrap_or_default()).into_owned();
    if status.is_some_and(|status| !status.success()) && said.contains(NO_POINT) {
        return Ok(());
    }
    let first = said.lines().next().unwrap_or("nothing");
    Err(format!(
        "{} has no fail points: it does not refuse {VARIABLE}={NO_POINT}=off, it says: {first}\n\
         (build it with `--features fail-points`, as `cargo xtask crash` does)",
        program.display()
    ))
}
