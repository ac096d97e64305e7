//! Real client libraries in mixed work: pools, pipelines, both versions of the protocol, and a server that is killed and
//! started again below them.

mod ioredis;
mod redis_crate;
mod redis_py;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::harness::Server;

/// Every acknowledged write is to outlive a kill.
const ARGS: [&str; 4] = ["--shards", "3", "--appendfsync", "always"];

/// What `cargo xtask test` has prepared, else the place where it does so.
fn prepared(variable: &str, place: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join(place),
    }
}

/// Runs a script, which ends with the line `all well`. A line `restart` asks for a server that was killed and started
/// again, which an empty line confirms.
fn run_session(mut command: Command, server: &mut Server, needs: &str) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{needs} is needed: {error}"));
    let mut input = child.stdin.take().expect("it is piped");
    let mut text = String::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("scripts write text");
        if line == "restart" {
            server.restart();
            let _ = input.write_all(b"\n"); // it may have ended, which shows below
        }
        text = text + &line + "\n";
    }
    let mut errors = String::new();
    let _ = child.stderr.take().expect("it is piped").read_to_string(&mut errors);
    let status = child.wait().expect("a child can be waited for");
    let is_well = status.success() && text.ends_with("restart\nall well\n");
    assert!(is_well, "{status}; `cargo xtask test` prepares {needs}:\n{text}{errors}");
}
