//! What clients of a server did and saw, in the order in which it happened.
//!
//! Invariants:
//! 1. Moments come from one counter that everybody draws from, before a command is sent and after its reply is
//!    there: if one operation's reply has a lower moment than another one's invocation, it was there before the other
//!    was sent.
//! 2. The operations of one connection stand in the order in which they were sent.
//! 3. At a crash nothing is under way that is answered later.

use std::fmt;

use formats::resp::Value;

use super::command::{Command, KeySet};
use super::spec::State;

/// A point in a history.
pub type Moment = u64;

/// What became of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Answered {
        at: Moment,
        reply: Value,
    },
    /// The connection ended first. It took effect before the next crash, or it never will; without a crash it may still.
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The connection that sent it.
    pub client: usize,
    pub command: Command,
    pub invoked: Moment,
    pub outcome: Outcome,
}

/// In which order the commands of one connection run that are under way together: what docs/compatibility.md promises of
/// a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipelineOrder {
    /// Those that share a key run in their order; others as it comes, as their keys may lie on several shards.
    OnEachKey,
    /// All run in their order: there is one shard.
    Always,
}

/// What outlives a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// All that was acknowledged or seen: `appendfsync always`.
    Strict,
    /// What was there at some moment since the crash before: `everysec` and `no`. Shards lose their latest each for
    /// itself, so this is a promise about keys that no operation joins.
    Buffered,
}

/// What a history is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub pipelines: PipelineOrder,
    pub durability: Durability,
}

impl Promise {
    /// What holds for any number of shards with `appendfsync always`.
    pub const ALWAYS: Promise =
        Promise { pipelines: PipelineOrder::OnEachKey, durability: Durability::Strict };
}

/// A recorded history. The whole of what happened to its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// What the database held before it.
    pub initial: State,
    pub promise: Promise,
    pub operations: Vec<Operation>,
    /// Moments at which the server ended without warning.
    pub crashes: Vec<Moment>,
}

/// What happens at a moment; operations by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Invoke(usize),
    Answer(usize),
    Crash,
}

impl Operation {
    pub fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { .. })
    }

    /// When its reply was there.
    pub fn answered_at(&self) -> Option<Moment> {
        match self.outcome {
            Outcome::Answered { at, .. } => Some(at),
            Outcome::Unknown => None,
        }
    }

    /// Whether `reply` is what this operation may have been answered. Unknown replies may be anything.
    pub fn accepts(&self, reply: &Value) -> bool {
        match &self.outcome {
            Outcome::Answered { reply: seen, .. } => seen == reply,
            Outcome::Unknown => true,
        }
    }

    /// Whether its reply says that it changed nothing, so that leaving it out takes nothing from the others.
    pub fn changed_nothing(&self) -> bool {
        let Outcome::Answered { reply, .. } = &self.outcome else { return self.command.only_reads() };
        let nothing = match &self.command {
            command if command.only_reads() => true,
            Command::SetNx(..)
            | Command::Persist(_)
            | Command::Expire(_)
            | Command::Del(_)
            | Command::MSetNx(_)
            | Command::RenameNx(..)
            | Command::Move(_)
            | Command::Copy { .. } => *reply == Value::Integer(0),
            Command::GetDel(_) | Command::GetEx(..) | Command::Set { get: false, .. } => {
                *reply == Value::Null
            }
            _ => false,
        };
        nothing || matches!(reply, Value::Error(_))
    }
}

impl History {
    pub fn new(initial: State, promise: Promise) -> Self {
        Self { initial, promise, operations: Vec::new(), crashes: Vec::new() }
    }

    /// Whether an operation, sent before `later` on the same connection, has to take effect before it though both are
    /// under way; if it never does, nor does `later`.
    pub fn stands_before(&self, earlier: &Operation, later: &Operation) -> bool {
        let share_a_key = earlier.command.keys() & later.command.keys() != 0;
        earlier.client == later.client && (share_a_key || self.promise.pipelines == PipelineOrder::Always)
    }

    /// All that happened, in order. Operations without reply that only read say nothing and are left out.
    pub fn events(&self) -> Vec<(Moment, Event)> {
        let mut events: Vec<(Moment, Event)> =
            self.crashes.iter().map(|moment| (*moment, Event::Crash)).collect();
        for (index, operation) in self.operations.iter().enumerate() {
            match operation.answered_at() {
                Some(at) => {
                    events.extend([(operation.invoked, Event::Invoke(index)), (at, Event::Answer(index))])
                }
                None if operation.command.only_reads() => {}
                None => events.push((operation.invoked, Event::Invoke(index))),
            }
        }
        // The operations of one pipeline are sent at one moment, and the sort keeps their order.
        events.sort_by_key(|(moment, _)| *moment);
        events
    }

    /// What this history says about a group of keys that no operation joins with the others: as if nothing else had
    /// been there.
    pub fn restrict(&self, keys: KeySet) -> History {
        let concerns = |operation: &&Operation| operation.command.keys() & keys != 0;
        History {
            initial: self.initial.clone(),
            promise: self.promise,
            operations: self.operations.iter().filter(concerns).cloned().collect(),
            crashes: self.crashes.clone(),
        }
    }

    /// What was known just after `moment`: what is answered later has no reply yet, what is sent later is not there.
    pub fn until(&self, moment: Moment) -> History {
        let operations = self.operations.iter().filter(|operation| operation.invoked <= moment);
        let unanswered_yet = |operation: &Operation| match operation.answered_at() {
            Some(at) if at > moment => Operation { outcome: Outcome::Unknown, ..operation.clone() },
            _ => operation.clone(),
        };
        History {
            initial: self.initial.clone(),
            promise: self.promise,
            operations: operations.map(unanswered_yet).collect(),
            crashes: self.crashes.iter().copied().filter(|crash| *crash <= moment).collect(),
        }
    }

    /// What happened after `moment`, at which nothing was under way and the database held `initial`.
    pub fn after(&self, moment: Moment, initial: State) -> History {
        History {
            initial,
            promise: self.promise,
            operations: self
                .operations
                .iter()
                .filter(|operation| operation.invoked > moment)
                .cloned()
                .collect(),
            crashes: self.crashes.iter().copied().filter(|crash| *crash > moment).collect(),
        }
    }
}

/// A reply as a person reads it.
pub fn reply_text(reply: &Value) -> String {
    match reply {
        Value::Null => "nil".into(),
        Value::Simple(text) => text.clone(),
        Value::Error(text) => format!("-{text}"),
        Value::Integer(number) => number.to_string(),
        Value::Bulk(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(reply_text).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

impl fmt::Display for History {
    /// One line per operation: `sent..answered  client  command  reply`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "at first: {}", self.initial)?;
        let mut crashes = self.crashes.iter().peekable();
        let mut order: Vec<&Operation> = self.operations.iter().collect();
        order.sort_by_key(|operation| operation.invoked);
        for operation in order {
            while let Some(crash) = crashes.next_if(|crash| **crash < operation.invoked) {
                writeln!(formatter, "{crash:>5}         crash")?;
            }
            let (at, reply) = match &operation.outcome {
                Outcome::Answered { at, reply } => (at.to_string(), reply_text(reply)),
                Outcome::Unknown => ("?".into(), "?".into()),
            };
            let (client, command) = (operation.client, operation.command.to_string());
            writeln!(formatter, "{:>5}..{at:<6} client {client}  {command:<30} {reply}", operation.invoked)?;
        }
        for crash in crashes {
            writeln!(formatter, "{crash:>5}         crash")?;
        }
        Ok(())
    }
}
