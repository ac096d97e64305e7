//! Commands on strings.

use super::{Command, Flags, Run, many, one, row, two};
use crate::command::key::across;
use crate::command::string::{counter, float, lcs, range, set, value};
use crate::command::{Across, Merge};

const WRITE: Flags = Flags::WRITE;
const READONLY: Flags = Flags::READONLY;
const DENYOOM: Flags = Flags::DENYOOM;
const FAST: Flags = Flags::FAST;

const READ: &[&[&str]] = &[&["RO", "access"]];
const UPDATE: &[&[&str]] = &[&["RW", "access", "update"]];
const OVERWRITE: &[&[&str]] = &[&["OW", "update"]];
const INSERT: &[&[&str]] = &[&["OW", "insert"]];

/// `command` with what all rows here share.
const fn string(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command.docs("string", since, complexity, summary).acl(&["string"])
}

const ON_KEY: Across = Across::Never;

pub(super) static ROWS: &[Command] = &[
    string(
        row(
            "append",
            3,
            &[WRITE, DENYOOM, FAST],
            one(&[&["RW", "insert"]]),
            Run::Keys(value::append, ON_KEY),
        )
        .syntax("key:key value:string"),
        "2.0.0",
        "O(1) on average, O(N) with the length of the string when it is copied.",
        "Adds bytes at the end of a string; a missing key counts as empty.",
    ),
    string(
        row("decr", 2, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(counter::decr, ON_KEY))
            .syntax("key:key"),
        "1.0.0",
        "O(1)",
        "Takes one from the integer at a key; a missing key counts as 0.",
    ),
    string(
        row("decrby", 3, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(counter::decr_by, ON_KEY))
            .syntax("key:key decrement:integer"),
        "1.0.0",
        "O(1)",
        "Takes a number from the integer at a key; a missing key counts as 0.",
    ),
    string(
        row("get", 2, &[READONLY, FAST], one(READ), Run::Keys(value::get, ON_KEY)).syntax("key:key"),
        "1.0.0",
        "O(1)",
        "Answers the string at a key.",
    ),
    string(
        row(
            "getdel",
            2,
            &[WRITE, FAST],
            one(&[&["RW", "access", "delete"]]),
            Run::Keys(value::get_del, ON_KEY),
        )
        .syntax("key:key"),
        "6.2.0",
        "O(1)",
        "Answers the string at a key and deletes the key.",
    ),
    string(
        row("getex", -2, &[WRITE, FAST], one(UPDATE), Run::Keys(set::get_ex, ON_KEY)).syntax(
            "key:key [expiration(EX seconds:integer | PX milliseconds:integer | EXAT \
             unix-time-seconds:unix-time | PXAT unix-time-milliseconds:unix-time | PERSIST)]",
        ),
        "6.2.0",
        "O(1)",
        "Answers the string at a key, and sets or takes away the time when the key ends.",
    ),
    string(
        row("getrange", 4, &[READONLY], one(READ), Run::Keys(range::get_range, ON_KEY))
            .syntax("key:key start:integer end:integer"),
        "2.4.0",
        "O(N) with the length of the part.",
        "Answers a part of the string at a key.",
    ),
    string(
        row("getset", 3, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(set::get_set, ON_KEY))
            .syntax("key:key value:string"),
        "1.0.0",
        "O(1)",
        "Sets a string and answers what was there before.",
    )
    .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    string(
        row("incr", 2, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(counter::incr, ON_KEY))
            .syntax("key:key"),
        "1.0.0",
        "O(1)",
        "Adds one to the integer at a key; a missing key counts as 0.",
    ),
    string(
        row("incrby", 3, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(counter::incr_by, ON_KEY))
            .syntax("key:key increment:integer"),
        "1.0.0",
        "O(1)",
        "Adds a number to the integer at a key; a missing key counts as 0.",
    ),
    string(
        row("incrbyfloat", 3, &[WRITE, DENYOOM, FAST], one(UPDATE), Run::Keys(float::incr_by_float, ON_KEY))
            .syntax("key:key increment:double"),
        "2.6.0",
        "O(1)",
        "Adds a number that may have a fraction to the one at a key; a missing key counts as 0.",
    ),
    string(
        row("lcs", -3, &[READONLY], two(READ), Run::Keys(lcs::lcs, Across::TwoStep(lcs::across)))
            .syntax("key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:integer] [WITHMATCHLEN]"),
        "7.0.0",
        "O(N*M) with the lengths of the two strings.",
        "Finds the longest sequence of bytes that two strings have in common.",
    ),
    string(
        row(
            "mget",
            -2,
            &[READONLY, FAST],
            many(1, READ),
            Run::Keys(value::mget, Across::Split { group: 1, merge: Merge::Interleave }),
        )
        .syntax("key:key..."),
        "1.0.0",
        "O(N) where N is the number of keys.",
        "Answers the strings at several keys, read at one moment.",
    )
    .tips(&["request_policy:multi_shard"]),
    string(
        row(
            "mset",
            -3,
            &[WRITE, DENYOOM],
            many(2, OVERWRITE),
            Run::Keys(set::mset, Across::Split { group: 2, merge: Merge::Ok }),
        )
        .syntax("key_value{key:key value:string}..."),
        "1.0.1",
        "O(N) where N is the number of keys.",
        "Sets several keys at one moment, all or none.",
    )
    .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    string(
        row(
            "msetnx",
            -3,
            &[WRITE, DENYOOM],
            many(2, INSERT),
            Run::Keys(set::mset_nx, Across::TwoStep(across::mset_nx)),
        )
        .syntax("key_value{key:key value:string}..."),
        "1.0.1",
        "O(N) where N is the number of keys.",
        "Sets several keys at one moment if none of them is there.",
    )
    .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    string(
        row("psetex", 4, &[WRITE, DENYOOM], one(OVERWRITE), Run::Keys(set::pset_ex, ON_KEY))
            .syntax("key:key milliseconds:integer value:string"),
        "2.6.0",
        "O(1)",
        "Sets a string that ends after so many milliseconds.",
    ),
    string(
        row(
            "set",
            -3,
            &[WRITE, DENYOOM],
            one(&[&["RW", "access", "update", "variable_flags"]]),
            Run::Keys(set::set, ON_KEY),
        )
        .actual_access(set::access)
        .syntax(
            "key:key value:string [condition(NX | XX)@2.6.12] [GET@6.2.0] [expiration(EX \
             seconds:integer@2.6.12 | PX milliseconds:integer@2.6.12 | EXAT \
             unix-time-seconds:unix-time@6.2.0 | PXAT unix-time-milliseconds:unix-time@6.2.0 | \
             KEEPTTL@6.0.0)]",
        ),
        "1.0.0",
        "O(1)",
        "Sets a string, whatever the key held before; on conditions and with an end if so asked.",
    ),
    string(
        row("setex", 4, &[WRITE, DENYOOM], one(OVERWRITE), Run::Keys(set::set_ex, ON_KEY))
            .syntax("key:key seconds:integer value:string"),
        "2.0.0",
        "O(1)",
        "Sets a string that ends after so many seconds.",
    ),
    string(
        row("setnx", 3, &[WRITE, DENYOOM, FAST], one(INSERT), Run::Keys(set::set_nx, ON_KEY))
            .syntax("key:key value:string"),
        "1.0.0",
        "O(1)",
        "Sets a string if the key is not there.",
    ),
    string(
        row("setrange", 4, &[WRITE, DENYOOM], one(&[&["RW", "update"]]), Run::Keys(range::set_range, ON_KEY))
            .syntax("key:key offset:integer value:string"),
        "2.2.0",
        "O(N) with the number of bytes, and of zeros that the string must grow by.",
        "Overwrites a part of the string at a key; a short string grows by zeros.",
    ),
    string(
        row("strlen", 2, &[READONLY, FAST], one(&[&["RO"]]), Run::Keys(value::strlen, ON_KEY))
            .syntax("key:key"),
        "2.2.0",
        "O(1)",
        "Answers the length in bytes of the string at a key, 0 without one.",
    ),
    string(
        row("substr", 4, &[READONLY], one(READ), Run::Keys(range::get_range, ON_KEY))
            .syntax("key:key start:integer end:integer"),
        "1.0.0",
        "O(N) with the length of the part.",
        "Answers a part of the string at a key.",
    )
    .deprecated("2.0.0", "`GETRANGE`"),
];
