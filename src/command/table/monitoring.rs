//! Commands with which the server tells of its own work.

use super::server::server;
use super::{Command, Flags, Keys, Run, row};
use crate::command::monitoring::{latency, monitor, slow_log};

const ADMIN: Flags = Flags::ADMIN;
const NOSCRIPT: Flags = Flags::NOSCRIPT;
const LOADING: Flags = Flags::LOADING;
const STALE: Flags = Flags::STALE;

const OPEN: &[Flags] = &[LOADING, STALE];
const OF_SLOWLOG: &[Flags] = &[ADMIN, LOADING, STALE];
const OF_LATENCY: &[Flags] = &[ADMIN, NOSCRIPT, LOADING, STALE];

const ALL_SUCCEEDED: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const SPECIAL: &[&str] = &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

pub(super) static ROWS: &[Command] = &[
    server(
        row("latency", -2, &[], Keys::NONE, Run::Container),
        "2.8.13",
        "Depends on the subcommand.",
        "Commands about what takes long.",
    )
    .subcommands(LATENCY),
    server(
        row("monitor", 1, OF_LATENCY, Keys::NONE, Run::Task(monitor::monitor)),
        "1.0.0",
        "O(1), and for every command of every client O(N) where N is the length of the command.",
        "Tells this connection every command from now on.",
    ),
    server(
        row("slowlog", -2, &[], Keys::NONE, Run::Container),
        "2.2.12",
        "Depends on the subcommand.",
        "Commands about commands that took long.",
    )
    .subcommands(SLOWLOG),
];

static LATENCY: &[Command] = &[
    server(
        row("latency|doctor", 2, OF_LATENCY, Keys::NONE, Run::Task(latency::doctor)),
        "2.8.13",
        "O(1)",
        "Tells what took long and what could be done.",
    )
    .tips(SPECIAL),
    server(
        row("latency|graph", 3, OF_LATENCY, Keys::NONE, Run::Task(latency::graph)).syntax("event:string"),
        "2.8.13",
        "O(1)",
        "Draws the samples of an event.",
    )
    .tips(SPECIAL),
    server(
        row("latency|help", 2, OPEN, Keys::NONE, Run::Session(latency::help)),
        "2.8.13",
        "O(1)",
        "Tells about the subcommands.",
    ),
    server(
        row("latency|histogram", -2, OF_LATENCY, Keys::NONE, Run::Task(latency::histogram))
            .syntax("[command:string...]"),
        "7.0.0",
        "O(N) where N is the number of commands that were called.",
        "Answers how long calls of commands have taken.",
    )
    .tips(SPECIAL),
    server(
        row("latency|history", 3, OF_LATENCY, Keys::NONE, Run::Task(latency::history)).syntax("event:string"),
        "2.8.13",
        "O(1)",
        "Answers the samples of an event.",
    )
    .tips(SPECIAL),
    server(
        row("latency|latest", 2, OF_LATENCY, Keys::NONE, Run::Task(latency::latest)),
        "2.8.13",
        "O(1)",
        "Answers the last sample of each event.",
    )
    .tips(SPECIAL),
    server(
        row("latency|reset", -2, OF_LATENCY, Keys::NONE, Run::Task(latency::reset))
            .syntax("[event:string...]"),
        "2.8.13",
        "O(1)",
        "Forgets events.",
    )
    .tips(ALL_SUCCEEDED),
];

static SLOWLOG: &[Command] = &[
    server(
        row("slowlog|get", -2, OF_SLOWLOG, Keys::NONE, Run::Task(slow_log::get)).syntax("[count:integer]"),
        "2.2.12",
        "O(N) where N is the number of entries answered.",
        "Answers commands that took long.",
    )
    .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    server(
        row("slowlog|help", 2, OPEN, Keys::NONE, Run::Session(slow_log::help)),
        "6.2.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    server(
        row("slowlog|len", 2, OF_SLOWLOG, Keys::NONE, Run::Task(slow_log::len)),
        "2.2.12",
        "O(1)",
        "Answers how many commands that took long are kept.",
    )
    .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    server(
        row("slowlog|reset", 2, OF_SLOWLOG, Keys::NONE, Run::Task(slow_log::reset)),
        "2.2.12",
        "O(N) where N is the number of entries.",
        "Forgets commands that took long.",
    )
    .tips(ALL_SUCCEEDED),
];
