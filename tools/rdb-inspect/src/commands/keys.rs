//! `keys`: names of keys, one a line.

use formats::rdb::Item;
use formats::rdb::string::StringBuffer;

use crate::cli::Files;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::output::Output;
use crate::select::Select;
use crate::walk::walk;

/// List the names of keys
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    select: Select,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = Output::to(None)?;
    let mut selector = args.select.selector();
    let mut buffer = StringBuffer::default();
    let mut sound = true;
    for input in Input::open_all(&args.files.files)? {
        let findings = walk(&input, |item| {
            let Item::Key(record) = item else { return Ok(()) };
            if selector.accepts(&record).unwrap_or(false) {
                output.buffer().extend_from_slice(record.key.bytes(&mut buffer).unwrap_or_default());
                output.buffer().push(b'\n');
                output.flow()?;
            }
            Ok(())
        })?;
        sound &= findings.is_sound();
    }
    output.finish()?;
    Ok(Verdict::of(!sound))
}
