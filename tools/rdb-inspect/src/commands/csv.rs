//! `csv`: keys as a table.

use formats::rdb::string::StringBuffer;
use formats::rdb::{Item, KeyRecord, RdbError, Scratch};

use crate::cli::{Destination, Files};
use crate::commands::json::selected;
use crate::complaints::Complaints;
use crate::content::{damage_of, encoding};
use crate::csv_text;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::json_text::push_integer;
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
/// is empty, and is told on stderr.
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
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    select: Select,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let inputs = Input::open_all(&args.files.files)?;
    let mut table = Table {
        output: args.destination.open()?,
        with_value: args.value,
        scratch: Scratch::default(),
        buffer: StringBuffer::default(),
    };
    let several = inputs.len() > 1;
    if !args.no_header {
        table.header(several);
    }
    let mut sound = true;
    for input in &inputs {
        let mut head = Vec::new();
        if several {
            csv_text::push(&mut head, input.name.as_bytes());
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
        sound &= complaints.finish(&findings);
    }
    table.output.finish()?;
    Ok(Verdict::of(!sound))
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
        let mut damage = damage_of(csv_text::string(&mut self.output, record.key, &mut self.buffer))?;
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
                let error = damage_of(csv_text::string(&mut self.output, string, &mut self.buffer))?;
                damage = damage.or(error);
            }
        }
        self.output.buffer().extend_from_slice(b"\r\n");
        Ok(damage)
    }
}
