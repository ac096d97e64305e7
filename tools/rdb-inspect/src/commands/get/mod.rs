//! `get`: one key with its value.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Element, KeyRecord, RdbError, RdbString, Scratch};

use crate::commands::json::record::Writer;
use crate::complaints::Complaints;
use crate::content::{PIECE_BYTES, Stop, damage_of, pieces};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::json_text;
use crate::names;
use crate::output::Output;
use crate::walk::seek;
use show::Show;

mod show;

/// Show the value of a key
///
/// As redis-cli shows it: strings quoted and escaped, elements numbered. With `--db` or `--first` reading ends where the
/// key is found; else all databases are searched, and what is in others than database 0 comes behind a line `# db N`.
/// Exit code 1 if there is no such key.
#[derive(clap::Args)]
pub struct Args {
    /// RDB file, `-` for standard input, or data directory
    file: PathBuf,
    /// The key: as it is, or in double quotes with escapes, as `keys` shows it: '"a\x00b"'
    key: OsString,
    /// Only in this database
    #[arg(long, value_name = "NUMBER")]
    db: Option<u64>,
    /// Only the first key of that name
    #[arg(long)]
    first: bool,
    /// Only this field of a hash, or the score of this member of a sorted set
    #[arg(long, value_name = "FIELD", conflicts_with = "json")]
    field: Option<OsString>,
    /// Write the bytes as they are: a string without a newline, else one element a line
    #[arg(long)]
    raw: bool,
    /// Write the record as JSON, one a line; see `rdb-inspect json --help`
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let input = Input::open(&args.file)?;
    let mut get = Get {
        args,
        key: argument(&args.key)?,
        field: args.field.as_ref().map(argument).transpose()?,
        output: Output::to(None)?,
        buffer: StringBuffer::default(),
        scratch: Scratch::default(),
        found: false,
    };
    let mut complaints = Complaints::about(&input.name);
    let findings = seek(&input, |record| {
        if !get.is_wanted(&record) {
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(error) = get.show(&record)? {
            complaints.key(record.db, record.key, &error);
        }
        let enough = get.found && (args.first || args.db.is_some());
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    let found = get.found;
    get.output.finish()?;
    let sound = complaints.finish(&findings);
    if !found {
        let what = if args.field.is_some() { "no such key and field" } else { "no such key" };
        eprintln!("rdb-inspect: {}: {what}", input.name);
    }
    Ok(Verdict::of(!found || !sound))
}

fn argument(text: &OsString) -> Result<Vec<u8>, Failure> {
    let bytes = names::unquoted(text.as_bytes());
    bytes.ok_or_else(|| Failure::Usage(format!("not a quoted name: {}", text.to_string_lossy())))
}

struct Get<'g> {
    args: &'g Args,
    key: Vec<u8>,
    field: Option<Vec<u8>>,
    output: Output,
    buffer: StringBuffer,
    scratch: Scratch,
    found: bool,
}

impl Get<'_> {
    fn is_wanted(&mut self, record: &KeyRecord<'_>) -> bool {
        self.args.db.is_none_or(|db| db == record.db) && is(record.key, &self.key, &mut self.buffer)
    }

    /// Shows what is asked for; answers with the damage in it.
    fn show(&mut self, record: &KeyRecord<'_>) -> Result<Option<RdbError>, Failure> {
        if let Some(field) = self.field.take() {
            let shown = self.field(record, &field);
            self.field = Some(field);
            return shown;
        }
        self.found = true;
        if self.args.json {
            let damage = Writer::new(b"{\"db\":".to_vec(), true).record(&mut self.output, record)?;
            self.output.buffer().push(b'\n');
            return Ok(damage);
        }
        if record.db != 0 && self.args.db.is_none() && !self.args.raw {
            self.output.buffer().extend_from_slice(format!("# db {}\n", record.db).as_bytes());
        }
        Show { output: &mut self.output, buffer: &mut self.buffer, raw: self.args.raw }
            .value(&record.value, &mut self.scratch)
    }

    fn field(&mut self, record: &KeyRecord<'_>, wanted: &[u8]) -> Result<Option<RdbError>, Failure> {
        let Get { output, buffer, scratch, found, args, .. } = self;
        let mut damage = None;
        let end = record.value.for_each(scratch, |element| {
            match element {
                Element::HashField { field, value, .. } if is(field, wanted, buffer) => {
                    *found = true;
                    let mut show = Show { output, buffer, raw: args.raw };
                    damage = damage_of(show.string(value))?;
                }
                Element::SortedSetMember { member, score } if is(member, wanted, buffer) => {
                    *found = true;
                    json_text::push_score(output.buffer(), score);
                }
                _ => return Ok(()),
            }
            if !args.raw {
                output.buffer().push(b'\n');
            }
            Ok::<_, Stop>(())
        });
        let end = damage_of(end)?;
        Ok(damage.or(end))
    }
}

/// Whether the string is `wanted`. One that cannot be read is not.
#[inline]
fn is(string: RdbString<'_>, wanted: &[u8], buffer: &mut StringBuffer) -> bool {
    match string {
        RdbString::Raw(bytes) => bytes == wanted,
        other if other.len() != wanted.len() => false,
        other if wanted.len() <= PIECE_BYTES => other.bytes(buffer).is_ok_and(|bytes| bytes == wanted),
        other => {
            let mut rest = wanted;
            let mut same = true;
            let end = pieces(other, |piece| {
                same &= rest.starts_with(piece);
                rest = rest.get(piece.len()..).unwrap_or_default();
                Ok(())
            });
            end.is_ok() && same
        }
    }
}
