//! CLIENT ID, GETNAME, SETNAME, SETINFO, INFO, NO-EVICT, NO-TOUCH, GETREDIR, REPLY, HELP: about the connection that asks.

use std::fmt::Write;

use formats::resp::Protocol;

use crate::command::args::{SYNTAX, is, quoted};
use crate::command::{Session, help, table};
use crate::shard::client::{Client, ReplyMode};
use crate::shard::context::CommandError;

type Result<T = ()> = std::result::Result<T, CommandError>;

/// CLIENT ID
pub fn id(session: &mut Session<'_>) -> Result {
    session.reply.integer(session.client.id as i64);
    Ok(())
}

/// CLIENT GETNAME
pub fn get_name(session: &mut Session<'_>) -> Result {
    let name = session.client.name.borrow();
    if name.is_empty() {
        session.reply.null()
    } else {
        session.reply.bulk(&name)
    }
    Ok(())
}

/// CLIENT SETNAME name; an empty one takes the name away.
pub fn set_name_command(session: &mut Session<'_>) -> Result {
    set_name(session.client, checked_name(session.request.arg(2), "Client names")?);
    session.reply.ok();
    Ok(())
}

pub fn set_name(client: &Client, name: &[u8]) {
    *client.name.borrow_mut() = name.to_vec();
}

/// A text that can stand in CLIENT LIST; `what` is in the plural.
pub fn checked_name<'a>(name: &'a [u8], what: &str) -> Result<&'a [u8]> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(name);
    }
    Err(format!("ERR {what} cannot contain spaces, newlines or special characters.").into())
}

/// CLIENT SETINFO LIB-NAME name | LIB-VER version
pub fn set_info(session: &mut Session<'_>) -> Result {
    let (attribute, value) = (session.request.arg(2), session.request.arg(3));
    let (field, what) = match attribute {
        _ if is(attribute, "LIB-NAME") => (&session.client.library_name, "lib-name"),
        _ if is(attribute, "LIB-VER") => (&session.client.library_version, "lib-ver"),
        _ => return Err(format!("ERR Unrecognized option '{}'", quoted(attribute, 128)).into()),
    };
    *field.borrow_mut() = checked_name(value, what)?.to_vec();
    session.reply.ok();
    Ok(())
}

/// CLIENT INFO
pub fn info(session: &mut Session<'_>) -> Result {
    let line = describe(session.client, crate::clock::unix_ms());
    session.reply.verbatim("txt", line.as_bytes());
    Ok(())
}

/// CLIENT NO-EVICT ON | OFF
pub fn no_evict(session: &mut Session<'_>) -> Result {
    session.client.no_evict.set(switch(session.request.arg(2))?);
    session.reply.ok();
    Ok(())
}

/// CLIENT NO-TOUCH ON | OFF
pub fn no_touch(session: &mut Session<'_>) -> Result {
    session.client.no_touch.set(switch(session.request.arg(2))?);
    session.reply.ok();
    Ok(())
}

/// CLIENT REPLY ON | OFF | SKIP; only ON is answered.
pub fn reply(session: &mut Session<'_>) -> Result {
    let (word, mode) = (session.request.arg(2), &session.client.reply_mode);
    match word {
        _ if is(word, "ON") => {
            mode.set(ReplyMode::On);
            session.reply.ok();
        }
        _ if is(word, "OFF") => mode.set(ReplyMode::Off),
        _ if is(word, "SKIP") && mode.get() == ReplyMode::Off => {}
        _ if is(word, "SKIP") => mode.set(ReplyMode::SkipNext),
        _ => return Err(SYNTAX.into()),
    }
    Ok(())
}

fn switch(word: &[u8]) -> Result<bool> {
    match word {
        _ if is(word, "ON") => Ok(true),
        _ if is(word, "OFF") => Ok(false),
        _ => Err(SYNTAX.into()),
    }
}

/// CLIENT GETREDIR: there is no tracking.
pub fn get_redir(session: &mut Session<'_>) -> Result {
    session.reply.integer(-1);
    Ok(())
}

/// CLIENT HELP
pub fn help(session: &mut Session<'_>) -> Result {
    help::write(&mut session.reply, "CLIENT", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("GETNAME", &["Answers the name of this connection."]),
    ("GETREDIR", &["Answers -1: replies about tracked keys go nowhere."]),
    ("ID", &["Answers the number of this connection."]),
    ("INFO", &["Tells about this connection."]),
    ("KILL <ip:port>", &["Closes the connection from this address."]),
    (
        "KILL <option> <value> [<option> <value> [...]]",
        &[
            "Closes all connections of which all options are true:",
            "* ID <id>, ADDR <ip:port>, LADDR <ip:port>, MAXAGE <seconds>, USER <name>",
            "* TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
            "* SKIPME (YES|NO): whether this connection is left out (it is by default).",
        ],
    ),
    ("LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID <id> [<id> ...]]", &["Tells about connections."]),
    ("NO-EVICT (ON|OFF)", &["Keeps this connection when memory runs short."]),
    ("NO-TOUCH (ON|OFF)", &["Reads of this connection do not count as uses of a key."]),
    (
        "PAUSE <timeout> [WRITE|ALL]",
        &["Lets all commands of clients, or those that write, wait for so many milliseconds."],
    ),
    ("REPLY (ON|OFF|SKIP)", &["Whether this connection gets replies; SKIP: not to the next command."]),
    ("SETINFO (LIB-NAME|LIB-VER) <value>", &["Tells the server the client's library."]),
    ("SETNAME <name>", &["Gives this connection a name."]),
    (
        "UNBLOCK <id> [TIMEOUT|ERROR]",
        &["Ends the wait of a blocked connection: as its timeout does, or by an error."],
    ),
    ("UNPAUSE", &["Ends a pause."]),
];

/// A client's line in CLIENT LIST, with its line break. Fields that have no meaning here tell what is true: 0, or none.
pub fn describe(client: &Client, now_ms: u64) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds_since = |then: u64| now_ms.saturating_sub(then) / 1000;
    let (query, output) = (client.query_buffer_bytes.get(), client.output_bytes.get());
    let last = client.last_command.get();
    let mut line = String::with_capacity(320);
    // Writing into a string does not fail.
    let _ = writeln!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi=-1 \
         qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={output} oll=0 omem=0 tot-mem={} events={} \
         cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.address,
        client.local_address,
        client.descriptor.get(),
        text(&client.name.borrow()),
        seconds_since(client.created_unix_ms),
        seconds_since(client.active_unix_ms.get()),
        flags(client),
        client.db.get(),
        client.memory_bytes(),
        if output > 0 { "rw" } else { "r" },
        table().get(usize::from(last)).map_or("NULL", |row| row.name),
        if client.protocol.get() == Protocol::Resp3 { 3 } else { 2 },
        text(&client.library_name.borrow()),
        text(&client.library_version.borrow()),
    );
    line
}

fn flags(client: &Client) -> String {
    let flags: String = [
        (client.monitors.get(), 'O'),
        (client.is_blocked(), 'b'),
        (client.closing.get(), 'c'),
        (client.killed.get(), 'A'),
        (client.no_evict.get(), 'e'),
        (client.no_touch.get(), 'T'),
    ]
    .into_iter()
    .filter_map(|(is_set, flag)| is_set.then_some(flag))
    .collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}
