//! `report`: one HTML page about the memory that keys take.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::Files;
use crate::commands::prefixes::parse_separator;
use crate::estimate::Estimate;
use crate::failure::{Failure, Verdict, say};
use crate::output::Output;
use crate::report::collect::{Options, collect};
use crate::report::render;

/// Make an HTML page about the memory that keys take
///
/// The page needs nothing beside itself, no network and no other file: a map of prefixes, types and encodings, sizes,
/// expiry, idle times or frequencies where the file has them, and a table of up to 10,000 of the largest keys, to be
/// searched and sorted. Bytes are memory in Redis 7.0, as `rdb-inspect memory` estimates it; expiry is as of the time
/// when the file was made. Needs up to 60 MB of memory.
///
/// Example:
///   rdb-inspect report dump.rdb --html report.html
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Write the page to this file, which appears when it is complete; `-` for standard output
    #[arg(short, long, visible_alias = "html", value_name = "FILE")]
    output: PathBuf,
    /// An ASCII character behind which keys are parted; may be repeated
    #[arg(long, value_name = "CHARACTER", default_value = ":", value_parser = parse_separator)]
    separator: Vec<u8>,
    #[command(flatten)]
    estimate: Estimate,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut output = Output::to(Some(&args.output), &args.files.files)?;
    let options = Options { estimate: &args.estimate, separators: args.separator.clone() };
    let (data, verdict) = collect(&args.files.files, &options)?;
    render(&data, &mut output).map_err(Failure::Output)?;
    output.flush().map_err(Failure::Output)?;
    output.finish()?;
    for warning in &data.warnings {
        if warning.severity == crate::report::data::Severity::Error {
            say!("rdb-inspect: {}", warning.text.as_str());
        }
    }
    Ok(verdict)
}
