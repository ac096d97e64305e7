//! What a campaign did, as a table.

use super::Row;
use crate::family::Counts;

const HEAD: [&str; 5] = ["family", "rounds", "seconds", "violations", "counts"];

fn cells(row: &Row) -> [String; 5] {
    let seconds = format!("{:.1}", row.spent.as_secs_f64());
    let name = row.family.name.to_owned();
    [name, row.rounds.to_string(), seconds, row.violations.to_string(), counts(&row.counts)]
}

fn counts(counts: &Counts) -> String {
    let words: Vec<String> = counts.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
    words.join(", ")
}

/// In columns, for a terminal.
pub fn text(rows: &[Row]) -> String {
    let lines: Vec<[String; 5]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |cells: &[String; 5]| {
        let [name, rounds, seconds, violations, counts] = cells;
        format!(
            "{name:<0$}  {rounds:>1$}  {seconds:>2$}  {violations:>3$}  {counts}\n",
            widths[0], widths[1], widths[2], widths[3]
        )
    };
    lines.iter().map(line).collect()
}

/// For the documentation.
pub fn markdown(rows: &[Row]) -> String {
    let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
    let head = line(HEAD.map(str::to_owned)) + "|---|--:|--:|--:|---|\n";
    rows.iter().map(|row| line(cells(row))).fold(head, |table, line| table + &line)
}
