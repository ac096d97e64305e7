//! Where results go: standard output or a file, through a thread of its own, so that formatting does not wait for it.
//!
//! Invariant: a file appears under its name when [`Output::finish`] succeeds, and not before.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::destination::{Destination, Opened};
use crate::failure::Failure;

/// Bytes that are handed over at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks on their way.
const CHUNKS: usize = 8;

/// Collects bytes and hands them to the thread that writes.
pub struct Output {
    chunk: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    writer: Option<JoinHandle<io::Result<Opened>>>,
    is_terminal: bool,
    escapes: bool,
}

impl Output {
    /// To `path`, or to standard output where there is none or it is `-`. Fails where that must not be written by a command that
    /// reads `inputs`: see [`Destination`].
    pub fn to(path: Option<&Path>, inputs: &[PathBuf]) -> Result<Output, Failure> {
        let destination = Destination::of(path.unwrap_or(Path::new("-")), inputs)?;
        Ok(Output::start(destination.open()?))
    }

    /// To standard output.
    pub fn stdout() -> Output {
        Output::start(Opened::Stdout(io::stdout()))
    }

    fn start(target: Opened) -> Output {
        let (full, to_write) = sync_channel::<Vec<u8>>(CHUNKS);
        let (written, empty) = sync_channel(CHUNKS);
        let is_terminal = matches!(&target, Opened::Stdout(stdout) if stdout.is_terminal());
        let writer = std::thread::spawn(move || write_all(target, &to_write, &written));
        Output {
            chunk: Vec::with_capacity(CHUNK_BYTES),
            full: Some(full),
            empty,
            writer: Some(writer),
            is_terminal,
            escapes: false,
        }
    }

    /// On a terminal, shows control characters other than line breaks as `\x1b`; elsewhere bytes stay what they are. For
    /// output of which the format itself lets strings be as they are, and which is only looked at on a terminal.
    pub fn escape_on_terminal(&mut self) {
        self.escapes = self.is_terminal;
    }

    /// The bytes that have not been handed over, to be appended to; call [`Output::flow`] after a record.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.chunk
    }

    /// Hands over what is there if it is much. Fails when the writer has failed.
    #[inline]
    pub fn flow(&mut self) -> Result<(), Failure> {
        if self.chunk.len() < CHUNK_BYTES { Ok(()) } else { self.hand_over(false) }
    }

    fn hand_over(&mut self, is_last: bool) -> Result<(), Failure> {
        let next =
            self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4));
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        if self.escapes {
            // What may be the start of a character, or of a line break, waits for the rest.
            if let Some(&start) = chunk.last().filter(|last| !is_last && [b'\r', C1_LEAD].contains(last)) {
                chunk.pop();
                self.chunk.push(start);
            }
            chunk = escaped(&chunk);
        }
        match self.full.as_ref().map(|full| full.send(chunk)) {
            Some(Ok(())) => Ok(()),
            // The writer has gone: it says why.
            _ => Err(self.join().err().unwrap_or(Failure::Output(io::ErrorKind::WriteZero.into()))),
        }
    }

    fn join(&mut self) -> Result<Opened, Failure> {
        self.full = None;
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result.map_err(Failure::Output),
            _ => Err(Failure::Output(io::ErrorKind::WriteZero.into())),
        }
    }

    /// Writes what is left, and gives a file its name.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.hand_over(true)?;
        self.join()?.finish()
    }
}

/// Waits for the writer: it has the file that must be removed.
impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        self.flow().map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// First byte, in UTF-8, of the control characters from U+0080 to U+009F, which terminals obey, too.
const C1_LEAD: u8 = 0xC2;

fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return out,
            [C1_LEAD, c1 @ 0x80..=0x9F, rest @ ..] => {
                out.extend_from_slice(format!("\\u{c1:04x}").as_bytes());
                rest
            }
            [b'\r', b'\n', rest @ ..] => {
                out.extend_from_slice(b"\r\n");
                rest
            }
            [control @ (0x00..=0x09 | 0x0B..=0x1F | 0x7F), rest @ ..] => {
                out.extend_from_slice(format!("\\x{control:02x}").as_bytes());
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

fn write_all(
    mut target: Opened,
    to_write: &Receiver<Vec<u8>>,
    written: &SyncSender<Vec<u8>>,
) -> io::Result<Opened> {
    for mut chunk in to_write {
        target.write_all(&chunk)?;
        chunk.clear();
        if chunk.capacity() <= 2 * CHUNK_BYTES {
            let _ = written.try_send(chunk); // nobody may want it any more
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_terminal_is_given_no_commands() {
        assert_eq!(escaped(b"a,\x1b[2J,b\r\n"), b"a,\\x1b[2J,b\r\n");
        assert_eq!(escaped(b"over\rwritten\0\x7f"), b"over\\x0dwritten\\x00\\x7f");
        assert_eq!(escaped("\u{9b}2J gr\u{fc}n \u{c2}".as_bytes()), "\\u009b2J gr\u{fc}n \u{c2}".as_bytes());
    }
}
