//! Server processes: ours, and Redis'.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::client::{Answer, Client};

const START: Duration = Duration::from_secs(60);

/// A running server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    /// Ours, on a new directory below `dir`.
    pub fn everfast(program: &Path, dir: &Path, shards: u16) -> Result<Server, String> {
        let mut command = Command::new(program);
        command.arg("--dir").arg(dir.join(format!("everfast-{shards}")));
        command.args(["--shards", &shards.to_string(), "--enable-debug-command", "yes"]);
        Server::start(command)
    }

    /// The `redis-server` on the path, which must be of version 7.0.
    pub fn redis(dir: &Path) -> Result<Server, String> {
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir"]).arg(dir);
        let server = Server::start(command)?;
        match server.client()?.line("HELLO") {
            Answer::Reply { bytes, .. } if bytes.windows(6).any(|part| part == b"\r\n7.0.") => Ok(server),
            answer => Err(format!("a redis-server of version 7.0 is needed; this one says {answer:?}")),
        }
    }

    fn start(mut command: Command) -> Result<Server, String> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let port = port.map_err(|error| format!("no free port: {error}"))?.port();
        command.args(["--port", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.map_err(|error| format!("{:?} does not start: {error}", command.get_program()))?;
        let mut server = Server { child, port };
        let deadline = Instant::now() + START;
        while !server.serves() {
            if server.has_ended() || Instant::now() >= deadline {
                return Err(format!("{command:?} does not serve"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    fn serves(&self) -> bool {
        Client::connect(self.port)
            .is_ok_and(|mut client| matches!(client.line("PING").value(), Some(Value::Simple(_))))
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    pub fn client(&self) -> Result<Client, String> {
        Client::connect(self.port).map_err(|error| format!("no connection to port {}: {error}", self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}
