//! Medians, ratios and verdicts as one table per scenario.

use super::figures::{Figure, Scenario};
use super::machine::Machine;
use super::session::{Notes, Round};
use crate::compare::peer::{Peer, Role};
use crate::compare::report::table;
use crate::statistics::{Spread, median};

/// What all rounds measured, and where.
pub struct Report {
    pub(super) machine: Machine,
    /// Of the machine, before the first round.
    pub(super) load_average: f64,
    pub(super) keys: u64,
    pub(super) rate: f64,
    pub(super) huge_mib: u64,
    pub(super) peers: Vec<Peer>,
    /// One per peer.
    pub(super) versions: Vec<String>,
    pub(super) rounds: Vec<Round>,
    pub(super) notes: Notes,
}

impl Report {
    /// The whole page.
    pub fn markdown(&self) -> String {
        let mut text = self.head();
        for scenario in Scenario::ALL {
            if self.rounds.iter().flat_map(|round| round.keys()).any(|(_, measured)| *measured == scenario) {
                text.push_str(&format!("\n## {}\n\n{}\n", scenario.title(), self.about(scenario)));
                text.push_str(&format!("\n{}", table(&self.lines(scenario))));
            }
        }
        if !self.notes.lines().is_empty() {
            text.push_str("\n## What is missing\n\n");
            text.extend(self.notes.lines().iter().map(|note| format!("- {note}\n")));
        }
        text
    }

    fn head(&self) -> String {
        let mut text = format!(
            "# Snapshots and restarts, {}\n\n{}. Load average before: {:.2}. {} rounds, each server by itself, the order of \
             the servers reversed in every other round. A cell is the median of the rounds; `x` the median of the rounds' \
             ratios to {}, with the smallest and the largest. The goal (needed, aimed at) and its verdict are for one shard.\n\n",
            self.machine.date,
            self.machine.description,
            self.load_average,
            self.rounds.len(),
            self.baseline().map_or("the baseline", |peer| &peer.name)
        );
        for (peer, version) in self.peers.iter().zip(&self.versions) {
            text.push_str(&format!("- {} ({version}): `{}`\n", peer.name, shown_command(peer)));
        }
        text
    }

    fn about(&self, scenario: Scenario) -> String {
        let (keys, rate, mib) = (self.keys, self.rate, self.huge_mib);
        let writers = "50 clients write random keys in batches of 16";
        match scenario {
            Scenario::FullLoad => format!("{keys} keys; {writers}, as fast as they are answered."),
            Scenario::Paced => format!("{keys} keys; {writers}, {rate:.0} per second in all."),
            Scenario::Huge => format!(
                "4 values of {mib} MiB and 100000 small keys; {writers}, {rate:.0} per second in all; one client changes 8 \
                 bytes of a huge value 20 times per second."
            ),
            Scenario::Cut => format!("{} keys; {writers}, {rate:.0} per second in all.", keys * 2),
            Scenario::Restart => format!(
                "{keys} keys, each written twice; then a snapshot (the others: BGREWRITEAOF) and a fifth of the keys once \
                 more. From the start of the process until PING answers PONG."
            ),
        }
    }

    fn lines(&self, scenario: Scenario) -> Vec<Vec<String>> {
        let mut head = vec!["figure".to_owned()];
        head.extend(self.peers.iter().map(|peer| peer.name.clone()));
        head.extend(["goal".to_owned(), "verdict".to_owned()]);
        let mut figures: Vec<Figure> = self
            .rounds
            .iter()
            .flatten()
            .filter(|((_, measured), _)| *measured == scenario)
            .flat_map(|(_, figures)| figures.keys().copied())
            .collect();
        figures.sort();
        figures.dedup();
        let line = |figure: Figure| {
            let mut line = vec![figure.text().to_owned()];
            line.extend(self.peers.iter().map(|peer| self.cell(scenario, figure, peer)));
            line.extend([figure.goal_text(), self.verdict(scenario, figure)]);
            line
        };
        std::iter::once(head).chain(figures.into_iter().map(line)).collect()
    }

    fn cell(&self, scenario: Scenario, figure: Figure, peer: &Peer) -> String {
        let Some(value) = median(&self.values(scenario, figure, peer)) else { return "n/a".to_owned() };
        let value = figure.format(value);
        match self.ratio(scenario, figure, peer) {
            Some(ratio) if peer.role != Role::Baseline => {
                format!("{value}, {:.2}x ({:.2}-{:.2})", ratio.median, ratio.smallest, ratio.largest)
            }
            _ => value,
        }
    }

    fn verdict(&self, scenario: Scenario, figure: Figure) -> String {
        let ours = self.peers.iter().find(|peer| peer.role == Role::OneShard);
        let verdict = || {
            let value = median(&self.values(scenario, figure, ours?))?;
            let ratio = self.ratio(scenario, figure, ours?).map(|ratio| ratio.median);
            Some(figure.goal()?.verdict(value, ratio))
        };
        verdict().unwrap_or_default().to_owned()
    }

    fn baseline(&self) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.role == Role::Baseline)
    }

    fn values(&self, scenario: Scenario, figure: Figure, peer: &Peer) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| value(round, scenario, figure, peer)).collect()
    }

    /// One ratio per round in which both were measured.
    fn ratio(&self, scenario: Scenario, figure: Figure, peer: &Peer) -> Option<Spread> {
        let baseline = self.baseline().filter(|_| figure.has_ratio())?;
        let ratio =
            |round| Some(value(round, scenario, figure, peer)? / value(round, scenario, figure, baseline)?);
        let ratios: Vec<f64> =
            self.rounds.iter().filter_map(ratio).filter(|ratio| ratio.is_finite()).collect();
        Spread::of(&ratios)
    }
}

fn value(round: &Round, scenario: Scenario, figure: Figure, peer: &Peer) -> Option<f64> {
    round.get(&(peer.name.clone(), scenario))?.get(&figure).copied()
}

/// The command line without the folder that the program is in: that says nothing on another machine.
fn shown_command(peer: &Peer) -> String {
    let template = peer.template();
    let (program, options) = template.split_once(' ').unwrap_or((&template, ""));
    format!("{} {options}", program.rsplit('/').next().unwrap_or(program))
}

#[cfg(test)]
mod tests {
    use super::super::figures::Figures;
    use super::*;

    fn report(rounds: Vec<Round>) -> Report {
        let peer = |name: &str, role| Peer::parse(&format!("{name}=/a/b/x {{port}}")).unwrap().playing(role);
        Report {
            machine: Machine { description: "2 cores".to_owned(), date: "2000-01-01".to_owned() },
            load_average: 0.1,
            keys: 10,
            rate: 1.0,
            huge_mib: 1,
            peers: vec![peer("us", Role::OneShard), peer("them", Role::Baseline), peer("third", Role::Other)],
            versions: vec!["1".to_owned(), "2".to_owned(), "3".to_owned()],
            rounds,
            notes: Notes::default(),
        }
    }

    fn round(figures: &[(&str, Figure, f64)]) -> Round {
        let mut round = Round::new();
        for &(peer, figure, value) in figures {
            let entry: &mut Figures = round.entry((peer.to_owned(), Scenario::Restart)).or_default();
            entry.insert(figure, value);
        }
        round
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let figure = Figure::LogSeconds;
        // The machine was ten times slower in the second round: medians alone would mix the rounds.
        let rounds = vec![
            round(&[("us", figure, 0.3), ("them", figure, 1.0)]),
            round(&[("us", figure, 3.0), ("them", figure, 10.0)]),
            round(&[("us", figure, 0.4), ("them", figure, 1.0)]),
        ];
        let lines = report(rounds).lines(Scenario::Restart);
        assert_eq!(lines[0], ["figure", "us", "them", "third", "goal", "verdict"]);
        let cells = ["0.40 s, 0.30x (0.30-0.40)", "1.00 s", "n/a", "<= 0.4x, 0.15x", "needed"];
        assert_eq!(lines[1][1..], cells);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_page_has_what_was_measured_and_what_is_missing() {
        let mut report = report(vec![round(&[("them", Figure::LogPeak, 1.5)])]);
        report.notes.add("us", "restart", "BGSAVE answers: ERR no");
        report.notes.add("us", "restart", "BGSAVE answers: ERR no");
        let page = report.markdown();
        assert!(page.contains("## Restart after kill -9") && !page.contains("## BGSAVE"), "{page}");
        assert!(page.contains("- us (1): `x {port}`"), "{page}");
        assert_eq!(page.matches("- us, restart: BGSAVE answers: ERR no").count(), 1);
        assert!(page.lines().any(|line| line.contains("| n/a") && line.contains("| 1.50x")), "{page}");
    }
}
