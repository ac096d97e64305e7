//! `csv`: keys as a table.

use std::ops::ControlFlow;
use std::path::PathBuf;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Item, KeyRecord, RdbError, RdbString, Scratch};

use crate::cli::Files;
use crate::commands::json::selected;
use crate::complaints::Complaints;
use crate::content::{PIECE_BYTES, Stop, damage_of, encoding, pieces};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::json_text::{BASE64_MARK, Form, long_base64, push_integer};
use crate::output::Output;
use crate::select::Select;
use crate::walk::walk;

/// Export keys as a table: comma-separated values (RFC 4180), with a line of names
///
/// Columns: `db`, `key`, `type` (as TYPE answers), `encoding` (in the file), `elements` (as LLEN, SCARD, … would
/// answer; 1 for strings), `bytes` (of the record in the file), `expires_at` (milliseconds since 1970; empty if never);
/// with several files `file` comes first.
///
/// A text that is no UTF-8, or begins with `base64:`, is `base64:` and the base64 of its bytes. What cannot be read
/// is empty, and is told on stderr. On a terminal control characters other than line breaks are shown as `\x1b`; in files and
/// pipes all bytes are what they are.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Add a column `value`: values of strings; of other types it is empty (use `ndjson` for those)
    #[arg(long)]
    value: bool,
    /// Leave the line of names out
    #[arg(long)]
    no_header: bool,
    /// Write to this file, which appears when it is complete, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    select: Select,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut table = Table {
        output: Output::to(args.output.as_deref(), &args.files.files)?,
        with_value: args.value,
        scratch: Scratch::default(),
        buffer: StringBuffer::default(),
    };
    table.output.escape_on_terminal();
    let several = args.files.files.len() > 1;
    if !args.no_header {
        table.header(several);
    }
    let verdict = Input::each(&args.files.files, |input| {
        let mut head = Vec::new();
        if several {
            push_cell(&mut head, input.name.as_bytes());
            head.push(b',');
        }
        let mut complaints = Complaints::about(&input.name);
        let mut selector = args.select.selector();
        let findings = walk(input, |item| {
            let Item::Key(record) = item else { return Ok(()) };
            if selected(&mut selector, &record, &mut complaints)
                && let Some(error) = table.row(&head, &record)?
            {
                complaints.key(record.db, record.key, &error);
            }
            table.output.flow()
        })?;
        Ok(ControlFlow::Continue(Verdict::of(!complaints.finish(&findings))))
    })?;
    table.output.finish()?;
    Ok(verdict)
}

struct Table {
    output: Output,
    with_value: bool,
    scratch: Scratch,
    buffer: StringBuffer,
}

impl Table {
    fn header(&mut self, several: bool) {
        let out = self.output.buffer();
        if several {
            out.extend_from_slice(b"file,");
        }
        out.extend_from_slice(b"db,key,type,encoding,elements,bytes,expires_at");
        out.extend_from_slice(if self.with_value { b",value\r\n" } else { b"\r\n" });
    }

    /// Writes a line; answers with the damage that is in it.
    fn row(&mut self, head: &[u8], record: &KeyRecord<'_>) -> Result<Option<RdbError>, Failure> {
        let out = self.output.buffer();
        out.extend_from_slice(head);
        push_integer(out, record.db);
        out.push(b',');
        let mut damage = damage_of(self.cell(record.key))?;
        let out = self.output.buffer();
        for name in [record.value.value_type().name(), encoding(&record.value)] {
            out.push(b',');
            out.extend_from_slice(name.as_bytes());
        }
        out.push(b',');
        match record.value.count(&mut self.scratch) {
            Ok(count) => push_integer(out, count),
            Err(error) => damage = damage.or(Some(error)),
        }
        out.push(b',');
        push_integer(out, record.bytes.len());
        out.push(b',');
        if let Some(at) = record.expires_at_ms {
            push_integer(out, at);
        }
        if self.with_value {
            out.push(b',');
            if let Some(string) = record.value.string() {
                let error = damage_of(self.cell(string))?;
                damage = damage.or(error);
            }
        }
        self.output.buffer().extend_from_slice(b"\r\n");
        Ok(damage)
    }

    fn cell(&mut self, string: RdbString<'_>) -> Result<(), Stop> {
        if string.len() <= PIECE_BYTES {
            push_cell(self.output.buffer(), string.bytes(&mut self.buffer)?);
            return Ok(());
        }
        let output = &mut self.output;
        if Form::of_long(string)? == Form::Base64 {
            output.buffer().extend_from_slice(BASE64_MARK.as_bytes());
            return long_base64(output, string);
        }
        output.buffer().push(b'"');
        pieces(string, |piece| {
            push_quoted(output.buffer(), piece);
            output.flow()
        })?;
        output.buffer().push(b'"');
        Ok(())
    }
}

/// Appends a text, in quotes where it needs them.
fn push_cell(out: &mut Vec<u8>, bytes: &[u8]) {
    let needs_quotes = |byte: u8| (byte == b',') | (byte == b'"') | (byte == b'\r') | (byte == b'\n');
    match Form::of(bytes) {
        Form::Base64 => out.extend_from_slice(crate::json_text::text(bytes).as_bytes()),
        _ if bytes.iter().fold(false, |any, &byte| any | needs_quotes(byte)) => {
            out.push(b'"');
            push_quoted(out, bytes);
            out.push(b'"');
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends the inside of a quoted text.
fn push_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    for (i, part) in bytes.split(|&byte| byte == b'"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::push_cell;

    #[test]
    fn cells_are_quoted_where_need_be() {
        let cells: [&[u8]; 5] = [b"plain", b"a,b", b"say \"x\"", b"two\nlines", b"\xff,"];
        let shown = cells.map(|cell| {
            let mut out = Vec::new();
            push_cell(&mut out, cell);
            String::from_utf8(out).unwrap()
        });
        assert_eq!(shown, ["plain", "\"a,b\"", "\"say \"\"x\"\"\"", "\"two\nlines\"", "base64:/yw="]);
    }
}
