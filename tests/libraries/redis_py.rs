//! redis-py, as users write it.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::Server;

const SCRIPT: &str = include_str!("session.py");

/// The Python that `cargo xtask test` has prepared.
fn python() -> PathBuf {
    match std::env::var_os("EVERFAST_TEST_PYTHON") {
        Some(path) => path.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python-client/bin/python"),
    }
}

#[test]
fn redis_py_works_in_both_protocols() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "3"]);
    for protocol in ["2", "3"] {
        let output = Command::new(python())
            .args(["-c", SCRIPT, &server.port.to_string(), protocol])
            .output()
            .expect("a Python with redis-py is needed: `cargo xtask test` prepares it");
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("all well"), "RESP{protocol}:\n{text}");
    }
}
