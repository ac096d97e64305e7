//! Results, for people and for programs.

use std::io::Write;
use std::path::Path;

use everfast::persist::{Gsn, Recovered, RecoveryReport};
use rdb_inspect::failure::{Failure, Verdict};
use rdb_inspect::names;
use serde_json::{Value, json};

use crate::limit::{Until, time_text};

/// Where a report is written: standard output, or standard error where that takes the result itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Stdout,
    Stderr,
}

/// Lines, and the same as one JSON object.
pub struct Report {
    pub lines: Vec<String>,
    pub json: Value,
    pub verdict: Verdict,
}

impl Report {
    pub fn put(&self, is_json: bool, to: To) -> Result<Verdict, Failure> {
        let mut text = match is_json {
            true => self.json.to_string(),
            false => self.lines.iter().map(|line| shown(line)).collect::<Vec<_>>().join("\n"),
        };
        text.push('\n');
        let written = match to {
            To::Stdout => std::io::stdout().write_all(text.as_bytes()),
            To::Stderr => std::io::stderr().write_all(text.as_bytes()),
        };
        written.map_err(Failure::Output)?;
        Ok(self.verdict)
    }
}

/// Without control characters, which names may have and terminals obey.
fn shown(line: &str) -> String {
    let mut out = Vec::new();
    names::push_escaped(&mut out, line.as_bytes());
    let escaped = String::from_utf8_lossy(&out).replace("\\\"", "\"").replace("\\\\", "\\");
    if line.chars().any(char::is_control) { escaped } else { line.to_owned() }
}

/// With `--json` a failure is told on standard output, too.
pub fn or_tell(is_json: bool, result: Result<Verdict, Failure>) -> Result<Verdict, Failure> {
    if let Err(failure) = &result
        && is_json
        && !matches!(failure, Failure::Interrupted | Failure::Output(_))
    {
        let text = json!({ "error": failure.to_string() }).to_string() + "\n";
        std::io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)?;
    }
    result
}

/// When the last thing was written that a recovery brings back.
pub fn last_time_ms(recovered: &Recovered) -> Option<u64> {
    recovered.epochs.iter().flat_map(|epoch| &epoch.logs).filter_map(|log| log.last_time_ms()).max()
}

/// Says so where a limit was asked for and nothing lies behind it.
pub fn idle_limit(
    until: Option<Until>,
    report: &RecoveryReport,
    last: Gsn,
    last_ms: Option<u64>,
) -> Option<String> {
    until.filter(|_| report.effects_beyond_limit == 0)?;
    let time = last_ms.map(|ms| format!(", the last time {}", time_text(ms))).unwrap_or_default();
    Some(format!("nothing was left out: the last GSN is {last}{time}"))
}

/// What a recovery left out.
pub fn left_out(report: &RecoveryReport) -> (Vec<String>, Value) {
    let mut lines = Vec::new();
    for tail in &report.tails {
        let (file, offset) = (tail.file.display(), tail.offset);
        lines.push(format!(
            "torn end, never acknowledged: {} bytes in {file} from byte {offset} on: {}",
            tail.bytes, tail.why
        ));
    }
    if !report.transactions_cut.is_empty() {
        let (count, effects) = (report.transactions_cut.len(), report.effects_cut);
        lines.push(format!(
            "{count} transactions that not all shards had, never acknowledged, and what came behind them: {effects} effects"
        ));
    }
    if report.effects_beyond_limit > 0 {
        lines.push(format!("{} effects behind the point in time asked for", report.effects_beyond_limit));
    }
    let tails: Vec<Value> = report
        .tails
        .iter()
        .map(|tail| {
            json!({ "file": path(&tail.file), "offset": tail.offset, "bytes": tail.bytes, "why": tail.why })
        })
        .collect();
    let json = json!({
        "torn_ends": tails,
        "transactions": report.transactions_cut.iter().map(|gsn| gsn.0).collect::<Vec<_>>(),
        "effects_of_transactions": report.effects_cut,
        "effects_beyond_limit": report.effects_beyond_limit,
    });
    (lines, json)
}

pub fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A time in a report; `null` if there is none.
pub fn time(ms: Option<u64>) -> Value {
    ms.map_or(Value::Null, |ms| json!({ "ms": ms, "utc": time_text(ms) }))
}
