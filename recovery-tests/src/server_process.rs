//! A real server process: started, killed, started again on the same directory.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::client::Client;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// A running server. Killed when dropped.
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

/// Where the binary is: beside this program, as cargo puts them.
///
/// # Errors
/// It has not been built.
pub fn binary() -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    for folder in here.ancestors().skip(1).take(2) {
        let path = folder.join("everfast");
        if path.is_file() {
            return Ok(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "build the server first: cargo build --bin everfast"))
}

/// Ports below those that systems give to outgoing connections, so that no client takes one before its server does.
const PORTS: std::ops::Range<u32> = 10_000..32_000;

/// A port that nobody uses now, and that this process has not answered lately.
pub fn free_port() -> io::Result<u16> {
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    let count = PORTS.end - PORTS.start;
    // Processes that run at the same time begin far from each other.
    let first = std::process::id().wrapping_mul(0x9E37_79B9) % count;
    for _ in PORTS {
        let port = PORTS.start + (first + ANSWERED.fetch_add(1, Ordering::Relaxed)) % count;
        if let Ok(socket) = TcpListener::bind((Ipv4Addr::LOCALHOST, port as u16)) {
            return Ok(socket.local_addr()?.port());
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

impl ServerProcess {
    /// Starts the server and waits until it serves. Its log goes to `dir/../server.log`.
    ///
    /// # Errors
    /// It ends, or does not serve in time; the text tells where its log is.
    pub fn start(binary: &Path, dir: &Path, args: &[String]) -> io::Result<Self> {
        Self::start_logging(binary, dir, args, &dir.with_file_name("server.log"))
    }

    /// As [`ServerProcess::start`], with its log in `log_path`.
    pub fn start_logging(binary: &Path, dir: &Path, args: &[String], log_path: &Path) -> io::Result<Self> {
        let port = free_port()?;
        let log = File::options().create(true).append(true).open(log_path)?;
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--dir"])
            .arg(dir)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if server.serves() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "the server ended with {status}; see {}",
                    log_path.display()
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other(format!("the server does not serve; see {}", log_path.display())))
    }

    fn serves(&self) -> bool {
        let Ok(mut client) = Client::connect(self.address) else { return false };
        matches!(client.call(&["PING"]), Ok(Value::Simple(_)))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, and waits for the end; `false` if the process did not end well.
    pub fn terminate(&mut self) -> io::Result<bool> {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        Ok(self.child.wait()?.success())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.kill(); // it may have ended already
    }
}
