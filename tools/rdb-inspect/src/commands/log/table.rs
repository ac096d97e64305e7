//! The sums for people: tables that fit into 90 columns.

use super::gather::{Gathered, Sum};
use super::report::{FileFacts, Finding, LogFacts, Report};
use crate::dates;
use crate::names;
use crate::style::Style;
use crate::text;

/// Columns in which names must fit.
const NAME: usize = 38;
/// Files, logs, databases and names of commands that are shown one by one.
const SHOWN: usize = 32;
/// Shards of a log that are shown one by one.
const SHOWN_SHARDS: usize = 8;

/// Appends the report.
pub fn write(
    out: &mut Vec<u8>,
    style: Style,
    report: &Report,
    gathered: &Gathered,
    prefixes: usize,
    is_filtered: bool,
) {
    let mut table = Table { style, report, gathered, lines: Vec::new() };
    table.head(is_filtered);
    table.files();
    table.logs();
    if gathered.total.commands > 0 {
        table.kinds();
        table.databases();
        table.prefixes(prefixes);
        table.largest();
    }
    table.findings();
    for line in table.lines {
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

/// In a word.
pub fn verdict(report: &Report) -> &'static str {
    match report.findings.is_empty() {
        true => "sound",
        false if report.findings.iter().any(|finding| finding.is_damage && !is_torn(finding)) => "damaged",
        false => "torn",
    }
}

/// Whether a file only ends early, and nothing says that there was more.
fn is_torn(finding: &Finding) -> bool {
    finding.is_end && finding.vouched_by.is_none()
}

/// What is wrong, where, and what can be done.
pub fn finding_text(finding: &Finding) -> String {
    let mut line = finding.file.clone();
    if let Some(offset) = finding.offset {
        line.push_str(&format!(" at {offset}"));
    }
    // The errors of append-only files name the offset themselves.
    let own = finding.offset.map(|offset| format!("offset {offset}: ")).unwrap_or_default();
    line.push_str(&format!(": {}", finding.what.strip_prefix(own.as_str()).unwrap_or(&finding.what)));
    if let Some(end) = finding.sound_until {
        line.push_str(&format!("; whole up to {end}"));
        if finding.bytes_behind > 0 {
            line.push_str(&format!(", {} bytes follow", finding.bytes_behind));
        }
    }
    match &finding.vouched_by {
        Some(voucher) => line.push_str(&format!(
            "; but {voucher}: this is damage inside, and a cut at that place would lose what follows"
        )),
        None if !finding.is_damage => {
            line.push_str(
                "; a crash leaves such an end, no reply rested on it, the next start cuts it there",
            );
        }
        None if finding.is_end => line.push_str("; to keep what is whole, cut a copy there"),
        None => {}
    }
    line
}

struct Table<'t> {
    style: Style,
    report: &'t Report,
    gathered: &'t Gathered,
    lines: Vec<String>,
}

impl Table<'_> {
    fn head(&mut self, is_filtered: bool) {
        let report = self.report;
        let verdict = match verdict(report) {
            "sound" => self.style.green("sound"),
            "torn" => self.style.yellow("torn end"),
            _ => self.style.red("DAMAGED"),
        };
        let name = self.style.bold(names::shortened(report.name.as_bytes(), 50));
        let size = text::bytes(report.bytes());
        self.lines.push(format!("{name}  {}, {size}, {verdict}", report.kind.name()));
        let total = self.gathered.total;
        let frames: u64 = report.logs.iter().map(|log| log.frames.1.0 - log.frames.0.0).sum();
        let mut facts = format!("{} commands in {}", text::count(total.commands), text::bytes(total.bytes));
        if !report.logs.is_empty() {
            facts.push_str(&format!(", {} frames in all", text::count(frames)));
        }
        if is_filtered {
            facts.push_str(" (of those that were asked for)");
        }
        self.lines.push(format!("  {facts}"));
        if let Some((first, last)) = self.gathered.times_ms {
            let took = text::duration(last.abs_diff(first));
            self.lines.push(format!("  written from {} to {} ({took})", dates::utc(first), dates::utc(last)));
        }
        self.transactions();
        for remark in &report.remarks {
            self.lines.push(format!("  {}", self.style.dim(remark)));
        }
    }

    fn transactions(&mut self) {
        let Some(largest) = self.gathered.largest_transaction else { return };
        self.lines.push(format!(
            "  {} transactions, the largest {} commands, {} at {}",
            text::count(self.gathered.transactions),
            text::count(largest.commands),
            text::bytes(largest.bytes),
            self.place(largest.file, largest.offset)
        ));
    }

    /// An offset, with its file where there are several.
    fn place(&self, file: usize, offset: u64) -> String {
        match self.report.files.get(file) {
            Some(file) if self.report.files.len() > 1 => format!("{}:{offset}", file.name),
            _ => offset.to_string(),
        }
    }

    fn heading(&mut self, heading: String) {
        self.lines.push(String::new());
        self.lines.push(self.style.bold(heading.trim_end()));
    }

    fn files(&mut self) {
        let report = self.report;
        let alone = report.files.len() == 1;
        if alone && report.files[0].preamble.is_none() && report.files[0].segment.is_none() {
            return;
        }
        self.heading(format!(
            "{:<NAME$}{:>11}{:>16}{:>14}  KIND",
            "FILES", "BYTES", "WHOLE UP TO", "COMMANDS"
        ));
        for file in report.files.iter().take(SHOWN) {
            let name = names::shortened(file.name.as_bytes(), NAME - 2);
            let (bytes, commands) = (text::bytes(file.bytes), text::count(file.commands));
            let pad = NAME - name.chars().count();
            self.lines.push(format!(
                "{name}{:pad$}{bytes:>11}{:>16}{commands:>14}  {}",
                "",
                file.sound_until,
                self.style.dim(role(file))
            ));
        }
        self.more(report.files.len());
    }

    /// A line for what is not shown.
    fn more(&mut self, count: usize) {
        if count > SHOWN {
            let more = format!("and {} more: --json shows all", text::count((count - SHOWN) as u64));
            self.lines.push(self.style.dim(more));
        }
    }

    fn logs(&mut self) {
        let report = self.report;
        if report.logs.is_empty() {
            return;
        }
        self.heading(format!(
            "{:<6}{:>6}  {:<8}{:>10}{:>10}{:>14}{:>14}  SHARD: POSITIONS",
            "LOGS", "EPOCH", "", "FRAMES", "DURABLE", "FIRST GSN", "LAST GSN"
        ));
        for log in report.logs.iter().take(SHOWN) {
            let state = match log.is_sealed {
                Some(true) => "sealed",
                Some(false) => "open",
                None => "",
            };
            let gsn = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
            self.lines.push(format!(
                "{:<6}{:>6}  {state:<8}{:>10}{:>10}{:>14}{:>14}  {}",
                log.id.0,
                log.epoch.0,
                frames(log),
                log.durable.0,
                gsn(log.gsns.map(|(first, _)| first.0)),
                gsn(log.gsns.map(|(_, last)| last.0)),
                positions(log)
            ));
        }
        self.more(report.logs.len());
    }

    fn shares(&self, sum: Sum) -> String {
        let total = self.gathered.total;
        format!(
            "{:>13} {:>6} {:>10} {:>6}",
            text::count(sum.commands),
            text::percent(sum.commands, total.commands),
            text::bytes(sum.bytes),
            text::percent(sum.bytes, total.bytes)
        )
    }

    fn shares_heading(&mut self, title: &str) {
        self.heading(format!(
            "{title:<width$}{:>13} {:>6} {:>10}",
            "COMMANDS",
            "",
            "BYTES",
            width = NAME + 2
        ));
    }

    fn row(&mut self, name: &str, sum: Sum) {
        let pad = (NAME + 2).saturating_sub(name.chars().count());
        let row = format!("{name}{:pad$}{}", "", self.shares(sum));
        self.lines.push(row);
    }

    fn kinds(&mut self) {
        self.shares_heading("COMMANDS");
        let kinds = self.gathered.kinds();
        let mut rest = Sum::default();
        for (i, kind) in kinds.iter().enumerate() {
            if i < SHOWN && !kind.name.is_empty() {
                self.row(&names::shortened(&kind.name, NAME), kind.sum);
            } else {
                rest.commands += kind.sum.commands;
                rest.bytes += kind.sum.bytes;
            }
        }
        if rest.commands > 0 {
            self.row("(others)", rest);
        }
    }

    fn databases(&mut self) {
        let databases = &self.gathered.databases;
        if matches!(databases[..], [(0, _)]) {
            return;
        }
        self.shares_heading("DATABASES");
        let mut sorted = databases.clone();
        sorted.sort_unstable_by_key(|(number, _)| *number);
        for (number, sum) in sorted.iter().take(SHOWN) {
            self.row(&number.to_string(), *sum);
        }
        self.more(sorted.len());
    }

    fn prefixes(&mut self, count: usize) {
        let prefixes = &self.gathered.prefixes;
        if prefixes.len() == 0 || count == 0 {
            return;
        }
        self.shares_heading(if prefixes.is_exact { "PREFIX" } else { "PREFIX (APPROXIMATE)" });
        let of = |sum: crate::commands::summary::prefixes::Sum| Sum { commands: sum.keys, bytes: sum.bytes };
        let mut rest = of(prefixes.other);
        for (i, (name, sum)) in prefixes.top(usize::MAX).into_iter().enumerate() {
            if i < count {
                self.row(&names::shortened(name, NAME), of(sum));
            } else {
                rest.commands += sum.keys;
                rest.bytes += sum.bytes;
            }
        }
        for (name, sum) in [("(others)", rest), ("(none)", of(prefixes.none))] {
            if sum.commands > 0 {
                self.row(name, sum);
            }
        }
    }

    fn largest(&mut self) {
        let gathered = self.gathered;
        if gathered.largest.is_empty() {
            return;
        }
        self.heading(format!(
            "{:<NAME$}  {:>4}{:>11}  {:<16}AT",
            "LARGEST COMMANDS", "DB", "BYTES", "COMMAND"
        ));
        for large in &gathered.largest {
            let name = large.key.as_deref().map_or("-".to_owned(), |key| names::shortened(key, NAME));
            let pad = NAME - name.chars().count().min(NAME);
            let command = names::shortened(&large.name, 15);
            self.lines.push(format!(
                "{name}{:pad$}  {:>4}{:>11}  {command:<16}{}",
                "",
                large.db,
                text::bytes(large.bytes),
                self.style.dim(self.place(large.file, large.offset))
            ));
        }
    }

    fn findings(&mut self) {
        if !self.report.findings.is_empty() {
            self.lines.push(String::new());
        }
        for finding in &self.report.findings {
            let line = finding_text(finding);
            let painted = if finding.is_damage { self.style.red(line) } else { self.style.yellow(line) };
            self.lines.push(painted);
        }
    }
}

fn role(file: &FileFacts) -> String {
    if let Some(preamble) = &file.preamble {
        let (keys, checksum) = (text::count(preamble.keys), preamble.checksum);
        let bytes = text::bytes(preamble.bytes);
        return format!("{}: {} of {bytes}, {keys} keys, checksum {checksum}", file.role, preamble.version);
    }
    let Some(segment) = &file.segment else { return file.role.to_owned() };
    let sealed = match segment.is_sealed {
        Some(true) => ", sealed",
        Some(false) => ", open",
        None => "",
    };
    let frames = text::count(segment.frames);
    format!("segment {} of log {}{sealed}, {frames} frames, uid {}", segment.number, segment.log, segment.uid)
}

/// How many frames, or which where they do not begin with the first one.
fn frames(log: &LogFacts) -> String {
    let (first, next) = log.frames;
    match first.0 {
        0 => text::count(next.0),
        first => format!("{first}-{}", next.0.saturating_sub(1)),
    }
}

fn positions(log: &LogFacts) -> String {
    let shards = log.positions.iter().take(SHOWN_SHARDS);
    let mut shown: Vec<String> =
        shards.map(|(shard, first, end)| format!("{shard}: {first}-{end}")).collect();
    if log.positions.len() > SHOWN_SHARDS {
        shown.push(format!("and {} more", log.positions.len() - SHOWN_SHARDS));
    }
    shown.join(", ")
}
