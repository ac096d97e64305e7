//! The summary for people: tables that fit into 90 columns.

use std::io::Write;

use super::gather::{Gathered, Group};
use crate::dates;
use crate::histogram::Tally;
use crate::input::Input;
use crate::names;
use crate::sheet::{NAME, Sheet, padded};
use crate::style::Style;
use crate::text;
use crate::walk::{Checksum, Findings};

/// Columns of the name of a database or a type.
const KIND: usize = 16;
/// Columns of a bar.
const BAR: usize = 14;
/// Columns of one of two histograms side by side.
const HALF: usize = 42;
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
    let total = gathered.total();
    let mut sheet = Sheet::new(style, "KEYS", Tally { count: total.keys, bytes: total.bytes });
    let table = Table { style, gathered, total };
    table.head(&mut sheet, input, findings);
    if total.keys > 0 {
        table.databases(&mut sheet);
        table.types(&mut sheet);
        table.histograms(&mut sheet);
        sheet.prefixes(&gathered.prefixes, prefixes);
        table.largest(&mut sheet);
    }
    table.rare(&mut sheet);
    table.damage(&mut sheet, findings);
    sheet.write(out);
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
        self.expiring += gathered.expiry.expiring();
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
    fn head(&self, sheet: &mut Sheet, input: &Input, findings: &Findings) {
        let checksum = match findings.checksum {
            Checksum::Good => self.style.green("checksum good"),
            Checksum::Wrong { .. } => self.style.red("checksum wrong"),
            Checksum::Absent => self.style.yellow("no checksum"),
            Checksum::Unknown => self.style.red("damaged"),
        };
        let version = findings.version.map_or("no RDB file".into(), |version| version.to_string());
        let name = names::shortened(input.name.as_bytes(), 50);
        let size = text::bytes(input.len());
        sheet.line(format!("{}  {version}, {size}, {checksum}", self.style.bold(name)));
        let producer = self.producer();
        if !producer.is_empty() {
            sheet.dim(&producer);
        }
        for line in self.other_facts() {
            sheet.dim(&line);
        }
        if findings.command_bytes > 0 {
            let bytes = text::bytes(findings.command_bytes);
            let line =
                format!("{bytes} of commands follow, which are not counted here: see `rdb-inspect log`");
            sheet.line(format!("  {}", self.style.yellow(line)));
        }
        let keys = match self.total.keys {
            0 => "no keys".into(),
            keys => format!(
                "{} keys in {}, {}",
                text::count(keys),
                text::bytes(self.total.bytes),
                match self.gathered.expiry.expiring() {
                    0 => "none expires".into(),
                    expiring =>
                        format!("{} ({}) expire", text::count(expiring), text::percent(expiring, keys)),
                }
            ),
        };
        sheet.line(format!("  {keys}"));
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

    fn databases(&self, sheet: &mut Sheet) {
        let databases = &self.gathered.databases;
        if let [only] = &databases[..]
            && only.number == 0
        {
            return;
        }
        sheet.shares_heading("DATABASE", KIND, &format!("{:>14}", "EXPIRING"));
        for database in databases.iter().take(SHOWN) {
            let shares = sheet.shares(Tally { count: database.keys, bytes: database.bytes });
            sheet.line(format!("{:<KIND$}{shares}{:>14}", database.number, text::count(database.expiring)));
        }
        sheet.more(databases.len(), SHOWN);
    }

    fn types(&self, sheet: &mut Sheet) {
        sheet.shares_heading("TYPE", KIND, &format!("{:>14}{:>12}", "ELEMENTS", "LARGEST"));
        for (value_type, total, encodings) in self.gathered.types() {
            let mut row = |name: String, group: &Group| {
                let shares = sheet.shares(Tally { count: group.keys, bytes: group.bytes });
                let (elements, largest) = (text::count(group.elements), text::bytes(group.largest));
                sheet.line(format!("{name}{shares}{elements:>14}{largest:>12}"));
            };
            if let [(encoding, group)] = &encodings[..] {
                let name = value_type.name();
                let room = KIND.saturating_sub(name.len() + 1);
                let encoding = self.style.dim(format!("{encoding:<room$}"));
                row(format!("{name} {encoding}"), group);
                continue;
            }
            row(format!("{:<KIND$}", value_type.name()), &total);
            for (encoding, group) in &encodings {
                row(self.style.dim(format!("  {encoding:<14}")), group);
            }
        }
    }

    fn histograms(&self, sheet: &mut Sheet) {
        let sizes = self.gathered.sizes.classes().map(|(up_to, tally)| {
            let size = text::bytes(up_to.saturating_add(1)).replace(".0", "");
            (format!("< {size:>8}"), tally)
        });
        let sizes = self.histogram("SIZE IN THE FILE", sizes);
        let expiry = self.gathered.expiry.classes().filter(|(_, tally)| tally.count > 0);
        let mut right = self.histogram("EXPIRES IN", expiry);
        let apart = || (0, String::new());
        if let Some(idle) = &self.gathered.idle {
            right.push(apart());
            right.extend(self.histogram("IDLE FOR", idle.classes()));
        }
        if let Some(frequency) = &self.gathered.frequency {
            right.push(apart());
            right.extend(self.histogram("FREQUENCY (LFU)", frequency.classes()));
        }
        sheet.line("");
        for i in 0..sizes.len().max(right.len()) {
            let (width, left) = sizes.get(i).cloned().unwrap_or_default();
            let right = right.get(i).map_or("", |(_, line)| line);
            sheet.line(format!("{left}{:pad$}{right}", "", pad = HALF + 4 - width.min(HALF)));
        }
    }

    /// Lines with the columns that they take.
    fn histogram(&self, title: &str, classes: impl Iterator<Item = (String, Tally)>) -> Vec<(usize, String)> {
        let classes: Vec<(String, u64)> = classes.map(|(name, tally)| (name, tally.count)).collect();
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

    fn largest(&self, sheet: &mut Sheet) {
        let largest = self.gathered.largest.sorted();
        if largest.is_empty() {
            return;
        }
        sheet.heading(format!(
            "{:<NAME$}  {:>4}{:>11}{:>14}  TYPE",
            "LARGEST KEYS", "DB", "BYTES", "ELEMENTS"
        ));
        for large in largest {
            sheet.line(format!(
                "{}  {:>4}{:>11}{:>14}  {} {}",
                padded(&names::shortened(&large.key, NAME), NAME),
                large.db,
                text::bytes(large.bytes),
                large.elements.map_or("damaged".into(), text::count),
                large.value_type.name(),
                self.style.dim(large.encoding)
            ));
        }
    }

    /// What few files have.
    fn rare(&self, sheet: &mut Sheet) {
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
            sheet.line("");
            facts.into_iter().for_each(|fact| sheet.line(fact));
        }
    }

    fn damage(&self, sheet: &mut Sheet, findings: &Findings) {
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
            sheet.line("");
            what.iter().for_each(|line| sheet.line(self.style.red(line)));
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
