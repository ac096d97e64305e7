//! The summary for people: tables that fit into 90 columns.

use std::io::Write;

use super::gather::{FREQUENCY_LIMITS, Gathered, Group, IDLE_LIMITS, expiry_names};
use crate::dates;
use crate::input::Input;
use crate::names;
use crate::style::Style;
use crate::text;
use crate::walk::{Checksum, Findings};

/// Columns of a bar.
const BAR: usize = 14;
/// Columns of one of two histograms side by side.
const HALF: usize = 42;
/// Columns in which names of prefixes and keys must fit.
const NAME: usize = 38;
/// Databases, and names of libraries and modules, that are shown one by one.
const SHOWN: usize = 16;

/// Appends the summary of one input.
pub fn write(
    out: &mut Vec<u8>,
    style: Style,
    input: &Input,
    gathered: &Gathered,
    findings: &Findings,
    prefixes: usize,
) {
    let table = Table { style, gathered, total: gathered.total() };
    let mut lines = Vec::new();
    table.head(&mut lines, input, findings);
    if table.total.keys > 0 {
        table.databases(&mut lines);
        table.types(&mut lines);
        table.histograms(&mut lines);
        table.prefixes(&mut lines, prefixes);
        table.largest(&mut lines);
    }
    table.rare(&mut lines);
    table.damage(&mut lines, findings);
    for line in lines {
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

/// Sums over several inputs.
#[derive(Default)]
pub struct Total {
    files: u64,
    file_bytes: u64,
    keys: u64,
    expiring: u64,
}

impl Total {
    pub fn add(&mut self, input: &Input, gathered: &Gathered) {
        self.files += 1;
        self.file_bytes += input.len();
        self.keys += gathered.total().keys;
        self.expiring += gathered.expiring();
    }

    pub fn write(&self, out: &mut Vec<u8>, style: Style) {
        let facts = format!(
            "{} in {} files: {} keys, of which {} expire",
            text::bytes(self.file_bytes),
            text::count(self.files),
            text::count(self.keys),
            text::count(self.expiring)
        );
        let _ = writeln!(out, "\n{} {facts}", style.bold("Total")); // writing to a vector does not fail
    }
}

struct Table<'t> {
    style: Style,
    gathered: &'t Gathered,
    total: Group,
}

impl Table<'_> {
    fn head(&self, lines: &mut Vec<String>, input: &Input, findings: &Findings) {
        let checksum = match findings.checksum {
            Checksum::Good => self.style.green("checksum good"),
            Checksum::Wrong { .. } => self.style.red("checksum wrong"),
            Checksum::Absent => self.style.yellow("no checksum"),
            Checksum::Unknown => self.style.red("damaged"),
        };
        let version = findings.version.map_or("no RDB file".into(), |version| version.to_string());
        let name = names::shortened(input.name.as_bytes(), 50);
        let size = text::bytes(input.len());
        lines.push(format!("{}  {version}, {size}, {checksum}", self.style.bold(name)));
        let producer = self.producer();
        if !producer.is_empty() {
            lines.push(format!("  {}", self.style.dim(producer)));
        }
        for line in self.other_facts() {
            lines.push(format!("  {}", self.style.dim(line)));
        }
        if findings.command_bytes > 0 {
            let bytes = text::bytes(findings.command_bytes);
            let line =
                format!("{bytes} of commands follow, which are not counted here: see `rdb-inspect log`");
            lines.push(format!("  {}", self.style.yellow(line)));
        }
        let keys = match self.total.keys {
            0 => "no keys".into(),
            keys => format!(
                "{} keys in {}, {}",
                text::count(keys),
                text::bytes(self.total.bytes),
                match self.gathered.expiring() {
                    0 => "none expires".into(),
                    expiring =>
                        format!("{} ({}) expire", text::count(expiring), text::percent(expiring, keys)),
                }
            ),
        };
        lines.push(format!("  {keys}"));
    }

    fn aux(&self, name: &str) -> Option<String> {
        let (_, value) = self.gathered.aux.iter().find(|(other, _)| other == name.as_bytes())?;
        Some(names::shortened(value, NAME))
    }

    /// Who wrote the file, and when.
    fn producer(&self) -> String {
        let mut facts = Vec::new();
        let versions = [("redis-ver", "Redis"), ("valkey-ver", "Valkey")];
        facts.extend(
            versions.iter().filter_map(|(name, server)| Some(format!("{server} {}", self.aux(name)?))),
        );
        facts.extend(self.aux("redis-bits").map(|bits| format!("{bits} bit")));
        let number = |name| self.aux(name).and_then(|value| value.parse::<u32>().ok());
        facts.extend(number("ctime").map(|seconds| dates::utc(i64::from(seconds) * 1000)));
        let memory = self.aux("used-mem").and_then(|value| value.parse().ok());
        facts.extend(memory.map(|bytes: u64| format!("{} in memory", text::bytes(bytes))));
        facts.join(", ")
    }

    /// The facts that have no place of their own, in lines.
    fn other_facts(&self) -> Vec<String> {
        const PLACED: [&[u8]; 5] = [b"redis-ver", b"valkey-ver", b"redis-bits", b"ctime", b"used-mem"];
        let mut lines: Vec<String> = Vec::new();
        for (name, value) in &self.gathered.aux {
            if PLACED.contains(&name.as_slice()) || lines.len() > 4 {
                continue;
            }
            let fact = format!("{} {}", names::shortened(name, NAME), names::shortened(value, NAME + 4));
            match lines.last_mut() {
                Some(line) if line.len() + fact.len() < 84 => {
                    line.push_str(", ");
                    line.push_str(&fact);
                }
                _ => lines.push(fact),
            }
        }
        lines
    }

    fn heading(&self, lines: &mut Vec<String>, heading: String) {
        lines.push(String::new());
        lines.push(self.style.bold(heading));
    }

    /// Keys and bytes with their shares.
    fn shares(&self, keys: u64, bytes: u64) -> String {
        let share = |part, whole| self.style.dim(format!("{:>6}", text::percent(part, whole)));
        format!(
            "{:>13} {} {:>10} {}",
            text::count(keys),
            share(keys, self.total.keys),
            text::bytes(bytes),
            share(bytes, self.total.bytes)
        )
    }

    fn databases(&self, lines: &mut Vec<String>) {
        let databases = &self.gathered.databases;
        if let [only] = &databases[..]
            && only.number == 0
        {
            return;
        }
        self.heading(
            lines,
            format!("{:<16}{:>13} {:>6} {:>10} {:>6}{:>14}", "DATABASE", "KEYS", "", "BYTES", "", "EXPIRING"),
        );
        for database in databases.iter().take(SHOWN) {
            let shares = self.shares(database.keys, database.bytes);
            lines.push(format!("{:<16}{shares}{:>14}", database.number, text::count(database.expiring)));
        }
        if databases.len() > SHOWN {
            lines.push(self.style.dim(format!("{} more", databases.len() - SHOWN)));
        }
    }

    fn types(&self, lines: &mut Vec<String>) {
        self.heading(
            lines,
            format!(
                "{:<16}{:>13} {:>6} {:>10} {:>6}{:>14}{:>12}",
                "TYPE", "KEYS", "", "BYTES", "", "ELEMENTS", "LARGEST"
            ),
        );
        for (value_type, total, encodings) in self.gathered.types() {
            let row = |name: String, group: &Group| {
                let shares = self.shares(group.keys, group.bytes);
                let (elements, largest) = (text::count(group.elements), text::bytes(group.largest));
                format!("{name}{shares}{elements:>14}{largest:>12}")
            };
            if let [(encoding, group)] = &encodings[..] {
                let name = value_type.name();
                let room = 16usize.saturating_sub(name.len() + 1);
                let encoding = self.style.dim(format!("{encoding:<room$}"));
                lines.push(row(format!("{name} {encoding}"), group));
                continue;
            }
            lines.push(row(format!("{:<16}", value_type.name()), &total));
            for (encoding, group) in &encodings {
                lines.push(row(self.style.dim(format!("  {encoding:<14}")), group));
            }
        }
    }

    fn histograms(&self, lines: &mut Vec<String>) {
        let used: Vec<usize> =
            (0..self.gathered.sizes.len()).filter(|&i| self.gathered.sizes[i].keys > 0).collect();
        let (Some(&first), Some(&last)) = (used.first(), used.last()) else { return };
        let sizes = (first..=last).map(|i| {
            let size = text::bytes(1u64 << i.min(63));
            (format!("up to {:>8}", size.replace(".0", "")), self.gathered.sizes[i].keys)
        });
        let sizes = self.histogram("SIZE IN THE FILE", sizes.collect());
        let expiry = expiry_names().zip(self.gathered.expiry);
        let expiry = expiry.filter(|(_, keys)| *keys > 0).map(|(name, keys)| (name.into(), keys));
        let mut right = self.histogram("EXPIRES IN", expiry.collect());
        let idle = IDLE_LIMITS.iter().map(|(_, name)| *name).chain(["longer"]).zip(self.gathered.idle);
        let frequency = FREQUENCY_LIMITS.iter().map(|(_, name)| *name).zip(self.gathered.frequency);
        let usage: [(&str, Vec<(&str, u64)>); 2] =
            [("IDLE FOR", idle.collect()), ("FREQUENCY (LFU)", frequency.collect())];
        for (title, classes) in usage {
            if classes.iter().any(|(_, keys)| *keys > 0) {
                right.push((0, String::new()));
                let classes = classes.into_iter().map(|(name, keys)| (name.to_string(), keys)).collect();
                right.extend(self.histogram(title, classes));
            }
        }
        lines.push(String::new());
        for i in 0..sizes.len().max(right.len()) {
            let (width, left) = sizes.get(i).cloned().unwrap_or_default();
            let right = right.get(i).map_or("", |(_, line)| line);
            lines.push(format!("{left}{:pad$}{right}", "", pad = HALF + 4 - width.min(HALF)));
        }
    }

    /// Lines with the columns that they take.
    fn histogram(&self, title: &str, classes: Vec<(String, u64)>) -> Vec<(usize, String)> {
        let most = classes.iter().map(|(_, keys)| *keys).max().unwrap_or(1).max(1);
        let mut lines = vec![(title.len(), self.style.bold(title))];
        for (name, keys) in classes {
            let number = text::count(keys);
            let bar = bar(keys, most);
            let width = 14 + number.len().max(12) + 1 + bar.chars().count();
            lines.push((width, format!("{name:<14}{number:>12} {}", self.style.cyan(bar))));
        }
        lines
    }

    fn prefixes(&self, lines: &mut Vec<String>, count: usize) {
        let prefixes = &self.gathered.prefixes;
        if prefixes.len() == 0 || count == 0 {
            return;
        }
        let about = if prefixes.is_exact { "PREFIX" } else { "PREFIX (APPROXIMATE)" };
        self.heading(
            lines,
            format!("{about:<width$}{:>13} {:>6} {:>10} {:>6}", "KEYS", "", "BYTES", "", width = NAME + 2),
        );
        let row = |name: &str, sum: super::prefixes::Sum| {
            let pad = (NAME + 2).saturating_sub(name.chars().count());
            format!("{:pad$}{}", "", self.shares(sum.keys, sum.bytes))
        };
        let mut rest = prefixes.other;
        let all = prefixes.top(usize::MAX);
        for (i, (name, sum)) in all.iter().enumerate() {
            if i < count {
                let name = names::shortened(name, NAME);
                lines.push(format!("{name}{}", row(&name, *sum)));
            } else {
                rest.keys += sum.keys;
                rest.bytes += sum.bytes;
            }
        }
        for (name, sum) in [("(others)", rest), ("(none)", prefixes.none)] {
            if sum.keys > 0 {
                lines.push(format!("{}{}", self.style.dim(name), row(name, sum)));
            }
        }
    }

    fn largest(&self, lines: &mut Vec<String>) {
        if self.gathered.largest.is_empty() {
            return;
        }
        self.heading(
            lines,
            format!(
                "{:<NAME$}  {:>4}{:>11}{:>14}  {:<16}",
                "LARGEST KEYS", "DB", "BYTES", "ELEMENTS", "TYPE"
            ),
        );
        for large in &self.gathered.largest {
            let name = names::shortened(&large.key, NAME);
            let pad = NAME - name.chars().count().min(NAME);
            lines.push(format!(
                "{name}{:pad$}  {:>4}{:>11}{:>14}  {} {}",
                "",
                large.db,
                text::bytes(large.bytes),
                large.elements.map_or("damaged".into(), text::count),
                large.value_type.name(),
                self.style.dim(large.encoding)
            ));
        }
    }

    /// What few files have.
    fn rare(&self, lines: &mut Vec<String>) {
        let gathered = self.gathered;
        let mut facts = Vec::new();
        if gathered.function_count > 0 {
            let names = gathered.functions.iter().take(SHOWN).map(|name| names::shortened(name, NAME));
            let names = names.collect::<Vec<_>>().join(", ");
            facts.push(format!("Libraries of functions: {} ({names})", text::count(gathered.function_count)));
        }
        if !gathered.modules.is_empty() {
            let names = gathered.modules.iter().take(SHOWN);
            let names = names.map(|(name, values)| format!("{name} ({} values)", text::count(*values)));
            facts.push(format!("Modules: {}", names.collect::<Vec<_>>().join(", ")));
        }
        if gathered.slots > 0 {
            facts.push(format!("Slots of a cluster: {}", text::count(gathered.slots)));
        }
        if !facts.is_empty() {
            lines.push(String::new());
            lines.extend(facts);
        }
    }

    fn damage(&self, lines: &mut Vec<String>, findings: &Findings) {
        let mut what = Vec::new();
        if let Some(damage) = &findings.damage {
            what.push(format!("Damaged at {damage}; what is behind it was not read."));
        }
        if let Some(error) = &self.gathered.first_damage {
            let damaged = text::count(self.gathered.damaged);
            what.push(format!("{damaged} values are damaged inside, the first at {error}."));
        }
        if let Checksum::Wrong { expected, found } = findings.checksum {
            what.push(format!("The checksum is {found:016x}, the file says {expected:016x}."));
        }
        if findings.trailing_bytes > 0 {
            what.push(format!("{} follow the end.", text::bytes(findings.trailing_bytes)));
        }
        if !what.is_empty() {
            lines.push(String::new());
            lines.extend(what.iter().map(|line| self.style.red(line)));
        }
    }
}

/// A bar in eighths of a column.
fn bar(part: u64, most: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 {
        return String::new();
    }
    let eighths = ((part as f64 / most as f64 * (BAR * 8) as f64) as usize).max(1);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(1, 1000), "▏");
        assert_eq!(bar(10, 10), "█".repeat(BAR));
        assert_eq!(bar(5, 10), "█".repeat(BAR / 2));
    }
}
