//! The sums for people: tables that fit into 90 columns.

use super::gather::Gathered;
use super::report::{FileFacts, Finding, LogFacts, Report};
use crate::dates;
use crate::histogram::Tally;
use crate::names;
use crate::sheet::{NAME, Sheet, padded};
use crate::style::Style;
use crate::text;

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
    let sheet = Sheet::new(style, "COMMANDS", gathered.total);
    let mut table = Table { report, gathered, sheet };
    table.head(is_filtered);
    table.files();
    table.logs();
    if gathered.total.count > 0 {
        table.kinds();
        table.databases();
        table.sheet.prefixes(&gathered.prefixes, prefixes);
        table.largest();
    }
    table.findings();
    table.sheet.write(out);
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
    report: &'t Report,
    gathered: &'t Gathered,
    sheet: Sheet,
}

impl Table<'_> {
    fn head(&mut self, is_filtered: bool) {
        let report = self.report;
        let verdict = match verdict(report) {
            "sound" => self.sheet.style.green("sound"),
            "torn" => self.sheet.style.yellow("torn end"),
            _ => self.sheet.style.red("DAMAGED"),
        };
        let name = self.sheet.style.bold(names::shortened(report.name.as_bytes(), 50));
        let size = text::bytes(report.bytes());
        self.sheet.line(format!("{name}  {}, {size}, {verdict}", report.kind.name()));
        let total = self.gathered.total;
        let frames: u64 = report.logs.iter().map(|log| log.frames.1.0 - log.frames.0.0).sum();
        let mut facts = format!("{} commands in {}", text::count(total.count), text::bytes(total.bytes));
        if !report.logs.is_empty() {
            facts.push_str(&format!(", {} frames in all", text::count(frames)));
        }
        if is_filtered {
            facts.push_str(" (of those that were asked for)");
        }
        self.sheet.line(format!("  {facts}"));
        if let Some((first, last)) = self.gathered.times_ms {
            let took = text::duration(last.abs_diff(first));
            self.sheet.line(format!("  written from {} to {} ({took})", dates::utc(first), dates::utc(last)));
        }
        self.transactions();
        for remark in &report.remarks {
            self.sheet.dim(remark);
        }
    }

    fn transactions(&mut self) {
        let Some(largest) = self.gathered.largest_transaction else { return };
        self.sheet.line(format!(
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

    fn files(&mut self) {
        let report = self.report;
        let alone = report.files.len() == 1;
        if alone && report.files[0].preamble.is_none() && report.files[0].segment.is_none() {
            return;
        }
        self.sheet.heading(format!(
            "{:<NAME$}{:>11}{:>16}{:>14}  KIND",
            "FILES", "BYTES", "WHOLE UP TO", "COMMANDS"
        ));
        for file in report.files.iter().take(SHOWN) {
            let name = names::shortened(file.name.as_bytes(), NAME - 2);
            let (bytes, commands) = (text::bytes(file.bytes), text::count(file.commands));
            self.sheet.line(format!(
                "{}{bytes:>11}{:>16}{commands:>14}  {}",
                padded(&name, NAME),
                file.sound_until,
                self.sheet.style.dim(role(file))
            ));
        }
        self.sheet.more(report.files.len(), SHOWN);
    }

    fn logs(&mut self) {
        let report = self.report;
        if report.logs.is_empty() {
            return;
        }
        self.sheet.heading(format!(
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
            self.sheet.line(format!(
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
        self.sheet.more(report.logs.len(), SHOWN);
    }

    fn kinds(&mut self) {
        self.sheet.shares_heading("COMMANDS", NAME + 2, "");
        let kinds = self.gathered.kinds();
        let mut rest = Tally::default();
        for (i, kind) in kinds.iter().enumerate() {
            if i < SHOWN && !kind.name.is_empty() {
                self.sheet.row(&names::shortened(&kind.name, NAME), kind.sum);
            } else {
                rest.merge(kind.sum);
            }
        }
        self.sheet.nameless("(others)", rest);
    }

    fn databases(&mut self) {
        let databases = &self.gathered.databases;
        if matches!(databases[..], [(0, _)]) {
            return;
        }
        self.sheet.shares_heading("DATABASES", NAME + 2, "");
        let mut sorted = databases.clone();
        sorted.sort_unstable_by_key(|(number, _)| *number);
        for (number, sum) in sorted.iter().take(SHOWN) {
            self.sheet.row(&number.to_string(), *sum);
        }
        self.sheet.more(sorted.len(), SHOWN);
    }

    fn largest(&mut self) {
        let largest = self.gathered.largest.sorted();
        if largest.is_empty() {
            return;
        }
        self.sheet.heading(format!(
            "{:<NAME$}  {:>4}{:>11}  {:<16}AT",
            "LARGEST COMMANDS", "DB", "BYTES", "COMMAND"
        ));
        for large in largest {
            let name = large.key.as_deref().map_or("-".to_owned(), |key| names::shortened(key, NAME));
            let command = names::shortened(&large.name, 15);
            self.sheet.line(format!(
                "{}  {:>4}{:>11}  {command:<16}{}",
                padded(&name, NAME),
                large.db,
                text::bytes(large.bytes),
                self.sheet.style.dim(self.place(large.file, large.offset))
            ));
        }
    }

    fn findings(&mut self) {
        if !self.report.findings.is_empty() {
            self.sheet.line("");
        }
        for finding in &self.report.findings {
            let line = finding_text(finding);
            let painted =
                if finding.is_damage { self.sheet.style.red(line) } else { self.sheet.style.yellow(line) };
            self.sheet.line(painted);
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
