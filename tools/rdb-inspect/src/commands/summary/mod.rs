//! `summary`: what is in a file.

use std::ops::ControlFlow;

use crate::cli::Files;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::output::Output;
use crate::prefix_table::parse_prefixes;
use crate::select::now_ms;
use crate::style::Style;
use crate::top;
use crate::walk::walk;
use gather::Gathered;

mod gather;
mod json;
mod table;

/// Show what is in a file (the default)
///
/// Version and producer, databases, types and encodings, sizes, expiry, prefixes, the largest keys, and whether the
/// checksum is right. Sizes are those of the records in the file, not of memory. Needs 2 MB beside the file.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// What ends the prefix of a key
    #[arg(long, value_name = "TEXT", default_value = ":")]
    separator: String,
    /// How many prefixes to show, up to 4096
    ///
    /// Up to 4096 prefixes of up to 128 bytes are counted at a time. Where there are more, those with few bytes are
    /// counted as "other" and the numbers of single prefixes may be somewhat too small, which is told.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = parse_prefixes)]
    prefixes: usize,
    /// How many of the largest keys to show, up to 10,000
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = top::parse_limit)]
    top: usize,
    /// Write a JSON object for each file, one a line
    ///
    /// Members: `file`, `file_bytes`, `format` ("redis" or "valkey"), `rdb_version`, `aux` {name: value}, `keys`,
    /// `expiring`, `bytes` (of all keys in the file), `databases` [{db, keys, expiring, bytes}], `types` [{type, keys,
    /// bytes, elements, largest, encodings: [{encoding, keys, bytes, elements, largest}]}], `sizes` [{up_to, keys, bytes}],
    /// `expiry` {class: keys}, `idle` and `frequency` {class: keys} if the file has them, `prefixes` {exact, kept, top:
    /// [{prefix, keys, bytes}], none, other}, `largest` [{db, key, type, encoding, bytes, elements}], `functions` {count,
    /// names}, `modules` {name: values}, `slots`, `checksum` ("good", "wrong", "absent", "unknown"), `trailing_bytes`,
    /// `command_bytes` (of an append-only file, behind the RDB file), `damaged_values`, and `damage` {offset, what, key} or
    /// null.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = Output::stdout();
    let mut total = table::Total::default();
    let mut is_first = true;
    let style = Style::stdout();
    let verdict = Input::each(&args.files.files, |input| {
        let mut gathered = Gathered::new(args.separator.as_bytes(), args.top, now_ms());
        let findings = walk(input, |item| {
            gathered.item(item);
            Ok(())
        })?;
        total.add(input, &gathered);
        if args.json {
            json::write(output.buffer(), input, &gathered, &findings, args.prefixes);
        } else {
            if !std::mem::take(&mut is_first) {
                output.buffer().push(b'\n');
            }
            table::write(output.buffer(), style, input, &gathered, &findings, args.prefixes);
        }
        output.flow()?;
        Ok(ControlFlow::Continue(Verdict::of(!findings.is_sound() || gathered.damaged > 0)))
    })?;
    if args.files.files.len() > 1 && !args.json {
        total.write(output.buffer(), style);
    }
    output.finish()?;
    Ok(verdict)
}
