//! Running `rdb-inspect`, and servers that write files for it and load what it wrote.

mod everfast;
mod redis_server;

pub use everfast::Everfast;
pub use redis_server::RedisServer;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a run of `rdb-inspect` gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Run {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("output is UTF-8")
    }

    /// The same, if the exit code was 0.
    #[track_caller]
    pub fn good(self) -> Run {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code().expect("ended by itself"),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program, to be given arguments.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_rdb-inspect"))
}

/// Runs it with words and paths as arguments.
pub fn inspect<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    program().args(args).stdin(Stdio::null()).output().expect("rdb-inspect runs").into()
}

/// A file that comes with the repository, made by a real server.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../formats/testdata").join(name)
}

impl RedisServer {
    /// One that loads `file`.
    pub fn load(file: &Path) -> RedisServer {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::copy(file, dir.path().join("dump.rdb")).expect("the file can be copied");
        RedisServer::start_with(dir, &[])
    }

    /// Digest of all data, whatever the order of hashes and sets.
    pub fn digest(&self) -> String {
        self.run("DEBUG DIGEST")
    }
}

/// Copies the files of a folder.
pub fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}
