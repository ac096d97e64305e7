//! ioredis, as users write it.

use std::process::Command;

use super::{ARGS, prepared, run_session};
use crate::harness::Server;

const SCRIPT: &str = include_str!("session.js");

#[test]
fn ioredis_works_with_and_without_pipelines_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::everfast(dir.path(), &ARGS);
    for pipelining in ["by-hand", "auto"] {
        let mut command = Command::new("node");
        command.args(["-e", SCRIPT, "--", &server.port.to_string(), pipelining]);
        command.env("NODE_PATH", prepared("EVERFAST_TEST_NODE_MODULES", "node-client/node_modules"));
        run_session(command, &mut server, "Node.js with ioredis");
    }
}
