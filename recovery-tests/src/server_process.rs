//! A real server process: started, killed, started again on the same directory.
//!
//! It ends with this process, whatever ends that: its standard input is a pipe that is held open here, and a program with
//! fail points ends itself when nobody holds it any more.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use everfast::fail_point::{self, LIFELINE};
use formats::resp::Value;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(2);

/// A running server. Killed when dropped.
pub struct ServerProcess {
    child: Child,
    /// The server itself, if another program runs it.
    server: Option<Pid>,
    address: SocketAddr,
    log: PathBuf,
}

/// Names the server's program that was built with the feature `fail-points`.
pub const BINARY_VARIABLE: &str = "EVERFAST_FAIL_POINT_SERVER";

/// Where the binary is that was built with the feature `fail-points`: where [`BINARY_VARIABLE`] says, or in
/// `target/fail-points`, where `cargo xtask` puts it.
///
/// # Errors
/// It has not been built.
pub fn fail_point_binary() -> io::Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        return Ok(path.into());
    }
    let here = std::env::current_exe()?;
    let places = here.ancestors().map(|folder| folder.join("fail-points/everfast"));
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let what = "build the server with its fail points first, as `cargo xtask crash` does, and name its program in \
                    EVERFAST_FAIL_POINT_SERVER";
        io::Error::new(io::ErrorKind::NotFound, what)
    })
}

/// Whether a program ends where it is told to: it refuses a fail point that there is not. One without fail points starts,
/// and fails for the directory that cannot be.
pub fn has_fail_points(binary: &Path) -> io::Result<bool> {
    let said = Command::new(binary)
        .args(["--port", "6379", "--dir", "/dev/null/none"])
        .env(fail_point::VARIABLE, "none=off")
        .stdin(Stdio::null())
        .output()?;
    Ok(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains("no fail point 'none'"))
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

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub binary: PathBuf,
    pub dir: PathBuf,
    pub args: Vec<String>,
    /// Environment variables.
    pub variables: Vec<(&'static str, String)>,
    /// Where its log goes, behind what is there.
    pub log: PathBuf,
    /// A program and its arguments that run the server's.
    pub wrapper: Vec<String>,
}

impl Launch {
    /// With its log in `dir/../server.log`.
    pub fn new(binary: &Path, dir: &Path, args: &[String]) -> Self {
        Self {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            args: args.to_vec(),
            variables: Vec::new(),
            log: dir.with_file_name("server.log"),
            wrapper: Vec::new(),
        }
    }

    /// Starts it and does not wait.
    pub fn spawn(&self) -> io::Result<ServerProcess> {
        let port = free_port()?;
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = match &self.wrapper[..] {
            [] => Command::new(&self.binary),
            [program, args @ ..] => {
                let mut command = Command::new(program);
                command.args(args).arg(&self.binary);
                command
            }
        };
        let child = command
            .args(["--port", &port.to_string(), "--dir"])
            .arg(&self.dir)
            .args(&self.args)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(LIFELINE, "1")
            .stdin(Stdio::piped()) // open until `child` is dropped
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        Ok(ServerProcess { child, server: None, address, log: self.log.clone() })
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// It ends, or does not serve in time; the text tells where its log is.
    pub fn start(&self) -> io::Result<ServerProcess> {
        let mut server = self.spawn()?;
        match server.wait_until_it_serves()? {
            None => Ok(server),
            Some(status) => {
                let text = format!("the server ended with {status}; see {}", self.log.display());
                Err(io::Error::other(text))
            }
        }
    }
}

/// The process that started this one.
fn parent_of(process: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

impl ServerProcess {
    /// Starts the server and waits until it serves. Its log goes to `dir/../server.log`.
    ///
    /// # Errors
    /// It ends, or does not serve in time; the text tells where its log is.
    pub fn start(binary: &Path, dir: &Path, args: &[String]) -> io::Result<Self> {
        Launch::new(binary, dir, args).start()
    }

    /// Waits until it serves: `None`; or until it has ended.
    ///
    /// # Errors
    /// It does neither in time.
    pub fn wait_until_it_serves(&mut self) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(process) = self.serves() {
                let own = self.child.id() as i32;
                if process == own {
                    return Ok(None);
                }
                // The server that the child runs; or somebody else's, who took the port at the same moment.
                if parent_of(process) == Some(own) {
                    self.server = Pid::from_raw(process);
                    return Ok(None);
                }
            }
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            std::thread::sleep(LOOK);
        }
        Err(io::Error::other(format!("the server does not serve; see {}", self.log.display())))
    }

    /// The number of the process that serves there, if one does.
    fn serves(&self) -> Option<i32> {
        let mut client = Client::connect(self.address).ok()?;
        let Ok(Value::Simple(_)) = client.call(&["PING"]) else { return None };
        let Ok(Value::Bulk(info)) = client.call(&["INFO", "server"]) else { return None };
        let info = String::from_utf8_lossy(&info).into_owned();
        info.lines().find_map(|line| line.strip_prefix("process_id:")?.trim().parse().ok())
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        if let Some(server) = self.server {
            let _ = kill_process(server, Signal::KILL); // it may have ended already
            // What runs it has to see that.
            let deadline = Instant::now() + Duration::from_secs(1);
            while Instant::now() < deadline && self.ended()?.is_none() {
                std::thread::sleep(LOOK);
            }
        }
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// It does not end in time.
    pub fn terminate_and_wait(&mut self) -> io::Result<ExitStatus> {
        let server = self.server.or_else(|| Pid::from_raw(self.child.id() as i32));
        if let Some(pid) = server {
            let _ = kill_process(pid, Signal::TERM); // it may have ended already
        }
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            std::thread::sleep(LOOK);
        }
        Err(io::Error::other(format!("the server does not end; see {}", self.log.display())))
    }

    /// SIGTERM, and waits for the end; `false` if the process did not end well.
    pub fn terminate(&mut self) -> io::Result<bool> {
        Ok(self.terminate_and_wait()?.success())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.kill(); // it may have ended already
    }
}
