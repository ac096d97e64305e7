//! Writes commands as RESP arrays of bulk strings.
//!
//! Invariants:
//! 1. A command that was begun gets as many arguments as it announced: what may be damaged is checked before.
//! 2. Arguments that wait for their number to be known take [`BATCH_BYTES`] at most; a longer one is written alone.

use formats::rdb::RdbString;
use formats::rdb::string::StringBuffer;

use crate::content::{PIECE_BYTES, Stop, damage_of, pieces};
use crate::failure::Failure;
use crate::json_text::push_integer;
use crate::output::Output;

/// Bytes of arguments that are collected for one command.
pub const BATCH_BYTES: usize = 256 << 10;

pub struct Commands {
    pub output: Output,
    buffer: StringBuffer,
}

impl Commands {
    pub fn new(output: Output) -> Commands {
        Commands { output, buffer: StringBuffer::default() }
    }

    /// Begins a command of `count` arguments, its name included.
    pub fn begin(&mut self, count: u64, name: &[u8]) {
        let out = self.output.buffer();
        out.push(b'*');
        push_integer(out, count);
        out.extend_from_slice(b"\r\n");
        self.argument(name);
    }

    /// Begins a command whose first argument is a key, which has been checked.
    pub fn on_key(&mut self, count: u64, name: &[u8], key: RdbString<'_>) -> Result<(), Failure> {
        self.begin(count, name);
        damage_of(self.string(key)).map(drop)
    }

    pub fn argument(&mut self, bytes: &[u8]) {
        push_argument(self.output.buffer(), bytes);
    }

    pub fn number(&mut self, number: impl itoa::Integer) {
        self.argument(itoa::Buffer::new().format(number).as_bytes());
    }

    pub fn text(&mut self, text: impl std::fmt::Display) {
        self.argument(text.to_string().as_bytes());
    }

    /// Writes an argument, a long one in pieces. It must have been checked: half an argument cannot be taken back.
    #[inline]
    pub fn string(&mut self, string: RdbString<'_>) -> Result<(), Stop> {
        if let RdbString::Raw(bytes) = string
            && bytes.len() <= PIECE_BYTES
        {
            self.argument(bytes);
            return Ok(());
        }
        if string.len() <= PIECE_BYTES {
            push_argument(self.output.buffer(), string.bytes(&mut self.buffer)?);
            return Ok(());
        }
        push_head(self.output.buffer(), string.len());
        let output = &mut self.output;
        pieces(string, |piece| {
            output.buffer().extend_from_slice(piece);
            output.flow()
        })?;
        output.buffer().extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn push_head(out: &mut Vec<u8>, length: usize) {
    out.push(b'$');
    push_integer(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
#[inline]
pub fn push_argument(out: &mut Vec<u8>, bytes: &[u8]) {
    push_head(out, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}
