//! A client that keeps the bytes of each reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use formats::resp::{Value, decode, encode_command};

/// Longer than any reply takes.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub fn connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, received: Vec::new() })
    }

    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.send_all(std::iter::once(args));
    }

    /// Sends several commands at once.
    pub fn send_all<'a, A: AsRef<[u8]> + 'a>(&mut self, commands: impl Iterator<Item = &'a [A]>) {
        let mut bytes = Vec::new();
        commands.for_each(|args| encode_command(&mut bytes, args));
        self.stream.write_all(&bytes).expect("the server takes requests");
    }

    /// The next reply: its bytes and what they mean.
    pub fn receive(&mut self) -> (Vec<u8>, Value) {
        self.try_receive().expect("the server answers")
    }

    /// As [`Client::receive`]; nothing if the server has closed the connection.
    pub fn try_receive(&mut self) -> Option<(Vec<u8>, Value)> {
        loop {
            if let Some((value, length)) = decode(&self.received).expect("replies are RESP") {
                let rest = self.received.split_off(length);
                return Some((std::mem::replace(&mut self.received, rest), value));
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply: {error}"),
            }
        }
    }

    /// Sends a command and returns the bytes of its reply.
    pub fn raw<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Vec<u8> {
        self.send(args);
        self.receive().0
    }

    /// Sends a command and returns its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.send(args);
        self.receive().1
    }
}
