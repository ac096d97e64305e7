//! A connection that keeps the bytes of each reply.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use formats::resp::{Value, decode, encode_command};

/// Longer than any reply takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The words of a command.
pub type Words = Vec<Vec<u8>>;

/// What a server answered to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Reply {
        bytes: Vec<u8>,
        value: Value,
    },
    /// It closed the connection instead.
    Closed,
    /// It did neither in [`PATIENCE`], or wrote what is not RESP.
    Broken(String),
}

impl Answer {
    pub fn value(&self) -> Option<&Value> {
        match self {
            Answer::Reply { value, .. } => Some(value),
            _ => None,
        }
    }
}

pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    /// How much of `received` was given out.
    given: usize,
    is_closed: bool,
}

impl Client {
    pub fn connect(port: u16) -> std::io::Result<Client> {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, received: Vec::new(), given: 0, is_closed: false })
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Sends several commands at once. That the server has closed the connection shows in the answers.
    pub fn send<'a>(&mut self, commands: impl Iterator<Item = &'a [Vec<u8>]>) {
        let mut bytes = Vec::new();
        commands.for_each(|words| encode_command(&mut bytes, words));
        let _ = self.stream.write_all(&bytes);
    }

    pub fn receive(&mut self) -> Answer {
        loop {
            match decode(&self.received[self.given..]) {
                Ok(Some((value, length))) => {
                    let bytes = self.received[self.given..self.given + length].to_vec();
                    self.given += length;
                    return Answer::Reply { bytes, value };
                }
                Ok(None) => {}
                Err(error) => return self.give_up(format!("{error}")),
            }
            match self.read_more() {
                Ok(()) => {}
                Err(error) if is_end(&error) => {
                    self.is_closed = true;
                    return Answer::Closed;
                }
                Err(error) => return self.give_up(format!("no reply: {error}")),
            }
        }
    }

    /// What follows cannot be told from replies to commands before.
    fn give_up(&mut self, why: String) -> Answer {
        self.is_closed = true;
        Answer::Broken(why)
    }

    fn read_more(&mut self) -> std::io::Result<()> {
        self.received.drain(..self.given);
        self.given = 0;
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            count => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// Sends one command and takes its answer.
    pub fn call(&mut self, words: &[Vec<u8>]) -> Answer {
        self.send(std::iter::once(words));
        self.receive()
    }

    /// As [`Client::call`], of a line without quotes.
    pub fn line(&mut self, line: &str) -> Answer {
        let words: Words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.call(&words)
    }
}

fn is_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}
