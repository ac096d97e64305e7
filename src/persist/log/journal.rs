//! What the shards of this thread appended to their logs: for a test that wants to know what a recovery may bring back.
//!
//! Invariant: an effect is noted when it is appended, whatever becomes of it.

use std::cell::RefCell;

use formats::log::{Gsn, Position, ShardId};

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub shard: ShardId,
    /// Of its shard's log, behind the effect.
    pub end: Position,
    pub database: u16,
    pub args: Vec<Vec<u8>>,
    /// The transaction over several shards that it is a part of, with all of these. It ends with an entry without arguments.
    pub transaction: Option<(Gsn, Vec<ShardId>)>,
    /// Here a command ends: what a crash leaves may end here, and not within a command.
    pub ends_command: bool,
    /// Wall clock, Unix ms.
    pub time_ms: u64,
}

thread_local! {
    static JOURNAL: RefCell<Option<Vec<Entry>>> = const { RefCell::new(None) };
}

/// Begins a journal of this thread, which is empty, or ends it. Answers what was in the one before.
pub fn set(begin: bool) -> Vec<Entry> {
    JOURNAL.replace(begin.then(Vec::new)).unwrap_or_default()
}

/// Looks at the entries so far.
pub fn with<T>(look: impl FnOnce(&[Entry]) -> T) -> T {
    JOURNAL.with_borrow(|journal| look(journal.as_deref().unwrap_or_default()))
}

pub(super) fn note(
    shard: ShardId,
    end: Position,
    database: u16,
    args: &[&[u8]],
    transaction: Option<(Gsn, Vec<ShardId>)>,
) {
    JOURNAL.with_borrow_mut(|journal| {
        if let Some(journal) = journal {
            let args = args.iter().map(|arg| arg.to_vec()).collect();
            let time_ms = crate::clock::unix_ms();
            journal.push(Entry { shard, end, database, args, transaction, ends_command: false, time_ms });
        }
    });
}

/// A command has ended on this shard.
pub(super) fn note_command(shard: ShardId) {
    JOURNAL.with_borrow_mut(|journal| {
        let mut entries = journal.iter_mut().flatten().rev();
        if let Some(last) = entries.find(|entry| entry.shard == shard) {
            last.ends_command = true;
        }
    });
}
