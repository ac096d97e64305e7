//! `keys`: names of keys, one a line.

use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Item, KeyRecord, RdbError, Scratch};

use crate::cli::Files;
use crate::commands::json::selected;
use crate::complaints::Complaints;
use crate::content::{PIECE_BYTES, Stop, damage_of, encoding, pieces};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::json_text::push_integer;
use crate::names;
use crate::output::Output;
use crate::select::{Select, now_ms};
use crate::text;
use crate::walk::{seek, walk};

/// List the names of keys
///
/// One name a line, in the order of the file. A name that is no UTF-8, has control characters, is empty or begins with
/// a quote is shown in quotes with the escapes of redis-cli; `get` understands both forms.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Show database, type, encoding, elements, bytes in the file, expiry, name
    ///
    /// In columns for people on a terminal; else separated by tabs, sizes in bytes, the expiry in milliseconds since
    /// 1970 or `-`.
    #[arg(short, long)]
    long: bool,
    /// Only tell how many there are
    #[arg(long, conflicts_with_all = ["long", "null", "raw", "limit"])]
    count: bool,
    /// Stop after so many keys; the rest of the file is not looked at
    #[arg(short = 'n', long, value_name = "COUNT")]
    limit: Option<u64>,
    /// End names with a NUL byte instead of a newline, and escape nothing: for xargs -0
    #[arg(short = '0', long)]
    null: bool,
    /// Escape nothing
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    select: Select,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut list = List {
        args,
        output: Output::to(None)?,
        buffer: StringBuffer::default(),
        scratch: Scratch::default(),
        for_people: args.long && std::io::stdout().is_terminal(),
        now_ms: now_ms(),
        count: 0,
    };
    list.header();
    let mut sound = true;
    for input in &Input::open_all(&args.files.files)? {
        let mut complaints = Complaints::about(&input.name);
        let mut selector = args.select.selector();
        let mut visit = |record: &KeyRecord<'_>| {
            if selected(&mut selector, record, &mut complaints)
                && let Some(error) = list.key(record)?
            {
                complaints.key(record.db, record.key, &error);
            }
            Ok(if list.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        let findings = match args.limit {
            Some(_) => seek(input, |record| visit(&record))?,
            None => walk(input, |item| match item {
                Item::Key(record) => visit(&record).map(drop),
                _ => Ok(()),
            })?,
        };
        sound &= complaints.finish(&findings);
        if list.is_full() {
            break;
        }
    }
    list.finish()?;
    Ok(Verdict::of(!sound))
}

struct List<'l> {
    args: &'l Args,
    output: Output,
    buffer: StringBuffer,
    scratch: Scratch,
    for_people: bool,
    now_ms: i64,
    count: u64,
}

impl List<'_> {
    fn is_full(&self) -> bool {
        self.args.limit.is_some_and(|limit| self.count >= limit)
    }

    fn header(&mut self) {
        if self.for_people {
            let _ = writeln!(
                self.output.buffer(),
                "{:>3}  {:<6}  {:<13}  {:>11}  {:>9}  {:>9}  KEY",
                "DB",
                "TYPE",
                "ENCODING",
                "ELEMENTS",
                "BYTES",
                "EXPIRES"
            ); // writing to a vector does not fail
        }
    }

    /// Writes the line; answers with the damage in what it shows.
    fn key(&mut self, record: &KeyRecord<'_>) -> Result<Option<RdbError>, Failure> {
        if self.is_full() {
            return Ok(None);
        }
        self.count += 1;
        if self.args.count {
            return Ok(None);
        }
        let mut damage = None;
        if self.args.long {
            damage = self.facts(record);
        }
        damage = damage.or(damage_of(self.name(record))?);
        self.output.buffer().push(if self.args.null { 0 } else { b'\n' });
        self.output.flow()?;
        Ok(damage)
    }

    fn facts(&mut self, record: &KeyRecord<'_>) -> Option<RdbError> {
        let (kind, encoding) = (record.value.value_type().name(), encoding(&record.value));
        let elements = record.value.count(&mut self.scratch);
        let out = self.output.buffer();
        if self.for_people {
            let elements = elements.as_ref().map_or("?".into(), |&count| text::count(count));
            let size = text::bytes(record.bytes.len() as u64);
            let expiry = record.expires_at_ms.map_or("-".into(), |at| match at - self.now_ms {
                left if left <= 0 => "expired".into(),
                left => text::duration(left.unsigned_abs()),
            });
            let _ = write!(
                out,
                "{:>3}  {kind:<6}  {encoding:<13}  {elements:>11}  {size:>9}  {expiry:>9}  ",
                record.db
            ); // writing to a vector does not fail
        } else {
            push_integer(out, record.db);
            for name in [kind, encoding] {
                out.push(b'\t');
                out.extend_from_slice(name.as_bytes());
            }
            out.push(b'\t');
            match &elements {
                Ok(count) => push_integer(out, *count),
                Err(_) => out.push(b'?'),
            }
            out.push(b'\t');
            push_integer(out, record.bytes.len());
            out.push(b'\t');
            match record.expires_at_ms {
                Some(at) => push_integer(out, at),
                None => out.push(b'-'),
            }
            out.push(b'\t');
        }
        elements.err()
    }

    fn name(&mut self, record: &KeyRecord<'_>) -> Result<(), Stop> {
        let as_it_is = self.args.raw || self.args.null;
        if record.key.len() <= PIECE_BYTES {
            let name = record.key.bytes(&mut self.buffer)?;
            let out = self.output.buffer();
            if as_it_is {
                out.extend_from_slice(name)
            } else {
                names::push(out, name)
            }
            return Ok(());
        }
        // Whether a long name is plain is not looked at: it is quoted.
        let output = &mut self.output;
        let quote: &[u8] = if as_it_is { b"" } else { b"\"" };
        record.key.check()?;
        output.buffer().extend_from_slice(quote);
        pieces(record.key, |piece| {
            let out = output.buffer();
            if as_it_is {
                out.extend_from_slice(piece)
            } else {
                names::push_escaped(out, piece)
            }
            output.flow()
        })?;
        output.buffer().extend_from_slice(quote);
        Ok(())
    }

    fn finish(mut self) -> Result<(), Failure> {
        if self.args.count {
            push_integer(self.output.buffer(), self.count);
            self.output.buffer().push(b'\n');
        }
        self.output.finish()
    }
}
