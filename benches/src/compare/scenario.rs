//! The loads that servers are put under.

/// When a write is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    Always,
    EverySecond,
}

impl Policy {
    pub fn appendfsync(self) -> &'static str {
        match self {
            Policy::Always => "always",
            Policy::EverySecond => "everysec",
        }
    }
}

/// What is done to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Clients in closed loops on a server that holds every key; `probe`: one more client that sends this alone.
    Load { command: &'static str, clients: usize, pipeline: usize, probe: Option<&'static str> },
    /// An empty server is filled, its memory measured, then it is killed and started again.
    FillAndRestart,
}

/// One load. Those of one policy run one after the other on the same servers.
#[derive(Debug, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    pub policy: Policy,
    pub work: Work,
}

/// What a scenario yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    OpsPerSecond,
    CpuMicrosecondsPerOp,
    P99Microseconds,
    ProbeP99Microseconds,
    BytesPerKey,
    RestartSeconds,
}

impl Metric {
    pub fn key(self) -> &'static str {
        match self {
            Metric::OpsPerSecond => "ops_per_second",
            Metric::CpuMicrosecondsPerOp => "server_cpu_us_per_op",
            Metric::P99Microseconds => "p99_us",
            Metric::ProbeP99Microseconds => "probe_p99_us",
            Metric::BytesPerKey => "bytes_per_key",
            Metric::RestartSeconds => "restart_seconds",
        }
    }

    /// A value with its unit, as a person reads it.
    pub fn format(self, value: f64) -> String {
        match self {
            Metric::OpsPerSecond if value >= 1e6 => format!("{:.2}M/s", value / 1e6),
            Metric::OpsPerSecond => format!("{:.1}k/s", value / 1e3),
            Metric::CpuMicrosecondsPerOp => format!("{value:.2} us"),
            Metric::P99Microseconds | Metric::ProbeP99Microseconds => format!("{value:.0} us"),
            Metric::BytesPerKey => format!("{value:.0} B"),
            Metric::RestartSeconds => format!("{value:.2} s"),
        }
    }
}

const SET: &str = "SET {key} {value}";
const GET: &str = "GET {key}";

const fn load(
    name: &'static str,
    policy: Policy,
    command: &'static str,
    clients: usize,
    pipeline: usize,
) -> Scenario {
    Scenario { name, policy, work: Work::Load { command, clients, pipeline, probe: None } }
}

pub static ALWAYS_1: Scenario = load("SET always, 1 client", Policy::Always, SET, 1, 1);
pub static ALWAYS_10: Scenario = load("SET always, 10 clients", Policy::Always, SET, 10, 1);
pub static ALWAYS_50: Scenario = load("SET always, 50 clients", Policy::Always, SET, 50, 1);
pub static ALWAYS_50_P16: Scenario = load("SET always, 50 clients, pipeline 16", Policy::Always, SET, 50, 16);
pub static ALWAYS_PROBE: Scenario = Scenario {
    name: "GET of one client while 50 others SET under always",
    policy: Policy::Always,
    work: Work::Load { command: SET, clients: 50, pipeline: 1, probe: Some(GET) },
};
pub static GET_P1: Scenario = load("GET, 50 clients", Policy::EverySecond, GET, 50, 1);
pub static GET_P16: Scenario = load("GET, 50 clients, pipeline 16", Policy::EverySecond, GET, 50, 16);
pub static SET_P1: Scenario = load("SET everysec, 50 clients", Policy::EverySecond, SET, 50, 1);
pub static SET_P16: Scenario =
    load("SET everysec, 50 clients, pipeline 16", Policy::EverySecond, SET, 50, 16);
/// Strings of 64 bytes stay as long as they are, so that these loads meet what the others meet.
pub static BITCOUNT_P16: Scenario =
    load("BITCOUNT, 50 clients, pipeline 16", Policy::EverySecond, "BITCOUNT {key}", 50, 16);
pub static SETBIT_P16: Scenario =
    load("SETBIT everysec, 50 clients, pipeline 16", Policy::EverySecond, "SETBIT {key} 300 1", 50, 16);
pub static SETRANGE_P16: Scenario = load(
    "SETRANGE everysec, 50 clients, pipeline 16",
    Policy::EverySecond,
    "SETRANGE {key} 20 0123456789",
    50,
    16,
);
/// One counter: other keys hold no numbers.
pub static INCRBYFLOAT_P16: Scenario = load(
    "INCRBYFLOAT everysec, 50 clients, pipeline 16",
    Policy::EverySecond,
    "INCRBYFLOAT counter 0.125",
    50,
    16,
);
pub static FILL: Scenario =
    Scenario { name: "fill and restart", policy: Policy::EverySecond, work: Work::FillAndRestart };

/// All, in the order in which they run: what writes most comes last.
pub static SCENARIOS: [&Scenario; 14] = [
    &ALWAYS_1,
    &ALWAYS_10,
    &ALWAYS_50,
    &ALWAYS_PROBE,
    &ALWAYS_50_P16,
    &GET_P1,
    &GET_P16,
    &SET_P1,
    &SET_P16,
    &BITCOUNT_P16,
    &SETBIT_P16,
    &SETRANGE_P16,
    &INCRBYFLOAT_P16,
    &FILL,
];
