//! Commands as lines, for people and for programs.

use std::io::Write;

use formats::rdb::RdbString;
use formats::rdb::string::StringBuffer;

use super::command::Command;
use crate::content::{PIECE_BYTES, damage_of};
use crate::failure::Failure;
use crate::json_text::{self, push_integer};
use crate::output::Output;
use crate::text;

/// Writes one line for each command.
pub struct Lines {
    pub output: Output,
    json: bool,
    /// Most bytes of an argument that are shown to people.
    cut: Option<usize>,
    /// Whether lines begin with the file.
    names_files: bool,
    left: u64,
    /// The time that was shown last, and how.
    time: (i64, [u8; 24]),
    buffer: StringBuffer,
}

impl Lines {
    /// `limit`: the number of commands that are wanted.
    pub fn new(output: Output, json: bool, cut: Option<usize>, limit: Option<u64>) -> Lines {
        let time = (0, iso_time(0));
        let left = limit.unwrap_or(u64::MAX);
        Lines { output, json, cut, names_files: false, left, time, buffer: StringBuffer::default() }
    }

    pub fn name_files(&mut self, yes: bool) {
        self.names_files = yes;
    }

    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Writes the line; `false`: it was the last one that is wanted.
    pub fn command(&mut self, command: &Command<'_, '_>, name: &str) -> Result<bool, Failure> {
        if self.is_full() {
            return Ok(false);
        }
        self.left -= 1;
        if self.json {
            self.json(command, name)?
        } else {
            self.text(command, name)?
        }
        self.output.flow()?;
        Ok(!self.is_full())
    }

    fn text(&mut self, command: &Command<'_, '_>, name: &str) -> Result<(), Failure> {
        let time = command.time_ms.map(|ms| self.iso(ms));
        let names_files = self.names_files;
        let out = self.output.buffer();
        if names_files {
            text::push_name(out, name.as_bytes());
            out.push(b':');
        }
        push_integer(out, command.offset);
        out.push(b'\t');
        out.extend_from_slice(time.as_ref().map_or(b"-", |time| time));
        out.push(b'\t');
        if let Some((shard, position)) = command.place {
            let _ = write!(out, "{shard}:{position}\t"); // writing to a vector does not fail
        }
        push_integer(out, command.db);
        out.push(b'\t');
        for (i, arg) in command.args.iter().enumerate() {
            if i > 0 {
                self.output.buffer().push(b' ');
            }
            self.arg(arg)?;
        }
        self.output.buffer().push(b'\n');
        Ok(())
    }

    /// As it is, if that is one plain word; else in quotes.
    fn arg(&mut self, arg: &[u8]) -> Result<(), Failure> {
        let shown = &arg[..arg.len().min(self.cut.unwrap_or(usize::MAX))];
        let is_cut = shown.len() < arg.len();
        let is_word = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'\'');
        if !is_cut && !arg.is_empty() && arg.len() <= PIECE_BYTES && arg.iter().all(is_word) {
            self.output.buffer().extend_from_slice(arg);
            return self.output.flow();
        }
        self.output.buffer().push(b'"');
        for piece in shown.chunks(PIECE_BYTES) {
            text::push_escaped(self.output.buffer(), piece);
            self.output.flow()?;
        }
        self.output.buffer().push(b'"');
        if is_cut {
            let _ = write!(self.output.buffer(), "...({} bytes)", arg.len()); // writing to a vector does not fail
        }
        Ok(())
    }

    fn json(&mut self, command: &Command<'_, '_>, name: &str) -> Result<(), Failure> {
        let out = self.output.buffer();
        out.extend_from_slice(b"{\"file\":");
        json_text::push(out, name.as_bytes());
        out.extend_from_slice(b",\"offset\":");
        push_integer(out, command.offset);
        out.extend_from_slice(b",\"bytes\":");
        push_integer(out, command.bytes);
        out.extend_from_slice(b",\"time_ms\":");
        match command.time_ms {
            Some(ms) => push_integer(out, ms),
            None => out.extend_from_slice(b"null"),
        }
        if let Some((shard, position)) = command.place {
            let _ = write!(out, ",\"shard\":{shard},\"position\":{position}"); // writing to a vector does not fail
        }
        out.extend_from_slice(b",\"db\":");
        push_integer(out, command.db);
        out.extend_from_slice(b",\"args\":[");
        for (i, arg) in command.args.iter().enumerate() {
            if i > 0 {
                self.output.buffer().push(b',');
            }
            let string = json_text::string(&mut self.output, RdbString::Raw(arg), &mut self.buffer);
            damage_of(string)?; // raw bytes are never damaged
            self.output.flow()?;
        }
        self.output.buffer().extend_from_slice(b"]}\n");
        Ok(())
    }

    fn iso(&mut self, ms: i64) -> [u8; 24] {
        if self.time.0 != ms {
            self.time = (ms, iso_time(ms));
        }
        self.time.1
    }
}

/// `2026-11-20T07:47:12.250Z`, as --from takes it but for the fraction.
fn iso_time(ms: i64) -> [u8; 24] {
    let mut out = *b"0000-00-00T00:00:00.000Z";
    let date = text::date(ms);
    // Years of more than four digits do not fit: no clock tells them.
    if let (Some(day), Some(clock), 23) = (date.get(..10), date.get(11..19), date.len()) {
        out[..10].copy_from_slice(day.as_bytes());
        out[11..19].copy_from_slice(clock.as_bytes());
    }
    let fraction = ms.rem_euclid(1000);
    for (i, divisor) in [100, 10, 1].into_iter().enumerate() {
        out[20 + i] = b'0' + (fraction / divisor % 10) as u8;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text() {
        assert_eq!(&iso_time(951_782_399_042), b"2000-02-28T23:59:59.042Z");
        assert_eq!(&iso_time(i64::MAX)[..4], b"0000");
    }
}
