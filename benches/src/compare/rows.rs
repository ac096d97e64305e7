//! The figures that we want, as one table: what is measured, whose figure is divided by whose, what is needed and aimed at.

use super::peer::Role;
use super::scenario::{self, Metric, Scenario};

/// A limit for a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    pub fn holds(self, ratio: f64) -> bool {
        match self {
            Bound::AtLeast(limit) => ratio >= limit,
            Bound::AtMost(limit) => ratio <= limit,
        }
    }

    pub fn text(self) -> String {
        match self {
            Bound::AtLeast(limit) => format!(">= {limit}x"),
            Bound::AtMost(limit) => format!("<= {limit}x"),
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    pub name: &'static str,
    pub scenario: &'static Scenario,
    pub metric: Metric,
    /// Whose figure.
    pub of: Role,
    /// Divided by whose.
    pub against: Role,
    pub needed: Bound,
    pub aim: Bound,
}

/// More is better: throughput.
const fn more(name: &'static str, scenario: &'static Scenario, of: Role, needed: f64, aim: f64) -> Row {
    Row {
        name,
        scenario,
        metric: Metric::OpsPerSecond,
        of,
        against: Role::Baseline,
        needed: Bound::AtLeast(needed),
        aim: Bound::AtLeast(aim),
    }
}

/// Less is better: time, CPU, memory.
const fn less(name: &'static str, scenario: &'static Scenario, metric: Metric, needed: f64, aim: f64) -> Row {
    Row {
        name,
        scenario,
        metric,
        of: Role::OneShard,
        against: Role::Baseline,
        needed: Bound::AtMost(needed),
        aim: Bound::AtMost(aim),
    }
}

/// CPU per command of two shards against that of one.
const fn cost_of_hops(name: &'static str, scenario: &'static Scenario, needed: f64, aim: f64) -> Row {
    Row {
        of: Role::TwoShards,
        against: Role::OneShard,
        ..less(name, scenario, Metric::CpuMicrosecondsPerOp, needed, aim)
    }
}

use Metric::{BytesPerKey, CpuMicrosecondsPerOp, ProbeP99Microseconds, RestartSeconds};
use Role::{OneShard, TwoShards};

pub static ROWS: [Row; 25] = [
    more("SET always, 1 client", &scenario::ALWAYS_1, OneShard, 1.0, 1.2),
    more("SET always, 10 clients", &scenario::ALWAYS_10, OneShard, 1.2, 1.5),
    more("SET always, 50 clients", &scenario::ALWAYS_50, OneShard, 1.0, 1.3),
    more("SET always, 50 clients, pipeline 16", &scenario::ALWAYS_50_P16, OneShard, 1.3, 1.9),
    less("GET p99 while 50 SET under always", &scenario::ALWAYS_PROBE, ProbeP99Microseconds, 0.5, 0.25),
    more("SET everysec, pipeline 16", &scenario::SET_P16, OneShard, 1.4, 1.9),
    more("GET, pipeline 16", &scenario::GET_P16, OneShard, 1.0, 1.2),
    more("SET plain", &scenario::SET_P1, OneShard, 1.0, 1.1),
    less("SET plain, server CPU", &scenario::SET_P1, CpuMicrosecondsPerOp, 1.0, 0.85),
    more("GET plain", &scenario::GET_P1, OneShard, 1.0, 1.1),
    less("GET plain, server CPU", &scenario::GET_P1, CpuMicrosecondsPerOp, 1.0, 0.85),
    more("2 shards: SET everysec, pipeline 16", &scenario::SET_P16, TwoShards, 1.0, 1.4),
    more("2 shards: GET, pipeline 16", &scenario::GET_P16, TwoShards, 1.0, 1.4),
    more("2 shards: SET plain", &scenario::SET_P1, TwoShards, 0.8, 1.0),
    more("2 shards: GET plain", &scenario::GET_P1, TwoShards, 0.8, 1.0),
    cost_of_hops("CPU 2 shards against 1: SET, pipeline 16", &scenario::SET_P16, 1.5, 1.3),
    cost_of_hops("CPU 2 shards against 1: GET, pipeline 16", &scenario::GET_P16, 1.5, 1.3),
    cost_of_hops("CPU 2 shards against 1: SET plain", &scenario::SET_P1, 1.8, 1.5),
    cost_of_hops("CPU 2 shards against 1: GET plain", &scenario::GET_P1, 1.8, 1.5),
    more("BITCOUNT, pipeline 16", &scenario::BITCOUNT_P16, OneShard, 1.0, 1.2),
    more("SETBIT everysec, pipeline 16", &scenario::SETBIT_P16, OneShard, 1.0, 1.5),
    more("SETRANGE everysec, pipeline 16", &scenario::SETRANGE_P16, OneShard, 1.0, 1.5),
    more("INCRBYFLOAT everysec, pipeline 16", &scenario::INCRBYFLOAT_P16, OneShard, 1.0, 1.5),
    less("memory per key", &scenario::FILL, BytesPerKey, 0.9, 0.8),
    less("restart after kill -9", &scenario::FILL, RestartSeconds, 0.4, 0.15),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_aims_go_beyond_needs() {
        let names: HashSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for row in &ROWS {
            let (Bound::AtLeast(aim) | Bound::AtMost(aim)) = row.aim;
            assert!(row.needed.holds(aim), "{}: what is aimed at must do", row.name);
        }
    }

    #[test]
    fn every_scenario_of_a_row_runs() {
        for row in &ROWS {
            let runs = scenario::SCENARIOS.iter().any(|&scenario| std::ptr::eq(scenario, row.scenario));
            assert!(runs, "{} is not in SCENARIOS", row.scenario.name);
        }
    }
}
