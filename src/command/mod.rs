//! What each command means.
//!
//! [`table`] is the single truth: a row per command, from which dispatch, COMMAND, its documentation and the tests follow.
//! Handlers stand by type: [`string`], [`bitmap`] (strings bit by bit), [`key`] (any type), [`connection`], [`server`],
//! [`monitoring`].

pub mod args;
pub mod bitmap;
pub mod connection;
mod help;
pub mod key;
pub mod keys;
pub mod monitoring;
pub mod redact;
pub mod server;
pub mod session;
pub mod string;
pub mod table;
#[cfg(test)]
mod testing;

pub use session::{Invocation, Session, TaskFuture};
pub use table::{find, index_of, table};

use formats::resp::Request;

use crate::shard::Shard;
use crate::shard::context::{CommandError, Handler};
use crate::shard::transaction::{Decision, Parts};

/// A row of the command table.
pub struct Command {
    /// In lower case, as COMMAND tells it.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least so many.
    pub arity: i32,
    pub flags: Flags,
    pub keys: Keys,
    /// What a whole command line does with its key, where that depends on the options: the flag `variable_flags`.
    pub actual_access: Option<ActualAccess>,
    pub run: Run,
    /// What stands behind the name, in the form of [`table::syntax`].
    pub syntax: &'static str,
    pub docs: Docs,
    /// Subcommands of a container command; their names are `container|sub`.
    pub subcommands: &'static [Command],
}

/// For people: COMMAND DOCS.
pub struct Docs {
    pub summary: &'static str,
    pub since: &'static str,
    pub group: &'static str,
    pub complexity: &'static str,
    /// ACL categories without the `@`, beyond those that follow from the flags.
    pub acl: &'static [&'static str],
    pub tips: &'static [&'static str],
    /// Since when it should not be used any more, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// For those who develop the server.
    pub for_developers: bool,
}

/// Where the keys stand among the arguments, as COMMAND tells it: first, last (negative: from the end), step. All 0: none.
#[derive(Clone, Copy)]
pub struct Keys {
    pub first: i32,
    pub last: i32,
    pub step: i32,
    /// What is done with them, in COMMAND's words: one list for all keys, or one for each.
    pub access: &'static [&'static [&'static str]],
}

impl Keys {
    pub const NONE: Keys = Keys { first: 0, last: 0, step: 0, access: &[] };
}

/// What is true of a command; the names are those of COMMAND.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const WRITE: Flags = Flags(1);
    pub const READONLY: Flags = Flags(1 << 1);
    pub const DENYOOM: Flags = Flags(1 << 2);
    pub const ADMIN: Flags = Flags(1 << 3);
    pub const NOSCRIPT: Flags = Flags(1 << 4);
    pub const BLOCKING: Flags = Flags(1 << 5);
    pub const LOADING: Flags = Flags(1 << 6);
    pub const STALE: Flags = Flags(1 << 7);
    pub const FAST: Flags = Flags(1 << 8);
    pub const NO_AUTH: Flags = Flags(1 << 9);
    pub const ALLOW_BUSY: Flags = Flags(1 << 10);
    pub const NO_MULTI: Flags = Flags(1 << 11);
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 12);
    /// Tells of keys that it does not name. Not shown by COMMAND.
    pub const WHOLE_KEYSPACE: Flags = Flags(1 << 30);

    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// All of `flags`.
    pub const fn of(flags: &[Flags]) -> Flags {
        let (mut all, mut index) = (0, 0);
        while index < flags.len() {
            all |= flags[index].0;
            index += 1;
        }
        Flags(all)
    }

    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// How replies of several parts become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Integers are added.
    Sum,
    /// All say OK.
    Ok,
    /// Arrays of one element each, put together in the order of the arguments.
    Interleave,
    /// Arrays put together.
    Concatenate,
}

/// See [`Command::actual_access`].
pub type ActualAccess = fn(Request<'_>) -> &'static [&'static str];

/// Makes the first step of a two-step transaction: the parts to read under locks, and what to do then.
pub type TwoStep = fn(&Shard, &Invocation) -> Result<TwoStepPlan, CommandError>;

/// See [`TwoStep`].
pub struct TwoStepPlan {
    pub read: Parts,
    pub decide: Box<dyn FnOnce(&mut Parts) -> Decision>,
}

/// What happens when the keys of a command are on several shards.
#[derive(Clone, Copy)]
pub enum Across {
    /// It has one key.
    Never,
    /// It is cut into commands of `group` arguments each behind the name, one per key.
    Split { group: usize, merge: Merge },
    /// What it writes depends on what it reads elsewhere.
    TwoStep(TwoStep),
}

/// Where and how a command runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// On the shard of its keys.
    Keys(Handler, Across),
    /// On the shard that its arguments choose.
    Routed(Handler, fn(Request<'_>, u16) -> Result<u16, CommandError>),
    /// On all shards at one point of the common order, if it reads.
    Everywhere(Handler, Merge),
    /// On the connection itself, at once.
    Session(fn(&mut Session<'_>) -> Result<(), CommandError>),
    /// In a task of its own, while the connection waits.
    Task(fn(Invocation) -> TaskFuture),
    /// A container: the second argument names the subcommand.
    Container,
}
