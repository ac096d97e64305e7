//! One command, one reply: for the questions that are asked of a server outside the load.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use formats::resp::{Value, decode, encode_command};

/// A server that starts may take long to answer, but not for ever.
const TIMEOUT: Duration = Duration::from_secs(60);
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// A connection with one command under way at most.
pub struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// Bytes of a reply that is not complete; empty between replies.
    received: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        let buffer = vec![0; READ_BUFFER_BYTES];
        Ok(Client { stream, request: Vec::new(), received: Vec::new(), buffer })
    }

    /// Sends a command and returns its reply.
    pub fn ask<A: AsRef<[u8]>>(&mut self, command: &[A]) -> io::Result<Value> {
        self.request.clear();
        encode_command(&mut self.request, command);
        self.stream.write_all(&self.request)?;
        self.reply()
    }

    /// Sends a part of a command that is too large to be held at once.
    pub fn send_part(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Awaits the reply to a command that was sent in parts.
    pub fn reply(&mut self) -> io::Result<Value> {
        self.received.clear();
        loop {
            let count = self.stream.read(&mut self.buffer)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.received.extend_from_slice(&self.buffer[..count]);
            match decode(&self.received) {
                Ok(Some((value, _))) => return Ok(value),
                Ok(None) => {}
                Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// Sends a command on a connection of its own and returns its reply.
pub fn ask(address: SocketAddr, command: &[&str]) -> io::Result<Value> {
    Client::connect(address)?.ask(command)
}
