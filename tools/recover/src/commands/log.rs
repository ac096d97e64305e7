//! `log`: the effects in a data directory or in single segments, one a line.

use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;

use everfast::persist::{Gsn, ShardId};
use rdb_inspect::commands::log::filter::{Bound, Filter, Only};
use rdb_inspect::commands::log::gather::Gathered;
use rdb_inspect::commands::log::lines::Lines;
use rdb_inspect::commands::log::sink::Sink;
use rdb_inspect::commands::log::source::Source;
use rdb_inspect::commands::log::table::finding_text;
use rdb_inspect::failure::{Failure, Verdict, say};
use rdb_inspect::input::Input;
use rdb_inspect::output::Output;

use crate::limit::parse_time;

/// Most bytes of an argument that are shown.
const SHOWN_BYTES: usize = 128;
/// Most arguments of a command in an append-only file.
const MAX_ARGS: u64 = 2 << 20;

/// Show the effects in a data directory or in single segments, one a line
///
/// File (where there are several), offset in it, time of its frame, shard:position, epoch/log/frame, GSN of the transaction
/// over several shards that it is a part of, or `-`, database, name and arguments; with tabs between. Single segments
/// (`log-*.seg`) can be read while a server writes to them. Append-only files of Redis can be read, too.
///
/// `rdb-inspect log` shows sums instead of lines.
///
/// Just before a FLUSHALL: everfast-recover log --command flushall DIR, and then replay --until with the time of its frame less a
/// millisecond, or with its GSN less one.
#[derive(clap::Args)]
pub struct Args {
    /// Data directories, segments
    #[arg(value_name = "DIR|SEGMENT", required = true)]
    paths: Vec<PathBuf>,
    /// Effects on keys that match this pattern, as of KEYS: `user:*`
    #[arg(long, value_name = "GLOB")]
    key: Option<String>,
    /// Effects of this shard (of its epoch)
    #[arg(long, value_name = "N")]
    shard: Option<u16>,
    /// Effects of frames that were written at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<u64>,
    /// Effects of frames that were written at this time or before
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<u64>,
    /// Effects of the transactions over several shards with these numbers: 5, 5..9, 5.., ..9
    #[arg(long, value_name = "A..B", value_parser = parse_gsns)]
    gsn: Option<RangeInclusive<Gsn>>,
    /// Effects with this name: SET, DEL, FLUSHALL
    #[arg(long, value_name = "NAME")]
    command: Option<String>,
    /// Write a JSON object for each effect, one a line, arguments whole
    ///
    /// Members: file, offset, bytes, time_ms, shard, position, epoch, log, frame, gsn (or null), db, args.
    #[arg(long)]
    json: bool,
}

fn parse_gsns(text: &str) -> Result<RangeInclusive<Gsn>, String> {
    let number = |text: &str, empty: u64| {
        if text.is_empty() { Some(Gsn(empty)) } else { text.parse().ok().map(Gsn) }
    };
    let range = match text.split_once("..") {
        Some((first, last)) => number(first, 0).zip(number(last.trim_start_matches('='), u64::MAX)),
        None => text.parse().ok().map(|gsn| (Gsn(gsn), Gsn(gsn))),
    };
    range
        .map(|(first, last)| first..=last)
        .ok_or_else(|| "a number such as 5, or a range such as 5..9".into())
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let bound = |ms: u64| Bound::TimeMs(i64::try_from(ms).unwrap_or(i64::MAX));
    let filter = Filter {
        from: args.since.map(bound),
        // The filter's end is not in its range.
        until: args.until.map(|ms| bound(ms.saturating_add(1))),
        glob: args.key.clone(),
        only: Only { shard: args.shard.map(ShardId), gsns: args.gsn.clone(), command: args.command.clone() },
    };
    let mut lines = Lines::new(Output::stdout(), args.json, Some(SHOWN_BYTES), None);
    lines.name_origins();
    let verdict = Input::each_opened(&args.paths, Source::of, |source| {
        lines.name_files(source.has_several_files() || args.paths.len() > 1);
        let mut sink = Sink::new(&filter, Gathered::new(b":", 0), Some(&mut lines));
        let report = source.read(MAX_ARGS, &mut sink)?;
        for finding in &report.findings {
            say!("everfast-recover: {}: {}", report.name, finding_text(finding));
        }
        Ok(ControlFlow::Continue(Verdict::of(report.is_damaged())))
    })?;
    lines.output.finish()?;
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_numbers_are_read() {
        assert_eq!(parse_gsns("5"), Ok(Gsn(5)..=Gsn(5)));
        assert_eq!(parse_gsns("5..9"), Ok(Gsn(5)..=Gsn(9)));
        assert_eq!(parse_gsns("..9"), Ok(Gsn(0)..=Gsn(9)));
        assert_eq!(parse_gsns("5.."), Ok(Gsn(5)..=Gsn(u64::MAX)));
        assert!(["", "x", "5..x", "1...2"].iter().all(|text| parse_gsns(text).is_err()));
    }
}
