//! redis-py, as users write it.

use std::process::Command;

use super::{ARGS, prepared, run_session};
use crate::harness::Server;

const SCRIPT: &str = include_str!("session.py");

#[test]
fn redis_py_works_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::everfast(dir.path(), &ARGS);
    for protocol in ["2", "3"] {
        let mut command = Command::new(prepared("EVERFAST_TEST_PYTHON", "python-client/bin/python"));
        command.args(["-u", "-c", SCRIPT, &server.port.to_string(), protocol]);
        run_session(command, &mut server, "a Python with redis-py");
    }
}
