//! Server processes: ours, and Redis'.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use formats::resp::Value;

use super::Client;

const START: Duration = Duration::from_secs(60);

/// A running server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    command: Command,
    pub port: u16,
}

impl Server {
    /// Ours, on the data in `dir`.
    pub fn everfast(dir: &Path, args: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_everfast"));
        command.arg("--dir").arg(dir).args(args);
        Server::start(command)
    }

    /// The Redis server that is on the path: our commands are those of its version 7.0.
    pub fn redis(dir: &Path) -> Server {
        Server::redis_with(dir, &[])
    }

    /// As [`Server::redis`], with further arguments, which win.
    pub fn redis_with(dir: &Path, args: &[&str]) -> Server {
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(dir).args(args);
        let server = Server::start(command);
        let hello = server.client().raw(&["HELLO"]);
        let version = b"\r\n7.0.";
        assert!(
            hello.windows(version.len()).any(|part| part == version),
            "a redis-server of version 7.0 is needed"
        );
        server
    }

    fn start(mut command: Command) -> Server {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let port = port.expect("there is a free port").port();
        command.args(["--port", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        let mut server = Server { child, command, port };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + START;
        while !self.serves() {
            assert!(Instant::now() < deadline, "the server does not serve");
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "the server has ended: {ended:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it and starts it again on the same port and directory.
    pub fn restart(&mut self) {
        self.child.kill().expect("a server that runs can be killed");
        self.child.wait().expect("a child can be waited for");
        self.child = self.command.spawn().expect("what started once starts again");
        self.wait();
    }

    fn serves(&self) -> bool {
        let Ok(mut client) = Client::connect(self.port) else { return false };
        client.send(&["PING"]);
        matches!(client.try_receive(), Some((_, Value::Simple(_))))
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port).expect("the server accepts connections")
    }

    /// Asks it to end and waits for that.
    pub fn shut_down(self) {
        self.shut_down_with(&["SHUTDOWN"]);
    }

    /// As [`Server::shut_down`], with words of SHUTDOWN.
    pub fn shut_down_with(mut self, call: &[&str]) {
        let mut client = self.client();
        client.send(call);
        assert_eq!(client.try_receive(), None, "a server that ends does not answer");
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "the server ended with {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}
