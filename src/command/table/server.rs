//! Commands about the server, and on whole databases.

use super::{Command, Flags, Keys, Run, row};
use crate::command::server::{
    config, database, debug, durability, info, introspection, lifetime, lolwut, memory, saving,
};
use crate::command::{Across, Merge};

const WRITE: Flags = Flags::WRITE;
const READONLY: Flags = Flags::READONLY;
const ADMIN: Flags = Flags::ADMIN;
const NOSCRIPT: Flags = Flags::NOSCRIPT;
const LOADING: Flags = Flags::LOADING;
const STALE: Flags = Flags::STALE;
const FAST: Flags = Flags::FAST;

/// `command` with what all rows of this group share.
pub(super) const fn server(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command.docs("server", since, complexity, summary)
}

const OPEN: &[Flags] = &[LOADING, STALE];
const CONFIGURES: &[Flags] = &[ADMIN, NOSCRIPT, LOADING, STALE];
const SAVES: &[Flags] = &[ADMIN, NOSCRIPT, Flags::NO_ASYNC_LOADING];
const FLUSH_TIPS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub(super) static ROWS: &[Command] = &[
    server(
        row("bgrewriteaof", 1, SAVES, Keys::NONE, Run::Task(saving::bg_rewrite_aof)),
        "1.0.0",
        "O(1)",
        "Begins a checkpoint, which releases the log before it.",
    ),
    server(
        row("bgsave", -1, SAVES, Keys::NONE, Run::Task(saving::bg_save)).syntax("[SCHEDULE@3.2.2]"),
        "1.0.0",
        "O(1)",
        "Begins a checkpoint, and writes the keys into an RDB file.",
    ),
    server(
        row("command", -1, OPEN, Keys::NONE, Run::Session(introspection::command)),
        "2.8.13",
        "O(N) where N is the number of commands.",
        "Tells about all commands.",
    )
    .acl(&["connection"])
    .tips(&["nondeterministic_output_order"])
    .subcommands(COMMAND),
    server(
        row("config", -2, &[], Keys::NONE, Run::Container),
        "2.0.0",
        "Depends on the subcommand.",
        "Commands about the settings.",
    )
    .subcommands(CONFIG),
    server(
        row(
            "dbsize",
            1,
            &[READONLY, FAST, Flags::WHOLE_KEYSPACE],
            Keys::NONE,
            Run::Everywhere(database::dbsize, Merge::Sum),
        ),
        "1.0.0",
        "O(1)",
        "Answers how many keys the database has.",
    )
    .acl(&["keyspace"])
    .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    server(
        row("debug", -2, &[ADMIN, NOSCRIPT, LOADING, STALE], Keys::NONE, Run::Task(debug::debug)),
        "1.0.0",
        "Depends on the subcommand.",
        "Commands for tests.",
    )
    .for_developers(),
    server(
        row(
            "flushall",
            -1,
            &[WRITE, Flags::WHOLE_KEYSPACE],
            Keys::NONE,
            Run::Everywhere(database::flush_all, Merge::Ok),
        )
        .syntax("[async(ASYNC@4.0.0 | SYNC@6.2.0)]"),
        "1.0.0",
        "O(N) where N is the number of keys.",
        "Deletes all keys of all databases.",
    )
    .acl(&["keyspace", "dangerous"])
    .tips(FLUSH_TIPS),
    server(
        row(
            "flushdb",
            -1,
            &[WRITE, Flags::WHOLE_KEYSPACE],
            Keys::NONE,
            Run::Everywhere(database::flush_db, Merge::Ok),
        )
        .syntax("[async(ASYNC@4.0.0 | SYNC@6.2.0)]"),
        "1.0.0",
        "O(N) where N is the number of keys of the database.",
        "Deletes all keys of the database.",
    )
    .acl(&["keyspace", "dangerous"])
    .tips(FLUSH_TIPS),
    server(
        row("info", -1, OPEN, Keys::NONE, Run::Task(info::info)).syntax("[section:string...]"),
        "1.0.0",
        "O(1)",
        "Tells figures about the server.",
    )
    .acl(&["dangerous"])
    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    server(
        row("lastsave", 1, &[LOADING, STALE, FAST], Keys::NONE, Run::Session(saving::last_save)),
        "1.0.0",
        "O(1)",
        "Answers the Unix time of the last good save.",
    )
    .acl(&["admin", "dangerous"])
    .tips(&["nondeterministic_output"]),
    server(
        row("lolwut", -1, &[READONLY, FAST], Keys::NONE, Run::Session(lolwut::lolwut))
            .syntax("[VERSION version:integer]"),
        "5.0.0",
        "O(1)",
        "Shows a picture, and the version.",
    ),
    server(
        row("memory", -2, &[], Keys::NONE, Run::Container),
        "4.0.0",
        "Depends on the subcommand.",
        "Commands about the memory in use.",
    )
    .subcommands(MEMORY),
    server(
        row(
            "save",
            1,
            &[ADMIN, NOSCRIPT, Flags::NO_ASYNC_LOADING, Flags::NO_MULTI],
            Keys::NONE,
            Run::Task(saving::save),
        ),
        "1.0.0",
        "O(N) where N is the number of keys.",
        "As BGSAVE, and answers when it is done.",
    ),
    server(
        row(
            "shutdown",
            -1,
            &[ADMIN, NOSCRIPT, LOADING, STALE, Flags::NO_MULTI, Flags::ALLOW_BUSY],
            Keys::NONE,
            Run::Task(lifetime::shutdown),
        )
        .syntax("[nosave_save(NOSAVE | SAVE)] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]"),
        "1.0.0",
        "O(1) where the log has everything, O(N) with a save, where N is the number of keys.",
        "Ends the server when everything is on stable storage.",
    ),
    server(
        row(
            "swapdb",
            3,
            &[WRITE, FAST, Flags::WHOLE_KEYSPACE],
            Keys::NONE,
            Run::Everywhere(database::swap_db, Merge::Ok),
        )
        .syntax("index1:integer index2:integer"),
        "4.0.0",
        "O(1)",
        "Lets two databases change places.",
    )
    .acl(&["keyspace", "dangerous"]),
    server(
        row("time", 1, &[LOADING, STALE, FAST], Keys::NONE, Run::Session(lifetime::time)),
        "2.6.0",
        "O(1)",
        "Answers the server's Unix time: seconds, and microseconds beyond.",
    )
    .tips(&["nondeterministic_output"]),
    row("wait", 3, &[NOSCRIPT], Keys::NONE, Run::Task(durability::wait))
        .syntax("numreplicas:integer timeout:integer")
        .docs("generic", "3.0.0", "O(1)", "Waits until replicas have what this connection wrote.")
        .acl(&["connection"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
    row("waitaof", 4, &[NOSCRIPT], Keys::NONE, Run::Task(durability::wait_aof))
        .syntax("numlocal:integer numreplicas:integer timeout:integer")
        .docs("generic", "7.2.0", "O(1)", "Waits until what this connection wrote is on stable storage.")
        .acl(&["connection"])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

static COMMAND: &[Command] = &[
    introspective(
        row("command|count", 2, OPEN, Keys::NONE, Run::Session(introspection::count)),
        "2.8.13",
        "O(1)",
        "Answers how many commands there are.",
    ),
    introspective(
        row("command|docs", -2, OPEN, Keys::NONE, Run::Session(introspection::docs))
            .syntax("[command-name:string...]"),
        "7.0.0",
        "O(N) where N is the number of commands asked for.",
        "Answers the documentation of commands.",
    )
    .tips(&["nondeterministic_output_order"]),
    introspective(
        row("command|getkeys", -4, OPEN, Keys::NONE, Run::Session(introspection::get_keys)),
        "2.8.13",
        "O(N) where N is the number of arguments of the command.",
        "Answers which words of a command line are keys.",
    ),
    introspective(
        row("command|getkeysandflags", -4, OPEN, Keys::NONE, Run::Session(introspection::get_keys_and_flags)),
        "7.0.0",
        "O(N) where N is the number of arguments of the command.",
        "Answers which words of a command line are keys, and what is done with them.",
    ),
    introspective(
        row("command|help", 2, OPEN, Keys::NONE, Run::Session(introspection::help)),
        "5.0.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    introspective(
        row("command|info", -2, OPEN, Keys::NONE, Run::Session(introspection::info))
            .syntax("[command-name:string...]"),
        "2.8.13",
        "O(N) where N is the number of commands asked for.",
        "Tells about commands.",
    )
    .tips(&["nondeterministic_output_order"]),
    introspective(
        row("command|list", -2, OPEN, Keys::NONE, Run::Session(introspection::list)).syntax(
            "[FILTERBY filterby(MODULE module-name:string | ACLCAT category:string | PATTERN \
             pattern:pattern)]",
        ),
        "7.0.0",
        "O(N) where N is the number of commands.",
        "Answers the names of commands.",
    )
    .tips(&["nondeterministic_output_order"]),
];

const fn introspective(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    server(command, since, complexity, summary).acl(&["connection"])
}

static CONFIG: &[Command] = &[
    server(
        row("config|get", -3, CONFIGURES, Keys::NONE, Run::Session(config::get))
            .syntax("parameter{parameter:string}..."),
        "2.0.0",
        "O(N) where N is the number of patterns.",
        "Answers settings.",
    ),
    server(
        row("config|help", 2, OPEN, Keys::NONE, Run::Session(config::help)),
        "5.0.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    server(
        row("config|resetstat", 2, CONFIGURES, Keys::NONE, Run::Task(config::reset_stat)),
        "2.0.0",
        "O(1)",
        "Starts the counters of INFO anew.",
    ),
    server(
        row("config|rewrite", 2, CONFIGURES, Keys::NONE, Run::Task(config::rewrite)),
        "2.8.0",
        "O(1)",
        "Writes the settings into the file that the server was started with.",
    ),
    server(
        row("config|set", -4, CONFIGURES, Keys::NONE, Run::Task(config::set))
            .syntax("parameter_value{parameter:string value:string}..."),
        "2.0.0",
        "O(N) where N is the number of settings.",
        "Changes settings, all or none.",
    )
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

const ON_ALL_SHARDS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

static MEMORY: &[Command] = &[
    server(
        row("memory|doctor", 2, &[], Keys::NONE, Run::Task(memory::doctor)),
        "4.0.0",
        "O(1)",
        "Tells what is out of the ordinary about the memory in use.",
    )
    .tips(ON_ALL_SHARDS),
    server(
        row("memory|help", 2, OPEN, Keys::NONE, Run::Session(memory::help)),
        "4.0.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    server(
        row("memory|malloc-stats", 2, &[], Keys::NONE, Run::Task(memory::malloc_stats)),
        "4.0.0",
        "Depends on how much memory the allocator holds.",
        "Answers what the allocator tells about itself.",
    )
    .tips(ON_ALL_SHARDS),
    server(
        row("memory|purge", 2, &[], Keys::NONE, Run::Task(memory::purge)),
        "4.0.0",
        "Depends on how much memory the allocator holds.",
        "Gives memory that was freed back to the system.",
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    server(
        row("memory|stats", 2, &[], Keys::NONE, Run::Task(memory::stats)),
        "4.0.0",
        "O(1)",
        "Answers figures about the memory in use.",
    )
    .tips(ON_ALL_SHARDS),
    server(
        row(
            "memory|usage",
            -3,
            &[READONLY],
            Keys { first: 2, last: 2, step: 1, access: &[&["RO"]] },
            Run::Keys(memory::usage, Across::Never),
        )
        .syntax("key:key [SAMPLES count:integer]"),
        "4.0.0",
        "O(1)",
        "Answers how many bytes a key takes.",
    ),
];
