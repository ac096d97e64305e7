//! The command table: a row per command, and how a request finds its row.
//!
//! Invariants:
//! 1. What is true of a command stands in its row alone; dispatch, COMMAND and its documentation read it there.
//! 2. A row's index never changes while the server runs; a subcommand has an index of its own.
//! 3. [`find`] allocates nothing for a command that it finds.

mod bitmap;
mod connection;
pub mod deviations;
mod generic;
mod index;
mod monitoring;
pub mod reference;
mod server;
mod string;
pub mod syntax;

use std::sync::OnceLock;

use formats::resp::Request;

use super::args::{quoted, wrong_arity};
use super::{ActualAccess, Command, Docs, Flags, Keys, Run, keys};
use crate::shard::context::CommandError;
use index::Index;

/// Bytes of a client's words that an error repeats.
const QUOTED_BYTES: usize = 128;

static GROUPS: [&[Command]; 6] =
    [string::ROWS, bitmap::ROWS, generic::ROWS, connection::ROWS, server::ROWS, monitoring::ROWS];

/// All commands by index; subcommands stand behind their container.
pub fn table() -> &'static [&'static Command] {
    &shared().rows
}

/// The index of a command or, as `container|sub`, of a subcommand; in either case.
pub fn index_of(name: &[u8]) -> Option<u16> {
    let table = shared();
    if let Some(index) = table.commands.find(name) {
        return Some(index);
    }
    let bar = name.iter().position(|&byte| byte == b'|')?;
    let container = table.commands.find(&name[..bar])?;
    table.subcommand(container, &name[bar + 1..])
}

/// A request that is none of the table's commands, or not with so many arguments.
#[derive(Debug)]
pub struct Refusal {
    /// The command that it seems to ask for.
    pub index: Option<u16>,
    pub error: CommandError,
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        Self { index: None, error }
    }
}

/// The row of a command line, whatever the number of its arguments.
pub fn row_of(line: Request<'_>) -> Option<&'static Command> {
    let table = shared();
    let index = table.commands.find(line.get(0)?)?;
    let row = table.rows[usize::from(index)];
    match line.get(1).filter(|_| !row.subcommands.is_empty()) {
        Some(word) => table.subcommand(index, word).map(|index| table.rows[usize::from(index)]),
        None => Some(row),
    }
}

/// The command that a request asks for, with its index in [`table`]; the number of its arguments is right.
#[inline]
pub fn find(request: Request<'_>) -> Result<(u16, &'static Command), Refusal> {
    let table = shared();
    let Some(name) = request.get(0) else { return Err(CommandError::from("ERR empty command").into()) };
    let Some(mut index) = table.commands.find(name) else { return Err(unknown_command(request).into()) };
    let mut command = table.rows[usize::from(index)];
    if !command.subcommands.is_empty()
        && let Some(word) = request.get(1)
    {
        index = table.subcommand(index, word).ok_or_else(|| unknown_subcommand(command, word))?;
        command = table.rows[usize::from(index)];
    }
    if command.accepts(request.len()) {
        return Ok((index, command));
    }
    Err(Refusal { index: Some(index), error: wrong_arity(command.name) })
}

impl Command {
    /// Whether it takes `count` arguments, its name among them.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        self.has_arity(count) && keys::are_complete(self, count)
    }

    /// Which of its subcommands is called so.
    pub fn place_of_subcommand(&self, word: &[u8]) -> Option<usize> {
        let prefix = self.name.len() + 1;
        self.subcommands.iter().position(|sub| sub.name.as_bytes()[prefix..].eq_ignore_ascii_case(word))
    }

    /// Whether its arity allows `count` arguments, its name among them.
    #[inline]
    pub fn has_arity(&self, count: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= wanted } else { count == wanted }
    }
}

#[cold]
fn unknown_command(request: Request<'_>) -> CommandError {
    let mut args = String::new();
    for arg in request.skip(1).iter() {
        if args.len() >= QUOTED_BYTES {
            break;
        }
        args += &format!("'{}' ", quoted(arg, QUOTED_BYTES - args.len()));
    }
    let name = quoted(request.arg(0), QUOTED_BYTES);
    format!("ERR unknown command '{name}', with args beginning with: {args}").into()
}

#[cold]
fn unknown_subcommand(container: &Command, word: &[u8]) -> CommandError {
    let (word, name) = (quoted(word, QUOTED_BYTES), container.name.to_ascii_uppercase());
    format!("ERR unknown subcommand '{word}'. Try {name} HELP.").into()
}

/// The rows in one list, and where to find them.
struct Table {
    rows: Vec<&'static Command>,
    commands: Index,
}

fn shared() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::new)
}

impl Table {
    fn new() -> Table {
        let mut rows = Vec::new();
        let mut names = Vec::new();
        for command in GROUPS.into_iter().flatten() {
            names.push((command.name, rows.len() as u16));
            rows.push(command);
            rows.extend(command.subcommands);
        }
        Table { rows, commands: Index::new(&names) }
    }

    /// The index of a subcommand, given its container's index and the word behind it.
    fn subcommand(&self, container: u16, word: &[u8]) -> Option<u16> {
        let place = self.rows[usize::from(container)].place_of_subcommand(word)?;
        Some(container + 1 + place as u16)
    }
}

// How the groups write their rows.

const NO_DOCS: Docs = Docs {
    summary: "",
    since: "",
    group: "",
    complexity: "",
    acl: &[],
    tips: &[],
    deprecated: None,
    for_developers: false,
};

const fn row(name: &'static str, arity: i32, flags: &[Flags], keys: Keys, run: Run) -> Command {
    Command {
        name,
        arity,
        flags: Flags::of(flags),
        keys,
        actual_access: None,
        run,
        syntax: "",
        docs: NO_DOCS,
        subcommands: &[],
    }
}

/// One key, the first argument.
const fn one(access: &'static [&'static [&'static str]]) -> Keys {
    Keys { first: 1, last: 1, step: 1, access }
}

/// Keys up to the last argument, each with `step - 1` arguments of its own.
const fn many(step: i32, access: &'static [&'static [&'static str]]) -> Keys {
    Keys { first: 1, last: -1, step, access }
}

/// The first two arguments.
const fn two(access: &'static [&'static [&'static str]]) -> Keys {
    Keys { first: 1, last: 2, step: 1, access }
}

impl Command {
    const fn docs(
        self,
        group: &'static str,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Command {
        Command { docs: Docs { summary, since, group, complexity, ..self.docs }, ..self }
    }

    const fn acl(self, acl: &'static [&'static str]) -> Command {
        Command { docs: Docs { acl, ..self.docs }, ..self }
    }

    const fn tips(self, tips: &'static [&'static str]) -> Command {
        Command { docs: Docs { tips, ..self.docs }, ..self }
    }

    const fn deprecated(self, since: &'static str, instead: &'static str) -> Command {
        Command { docs: Docs { deprecated: Some((since, instead)), ..self.docs }, ..self }
    }

    const fn for_developers(self) -> Command {
        Command { docs: Docs { for_developers: true, ..self.docs }, ..self }
    }

    const fn actual_access(self, access: ActualAccess) -> Command {
        Command { actual_access: Some(access), ..self }
    }

    /// What stands behind the name: see [`syntax`].
    const fn syntax(self, syntax: &'static str) -> Command {
        Command { syntax, ..self }
    }

    const fn subcommands(self, subcommands: &'static [Command]) -> Command {
        Command { subcommands, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::with_request;

    fn look_up(words: &[&[u8]]) -> Result<&'static str, String> {
        with_request(words, find).map(|(_, row)| row.name).map_err(|refusal| refusal.error.0.into_owned())
    }

    #[test]
    fn every_row_is_found_by_its_name_and_index() {
        for (index, row) in table().iter().enumerate() {
            assert_eq!(index_of(row.name.as_bytes()), Some(index as u16), "{}", row.name);
            assert_eq!(index_of(row.name.to_uppercase().as_bytes()), Some(index as u16), "{}", row.name);
        }
        assert!(table().len() > 60);
        for name in [&b""[..], b"ge", b"gets", b"client|", b"client|nosuch", b"nosuch|list", b"get|x"] {
            assert_eq!(index_of(name), None, "{name:?}");
        }
    }

    #[test]
    fn requests_find_their_row() {
        assert_eq!(look_up(&[b"GeT", b"k"]), Ok("get"));
        assert_eq!(look_up(&[b"CLIENT", b"id"]), Ok("client|id"));
        assert_eq!(look_up(&[b"command"]), Ok("command"));
        assert_eq!(look_up(&[b"command", b"COUNT"]), Ok("command|count"));
    }

    #[test]
    fn errors_are_those_of_redis() {
        let long = [b'x'; 200];
        let cut = "x".repeat(128);
        for (words, error) in [
            (&[&b"nosuch"[..]][..], "ERR unknown command 'nosuch', with args beginning with: ".to_owned()),
            (
                &[b"foo", b"a", b"b c"],
                "ERR unknown command 'foo', with args beginning with: 'a' 'b c' ".to_owned(),
            ),
            (
                &[&long, &long, b"b"],
                format!("ERR unknown command '{cut}', with args beginning with: '{cut}' "),
            ),
            (&[b"get"], "ERR wrong number of arguments for 'get' command".to_owned()),
            (&[b"GET", b"a", b"b"], "ERR wrong number of arguments for 'get' command".to_owned()),
            (&[b"mset", b"a", b"1", b"b"], "ERR wrong number of arguments for 'mset' command".to_owned()),
            (&[b"client"], "ERR wrong number of arguments for 'client' command".to_owned()),
            (&[b"client", b"kill"], "ERR wrong number of arguments for 'client|kill' command".to_owned()),
            (&[b"client", b"Foo"], "ERR unknown subcommand 'Foo'. Try CLIENT HELP.".to_owned()),
        ] {
            assert_eq!(look_up(words), Err(error));
        }
    }

    #[test]
    fn rows_are_consistent() {
        for row in table() {
            let docs = &row.docs;
            for text in [docs.summary, docs.since, docs.group, docs.complexity] {
                assert!(!text.is_empty(), "{} lacks documentation", row.name);
            }
            assert_eq!(row.keys.first == 0, row.keys.access.is_empty(), "{}", row.name);
            assert!(row.arity != 0 && row.name == row.name.to_lowercase(), "{}", row.name);
            assert!(!(row.flags.has(Flags::WRITE) && row.flags.has(Flags::READONLY)), "{}", row.name);
            for sub in row.subcommands {
                assert_eq!(sub.name.split('|').next(), Some(row.name));
            }
            if let Run::Keys(..) = row.run {
                assert!(row.keys.first > 0, "{} runs by keys and names none", row.name);
            }
        }
    }
}
