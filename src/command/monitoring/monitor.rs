//! MONITOR, and the lines that it leads to.

use std::io::Write;
use std::net::SocketAddr;

use formats::resp::Request;

use crate::clock;
use crate::command::{Invocation, TaskFuture};
use crate::shard::slow_log::REDACTED;

/// MONITOR: from now on this connection is told every command. A second one is not answered.
///
/// A task, so that nothing else is under way on the connection: its lines come behind its OK.
pub fn monitor(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        if invocation.client.monitors.get() {
            return Vec::new();
        }
        invocation.shard.start_monitoring(&invocation.client);
        invocation.reply(|reply| reply.ok())
    })
}

/// Appends the line of a command: the time, the database, who sent it, its words in quotes.
pub fn write_line(
    out: &mut Vec<u8>,
    db: u16,
    address: SocketAddr,
    request: Request<'_>,
    hides: impl Fn(usize) -> bool,
) {
    let now = clock::since_epoch();
    // Writing into memory does not fail.
    let _ = write!(out, "+{}.{:06} [{db} {address}]", now.as_secs(), now.subsec_micros());
    for (index, arg) in request.iter().enumerate() {
        out.push(b' ');
        write_quoted(out, if hides(index) { REDACTED } else { arg });
    }
    out.extend_from_slice(b"\r\n");
}

fn write_quoted(out: &mut Vec<u8>, arg: &[u8]) {
    out.push(b'"');
    for &byte in arg {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_request;

    #[test]
    fn a_line_has_all_words_in_quotes() {
        let words: [&[u8]; 4] = [b"set", b"a \"b\\", b"\x07\x08\t\r\n\x00\xff'", b"secret"];
        let mut line = Vec::new();
        with_request(&words, |request| {
            write_line(&mut line, 3, "127.0.0.1:5".parse().unwrap(), request, |index| index == 3);
        });
        let line = String::from_utf8(line).unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.starts_with('+') && time.split_once('.').unwrap().1.len() == 6, "{time}");
        assert_eq!(
            rest,
            "[3 127.0.0.1:5] \"set\" \"a \\\"b\\\\\" \"\\a\\b\\t\\r\\n\\x00\\xff'\" \"(redacted)\"\r\n"
        );
    }
}
