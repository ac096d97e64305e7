//! What `summary` and `log` show to people, line by line, within 90 columns.
//!
//! Columns have the same width in every part of a sheet, so that shares stand below each other; where a table is alone,
//! [`Table`](crate::table::Table) makes its columns as wide as its cells.

use crate::histogram::Tally;
use crate::names;
use crate::prefix_table::PrefixTable;
use crate::style::Style;
use crate::text;

/// Columns in which names must fit.
pub const NAME: usize = 38;

/// Lines that are collected.
pub struct Sheet {
    pub style: Style,
    /// What is counted, as a heading.
    counted: &'static str,
    /// All of it.
    whole: Tally,
    lines: Vec<String>,
}

impl Sheet {
    pub fn new(style: Style, counted: &'static str, whole: Tally) -> Sheet {
        Sheet { style, counted, whole, lines: Vec::new() }
    }

    pub fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// A line that belongs to the one before, and matters less.
    pub fn dim(&mut self, line: &str) {
        self.line(format!("  {}", self.style.dim(line)));
    }

    pub fn heading(&mut self, heading: impl AsRef<str>) {
        self.line("");
        self.line(self.style.bold(heading.as_ref().trim_end()));
    }

    /// The heading of rows; `width`: of their names.
    pub fn shares_heading(&mut self, title: &str, width: usize, more: &str) {
        let counted = self.counted;
        self.heading(format!("{title:<width$}{counted:>13} {:>6} {:>10} {:>6}{more}", "", "BYTES", ""));
    }

    /// Count and bytes, each with its share of the whole.
    pub fn shares(&self, part: Tally) -> String {
        let share = |part, whole| self.style.dim(format!("{:>6}", text::percent(part, whole)));
        format!(
            "{:>13} {} {:>10} {}",
            text::count(part.count),
            share(part.count, self.whole.count),
            text::bytes(part.bytes),
            share(part.bytes, self.whole.bytes)
        )
    }

    /// A name with its shares.
    pub fn row(&mut self, name: &str, part: Tally) {
        self.line(format!("{}{}", padded(name, NAME + 2), self.shares(part)));
    }

    /// What has no name of its own, if there is some.
    pub fn nameless(&mut self, name: &str, part: Tally) {
        if part.count > 0 {
            self.line(format!("{}{}", self.style.dim(padded(name, NAME + 2)), self.shares(part)));
        }
    }

    /// The prefixes with most bytes, and then all others.
    pub fn prefixes(&mut self, prefixes: &PrefixTable, shown: usize) {
        if prefixes.len() == 0 || shown == 0 {
            return;
        }
        let title = if prefixes.is_exact { "PREFIX" } else { "PREFIX (APPROXIMATE)" };
        self.shares_heading(title, NAME + 2, "");
        let mut rest = prefixes.other;
        for (i, (name, sum)) in prefixes.top(usize::MAX).into_iter().enumerate() {
            if i < shown {
                self.row(&names::shortened(name, NAME), sum);
            } else {
                rest.merge(sum);
            }
        }
        self.nameless("(others)", rest);
        self.nameless("(none)", prefixes.none);
    }

    /// A line for those of `count` that are not among the `shown`.
    pub fn more(&mut self, count: usize, shown: usize) {
        if count > shown {
            let more = format!("and {} more: --json shows all", text::count((count - shown) as u64));
            self.line(self.style.dim(more));
        }
    }

    /// Appends all lines.
    pub fn write(&self, out: &mut Vec<u8>) {
        for line in &self.lines {
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        }
    }
}

/// The name with blanks behind it, up to so many columns.
pub fn padded(name: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(name.chars().count());
    format!("{name}{:blanks$}", "")
}

#[cfg(test)]
mod tests {
    use formats::rdb::RdbString;

    use super::*;

    #[test]
    fn what_is_not_shown_is_summed_up() {
        let mut prefixes = PrefixTable::new(b":");
        for (key, bytes) in [("gr\u{fc}n:1", 600), ("b:1", 300), ("c:1", 90), ("none", 10)] {
            prefixes.add(RdbString::Raw(key.as_bytes()), bytes);
        }
        let mut sheet = Sheet::new(Style::plain(), "KEYS", Tally { count: 4, bytes: 1000 });
        sheet.prefixes(&prefixes, 1);
        sheet.more(40, 40);
        sheet.more(41, 40);
        let mut out = Vec::new();
        sheet.write(&mut out);
        let pad = " ".repeat(34);
        let expected = [
            "".to_owned(),
            format!("PREFIX{pad}         KEYS             BYTES"),
            format!("gr\u{fc}n: {pad}            1  25.0%      600 B  60.0%"),
            format!("(others){}            2  50.0%      390 B  39.0%", &pad[2..]),
            format!("(none){pad}            1  25.0%       10 B   1.0%"),
            "and 1 more: --json shows all\n".to_owned(),
        ];
        assert_eq!(String::from_utf8(out).unwrap(), expected.join("\n"));
    }
}
