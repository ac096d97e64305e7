//! One server process: started on a port and a directory of its own, killed when it is dropped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use formats::resp::Value;
use tempfile::TempDir;

use super::CompareError;
use super::client::ask;
use super::peer::Peer;
use super::scenario::Policy;
use crate::process;

/// How often a server that starts is asked whether it is ready: the grain of restart times.
const READY_POLL: Duration = Duration::from_millis(2);
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Lines of a failed server's log that are shown.
const LOG_LINES: usize = 20;

/// Invariant: `child` runs, or has been waited for.
pub struct Server {
    pub peer: Peer,
    pub address: SocketAddr,
    policy: Policy,
    child: Child,
    /// Most memory without mapped files that was seen while the process started, in bytes.
    pub anonymous_at_start: u64,
    /// Holds `data` and `log`.
    home: TempDir,
}

impl Server {
    /// Starts a peer on an empty directory under `parent` and waits until it is ready.
    pub fn start(peer: &Peer, policy: Policy, parent: &Path) -> Result<Server, CompareError> {
        let file_error = |path: &Path| {
            let path = path.to_owned();
            move |source| CompareError::File { path, source }
        };
        let home =
            tempfile::Builder::new().prefix("compare-").tempdir_in(parent).map_err(file_error(parent))?;
        let data = home.path().join("data");
        fs::create_dir(&data).map_err(file_error(&data))?;
        let address = free_address().map_err(|error| start_error(peer, &error, home.path()))?;
        let child = spawn(peer, policy, address, home.path())?;
        let mut server = Server { peer: peer.clone(), address, policy, child, anonymous_at_start: 0, home };
        server.wait_ready(Instant::now())?;
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process without warning and starts it again on what it left. Returns the time from its start until it
    /// answers PING with PONG.
    pub fn crash_and_restart(&mut self) -> Result<Duration, CompareError> {
        self.crash_and_restart_as(self.peer.clone())
    }

    /// The same with another command line on the same directory.
    pub fn crash_and_restart_as(&mut self, peer: Peer) -> Result<Duration, CompareError> {
        self.kill();
        self.peer = peer;
        self.anonymous_at_start = 0;
        let started = Instant::now();
        self.child = spawn(&self.peer, self.policy, self.address, self.home.path())?;
        self.wait_ready(started)
    }

    /// Bytes of all files that the server keeps.
    pub fn data_bytes(&self) -> io::Result<u64> {
        folder_bytes(&self.home.path().join("data"))
    }

    /// Number of keys in the server.
    pub fn key_count(&self) -> Result<i64, CompareError> {
        match ask(self.address, &["DBSIZE"]) {
            Ok(Value::Integer(keys)) => Ok(keys),
            Ok(other) => Err(self.process_error(io::Error::other(format!("DBSIZE answers {other:?}")))),
            Err(error) => Err(self.process_error(error)),
        }
    }

    pub fn process_error(&self, source: io::Error) -> CompareError {
        CompareError::Process { peer: self.peer.name.clone(), source }
    }

    fn wait_ready(&mut self, started: Instant) -> Result<Duration, CompareError> {
        loop {
            // Fails only where the process has ended, which is seen below.
            let anonymous = process::anonymous_bytes(self.pid()).unwrap_or(0);
            self.anonymous_at_start = self.anonymous_at_start.max(anonymous);
            if matches!(ask(self.address, &["PING"]), Ok(Value::Simple(pong)) if pong == "PONG") {
                return Ok(started.elapsed());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(start_error(&self.peer, &io::Error::other(status.to_string()), self.home.path()));
            }
            if started.elapsed() > READY_LIMIT {
                let log = log_tail(self.home.path());
                return Err(CompareError::NotReady {
                    peer: self.peer.name.clone(),
                    waited: READY_LIMIT,
                    log,
                });
            }
            thread::sleep(READY_POLL);
        }
    }

    fn kill(&mut self) {
        // Fails only where the process has ended already; waiting tells the kernel that we know.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { folder_bytes(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

/// A port that nobody listens on. Another process could take it before the server does; then the server does not start.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn spawn(peer: &Peer, policy: Policy, address: SocketAddr, home: &Path) -> Result<Child, CompareError> {
    let line = peer.command_line(address.port(), &home.join("data"), policy);
    let start = || -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(home.join("log"))?;
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).current_dir(home).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).spawn()
    };
    start().map_err(|error| start_error(peer, &error, home))
}

fn start_error(peer: &Peer, error: &io::Error, home: &Path) -> CompareError {
    CompareError::Start { peer: peer.name.clone(), reason: error.to_string(), log: log_tail(home) }
}

fn log_tail(home: &Path) -> String {
    let log = fs::read(home.join("log")).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
