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

/// Small changes of the huge values: SETRANGE in the middle and APPEND by turns.
pub struct Changes {
    random: Random,
    value_bytes: u64,
    count: u64,
}

impl Changes {
    pub fn new(value_mib: u64) -> Changes {
        Changes { random: Random::new(0xc4), value_bytes: value_mib * PART_BYTES as u64, count: 0 }
    }

    /// The words of the next change.
    pub fn next(&mut self) -> Vec<Vec<u8>> {
        self.count += 1;
        let key = key(self.random.below(HUGE_VALUES)).into_bytes();
        let mut text = vec![0; CHANGE_BYTES];
        self.random.fill_text(&mut text);
        if self.count.is_multiple_of(2) {
            return vec![b"APPEND".to_vec(), key, text];
        }
        let offset = self.random.below(self.value_bytes - CHANGE_BYTES as u64);
        vec![b"SETRANGE".to_vec(), key, offset.to_string().into_bytes(), text]
    }
}

fn key(number: u64) -> String {
    format!("huge:{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stay_within_the_value() {
        let mut changes = Changes::new(1);
        for _ in 0..500 {
            let range = changes.next();
            assert_eq!((range.len(), &range[0][..]), (4, &b"SETRANGE"[..]));
            let offset: usize = std::str::from_utf8(&range[2]).unwrap().parse().unwrap();
            assert!(offset + CHANGE_BYTES <= PART_BYTES, "{offset}");
            assert_eq!(changes.next()[0], b"APPEND");
        }
    }
}
