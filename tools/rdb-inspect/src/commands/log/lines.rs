//! Commands as lines, for people and for programs.

use std::io::Write;

use formats::rdb::RdbString;
use formats::rdb::string::StringBuffer;

use super::command::{Command, Origin};
use crate::content::{PIECE_BYTES, damage_of};
use crate::dates;
use crate::failure::Failure;
use crate::json_text::{self, push_integer};
use crate::names;
use crate::output::Output;

/// Writes one line for each command.
pub struct Lines {
    pub output: Output,
    json: bool,
    /// Most bytes of an argument that are shown to people.
    cut: Option<usize>,
    /// Whether lines begin with the file.
    names_files: bool,
    /// Whether lines tell the frame and the transaction.
    names_origins: bool,
    left: u64,
    /// The time that was shown last, and how.
    time: (i64, String),
    buffer: StringBuffer,
}

impl Lines {
    /// `limit`: the number of commands that are wanted.
    pub fn new(output: Output, json: bool, cut: Option<usize>, limit: Option<u64>) -> Lines {
        let time = (0, dates::utc_ms(0));
        let left = limit.unwrap_or(u64::MAX);
        let (names_files, names_origins) = (false, false);
        Lines { output, json, cut, names_files, names_origins, left, time, buffer: StringBuffer::default() }
    }

    pub fn name_files(&mut self, yes: bool) {
        self.names_files = yes;
    }

    /// Lines of logs of Everfast tell epoch, log, frame and global sequence number, too.
    pub fn name_origins(&mut self) {
        self.names_origins = true;
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
        if let Some(ms) = command.time_ms.filter(|ms| *ms != self.time.0) {
            self.time = (ms, dates::utc_ms(ms));
        }
        let out = self.output.buffer();
        if self.names_files {
            names::push(out, name.as_bytes());
            out.push(b':');
        }
        push_integer(out, command.offset);
        out.push(b'\t');
        out.extend_from_slice(command.time_ms.map_or("-", |_| &self.time.1).as_bytes());
        out.push(b'\t');
        if let Some((shard, position)) = command.place {
            let _ = write!(out, "{shard}:{position}\t"); // writing to a vector does not fail
        }
        if let Some(origin) = command.origin.filter(|_| self.names_origins) {
            let Origin { epoch, log, frame, gsn } = origin;
            let gsn = gsn.map_or("-".to_owned(), |gsn| gsn.to_string());
            let _ = write!(out, "{epoch}/{log}/{frame}\t{gsn}\t"); // the same
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
            names::push_escaped(self.output.buffer(), piece);
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
        if let Some(origin) = command.origin.filter(|_| self.names_origins) {
            let Origin { epoch, log, frame, gsn } = origin;
            let gsn = gsn.map_or("null".to_owned(), |gsn| gsn.to_string());
            let _ = write!(out, ",\"epoch\":{epoch},\"log\":{log},\"frame\":{frame},\"gsn\":{gsn}"); // the same
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
}
