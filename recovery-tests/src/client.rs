//! A blocking client that can pipeline.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use formats::resp::{Value, decode, encode_command};

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, input: Vec::new(), output: Vec::new() })
    }

    /// Adds a command to what [`Client::flush`] sends.
    pub fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        encode_command(&mut self.output, args);
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    /// The next reply.
    pub fn reply(&mut self) -> io::Result<Value> {
        loop {
            match decode(&self.input) {
                Ok(Some((value, length))) => {
                    self.input.drain(..length);
                    return Ok(value);
                }
                Ok(None) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&chunk[..count]);
        }
    }

    /// The next reply, if it comes within `patience`.
    pub fn reply_within(&mut self, patience: Duration) -> io::Result<Option<Value>> {
        self.stream.set_read_timeout(Some(patience))?;
        let reply = self.reply();
        self.stream.set_read_timeout(Some(PATIENCE))?;
        match reply {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one command without waiting for its reply.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        self.queue(args);
        self.flush()
    }

    /// Sends one command and waits for its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        self.queue(args);
        self.flush()?;
        self.reply()
    }
}

/// Starts one save after the other, of all kinds, until the connection ends or the others do. Errors are as they come: one
/// may be running.
pub fn keep_saving(address: SocketAddr, pause: Duration, goes_on: impl Fn() -> bool) {
    let Ok(mut client) = Client::connect(address) else { return };
    for command in ["BGSAVE", "BGREWRITEAOF", "SAVE"].iter().cycle() {
        if !goes_on() || client.call(&[*command]).is_err() {
            return;
        }
        std::thread::sleep(pause);
    }
}
