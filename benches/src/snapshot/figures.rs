//! What is measured and told: scenarios, figures with their units, and the goals for our server.

use std::collections::BTreeMap;

/// One thing that is done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    FullLoad,
    Paced,
    Huge,
    Cut,
    Restart,
}

impl Scenario {
    pub const ALL: [Scenario; 5] =
        [Scenario::FullLoad, Scenario::Paced, Scenario::Huge, Scenario::Cut, Scenario::Restart];

    /// What chooses it on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Scenario::FullLoad => "bgsave",
            Scenario::Paced => "paced",
            Scenario::Huge => "huge",
            Scenario::Cut => "cut",
            Scenario::Restart => "restart",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Scenario::FullLoad => "BGSAVE under full write load",
            Scenario::Paced => "BGSAVE under paced writes",
            Scenario::Huge => "BGSAVE with huge values, under paced writes",
            Scenario::Cut => "The pause of the cut, under paced writes",
            Scenario::Restart => "Restart after kill -9",
        }
    }
}

/// One figure, in the order in which they are told. The unit is in the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    SnapshotSeconds,
    ServerSnapshotSeconds,
    ExtraBytes,
    ExtraPercent,
    PauseMicros,
    WorstAtCutMicros,
    WorstBeforeMicros,
    WorstDuringMicros,
    P999BeforeMicros,
    P999DuringMicros,
    P999Growth,
    ProbeReplies,
    TouchBeforeMicros,
    TouchDuringMicros,
    WritesBefore,
    WritesDuring,
    WritesKept,
    LogBytes,
    LogSeconds,
    LogPeak,
    LogAnonymousPeak,
    SnapshotLogBytes,
    SnapshotLogSeconds,
    SnapshotLogPeak,
    SnapshotLogAnonymousPeak,
    To4ShardsSeconds,
    To3ShardsSeconds,
    To2ShardsSeconds,
}

pub type Figures = BTreeMap<Figure, f64>;

/// What our server with one shard should reach: at most so much, of the baseline's figure or as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    Ratio { needed: f64, aim: f64 },
    Value { needed: f64, aim: f64 },
}

impl Goal {
    /// `value` is our figure, `ratio` the one to the baseline's.
    pub fn verdict(self, value: f64, ratio: Option<f64>) -> &'static str {
        let (told, needed, aim) = match self {
            Goal::Ratio { needed, aim } => (ratio, needed, aim),
            Goal::Value { needed, aim } => (Some(value), needed, aim),
        };
        match told {
            None => "-",
            Some(told) if told <= aim => "aim",
            Some(told) if told <= needed => "needed",
            Some(_) => "MISSED",
        }
    }
}

impl Figure {
    pub fn text(self) -> &'static str {
        match self {
            Figure::SnapshotSeconds => "duration, from +OK until INFO says it is over",
            Figure::ServerSnapshotSeconds => "duration as the server tells (whole seconds)",
            Figure::ExtraBytes => "extra memory at the peak",
            Figure::ExtraPercent => "extra memory, of what was used before",
            Figure::PauseMicros => "pause as the server tells: fork, or longest cut of a shard",
            Figure::WorstAtCutMicros => "probe's worst latency at the beginning",
            Figure::WorstBeforeMicros => "probe's worst latency before",
            Figure::WorstDuringMicros => "probe's worst latency during",
            Figure::P999BeforeMicros => "probe's p99.9 before",
            Figure::P999DuringMicros => "probe's p99.9 during",
            Figure::P999Growth => "probe's p99.9, during / before",
            Figure::ProbeReplies => "probe's replies during (below 1000, p99.9 is the worst)",
            Figure::TouchBeforeMicros => "worst APPEND to a huge value, before",
            Figure::TouchDuringMicros => "worst APPEND to a huge value, during",
            Figure::WritesBefore => "writes per second before",
            Figure::WritesDuring => "writes per second during",
            Figure::WritesKept => "writes per second, during / before",
            Figure::LogBytes => "files, log alone",
            Figure::LogSeconds => "restart from the log alone",
            Figure::LogPeak => "peak memory of that restart, of what was used before the kill",
            Figure::LogAnonymousPeak => "the same without mapped files",
            Figure::SnapshotLogBytes => "files, snapshot and log",
            Figure::SnapshotLogSeconds => "restart from snapshot and log",
            Figure::SnapshotLogPeak => "peak memory of that restart, of what was used before the kill",
            Figure::SnapshotLogAnonymousPeak => "the same without mapped files",
            Figure::To4ShardsSeconds => "then with 4 shards instead of 1",
            Figure::To3ShardsSeconds => "then with 3 shards instead of 4",
            Figure::To2ShardsSeconds => "then with 2 shards instead of 3",
        }
    }

    /// A value with its unit, as a person reads it.
    pub fn format(self, value: f64) -> String {
        match self {
            Figure::SnapshotSeconds
            | Figure::LogSeconds
            | Figure::SnapshotLogSeconds
            | Figure::To4ShardsSeconds
            | Figure::To3ShardsSeconds
            | Figure::To2ShardsSeconds => format!("{value:.2} s"),
            Figure::ProbeReplies => format!("{value:.0}"),
            Figure::ServerSnapshotSeconds => format!("{value:.0} s"),
            Figure::ExtraBytes | Figure::LogBytes | Figure::SnapshotLogBytes => {
                format!("{:.0} MB", value / 1e6)
            }
            Figure::ExtraPercent => format!("{value:.1} %"),
            Figure::P999Growth
            | Figure::WritesKept
            | Figure::LogPeak
            | Figure::LogAnonymousPeak
            | Figure::SnapshotLogPeak
            | Figure::SnapshotLogAnonymousPeak => format!("{value:.2}x"),
            Figure::WritesBefore | Figure::WritesDuring => format!("{:.1}k/s", value / 1e3),
            Figure::PauseMicros
            | Figure::WorstAtCutMicros
            | Figure::WorstBeforeMicros
            | Figure::WorstDuringMicros
            | Figure::P999BeforeMicros
            | Figure::P999DuringMicros
            | Figure::TouchBeforeMicros
            | Figure::TouchDuringMicros => format!("{:.3} ms", value / 1e3),
        }
    }

    /// Whether a ratio to the baseline's figure says something that the figure alone does not.
    pub fn has_ratio(self) -> bool {
        !matches!(
            self,
            Figure::ServerSnapshotSeconds
                | Figure::ExtraPercent
                | Figure::P999Growth
                | Figure::ProbeReplies
                | Figure::WritesKept
                | Figure::LogPeak
                | Figure::LogAnonymousPeak
                | Figure::SnapshotLogPeak
                | Figure::SnapshotLogAnonymousPeak
        )
    }

    pub fn goal(self) -> Option<Goal> {
        match self {
            Figure::SnapshotSeconds => Some(Goal::Ratio { needed: 0.7, aim: 0.3 }),
            Figure::ExtraPercent => Some(Goal::Value { needed: 20.0, aim: 5.0 }),
            Figure::PauseMicros => Some(Goal::Value { needed: 200.0, aim: 50.0 }),
            Figure::P999Growth => Some(Goal::Value { needed: 1.3, aim: 1.0 }),
            Figure::LogSeconds | Figure::SnapshotLogSeconds => Some(Goal::Ratio { needed: 0.4, aim: 0.15 }),
            _ => None,
        }
    }

    /// The goal as a person reads it.
    pub fn goal_text(self) -> String {
        match self.goal() {
            None => String::new(),
            Some(Goal::Ratio { needed, aim }) => format!("<= {needed}x, {aim}x"),
            Some(Goal::Value { needed, aim }) => format!("<= {}, {}", self.format(needed), self.format(aim)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_a_ratio_or_a_value() {
        let ratio = Goal::Ratio { needed: 0.7, aim: 0.3 };
        let verdicts = [Some(0.3), Some(0.7), Some(0.71), None].map(|told| ratio.verdict(9.0, told));
        assert_eq!(verdicts, ["aim", "needed", "MISSED", "-"]);
        let value = Goal::Value { needed: 20.0, aim: 5.0 };
        assert_eq!([4.0, 20.0, 21.0].map(|told| value.verdict(told, Some(0.1))), ["aim", "needed", "MISSED"]);
    }

    #[test]
    fn figures_have_their_units() {
        assert_eq!(Figure::PauseMicros.goal_text(), "<= 0.200 ms, 0.050 ms");
        assert_eq!(Figure::SnapshotSeconds.goal_text(), "<= 0.7x, 0.3x");
        assert_eq!(Figure::ExtraBytes.format(12_345_678.0), "12 MB");
        assert_eq!(Figure::WritesBefore.format(1500.0), "1.5k/s");
    }
}
