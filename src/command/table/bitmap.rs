//! Commands on the bits of strings.

use super::{Command, Flags, Run, one, row};
use crate::command::bitmap::{fields, operation, search, single};
use crate::command::{Across, Keys};

const WRITE: Flags = Flags::WRITE;
const READONLY: Flags = Flags::READONLY;
const DENYOOM: Flags = Flags::DENYOOM;
const FAST: Flags = Flags::FAST;

const READ: &[&[&str]] = &[&["RO", "access"]];

/// `command` with what all rows here share.
const fn bitmap(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command.docs("bitmap", since, complexity, summary).acl(&["bitmap"])
}

const ON_KEY: Across = Across::Never;

pub(super) static ROWS: &[Command] = &[
    bitmap(
        row("bitcount", -2, &[READONLY], one(READ), Run::Keys(search::bit_count, ON_KEY))
            .syntax("key:key [index{start:integer end:integer [index_unit(BYTE | BIT)@7.0.0]}]"),
        "2.6.0",
        "O(N) with the length of the range.",
        "Counts the bits of a string that are 1, in a range of bytes or bits if given.",
    ),
    bitmap(
        row(
            "bitfield",
            -2,
            &[WRITE, DENYOOM],
            one(&[&["RW", "access", "update", "variable_flags"]]),
            Run::Keys(fields::bit_field, ON_KEY),
        )
        .actual_access(fields::access)
        .syntax(
            "key:key [operation(GET encoding_offset{encoding:string offset:integer} | write{[OVERFLOW \
             wrap_sat_fail(WRAP | SAT | FAIL)] write_operation(SET encoding_offset_value{encoding:string \
             offset:integer value:integer} | INCRBY encoding_offset_increment{encoding:string \
             offset:integer increment:integer})})...]",
        ),
        "3.2.0",
        "O(1) for each operation.",
        "Reads, sets and adds to integers of any width that stand anywhere in a string.",
    ),
    bitmap(
        row("bitfield_ro", -2, &[READONLY, FAST], one(READ), Run::Keys(fields::bit_field_ro, ON_KEY))
            .syntax("key:key [GET encoding_offset{encoding:string offset:integer}...*]"),
        "6.0.0",
        "O(1) for each operation.",
        "Reads integers of any width that stand anywhere in a string.",
    ),
    bitmap(
        row(
            "bitop",
            -4,
            &[WRITE, DENYOOM],
            Keys { first: 2, last: -1, step: 1, access: &[&["OW", "update"], &["RO", "access"]] },
            Run::Keys(operation::bit_op, Across::TwoStep(operation::across)),
        )
        .syntax("operation:string destkey:key key:key#1..."),
        "2.6.0",
        "O(N) with the length of the longest string, for each of them.",
        "Stores the AND, OR or XOR of several strings, or the NOT of one.",
    ),
    bitmap(
        row("bitpos", -3, &[READONLY], one(READ), Run::Keys(search::bit_pos, ON_KEY)).syntax(
            "key:key bit:integer [index{start:integer [end_index{end:integer [index_unit(BYTE | \
                 BIT)@7.0.0]}]}]",
        ),
        "2.8.7",
        "O(N) with the length of the range.",
        "Finds the first bit of a string that is 1, or 0, in a range of bytes or bits if given.",
    ),
    bitmap(
        row("getbit", 3, &[READONLY, FAST], one(READ), Run::Keys(single::get_bit, ON_KEY))
            .syntax("key:key offset:integer"),
        "2.2.0",
        "O(1)",
        "Answers a bit of a string, 0 behind its end.",
    ),
    bitmap(
        row(
            "setbit",
            4,
            &[WRITE, DENYOOM],
            one(&[&["RW", "access", "update"]]),
            Run::Keys(single::set_bit, ON_KEY),
        )
        .syntax("key:key offset:integer value:integer"),
        "2.2.0",
        "O(1), but for zeros that the string must grow by.",
        "Sets a bit of a string and answers what it was; a short string grows by zeros.",
    ),
];
