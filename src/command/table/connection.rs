//! Commands about the connection.

use super::{Command, Flags, Keys, Run, row};
use crate::command::connection::{basic, client, clients, hello, pause};

const ADMIN: Flags = Flags::ADMIN;
const NOSCRIPT: Flags = Flags::NOSCRIPT;
const LOADING: Flags = Flags::LOADING;
const STALE: Flags = Flags::STALE;
const FAST: Flags = Flags::FAST;
const NO_AUTH: Flags = Flags::NO_AUTH;
const ALLOW_BUSY: Flags = Flags::ALLOW_BUSY;

/// `command` with what all rows here share.
const fn connection(
    command: Command,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> Command {
    command.docs("connection", since, complexity, summary).acl(&["connection"])
}

const HANDSHAKE: &[Flags] = &[NOSCRIPT, LOADING, STALE, FAST, NO_AUTH, ALLOW_BUSY];
const OF_ONE: &[Flags] = &[NOSCRIPT, LOADING, STALE];
const OF_ALL: &[Flags] = &[ADMIN, NOSCRIPT, LOADING, STALE];

pub(super) static ROWS: &[Command] = &[
    connection(
        row("auth", -2, HANDSHAKE, Keys::NONE, Run::Session(hello::auth))
            .syntax("[username:string@6.0.0] password:string"),
        "1.0.0",
        "O(1)",
        "Tells the password.",
    ),
    row("client", -2, &[], Keys::NONE, Run::Container)
        .docs("connection", "2.4.0", "Depends on the subcommand.", "Commands about connections.")
        .subcommands(CLIENT),
    connection(
        row("echo", 2, &[LOADING, STALE, FAST], Keys::NONE, Run::Session(basic::echo))
            .syntax("message:string"),
        "1.0.0",
        "O(1)",
        "Answers what it is given.",
    ),
    connection(
        row("hello", -1, HANDSHAKE, Keys::NONE, Run::Session(hello::hello)).syntax(
            "[arguments{protover:integer [AUTH username_password{username:string password:string}] \
             [SETNAME clientname:string]}]",
        ),
        "6.0.0",
        "O(1)",
        "Opens a conversation: protocol version, password, name; tells about the server.",
    ),
    connection(
        row("ping", -1, &[FAST], Keys::NONE, Run::Session(basic::ping)).syntax("[message:string]"),
        "1.0.0",
        "O(1)",
        "Answers PONG, or what it is given.",
    )
    .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    connection(
        row("quit", -1, HANDSHAKE, Keys::NONE, Run::Session(basic::quit)),
        "1.0.0",
        "O(1)",
        "Closes the connection when everything is answered.",
    ),
    connection(
        row("reset", 1, HANDSHAKE, Keys::NONE, Run::Session(basic::reset)),
        "6.2.0",
        "O(1)",
        "Makes the connection as one that was just opened.",
    ),
    connection(
        row("select", 2, &[LOADING, STALE, FAST], Keys::NONE, Run::Session(basic::select))
            .syntax("index:integer"),
        "1.0.0",
        "O(1)",
        "Chooses the database of this connection.",
    ),
];

static CLIENT: &[Command] = &[
    connection(
        row("client|getname", 2, OF_ONE, Keys::NONE, Run::Session(client::get_name)),
        "2.6.9",
        "O(1)",
        "Answers the name of this connection.",
    ),
    connection(
        row("client|getredir", 2, OF_ONE, Keys::NONE, Run::Session(client::get_redir)),
        "6.0.0",
        "O(1)",
        "Answers which connection is told of tracked keys: none.",
    ),
    connection(
        row("client|help", 2, &[LOADING, STALE], Keys::NONE, Run::Session(client::help)),
        "5.0.0",
        "O(1)",
        "Tells about the subcommands.",
    ),
    connection(
        row("client|id", 2, OF_ONE, Keys::NONE, Run::Session(client::id)),
        "5.0.0",
        "O(1)",
        "Answers the number of this connection.",
    ),
    connection(
        row("client|info", 2, OF_ONE, Keys::NONE, Run::Session(client::info)),
        "6.2.0",
        "O(1)",
        "Tells about this connection.",
    )
    .tips(&["nondeterministic_output"]),
    connection(
        row("client|kill", -3, OF_ALL, Keys::NONE, Run::Task(clients::kill)).syntax(
            "filter(ip:port:string!2.8.12 | new-format([ID client-id:integer@2.8.12] | [TYPE \
             normal_master_slave_pubsub(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | PUBSUB)@2.8.12] | \
             [USER username:string] | [ADDR ip:port:string] | [LADDR ip:port:string@6.2.0] | [SKIPME \
             yes/no:string])...)",
        ),
        "2.4.0",
        "O(N) where N is the number of connections.",
        "Closes connections.",
    ),
    connection(
        row("client|list", -2, OF_ALL, Keys::NONE, Run::Task(clients::list)).syntax(
            "[TYPE normal_master_replica_pubsub(NORMAL | MASTER | REPLICA | PUBSUB)@5.0.0] [ID \
             id{client-id:integer...}@6.2.0]",
        ),
        "2.4.0",
        "O(N) where N is the number of connections.",
        "Tells about connections.",
    )
    .tips(&["nondeterministic_output"]),
    connection(
        row("client|no-evict", 3, OF_ALL, Keys::NONE, Run::Session(client::no_evict))
            .syntax("enabled(ON | OFF)"),
        "7.0.0",
        "O(1)",
        "Keeps this connection when memory runs short.",
    ),
    connection(
        row("client|no-touch", 3, OF_ONE, Keys::NONE, Run::Session(client::no_touch))
            .syntax("enabled(ON | OFF)"),
        "7.2.0",
        "O(1)",
        "Lets reads of this connection not count as uses of a key.",
    ),
    connection(
        row("client|pause", -3, OF_ALL, Keys::NONE, Run::Task(pause::pause))
            .syntax("timeout:integer [mode(WRITE | ALL)@6.2.0]"),
        "2.9.50",
        "O(1)",
        "Lets commands of clients wait for a time.",
    ),
    connection(
        row("client|reply", 3, OF_ONE, Keys::NONE, Run::Session(client::reply))
            .syntax("on_off_skip(ON | OFF | SKIP)"),
        "3.2.0",
        "O(1)",
        "Chooses whether this connection gets replies.",
    ),
    connection(
        row("client|setinfo", 4, OF_ONE, Keys::NONE, Run::Session(client::set_info))
            .syntax("attr(LIB-NAME libname:string | LIB-VER libver:string)"),
        "7.2.0",
        "O(1)",
        "Tells the server the name or version of the client's library.",
    ),
    connection(
        row("client|setname", 3, OF_ONE, Keys::NONE, Run::Session(client::set_name_command))
            .syntax("connection-name:string"),
        "2.6.9",
        "O(1)",
        "Gives this connection a name.",
    ),
    connection(
        row("client|unblock", -3, OF_ALL, Keys::NONE, Run::Task(pause::unblock))
            .syntax("client-id:integer [timeout_error(TIMEOUT | ERROR)]"),
        "5.0.0",
        "O(N) where N is the number of connections.",
        "Ends the wait of a blocked connection.",
    ),
    connection(
        row("client|unpause", 2, OF_ALL, Keys::NONE, Run::Task(pause::unpause)),
        "6.2.0",
        "O(N) where N is the number of connections that wait.",
        "Ends a pause.",
    ),
];
