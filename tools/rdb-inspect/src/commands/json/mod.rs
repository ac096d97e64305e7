//! `json`, `ndjson`: all keys as records.

use formats::rdb::{Item, KeyRecord};

use crate::cli::{Destination, Files};
use crate::complaints::Complaints;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::json_text;
use crate::select::Select;
use crate::walk::walk;
use record::Writer;

pub mod record;
mod value;

/// Export keys as one JSON array of records
///
/// A record has `db`, `key`, `type` (as TYPE answers), `encoding` (in the file), `bytes` (of the record in the file),
/// and where the file has them `expires_at` (milliseconds since 1970), `idle` (seconds since the key was used), `freq`
/// (LFU counter, 0 to 255); then `value`. With several files each record has `file`.
///
/// Values: a string is a string, a list or set an array, a hash an object, a sorted set an array of [member, score]
/// where infinite scores are the strings "inf" and "-inf". A stream is an object with `entries` ({id, fields: [[field,
/// value], …]}), `length`, `last_id`, `groups` and what else it remembers; the value of a module an object with its
/// parts. Hashes whose fields expire have `field_expires_at`, an object of milliseconds since 1970, beside `value`.
///
/// A string that is no UTF-8, or begins with `base64:`, is `base64:` and the base64 of its bytes.
///
/// Where a value is damaged its readable elements are there, strings that cannot be read are null, and `error` says
/// what and where; where the file is damaged the array ends with the last key before. Both are told on stderr too.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    export: Export,
}

/// What `json` and `ndjson` share.
#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    files: Files,
    /// Leave `value` out: only facts about the keys
    #[arg(long)]
    no_value: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    select: Select,
}

/// What stands around the records.
pub struct Frame {
    pub open: &'static [u8],
    pub between: &'static [u8],
    pub close: &'static [u8],
}

const ARRAY: Frame = Frame { open: b"[\n", between: b",\n", close: b"\n]\n" };

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    args.export.run(&ARRAY)
}

impl Export {
    /// Writes all selected records of all files.
    pub fn run(&self, frame: &Frame) -> Result<Verdict, Failure> {
        let inputs = Input::open_all(&self.files.files)?;
        let mut output = self.destination.open()?;
        output.buffer().extend_from_slice(frame.open);
        let mut sound = true;
        let mut first = true;
        for input in &inputs {
            let head = if inputs.len() > 1 { file_head(&input.name) } else { b"{\"db\":".to_vec() };
            let mut complaints = Complaints::about(&input.name);
            let mut selector = self.select.selector();
            let mut writer = Writer::new(head, !self.no_value);
            let findings = walk(input, |item| {
                let Item::Key(record) = item else { return Ok(()) };
                if !selected(&mut selector, &record, &mut complaints) {
                    return Ok(());
                }
                if !std::mem::take(&mut first) {
                    output.buffer().extend_from_slice(frame.between);
                }
                if let Some(error) = writer.record(&mut output, &record)? {
                    complaints.key(record.db, record.key, &error);
                }
                output.flow()
            })?;
            sound &= complaints.finish(&findings);
        }
        if !first || frame.open == ARRAY.open {
            output.buffer().extend_from_slice(frame.close);
        }
        output.finish()?;
        Ok(Verdict::of(!sound))
    }
}

/// Whether the key passes the filters; a name that they cannot read is complained about.
pub fn selected(
    selector: &mut crate::select::Selector<'_>,
    record: &KeyRecord<'_>,
    complaints: &mut Complaints<'_>,
) -> bool {
    selector.accepts(record).unwrap_or_else(|error| {
        complaints.key(record.db, record.key, &error);
        false
    })
}

fn file_head(name: &str) -> Vec<u8> {
    let mut head = b"{\"file\":".to_vec();
    json_text::push(&mut head, name.as_bytes());
    head.extend_from_slice(b",\"db\":");
    head
}
