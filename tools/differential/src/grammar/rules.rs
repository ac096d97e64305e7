//! What the table does not say of a command: values for its arguments, how its replies compare, why it is left out.

use super::values::Pool;
use crate::compare::How;

pub enum Rule {
    Made(Made),
    /// Left out, with the reason.
    Left(&'static str),
}

/// How lines of a command are made; what is empty follows from its row.
#[derive(Clone, Copy)]
pub struct Made {
    /// Instead of the row's syntax; one of them is drawn.
    pub forms: &'static [&'static str],
    pub how: Option<How>,
    /// Values by the argument's name.
    pub pools: &'static [(&'static str, Pool)],
    /// Behind it stands another command, but none of `without`.
    pub nested: bool,
    pub without: &'static [&'static str],
    pub weight: usize,
    /// Never spoiled: a stray word would ask for what is the server's own.
    pub whole: bool,
}

pub const fn made() -> Made {
    Made { forms: &[], how: None, pools: &[], nested: false, without: &[], weight: 0, whole: false }
}

impl Made {
    pub const fn how(self, how: How) -> Made {
        Made { how: Some(how), ..self }
    }

    const fn forms(self, forms: &'static [&'static str]) -> Made {
        Made { forms, ..self }
    }

    const fn pools(self, pools: &'static [(&'static str, Pool)]) -> Made {
        Made { pools, ..self }
    }

    const fn whole(self) -> Made {
        Made { whole: true, ..self }
    }

    const fn weight(self, weight: usize) -> Made {
        Made { weight, ..self }
    }

    const fn nested(self, without: &'static [&'static str]) -> Made {
        Made { nested: true, without, ..self }
    }
}

const fn left(reason: &'static str) -> Rule {
    Rule::Left(reason)
}

const fn how(how: How) -> Rule {
    Rule::Made(made().how(how))
}

const fn pools(pools: &'static [(&'static str, Pool)]) -> Rule {
    Rule::Made(made().pools(pools))
}

const fn weight(weight: usize) -> Rule {
    Rule::Made(made().weight(weight))
}

/// Servers are asked one after the other: times may differ by so much.
const SECONDS: How = How::Near(10);
const MILLISECONDS: How = How::Near(10_000);

pub fn of(name: &str) -> Option<Rule> {
    RULES.iter().find(|(of, _)| *of == name).map(|(_, rule)| match rule {
        Rule::Made(made) => Rule::Made(*made),
        Rule::Left(reason) => Rule::Left(reason),
    })
}

/// The values of an argument, by its name in any command.
pub fn pool(name: &str) -> Option<Pool> {
    POOLS.iter().find(|(names, _)| names.contains(&name)).map(|(_, pool)| *pool)
}

const POOLS: &[(&[&str], Pool)] = &[
    (&["seconds", "milliseconds", "ttl"], Pool::Span),
    (&["unix-time-seconds", "unix-time-milliseconds"], Pool::Moment),
    (&["offset"], Pool::Offset),
    (&["count", "numkeys", "samples"], Pool::Count),
    (&["db", "destination-db", "index1", "index2"], Pool::Database),
    (&["command-name"], Pool::CommandName),
    (
        &["cursor"],
        Pool::Words(&["0", "0", "0", "0", "0", "0", "0", "5", "abc", "-1", "18446744073709551616", ""]),
    ),
    (&["bit"], Pool::Words(&["0", "1", "0", "1", "0", "1", "2", "-1", "x"])),
    (
        &["encoding"],
        Pool::Words(&[
            "u1", "i1", "u4", "i5", "u8", "i8", "u16", "i32", "u32", "u63", "i64", "u64", "i65", "u0", "x8",
            "8", "", "u", "I8",
        ]),
    ),
    (&["operation"], Pool::Words(&["AND", "OR", "XOR", "NOT", "and", "not", "Or", "nand", ""])),
    (&["type"], Pool::Words(&["string", "STRING", "list", "hash", "nosuch", ""])),
    (&["timeout"], Pool::Words(&["0.01", "-1", "abc"])),
    (&["client-id"], Pool::Words(&["0", "-1", "999999999", "abc", "9223372036854775808"])),
];

const BITFIELD: &[(&str, Pool)] = &[(
    "offset",
    Pool::Words(&[
        "0",
        "1",
        "5",
        "7",
        "8",
        "63",
        "64",
        "100",
        "1000",
        "#0",
        "#1",
        "#2",
        "#30",
        "-1",
        "#-1",
        "#",
        "x",
        "",
        "4294967296",
        "9223372036854775807",
        "#9223372036854775807",
        "99999999999999999999",
    ]),
)];

/// Bits beyond the longest string, or few.
const BIT_OFFSET: &[(&str, Pool)] = &[("offset", Pool::Offset)];

const PAYLOADS: &[&[u8]] = &[
    b"\x00\x05\x68\x65\x6c\x6c\x6f\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a", // "hello"
    b"\x00\xc0\x7b\x0a\x00\x48\xe2\x53\xe1\x00\x7a\x67\xb9",                 // the integer 123
    b"\x00\xc3\x0b\x40\x78\x03\x61\x62\x63\x61\xe0\x69\x02\x01\x62\x63\x0a\x00\xc4\x94\xa1\x70\x2a\xe2\x3e\x06", // packed
    b"\x00\x00\x0a\x00\x5d\x9b\x5c\x40\x0f\x7f\xa2\xda", // empty
    b"\x00\x05\x68\x65\x6c\x6c\x6f\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0b", // wrong checksum
    b"\x00\x05\x68\x65",
    b"",
    b"text",
];

/// By name. Those of commands that are not there yet say what they will need.
pub const RULES: &[(&str, Rule)] = &[
    // strings and bits
    (
        "set",
        // A moment that is past: Redis counts the key until it notices.
        pools(&[("unix-time-seconds", Pool::Future), ("unix-time-milliseconds", Pool::Future)]),
    ),
    ("bitfield", pools(BITFIELD)),
    ("bitfield_ro", pools(BITFIELD)),
    ("setbit", pools(BIT_OFFSET)),
    ("getbit", pools(BIT_OFFSET)),
    ("incrbyfloat", pools(&[("increment", Pool::Double)])),
    // keys
    ("ttl", how(SECONDS)),
    ("pttl", how(MILLISECONDS)),
    ("expiretime", how(SECONDS)),
    ("pexpiretime", how(MILLISECONDS)),
    ("scan", Rule::Made(made().how(How::Walk { cursor: 1, group: 1 }))),
    ("restore", pools(&[("serialized-value", Pool::Bytes(PAYLOADS)), ("frequency", Pool::Count)])),
    ("restore-asking", left("a RESTORE that only nodes of a cluster send")),
    ("migrate", left("it needs a server to send to")),
    // What a value does not remember: whether APPEND, SETRANGE, INCRBYFLOAT and the like made it.
    ("object|encoding", how(How::Kind)),
    ("object|idletime", left("no time of last use is noted where nothing is evicted")),
    ("object|refcount", how(How::Kind)),
    (
        "wait",
        pools(&[
            ("numreplicas", Pool::Words(&["0", "-1", "abc"])),
            ("timeout", Pool::Words(&["0", "5", "-1", "abc"])),
        ]),
    ),
    // the connection
    ("quit", weight(1)),
    (
        "hello",
        Rule::Made(made().how(How::Kind).pools(&[
            ("protover", Pool::Words(&["2", "3", "3", "2", "1", "4", "abc", ""])),
            ("username", Pool::Words(&["default", "default", "nosuch", ""])),
            ("password", Pool::Words(&["", "secret"])),
        ])),
    ),
    ("auth", pools(&[("username", Pool::Words(&["default", "nosuch", ""]))])),
    ("select", pools(&[("index", Pool::Database)])),
    ("client|id", how(How::Kind)),
    (
        "client|kill",
        // Nothing that fits a connection of the test.
        Rule::Made(made().whole().pools(&[("kind", Pool::Words(&["master", "REPLICA", "pubsub", "nosuch"]))]).forms(&[
            "address:string",
            "filter(ID client-id:integer | ADDR address:string | LADDR address:string | USER username:string | TYPE kind:string)...",
        ])),
    ),
    ("client|reply", left("replies would not belong to their commands any more; it has tests of its own")),
    (
        "client|pause",
        // Not with the longest time: it overflows in Redis, which then does not wait.
        Rule::Made(
            made()
                .whole()
                .pools(&[("timeout", Pool::Words(&["0", "1", "-1", "abc", "9223372036854775808"]))]),
        ),
    ),
    ("client|unblock", how(How::Exact)),
    (
        "client|tracking",
        Rule::Made(made().how(How::Kind).forms(&["status(OFF)"])), // what is told between replies comes at any time
    ),
    // the server
    ("shutdown", left("it ends the server")),
    ("save", left("how long it takes, and whether another one runs, decides about its reply")),
    ("bgsave", left("whether another save runs decides about its reply")),
    ("bgrewriteaof", left("whether another save runs decides about its reply")),
    (
        "debug",
        // Most of it is about the inside of one server, or harms it.
        Rule::Made(made().whole().forms(&["DIGEST", "DIGEST-VALUE key:key...", "NOSUCH", "key:key"])),
    ),
    ("monitor", left("what it tells comes at any time; it has tests of its own")),
    ("sync", left("it is for replicas")),
    ("psync", left("it is for replicas")),
    ("replconf", left("it is for replicas")),
    ("flushall", weight(1)),
    ("flushdb", weight(1)),
    ("swapdb", weight(2)),
    ("command", how(How::Kind)),
    ("command|count", how(How::Kind)),
    ("command|list", how(How::Kind)), // rows are compared one by one in `tests/commands`
    ("command|info", how(How::Kind)),
    ("command|docs", how(How::Kind)),
    ("command|getkeys", Rule::Made(made().nested(&[]))),
    ("command|getkeysandflags", Rule::Made(made().nested(&["set", "bitfield"]))), // a known difference
    (
        "config|get",
        Rule::Made(made().whole().how(How::AnyOrder(2)).pools(&[(
            "parameter",
            Pool::Words(&[
                "maxmemory",
                "MAXMEMORY",
                "slowlog-*",
                "slowlog-max-len",
                "latency-tracking",
                "nosuch",
                "",
                "databases",
                "timeout",
                "[]",
            ]),
        )])),
    ),
    (
        "config|set",
        // Those that `run` sets back after each script, and that mean the same here.
        Rule::Made(made().whole().pools(&[
            ("parameter", Pool::Words(&["slowlog-max-len", "slowlog-log-slower-than", "latency-tracking", "nosuch"])),
            (
                "value",
                Pool::Words(&[
                    "0", "1", "128", "yes", "no", "NO", "maybe", "-1", "-2", "", "abc", "01", "1k",
                    "9223372036854775807", "9223372036854775808",
                ]),
            ),
        ])),
    ),
    ("config|resetstat", weight(1)),
    ("latency|latest", how(How::Kind)),
    ("latency|history", how(How::Kind)),
    ("latency|graph", how(How::Kind)),
    ("latency|reset", how(How::Kind)),
    ("latency|doctor", how(How::Kind)),
    ("latency|histogram", how(How::Kind)),
    ("slowlog|get", how(How::Kind)),
    ("slowlog|len", how(How::Kind)),
    ("lolwut", how(How::Kind)),
    ("memory|usage", how(How::Kind)),
    ("memory|stats", how(How::Kind)),
    ("memory|doctor", how(How::Kind)),
    ("memory|malloc-stats", how(How::Kind)),
    ("time", how(How::Kind)),
];
