//! Key locks of two-step transactions, on one shard.
//!
//! Only two-step transactions hold locks, between their sequenced lock message and their commit. Writes to a locked key
//! wait in the key's queue; reads pass (the keyspace changes only at the commit), unless something waits there already:
//! then they wait too, so that a client reads what it wrote before.
//!
//! Invariants:
//! 1. Transactions ask for locks in sequenced order, the same on every shard: whoever waits, waits for an earlier one.
//! 2. A key's queue is first-in-first-out.
//! 3. A key without holder and queue has no entry: an idle table is empty, and costs a command one comparison.

use std::collections::{HashMap, VecDeque};

use super::batch::Batch;

/// A two-step transaction, numbered by the sequencer in the order of their lock messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub u64);

/// Database and key hash. Two keys with one hash share a lock, which is harmless.
pub type LockKey = (u16, u64);

enum Waiter {
    Transaction(TransactionId),
    Batch(Box<Batch>),
}

#[derive(Default)]
struct Entry {
    holder: Option<TransactionId>,
    queue: VecDeque<Waiter>,
}

struct Pending {
    keys: Vec<LockKey>,
    missing: usize,
    /// What to run once all locks are held.
    batch: Option<Box<Batch>>,
}

/// Work that became possible by a release.
pub enum Ready {
    /// The transaction holds all its locks here.
    Locked(Box<Batch>),
    /// A batch that waited for this key: its next call may pass it.
    Batch(Box<Batch>, LockKey),
}

#[derive(Default)]
pub struct LockTable {
    entries: HashMap<LockKey, Entry>,
    transactions: HashMap<TransactionId, Pending>,
    /// Keys whose queues are to be looked at.
    freed: VecDeque<LockKey>,
}

impl LockTable {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Must a command on `key` wait?
    pub fn blocks(&self, key: LockKey, writes: bool) -> bool {
        self.entries.get(&key).is_some_and(|entry| writes || !entry.queue.is_empty())
    }

    /// Puts a batch into the queue of a key that blocks it.
    pub fn wait(&mut self, key: LockKey, batch: Box<Batch>) {
        self.entries.entry(key).or_default().queue.push_back(Waiter::Batch(batch));
    }

    /// Asks for the locks of all keys in `batch`. Returns the batch if all are held at once; else
    /// it comes out of [`LockTable::next_ready`].
    pub fn acquire(&mut self, id: TransactionId, batch: Box<Batch>) -> Option<Box<Batch>> {
        let keys = batch.lock_keys();
        let mut missing = 0;
        for key in &keys {
            let entry = self.entries.entry(*key).or_default();
            if entry.holder.is_none() && entry.queue.is_empty() {
                entry.holder = Some(id);
            } else {
                entry.queue.push_back(Waiter::Transaction(id));
                missing += 1;
            }
        }
        let (batch, now) = if missing == 0 { (None, Some(batch)) } else { (Some(batch), None) };
        self.transactions.insert(id, Pending { keys, missing, batch });
        now
    }

    /// Releases what a transaction holds. Then take what became ready from [`LockTable::next_ready`].
    pub fn release(&mut self, id: TransactionId) {
        let pending = self.transactions.remove(&id).expect("a transaction releases once, after it locked");
        assert_eq!(pending.missing, 0, "released before all locks were held");
        for key in pending.keys {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.holder = None;
                self.freed.push_back(key);
            }
        }
    }

    /// The next piece of work that a release made possible. Run it before asking again: it may wait anew.
    pub fn next_ready(&mut self) -> Option<Ready> {
        while let Some(&key) = self.freed.front() {
            let Some(entry) = self.entries.get_mut(&key) else {
                self.freed.pop_front();
                continue;
            };
            match entry.queue.pop_front() {
                None => {
                    self.entries.remove(&key);
                    self.freed.pop_front();
                }
                Some(Waiter::Batch(batch)) => return Some(Ready::Batch(batch, key)),
                Some(Waiter::Transaction(id)) => {
                    entry.holder = Some(id);
                    self.freed.pop_front();
                    let pending = self.transactions.get_mut(&id).expect("a waiting transaction is known");
                    pending.missing -= 1;
                    if pending.missing == 0 {
                        let batch = pending.batch.take().expect("a waiting transaction keeps its batch");
                        return Some(Ready::Locked(batch));
                    }
                }
            }
        }
        None
    }
}
