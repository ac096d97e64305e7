//! COMMAND: what the table knows, told to clients.

use formats::glob::glob_match;
use formats::resp::{Reply, Request};

use crate::command::args::{SYNTAX, is};
use crate::command::table::row_of as row_of_line;
use crate::command::table::syntax::{self, Arg, Kind};
use crate::command::{Command, Flags, Session, help, index_of, keys, table};
use crate::shard::context::CommandError;

type Result = std::result::Result<(), CommandError>;

/// Flags in the order in which COMMAND tells them.
const FLAG_NAMES: &[(Flags, &str)] = &[
    (Flags::WRITE, "write"),
    (Flags::READONLY, "readonly"),
    (Flags::DENYOOM, "denyoom"),
    (Flags::ADMIN, "admin"),
    (Flags::NOSCRIPT, "noscript"),
    (Flags::BLOCKING, "blocking"),
    (Flags::LOADING, "loading"),
    (Flags::STALE, "stale"),
    (Flags::FAST, "fast"),
    (Flags::NO_AUTH, "no_auth"),
    (Flags::NO_ASYNC_LOADING, "no_async_loading"),
    (Flags::NO_MULTI, "no_multi"),
    (Flags::ALLOW_BUSY, "allow_busy"),
];

/// ACL categories in the order in which COMMAND tells them.
const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

impl Command {
    fn flag_names(&self) -> Vec<&'static str> {
        FLAG_NAMES.iter().filter(|(flag, _)| self.flags.has(*flag)).map(|(_, name)| *name).collect()
    }

    /// Its own categories, and those that follow from its flags.
    fn is_in(&self, category: &str) -> bool {
        let implied = match category {
            "read" => self.flags.has(Flags::READONLY),
            "write" => self.flags.has(Flags::WRITE),
            "admin" | "dangerous" if self.flags.has(Flags::ADMIN) => true,
            "fast" => self.flags.has(Flags::FAST),
            "slow" => !self.flags.has(Flags::FAST),
            "blocking" => self.flags.has(Flags::BLOCKING),
            _ => false,
        };
        implied || self.docs.acl.contains(&category)
    }

    fn categories(&self) -> Vec<String> {
        CATEGORIES
            .iter()
            .filter(|category| self.is_in(category))
            .map(|category| format!("@{category}"))
            .collect()
    }

    /// What is done with the `index`-th key.
    fn access(&self, index: usize) -> &'static [&'static str] {
        let access = self.keys.access;
        access.get(index).or(access.last()).copied().unwrap_or(&[])
    }
}

/// COMMAND
pub fn command(session: &mut Session<'_>) -> Result {
    write_all(&mut session.reply);
    Ok(())
}

/// COMMAND INFO [name ...]
pub fn info(session: &mut Session<'_>) -> Result {
    let names = session.request.skip(2);
    if names.len() == 0 {
        write_all(&mut session.reply);
        return Ok(());
    }
    session.reply.array(names.len());
    for name in names.iter() {
        match index_of(name) {
            Some(index) => write_info(&mut session.reply, table()[usize::from(index)]),
            None => session.reply.null(),
        }
    }
    Ok(())
}

/// The commands that are no subcommands.
fn commands() -> impl Iterator<Item = &'static Command> + Clone {
    table().iter().copied().filter(|row| !row.name.contains('|'))
}

fn write_all(reply: &mut Reply<'_>) {
    reply.array(commands().count());
    commands().for_each(|row| write_info(reply, row));
}

fn write_set<T: AsRef<str>>(reply: &mut Reply<'_>, words: &[T]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word.as_ref()));
}

fn write_info(reply: &mut Reply<'_>, row: &Command) {
    reply.array(10);
    reply.bulk_str(row.name);
    reply.integer(row.arity.into());
    write_set(reply, &row.flag_names());
    for place in [row.keys.first, row.keys.last, row.keys.step] {
        reply.integer(place.into());
    }
    write_set(reply, &row.categories());
    reply.set(row.docs.tips.len());
    row.docs.tips.iter().for_each(|tip| reply.bulk_str(tip));
    reply.set(row.keys.access.len());
    (0..row.keys.access.len()).for_each(|index| write_key_spec(reply, row, index));
    match row.subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count), // as Redis has it
    }
    row.subcommands.iter().for_each(|sub| write_info(reply, sub));
}

/// Where keys begin, how they go on, and what is done with them.
fn write_key_spec(reply: &mut Reply<'_>, row: &Command, index: usize) {
    let keys = row.keys;
    // Each list is about one key, the last one about all that are left. The place of the last key counts from the first one
    // of the list, or from the end.
    let first = keys.first + index as i32;
    let last = match keys.last {
        _ if index + 1 < keys.access.len() => 0,
        from_end @ ..0 => from_end,
        last => last - first,
    };
    reply.map(3);
    reply.bulk_str("flags");
    write_set(reply, row.access(index));
    reply.bulk_str("begin_search");
    reply.map(2);
    reply.bulk_str("type");
    reply.bulk_str("index");
    reply.bulk_str("spec");
    reply.map(1);
    reply.bulk_str("index");
    reply.integer(first.into());
    reply.bulk_str("find_keys");
    reply.map(2);
    reply.bulk_str("type");
    reply.bulk_str("range");
    reply.bulk_str("spec");
    reply.map(3);
    for (name, number) in [("lastkey", last), ("keystep", keys.step), ("limit", 0)] {
        reply.bulk_str(name);
        reply.integer(number.into());
    }
}

/// COMMAND COUNT
pub fn count(session: &mut Session<'_>) -> Result {
    session.reply.integer(commands().count() as i64);
    Ok(())
}

/// COMMAND DOCS [name ...]
pub fn docs(session: &mut Session<'_>) -> Result {
    let names = session.request.skip(2);
    let rows: Vec<&Command> = if names.len() == 0 {
        commands().collect()
    } else {
        names.iter().filter_map(index_of).map(|index| table()[usize::from(index)]).collect()
    };
    session.reply.map(rows.len());
    for row in rows {
        write_docs(&mut session.reply, row);
    }
    Ok(())
}

fn write_docs(reply: &mut Reply<'_>, row: &Command) {
    let docs = &row.docs;
    let args = syntax::parse(row.syntax).expect("a test reads the syntax of every row");
    reply.bulk_str(row.name);
    let deprecation = usize::from(docs.deprecated.is_some()) * 2;
    let flags = usize::from(docs.deprecated.is_some() || docs.for_developers);
    reply.map(
        4 + flags + deprecation + usize::from(!args.is_empty()) + usize::from(!row.subcommands.is_empty()),
    );
    for (name, text) in [
        ("summary", docs.summary),
        ("since", docs.since),
        ("group", docs.group),
        ("complexity", docs.complexity),
    ] {
        reply.bulk_str(name);
        reply.bulk_str(text);
    }
    if flags > 0 {
        reply.bulk_str("doc_flags");
        reply.set(1);
        reply.simple(if docs.deprecated.is_some() { "deprecated" } else { "syscmd" });
    }
    if let Some((since, instead)) = docs.deprecated {
        reply.bulk_str("deprecated_since");
        reply.bulk_str(since);
        reply.bulk_str("replaced_by");
        reply.bulk_str(instead);
    }
    if !args.is_empty() {
        reply.bulk_str("arguments");
        write_args(reply, &args);
    }
    if !row.subcommands.is_empty() {
        reply.bulk_str("subcommands");
        reply.map(row.subcommands.len());
        row.subcommands.iter().for_each(|sub| write_docs(reply, sub));
    }
}

fn write_args(reply: &mut Reply<'_>, args: &[Arg]) {
    reply.array(args.len());
    args.iter().for_each(|arg| write_arg(reply, arg));
}

fn write_arg(reply: &mut Reply<'_>, arg: &Arg) {
    let flags: Vec<&str> =
        [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")]
            .into_iter()
            .filter_map(|(is_set, name)| is_set.then_some(name))
            .collect();
    let texts = [("token", arg.token), ("since", arg.since), ("deprecated_since", arg.deprecated_since)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text?)));
    let (kind, inner) = match &arg.kind {
        Kind::String => ("string", None),
        Kind::Integer => ("integer", None),
        Kind::Double => ("double", None),
        Kind::Key(_) => ("key", None),
        Kind::Pattern(_) => ("pattern", None),
        Kind::UnixTime => ("unix-time", None),
        Kind::PureToken => ("pure-token", None),
        Kind::OneOf(args) => ("oneof", Some(args)),
        Kind::Block(args) => ("block", Some(args)),
    };
    let key_spec = match arg.kind {
        Kind::Key(number) | Kind::Pattern(Some(number)) => Some(number),
        _ => None,
    };
    let parts = [key_spec.is_some(), !flags.is_empty(), inner.is_some()];
    reply.map(2 + texts.clone().count() + parts.into_iter().filter(|part| *part).count());
    reply.bulk_str("name");
    reply.bulk_str(&arg.name);
    reply.bulk_str("type");
    reply.bulk_str(kind);
    if let Some(number) = key_spec {
        reply.bulk_str("key_spec_index");
        reply.integer(number.into());
    }
    for (name, text) in texts {
        reply.bulk_str(name);
        reply.bulk_str(text);
    }
    if !flags.is_empty() {
        reply.bulk_str("flags");
        write_set(reply, &flags);
    }
    if let Some(args) = inner {
        reply.bulk_str("arguments");
        write_args(reply, args);
    }
}

/// COMMAND LIST [FILTERBY (MODULE name | ACLCAT category | PATTERN pattern)]
pub fn list(session: &mut Session<'_>) -> Result {
    let filter = session.request.skip(2);
    let names: Vec<&str> = match filter.len() {
        0 => table().iter().map(|row| row.name).collect(),
        3 if is(filter.arg(0), "FILTERBY") => filtered(filter.arg(1), filter.arg(2))?,
        _ => return Err(SYNTAX.into()),
    };
    session.reply.array(names.len());
    names.iter().for_each(|name| session.reply.bulk_str(name));
    Ok(())
}

fn filtered(by: &[u8], value: &[u8]) -> std::result::Result<Vec<&'static str>, CommandError> {
    let matches: &dyn Fn(&Command) -> bool = match by {
        _ if is(by, "MODULE") => &|_| false, // there are no modules
        _ if is(by, "ACLCAT") => {
            &|row| CATEGORIES.iter().any(|category| is(value, category) && row.is_in(category))
        }
        _ if is(by, "PATTERN") => &|row| glob_match(value, row.name.as_bytes(), true),
        _ => return Err(SYNTAX.into()),
    };
    Ok(table().iter().filter(|row| matches(row)).map(|row| row.name).collect())
}

/// COMMAND GETKEYS command [argument ...]
pub fn get_keys(session: &mut Session<'_>) -> Result {
    let line = session.request.skip(2);
    let row = row_of(line)?;
    let positions: Vec<usize> = keys::positions(row, line).collect();
    session.reply.array(positions.len());
    positions.iter().for_each(|&position| session.reply.bulk(line.arg(position)));
    Ok(())
}

/// COMMAND GETKEYSANDFLAGS command [argument ...]
pub fn get_keys_and_flags(session: &mut Session<'_>) -> Result {
    let line = session.request.skip(2);
    let row = row_of(line)?;
    let positions: Vec<usize> = keys::positions(row, line).collect();
    session.reply.array(positions.len());
    for (index, &position) in positions.iter().enumerate() {
        session.reply.array(2);
        session.reply.bulk(line.arg(position));
        write_set(&mut session.reply, row.actual_access.map_or(row.access(index), |access| access(line)));
    }
    Ok(())
}

/// The row of a command line that is asked about; it has keys and enough arguments.
fn row_of(line: Request<'_>) -> std::result::Result<&'static Command, CommandError> {
    let row = row_of_line(line).ok_or("ERR Invalid command specified")?;
    if row.keys.access.is_empty() {
        return Err("ERR The command has no key arguments".into());
    }
    // That a value is missing behind the last key is nothing to this command.
    if !row.has_arity(line.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    Ok(row)
}

/// COMMAND HELP
pub fn help(session: &mut Session<'_>) -> Result {
    help::write(&mut session.reply, "COMMAND", HELP);
    Ok(())
}

const HELP: help::Lines = &[
    ("(no subcommand)", &["Tells about all commands."]),
    ("COUNT", &["Answers how many commands there are."]),
    ("DOCS [<command-name> ...]", &["Answers the documentation of these commands, or of all."]),
    ("GETKEYS <full-command>", &["Answers which words of a command line are keys."]),
    ("GETKEYSANDFLAGS <full-command>", &["As GETKEYS, and what is done with each."]),
    ("INFO [<command-name> ...]", &["Tells about these commands, or about all."]),
    ("LIST [FILTERBY (MODULE|ACLCAT|PATTERN) <value>]", &["Answers the names of all commands, or of some."]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> &'static Command {
        table()[usize::from(index_of(name.as_bytes()).unwrap())]
    }

    #[test]
    fn categories_follow_from_flags_and_group() {
        assert_eq!(row("get").categories(), ["@read", "@string", "@fast"]);
        assert_eq!(row("keys").categories(), ["@keyspace", "@read", "@slow", "@dangerous"]);
        assert_eq!(row("config|set").categories(), ["@admin", "@slow", "@dangerous"]);
        assert_eq!(row("client|kill").categories(), ["@admin", "@slow", "@dangerous", "@connection"]);
    }

    #[test]
    fn every_category_of_the_table_is_known() {
        for row in table() {
            for category in row.docs.acl {
                assert!(CATEGORIES.contains(category), "{}: {category}", row.name);
            }
        }
    }
}
