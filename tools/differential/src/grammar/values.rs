//! What stands for an argument: values at the edges, and such that commands meet on them.
//!
//! Invariants:
//! 1. No value lets a key end within the time of a script, unless it ends at once.
//! 2. No value asks a server for more than a few hundred kilobytes.

use crate::random::Random;

/// From which values an argument is taken.
#[derive(Clone, Copy)]
pub enum Pool {
    Words(&'static [&'static str]),
    Bytes(&'static [&'static [u8]]),
    Key,
    /// What a string may hold.
    Value,
    Integer,
    Double,
    Pattern,
    /// Seconds or milliseconds from now: see invariant 1.
    Span,
    /// A moment, in seconds or milliseconds: past, or further away than any test takes.
    Moment,
    /// As `Moment`, never past.
    Future,
    Offset,
    Count,
    Database,
    /// Names of commands that both servers know.
    CommandName,
}

/// Few, so that commands meet: slots and shards of their own, tags that join, blank, binary, empty, long.
const KEYS: &[&[u8]] =
    &[b"a", b"b", b"c", b"d", b"{t}1", b"{t}2", b"", b"with blank", b"\x00\xff\r\n*{", &[b'k'; 300]];

const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"12345678901234567890",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"007",
    b"+1",
    b" 1",
    b"-0",
    b"3.14",
    b"-1.5e3",
    b"1e400",
    b"inf",
    b"nan",
    b"0x10",
    b"5.0",
    b"text",
    b"Hello, world",
    b"ohmytext",
    b"mynewtext",
    b"x\r\ny",
    b"\x00",
    b"\xff\xfe\x00\x01\x80",
    b"\xf0\xf0\x0f\xff",
    &[b'e'; 44], // the longest that Redis keeps beside its header
    &[b'f'; 45],
    &[0; 64],
    &[0xff; 33],
    &[b'v'; 3000],
    b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "-2",
    "5",
    "10",
    "100",
    "-100",
    "2147483647",
    "-2147483648",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
];

const NO_NUMBERS: &[&str] = &["", "abc", "1.5", " 1", "1 ", "01", "-0", "+1", "0x1", "-", "1e2", "nan"];

const DOUBLES: &[&str] = &[
    "0",
    "-0",
    "1",
    "0.1",
    "-1.5",
    "3.0",
    "1e10",
    "1.7976931348623157e308",
    "5e-324",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "infinity",
    "0x1p3",
    " 1.5",
    "1.5 ",
    "1e",
    "99999999999999999999",
    "1e400",
    ".5",
    "5.",
];

const PATTERNS: &[&str] =
    &["*", "a", "?", "[ab]", "[^a]", "{t}*", "*\\*", "[a-", "\\", "", "k*k", "**", "[b-a]"];

/// Many, as which of two equal ones ends first would depend on the clock.
const SPANS: usize = 30_000;
const SPAN_STEP: usize = 100_000;
const ODD_TIMES: &[&str] = &["0", "-1", "-1000000", "9223372036854775807", "-9223372036854775808"];

/// In the future, be they read as seconds or as milliseconds.
const MOMENTS: &[&str] = &["3300000000000", "3300000000001", "3400000000000", "4000000000000"];
const PAST: &[&str] = &["1", "1000", "1500000000"];

const OFFSETS: &[&str] =
    &["0", "1", "2", "5", "7", "8", "9", "15", "16", "31", "63", "64", "100", "1000", "20000"];
const ODD_OFFSETS: &[&str] = &[
    "-1",
    "-2",
    "-5",
    "-1000",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
];

const COUNTS: &[&str] = &["1", "2", "3", "10", "100", "1000"];
const ODD_COUNTS: &[&str] = &["0", "-1", "-3", "-10", "4294967296"];

const DATABASES: &[&str] = &["0", "0", "0", "1", "1", "2", "3"];
const ODD_DATABASES: &[&str] =
    &["15", "16", "-1", "4294967296", "9223372036854775807", "99999999999999999999"];

impl Pool {
    pub fn draw(self, random: &mut Random) -> Vec<u8> {
        match self {
            Pool::Words(words) => random.pick(words).as_bytes().to_vec(),
            Pool::Bytes(values) => random.pick(values).to_vec(),
            Pool::Key => key(random),
            Pool::Value => value(random),
            Pool::Integer => number(random, INTEGERS, &[]),
            Pool::Double => number(random, DOUBLES, &[]),
            Pool::Pattern => random.pick(PATTERNS).as_bytes().to_vec(),
            Pool::Span if random.percent(20) => number(random, ODD_TIMES, &[]),
            Pool::Span => (SPAN_STEP * (10 + random.below(SPANS))).to_string().into_bytes(),
            Pool::Moment if random.percent(15) => random.pick(PAST).as_bytes().to_vec(),
            Pool::Moment | Pool::Future => number(random, MOMENTS, ODD_TIMES),
            Pool::Offset => number(random, OFFSETS, ODD_OFFSETS),
            Pool::Count => number(random, COUNTS, ODD_COUNTS),
            Pool::Database => number(random, DATABASES, ODD_DATABASES),
            Pool::CommandName => super::known_names(random),
        }
    }
}

/// A usual one, an odd one, or none at all.
fn number(random: &mut Random, usual: &[&str], odd: &[&str]) -> Vec<u8> {
    let from = match random.below(100) {
        0..3 => NO_NUMBERS,
        3..25 if !odd.is_empty() => odd,
        _ => usual,
    };
    random.pick(from).as_bytes().to_vec()
}

/// The first few more often.
fn key(random: &mut Random) -> Vec<u8> {
    let most = if random.percent(70) { 4 } else { KEYS.len() };
    random.pick(&KEYS[..most]).to_vec()
}

fn value(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0 => (0..random.below(200)).map(|_| random.next() as u8).collect(),
        1 => random.next().to_string().into_bytes(),
        2 => (random.next() as i64).to_string().into_bytes(),
        3 => random.below(1000).to_string().into_bytes(),
        4 => (0..random.below(40)).map(|_| b'a' + random.below(3) as u8).collect(),
        _ => random.pick(VALUES).to_vec(),
    }
}
