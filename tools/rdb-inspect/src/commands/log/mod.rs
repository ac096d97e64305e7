//! `log`: what is in a log, and where it ends.

pub mod aof;
pub mod command;
pub mod everfast_dir;
pub mod filter;
pub mod frames;
pub mod gather;
pub mod json;
pub mod lines;
pub mod report;
pub mod sink;
pub mod source;
pub mod table;

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::failure::{Failure, Verdict, say};
use crate::input::Input;
use crate::output::Output;
use crate::prefix_table::parse_prefixes;
use crate::style::Style;
use crate::top;
use filter::Filter;
use gather::Gathered;
use lines::Lines;
use report::Report;
use sink::Sink;
use source::Source;

/// Most arguments of a command in an append-only file.
const MAX_ARGS: u64 = 2 << 20;
/// Most bytes of an argument that are shown.
const SHOWN_BYTES: usize = 128;

/// Show what is in a log: commands, keys, times, and where it is torn
///
/// FILE is one of
///
/// - an append-only file of Redis or Valkey, with or without an RDB file at its start;
///
/// - a directory of such files with its manifest (`appendonlydir`), the manifest, or the data directory that has it;
///
/// - a data directory of Everfast, on which no server may run meanwhile;
///
/// - one segment of it (`log-*.seg`), also while a server writes to it;
///
/// - `-`: standard input, for files of any of these kinds.
///
/// Commands by name, databases, prefixes of keys, the largest commands, transactions, times; of Everfast also shards,
/// positions, frames, and what is known durable. A command is counted with its first key.
///
/// Where a log is not whole, the offset is told up to which it is, why, how many bytes follow, and whether something
/// behind that place says that more was there: then it is damage, which no cut repairs. Nothing is ever written: to
/// cut a copy at an offset, use `truncate -s OFFSET COPY`.
///
/// Exit code 0: sound, or an open log of Everfast has a torn end, which a crash leaves and which the next start cuts.
/// 1: damage, or an append-only file that ends in the middle of a command or of a transaction, for which
/// `redis-check-aof` too answers 1, or a file that begins like none of these. 2: it cannot be read.
///
/// Needs 3 MB beside the files, and 16 to 48 bytes for each argument of the command with most of them; a data directory
/// whose last log is open also needs about 100 bytes for each transaction over several shards in its last epoch.
///
/// What is in a log: rdb-inspect log appendonlydir
///
/// What was done to a key since noon: rdb-inspect log --commands --match user:42 --from 2026-11-20T12:00 DIR
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Append-only files, segments, `-` for standard input, or directories
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show every command as a line, instead of the sums
    ///
    /// Offset in the file, time or `-`, in logs of Everfast shard:position, database, name and arguments, with tabs
    /// between. An argument that is not one plain word is in quotes with the escapes of redis-cli. Lines begin with the
    /// file and a colon where a log has several files. With --json an object for each line: file, offset, bytes, time_ms
    /// (or null), shard and position (Everfast), db, args (whole). What is wrong is told on stderr.
    #[arg(long)]
    commands: bool,
    /// Show at most so many bytes of an argument; 0: all
    #[arg(long, value_name = "BYTES", requires = "commands", default_value_t = SHOWN_BYTES)]
    cut: usize,
    /// Stop after so many commands; the rest is not looked at
    #[arg(short = 'n', long, value_name = "COUNT", requires = "commands")]
    limit: Option<u64>,
    /// What ends the prefix of a key
    #[arg(long, value_name = "TEXT", default_value = ":")]
    separator: String,
    /// How many prefixes to show; up to 4096 are counted at a time, as by `summary`
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = parse_prefixes)]
    prefixes: usize,
    /// How many of the largest commands to show, up to 10,000
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = top::parse_limit)]
    top: usize,
    /// Most arguments of a command in an append-only file: more are taken for damage
    #[arg(long, value_name = "COUNT", default_value_t = MAX_ARGS)]
    max_args: u64,
    /// Write a JSON object for each FILE, one a line
    ///
    /// Members: `name`, `kind` ("aof", "aof_directory", "segment", "everfast_directory"), `verdict` ("sound", "torn",
    /// "damaged"), `bytes`, `commands`, `command_bytes`, `time_from_ms` and `time_until_ms` (or null), `by_command`
    /// [{command, commands, bytes}] ("" for those beyond 1023 names), `databases` [{db, commands, bytes}], `prefixes`
    /// {exact, kept, top: [{prefix, commands, bytes}], none, other}, `largest` [{file, offset, db, command, key, bytes}],
    /// `transactions` (in logs of Everfast, parts of shards) {count, largest: {file, offset, commands, bytes}}, `files`
    /// [{name, role, bytes, sound_until, commands, preamble: {version, keys, bytes, checksum}, segment: {epoch, log,
    /// number, uid, shards, frames, sealed}}], `epochs`, `logs` [{log, epoch, sealed, frames, first_frame, durable_frames,
    /// shards: [{shard, first_position, end_position}], first_gsn, last_gsn}], `remarks`, and `findings` [{file, offset,
    /// what, sound_until, bytes_behind, vouched_by, damage}].
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    if args.files.is_empty() {
        return Err(Failure::Usage("name a log: an append-only file, a segment, a directory, or `-`".into()));
    }
    let cut = (args.cut > 0).then_some(args.cut);
    let mut output = Output::stdout();
    let mut is_first = true;
    let mut lines = match args.commands {
        true => Some(Lines::new(Output::stdout(), args.json, cut, args.limit)),
        false => None,
    };
    let verdict = Input::each_opened(&args.files, Source::of, |source| {
        if let Some(lines) = &mut lines {
            lines.name_files(source.has_several_files() || args.files.len() > 1);
        }
        let gathered = Gathered::new(args.separator.as_bytes(), args.top);
        let mut sink = Sink::new(&args.filter, gathered, lines.as_mut());
        let report = source.read(args.max_args, &mut sink)?;
        let verdict = Verdict::of(report.is_damaged());
        let gathered = sink.gathered;
        match &lines {
            Some(lines) => {
                tell(&report);
                if lines.is_full() {
                    return Ok(ControlFlow::Break(verdict));
                }
            }
            None => {
                write(args, &mut output, !std::mem::take(&mut is_first), &report, &gathered);
                output.flow()?;
            }
        }
        Ok(ControlFlow::Continue(verdict))
    })?;
    if let Some(lines) = lines {
        lines.output.finish()?;
    }
    output.finish()?;
    Ok(verdict)
}

fn write(args: &Args, output: &mut Output, is_further: bool, report: &Report, gathered: &Gathered) {
    let out = output.buffer();
    if args.json {
        return json::write(out, report, gathered, args.prefixes);
    }
    if is_further {
        out.push(b'\n');
    }
    table::write(out, Style::stdout(), report, gathered, args.prefixes, !args.filter.is_all());
}

/// Tells on stderr what is wrong.
fn tell(report: &Report) {
    for finding in &report.findings {
        say!("rdb-inspect: {}: {}", report.name, table::finding_text(finding));
    }
}
