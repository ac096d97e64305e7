//! Real `redis-server`s; for the tests of the program, and for those of the model of its memory.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for a server that starts or loads.
const START: Duration = Duration::from_secs(60);

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
