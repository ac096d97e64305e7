//! What a campaign did, as a table: a row for each family, and one with what can be summed over them.

use everfast::fail_point::POINTS;

use super::Row;
use crate::family::{ACKNOWLEDGED, BITS_FLIPPED, CRASHES, Counts, FAULTS, OTHER_DAMAGE, TRUNCATIONS};

const HEAD: [&str; 5] = ["family", "rounds", "seconds", "violations", "counts"];

/// What is summed, in this order.
const TOTALS: [&str; 6] = [CRASHES, FAULTS, BITS_FLIPPED, TRUNCATIONS, OTHER_DAMAGE, ACKNOWLEDGED];

/// What a family's count is part of, if it is of any total. Nothing is in two counts of a family that are summed.
fn total_of(family: &str, what: &str) -> Option<&'static str> {
    match (family, what) {
        // It counts these by the names of their points too.
        ("fail-point", "ends in a start") => None,
        ("fail-point", point) if POINTS.iter().any(|known| known.name == point) => Some(CRASHES),
        (
            _,
            CRASHES
            | "crashes in recovery"
            | "crashes after more work"
            | "kills"
            | "kills in a start"
            | "killed at a call"
            | "ends in a start"
            | "power cuts"
            | "power cuts in recovery",
        ) => Some(CRASHES),
        (_, FAULTS | "calls failed" | "file systems filled") => Some(FAULTS),
        (
            _,
            "sectors lost"
            | "files extended"
            | "files missing"
            | "files doubled"
            | "files exchanged"
            | "files of another moment"
            | "old frames behind the end",
        ) => Some(OTHER_DAMAGE),
        (_, BITS_FLIPPED) => Some(BITS_FLIPPED),
        (_, TRUNCATIONS) => Some(TRUNCATIONS),
        (_, ACKNOWLEDGED | "acknowledged" | "operations") => Some(ACKNOWLEDGED),
        _ => None,
    }
}

/// What all families did together.
pub(super) fn totals(rows: &[Row]) -> Counts {
    let mut totals = Counts::default();
    for row in rows {
        for (what, count) in &row.counts.0 {
            if let Some(total) = total_of(row.family.name, what) {
                totals.add(total, *count);
            }
        }
    }
    totals
}

type Cells = [String; 5];

fn cells(row: &Row) -> Cells {
    let counts = match row.skipped {
        Some(why) => format!("skipped: {why}"),
        None => told(row.counts.0.iter().map(|(what, count)| (*what, *count))),
    };
    cells_of(row.family.name, row.rounds, row.spent.as_secs_f64(), row.violations, counts)
}

fn total_cells(rows: &[Row]) -> Cells {
    let totals = totals(rows);
    let counts = told(TOTALS.iter().filter_map(|what| Some((*what, *totals.0.get(what)?))));
    let (rounds, violations) =
        (rows.iter().map(|row| row.rounds).sum(), rows.iter().map(|row| row.violations).sum());
    cells_of("total", rounds, rows.iter().map(|row| row.spent.as_secs_f64()).sum(), violations, counts)
}

fn cells_of(name: &str, rounds: u64, seconds: f64, violations: u64, counts: String) -> Cells {
    [name.to_owned(), rounds.to_string(), format!("{seconds:.1}"), violations.to_string(), counts]
}

fn told(counts: impl Iterator<Item = (&'static str, u64)>) -> String {
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// All rows but the head.
fn body(rows: &[Row]) -> Vec<Cells> {
    rows.iter().map(cells).chain([total_cells(rows)]).collect()
}

/// In columns, for a terminal.
pub fn text(rows: &[Row]) -> String {
    let lines: Vec<Cells> = std::iter::once(HEAD.map(str::to_owned)).chain(body(rows)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |cells: &Cells| {
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
    let line = |cells: Cells| format!("| {} |\n", cells.join(" | "));
    let head = line(HEAD.map(str::to_owned)) + "|---|--:|--:|--:|---|\n";
    body(rows).into_iter().map(line).fold(head, |table, line| table + &line)
}
