//! Running `rdb-inspect`, and real `redis-server`s that write files for it and load what it wrote.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server that starts or loads.
const START: Duration = Duration::from_secs(60);

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

/// A real server in a folder of its own.
pub struct RedisServer {
    process: Child,
    pub port: u16,
    pub dir: tempfile::TempDir,
}

impl RedisServer {
    /// An empty one.
    pub fn start() -> RedisServer {
        RedisServer::start_with(tempfile::tempdir().expect("a folder"), &[])
    }

    /// One that loads `file`.
    pub fn load(file: &Path) -> RedisServer {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::copy(file, dir.path().join("dump.rdb")).expect("the file can be copied");
        RedisServer::start_with(dir, &[])
    }

    /// One in `dir` with more settings.
    pub fn start_with(dir: tempfile::TempDir, settings: &[&str]) -> RedisServer {
        let port = free_port();
        let log = std::fs::File::create(dir.path().join("log")).expect("a log file");
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
                "--enable-debug-command",
                "yes",
            ])
            .args(settings)
            .current_dir(dir.path())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed (cargo xtask test does it)");
        let mut server = RedisServer { process, port, dir };
        let started = Instant::now();
        while !server.answers() {
            let log = || std::fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
            assert!(server.process.try_wait().expect("a child").is_none(), "redis-server ended: {}", log());
            assert!(started.elapsed() < START, "redis-server does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn answers(&self) -> bool {
        let connection = redis::Client::open(self.url()).and_then(|client| client.get_connection());
        connection.is_ok_and(|mut connection| redis::cmd("PING").query::<String>(&mut connection).is_ok())
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn connect(&self) -> redis::Connection {
        redis::Client::open(self.url()).and_then(|client| client.get_connection()).expect("it answers")
    }

    /// One command, its words separated by blanks.
    #[track_caller]
    pub fn run<T: redis::FromRedisValue>(&self, line: &str) -> T {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().expect("a command"));
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.connect()).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Digest of all data, whatever the order of hashes and sets.
    pub fn digest(&self) -> String {
        self.run("DEBUG DIGEST")
    }

    /// Writes and answers the RDB file.
    pub fn save(&self) -> PathBuf {
        let _: () = self.run("SAVE");
        self.dir.path().join("dump.rdb")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may have ended
        let _ = self.process.wait();
    }
}

/// A port that nobody uses now.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address").port()
}
