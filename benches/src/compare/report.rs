//! Medians, ratios and verdicts, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::measure::Figures;
use super::peer::{Peer, Role};
use super::rows::{Bound, Row};
use super::session::Round;
use crate::statistics::{Spread, median};

/// What all rounds measured.
pub struct Report {
    rows: Vec<&'static Row>,
    peers: Vec<Peer>,
    rounds: Vec<Round>,
    /// Of the machine, before the first round.
    load_average: f64,
}

/// Whether a ratio is where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Aim,
    Needed,
    Missed,
}

impl Verdict {
    fn of(needed: Bound, aim: Bound, ratio: f64) -> Verdict {
        match (aim.holds(ratio), needed.holds(ratio)) {
            (true, _) => Verdict::Aim,
            (false, true) => Verdict::Needed,
            (false, false) => Verdict::Missed,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Verdict::Aim => "aim",
            Verdict::Needed => "needed",
            Verdict::Missed => "MISSED",
        }
    }
}

impl Report {
    pub(super) fn new(
        rows: Vec<&'static Row>,
        peers: Vec<Peer>,
        rounds: Vec<Round>,
        load_average: f64,
    ) -> Report {
        Report { rows, peers, rounds, load_average }
    }

    /// The table of all rows.
    pub fn markdown(&self) -> String {
        let others: Vec<&Peer> = self.peers.iter().filter(|peer| peer.role == Role::Other).collect();
        let baseline = self.peer(Role::Baseline).map_or("baseline", |peer| peer.name.as_str());
        let mut head: Vec<String> =
            ["figure", "needed", "aim", "ours", "against", "ratio", "rounds", "verdict"]
                .map(str::to_owned)
                .to_vec();
        head.extend(others.iter().map(|peer| format!("{} / {baseline}", peer.name)));
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = self.line(row);
            line.extend(others.iter().map(|other| self.other_cell(row, other)));
            lines.push(line);
        }
        let names = |role| self.peer(role).map_or("", |peer| peer.name.as_str());
        format!(
            "{} rounds; ours: {} and {}; against {baseline} unless the row says otherwise. Ratio: median of the rounds' \
             ratios; rounds: the smallest and the largest. Load average before: {:.2}.\n\n{}",
            self.rounds.len(),
            names(Role::OneShard),
            names(Role::TwoShards),
            self.load_average,
            table(&lines)
        )
    }

    /// All figures of all rounds, and the rows' ratios.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(|row| self.row_json(row)).collect();
        let rounds: Vec<Value> = self.rounds.iter().map(round_json).collect();
        json!({ "rows": rows, "rounds": rounds, "load_average": self.load_average })
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let value = |role| {
            let values = self.peer(role).map(|peer| self.values(row, peer)).unwrap_or_default();
            median(&values).map_or("-".to_owned(), |value| row.metric.format(value))
        };
        let (ratio, range, verdict) = match self.ratio(row) {
            None => Default::default(),
            Some(spread) => (
                format!("{:.2}x", spread.median),
                format!("{:.2}-{:.2}", spread.smallest, spread.largest),
                Verdict::of(row.needed, row.aim, spread.median).text().to_owned(),
            ),
        };
        let name = row.name.to_owned();
        vec![
            name,
            row.needed.text(),
            row.aim.text(),
            value(row.of),
            value(row.against),
            ratio,
            range,
            verdict,
        ]
    }

    fn other_cell(&self, row: &Row, other: &Peer) -> String {
        let Some(baseline) = self.peer(Role::Baseline).filter(|_| row.against == Role::Baseline) else {
            return "-".to_owned();
        };
        let ratio = Spread::of(&self.ratios(row, other, baseline));
        let value = median(&self.values(row, other));
        match (ratio, value) {
            (Some(ratio), Some(value)) => format!("{} {:.2}x", row.metric.format(value), ratio.median),
            _ => "-".to_owned(),
        }
    }

    fn row_json(&self, row: &Row) -> Value {
        let ratio = self.ratio(row);
        json!({
            "name": row.name,
            "metric": row.metric.key(),
            "needed": row.needed.text(),
            "aim": row.aim.text(),
            "ratio": ratio.map(|spread| spread.median),
            "smallest": ratio.map(|spread| spread.smallest),
            "largest": ratio.map(|spread| spread.largest),
            "verdict": ratio.map(|spread| Verdict::of(row.needed, row.aim, spread.median).text()),
        })
    }

    fn peer(&self, role: Role) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.role == role)
    }

    fn ratio(&self, row: &Row) -> Option<Spread> {
        Spread::of(&self.ratios(row, self.peer(row.of)?, self.peer(row.against)?))
    }

    /// One ratio per round in which both were measured.
    fn ratios(&self, row: &Row, of: &Peer, against: &Peer) -> Vec<f64> {
        let ratio = |round| Some(figure(round, row, of)? / figure(round, row, against)?);
        self.rounds.iter().filter_map(ratio).filter(|ratio| ratio.is_finite()).collect()
    }

    fn values(&self, row: &Row, peer: &Peer) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| figure(round, row, peer)).collect()
    }
}

fn figure(round: &Round, row: &Row, peer: &Peer) -> Option<f64> {
    round.get(&(peer.name.clone(), row.scenario.name))?.get(&row.metric).copied()
}

fn round_json(round: &Round) -> Value {
    let figures = |figures: &Figures| -> Value {
        figures.iter().map(|(metric, &value)| (metric.key().to_owned(), json!(value))).collect()
    };
    let mut runs: Vec<(&(String, &str), &Figures)> = round.iter().collect();
    runs.sort_by_key(|(name, _)| *name);
    runs.iter()
        .map(|((peer, scenario), measured)| json!({ "peer": peer, "scenario": scenario, "figures": figures(measured) }))
        .collect()
}

/// A markdown table whose columns stand under each other as plain text too. The first line is the head.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        for (column, &width) in widths.iter().enumerate() {
            let cell = line.get(column).map_or("", String::as_str);
            text.push_str(&format!("| {cell:width$} "));
        }
        text.push_str("|\n");
        if index == 0 {
            text.extend(widths.iter().map(|&width| format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    fn peer(name: &str, role: Role) -> Peer {
        Peer::parse(&format!("{name}=x {{port}}")).unwrap().playing(role)
    }

    fn round(figures: &[(&str, f64)]) -> Round {
        let row = &ROWS[0];
        let entry = |&(peer, value): &(&str, f64)| {
            ((peer.to_owned(), row.scenario.name), Figures::from([(row.metric, value)]))
        };
        figures.iter().map(entry).collect()
    }

    #[test]
    fn a_table_lines_up() {
        let lines = [vec!["a".to_owned(), "long head".to_owned()], vec!["value".to_owned(), "é".to_owned()]];
        assert_eq!(table(&lines), "| a     | long head |\n|-------|-----------|\n| value | é         |\n");
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let peers =
            vec![peer("us", Role::OneShard), peer("them", Role::Baseline), peer("third", Role::Other)];
        // The machine was ten times slower in the second round: medians alone would mix the rounds.
        let rounds = vec![
            round(&[("us", 1200.0), ("them", 1000.0), ("third", 500.0)]),
            round(&[("us", 120.0), ("them", 100.0), ("third", 50.0)]),
            round(&[("us", 1300.0), ("them", 1000.0), ("third", 500.0)]),
        ];
        let report = Report::new(vec![&ROWS[0]], peers, rounds, 0.1);
        let spread = report.ratio(&ROWS[0]).unwrap();
        assert_eq!(spread, Spread { median: 1.2, smallest: 1.2, largest: 1.3 });
        let markdown = report.markdown();
        let line = markdown.lines().last().unwrap();
        for part in ["SET always, 1 client", "1.2k/s", "1.0k/s", "1.20x", "1.20-1.30", "aim", "0.5k/s 0.50x"]
        {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert_eq!(report.json()["rows"][0]["verdict"], "aim");
    }

    #[test]
    fn a_verdict_has_three_steps() {
        let (needed, aim) = (Bound::AtMost(0.5), Bound::AtMost(0.25));
        let verdicts = [0.2, 0.25, 0.4, 0.6].map(|ratio| Verdict::of(needed, aim, ratio));
        assert_eq!(verdicts, [Verdict::Aim, Verdict::Aim, Verdict::Needed, Verdict::Missed]);
    }
}
