//! One command, one reply: for the questions that are asked of a server outside the load.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use formats::resp::{Value, decode, encode_command};

/// A server that starts may take long to answer, but not for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends a command on a connection of its own and returns its reply.
pub fn ask(address: SocketAddr, command: &[&str]) -> io::Result<Value> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    encode_command(&mut request, command);
    stream.write_all(&request)?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        received.extend_from_slice(&buffer[..count]);
        match decode(&received) {
            Ok(Some((value, _))) => return Ok(value),
            Ok(None) => {}
            Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }
}
