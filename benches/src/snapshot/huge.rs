//! Values of hundreds of megabytes, and the small changes to them.

use std::io;

use formats::resp::Value;

use crate::compare::client::Client;
use crate::compare::server::Server;
use crate::load::Random;

pub const HUGE_VALUES: u64 = 4;
/// Bytes that one change writes.
const CHANGE_BYTES: usize = 8;
const PART_BYTES: usize = 1 << 20;

/// Writes the huge values, each with one SET, in parts: this side never holds one. `Some` with the server's words where it
/// refuses.
pub fn write_values(server: &Server, value_mib: u64) -> io::Result<Option<String>> {
    let mut client = Client::connect(server.address)?;
    let mut random = Random::new(0xb16);
    let mut part = vec![0; PART_BYTES];
    for number in 0..HUGE_VALUES {
        let key = key(number);
        let bytes = value_mib * PART_BYTES as u64;
        let head = format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${bytes}\r\n", key.len());
        client.send_part(head.as_bytes())?;
        for _ in 0..value_mib {
            random.fill_text(&mut part);
            client.send_part(&part)?;
        }
        client.send_part(b"\r\n")?;
        match client.reply()? {
            Value::Simple(_) => {}
            Value::Error(reason) => return Ok(Some(reason)),
            other => return Err(io::Error::other(format!("SET answers {other:?}"))),
        }
    }
    Ok(None)
}

/// Small changes of the huge values.
pub struct Changes {
    random: Random,
}

impl Changes {
    pub fn new() -> Changes {
        Changes { random: Random::new(0xc4) }
    }

    /// The words of the next change.
    pub fn next(&mut self) -> Vec<Vec<u8>> {
        let key = key(self.random.below(HUGE_VALUES)).into_bytes();
        let mut text = vec![0; CHANGE_BYTES];
        self.random.fill_text(&mut text);
        vec![b"APPEND".to_vec(), key, text]
    }
}

fn key(number: u64) -> String {
    format!("huge:{number}")
}
