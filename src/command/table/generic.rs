//! Commands on keys of any type.

use super::{Command, Flags, Keys, Run, many, one, row, two};
use crate::command::key::{across, basic, expiry, object, random, scan, serialize, transfer};
use crate::command::{Across, Merge};

const WRITE: Flags = Flags::WRITE;
const READONLY: Flags = Flags::READONLY;
const DENYOOM: Flags = Flags::DENYOOM;
const FAST: Flags = Flags::FAST;

const LOOK: &[&[&str]] = &[&["RO"]];
const READ: &[&[&str]] = &[&["RO", "access"]];
const UPDATE: &[&[&str]] = &[&["RW", "update"]];
const REMOVE: &[&[&str]] = &[&["RM", "delete"]];

const ON_KEY: Across = Across::Never;
const SUM: Across = Across::Split { group: 1, merge: Merge::Sum };
const SUM_TIPS: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

/// `command` with what all rows here share.
const fn generic(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command.docs("generic", since, complexity, summary).acl(&["keyspace"])
}

pub(super) static ROWS: &[Command] = &[
    generic(
        row(
            "copy",
            -3,
            &[WRITE, DENYOOM],
            two(&[&["RO", "access"], &["OW", "update"]]),
            Run::Task(across::copy),
        )
        .syntax("source:key destination:key#1 [DB destination-db:integer] [REPLACE]"),
        "6.2.0",
        "O(1) for strings, O(N) for collections of N elements.",
        "Copies what a key holds, and when it ends, to another key.",
    ),
    generic(
        row("del", -2, &[WRITE], many(1, REMOVE), Run::Keys(basic::del, SUM)).syntax("key:key..."),
        "1.0.0",
        "O(N) where N is the number of keys, and of the elements of those that hold collections.",
        "Deletes keys.",
    )
    .tips(SUM_TIPS),
    generic(
        row("dump", 2, &[READONLY], one(READ), Run::Keys(serialize::dump, ON_KEY)).syntax("key:key"),
        "2.6.0",
        "O(N) where N is the length of the value.",
        "Answers what a key holds, in a form that RESTORE takes.",
    )
    .tips(&["nondeterministic_output"]),
    generic(
        row("exists", -2, &[READONLY, FAST], many(1, LOOK), Run::Keys(basic::exists, SUM))
            .syntax("key:key..."),
        "1.0.0",
        "O(N) where N is the number of keys.",
        "Counts how many of the keys are there.",
    )
    .tips(SUM_TIPS),
    generic(
        row("expire", -3, &[WRITE, FAST], one(UPDATE), Run::Keys(expiry::expire, ON_KEY))
            .syntax("key:key seconds:integer [condition(NX | XX | GT | LT)@7.0.0]"),
        "1.0.0",
        "O(1)",
        "Lets a key end after so many seconds.",
    ),
    generic(
        row("expireat", -3, &[WRITE, FAST], one(UPDATE), Run::Keys(expiry::expire_at, ON_KEY))
            .syntax("key:key unix-time-seconds:unix-time [condition(NX | XX | GT | LT)@7.0.0]"),
        "1.2.0",
        "O(1)",
        "Lets a key end at a Unix time in seconds.",
    ),
    generic(
        row("expiretime", 2, &[READONLY, FAST], one(READ), Run::Keys(expiry::expire_time, ON_KEY))
            .syntax("key:key"),
        "7.0.0",
        "O(1)",
        "Answers the Unix time in seconds at which a key ends.",
    ),
    generic(
        row(
            "keys",
            2,
            &[READONLY, Flags::WHOLE_KEYSPACE],
            Keys::NONE,
            Run::Everywhere(scan::keys, Merge::Concatenate),
        )
        .syntax("pattern:pattern"),
        "1.0.0",
        "O(N) where N is the number of keys in the database.",
        "Answers all keys that match a pattern.",
    )
    .acl(&["keyspace", "dangerous"])
    .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    generic(
        row("move", 3, &[WRITE, FAST], one(&[&["RW", "access", "update"]]), Run::Task(across::move_key))
            .syntax("key:key db:integer"),
        "1.0.0",
        "O(1)",
        "Moves a key to another database, unless one of its name is there.",
    ),
    row("object", -2, &[], Keys::NONE, Run::Container)
        .docs("generic", "2.2.3", "Depends on the subcommand.", "Commands about how values are kept.")
        .subcommands(OBJECT),
    generic(
        row("persist", 2, &[WRITE, FAST], one(UPDATE), Run::Keys(expiry::persist, ON_KEY)).syntax("key:key"),
        "2.2.0",
        "O(1)",
        "Takes away the time when a key ends.",
    ),
    generic(
        row("pexpire", -3, &[WRITE, FAST], one(UPDATE), Run::Keys(expiry::pexpire, ON_KEY))
            .syntax("key:key milliseconds:integer [condition(NX | XX | GT | LT)@7.0.0]"),
        "2.6.0",
        "O(1)",
        "Lets a key end after so many milliseconds.",
    ),
    generic(
        row("pexpireat", -3, &[WRITE, FAST], one(UPDATE), Run::Keys(expiry::pexpire_at, ON_KEY))
            .syntax("key:key unix-time-milliseconds:unix-time [condition(NX | XX | GT | LT)@7.0.0]"),
        "2.6.0",
        "O(1)",
        "Lets a key end at a Unix time in milliseconds.",
    ),
    generic(
        row("pexpiretime", 2, &[READONLY, FAST], one(READ), Run::Keys(expiry::pexpire_time, ON_KEY))
            .syntax("key:key"),
        "7.0.0",
        "O(1)",
        "Answers the Unix time in milliseconds at which a key ends.",
    ),
    generic(
        row("pttl", 2, &[READONLY, FAST], one(READ), Run::Keys(expiry::pttl, ON_KEY)).syntax("key:key"),
        "2.6.0",
        "O(1)",
        "Answers in how many milliseconds a key ends.",
    )
    .tips(&["nondeterministic_output"]),
    generic(
        row("randomkey", 1, &[READONLY, Flags::WHOLE_KEYSPACE], Keys::NONE, Run::Task(random::random_key)),
        "1.0.0",
        "O(1)",
        "Answers a key by chance, each as likely as any other.",
    )
    .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    generic(
        row(
            "rename",
            3,
            &[WRITE],
            two(&[&["RW", "access", "delete"], &["OW", "update"]]),
            Run::Keys(transfer::rename, Across::TwoStep(across::rename)),
        )
        .syntax("key:key newkey:key#1"),
        "1.0.0",
        "O(1)",
        "Gives a key another name; a key that had it is overwritten.",
    ),
    generic(
        row(
            "renamenx",
            3,
            &[WRITE, FAST],
            two(&[&["RW", "access", "delete"], &["OW", "insert"]]),
            Run::Keys(transfer::rename_nx, Across::TwoStep(across::rename_nx)),
        )
        .syntax("key:key newkey:key#1"),
        "1.0.0",
        "O(1)",
        "Gives a key another name unless a key has it.",
    ),
    generic(
        row(
            "restore",
            -4,
            &[WRITE, DENYOOM],
            one(&[&["OW", "update"]]),
            Run::Keys(serialize::restore, ON_KEY),
        )
        .syntax(
            "key:key ttl:integer serialized-value:string [REPLACE@3.0.0] [ABSTTL@5.0.0] [IDLETIME seconds:integer@5.0.0] \
             [FREQ frequency:integer@5.0.0]",
        ),
        "2.6.0",
        "O(N) where N is the length of the value.",
        "Makes a key of what DUMP answered.",
    )
    .acl(&["keyspace", "dangerous"]),
    generic(
        row("scan", -2, &[READONLY, Flags::WHOLE_KEYSPACE], Keys::NONE, Run::Routed(scan::scan, scan::route))
            .syntax("cursor:integer [MATCH pattern:pattern] [COUNT count:integer] [TYPE type:string@6.0.0]"),
        "2.8.0",
        "O(1) per call, O(N) for a whole walk over N keys.",
        "Walks over the keys of the database, some per call.",
    )
    .tips(&["nondeterministic_output", "request_policy:special"]),
    generic(
        row("touch", -2, &[READONLY, FAST], many(1, LOOK), Run::Keys(basic::exists, SUM))
            .syntax("key:key..."),
        "3.2.1",
        "O(N) where N is the number of keys.",
        "Counts how many of the keys are there, as a use of them.",
    )
    .tips(SUM_TIPS),
    generic(
        row("ttl", 2, &[READONLY, FAST], one(READ), Run::Keys(expiry::ttl, ON_KEY)).syntax("key:key"),
        "1.0.0",
        "O(1)",
        "Answers in how many seconds a key ends.",
    )
    .tips(&["nondeterministic_output"]),
    generic(
        row("type", 2, &[READONLY, FAST], one(LOOK), Run::Keys(basic::type_of, ON_KEY)).syntax("key:key"),
        "1.0.0",
        "O(1)",
        "Answers the type of what a key holds.",
    ),
    generic(
        row("unlink", -2, &[WRITE, FAST], many(1, REMOVE), Run::Keys(basic::del, SUM)).syntax("key:key..."),
        "4.0.0",
        "O(N) where N is the number of keys.",
        "Deletes keys.",
    )
    .tips(SUM_TIPS),
];

/// The key of a subcommand.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1, access: LOOK };

static OBJECT: &[Command] = &[
    about_object(
        row("object|encoding", 3, &[READONLY], SECOND, Run::Keys(object::encoding_of, ON_KEY))
            .syntax("key:key"),
        "2.2.3",
        "Answers what Redis calls the form of a value.",
    ),
    about_object(
        row("object|freq", 3, &[READONLY], SECOND, Run::Keys(object::frequency, ON_KEY)).syntax("key:key"),
        "4.0.0",
        "Answers how often a key is used.",
    ),
    generic(
        row("object|help", 2, &[Flags::LOADING, Flags::STALE], Keys::NONE, Run::Session(object::help)),
        "6.2.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    about_object(
        row("object|idletime", 3, &[READONLY], SECOND, Run::Keys(object::idle_time, ON_KEY))
            .syntax("key:key"),
        "2.2.3",
        "Answers for how long a key was not used.",
    ),
    about_object(
        row("object|refcount", 3, &[READONLY], SECOND, Run::Keys(object::refcount_of, ON_KEY))
            .syntax("key:key"),
        "2.2.3",
        "Answers how many references a value has.",
    ),
];

const fn about_object(command: Command, since: &'static str, summary: &'static str) -> Command {
    generic(command, since, "O(1)", summary).tips(&["nondeterministic_output"])
}
