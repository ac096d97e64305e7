//! The order of multi-shard commands: the only critical section that all shards share.
//!
//! Invariants:
//! 1. A command's messages enter the mailboxes of all its participants within one critical section. So all shards see
//!    multi-shard commands in one order, and shards append transactions to their logs in GSN order.
//! 2. While a two-step transaction stands between its lock and its commit, no one-shot write is sequenced past it
//!    without locks, and nothing exclusive (FLUSHALL) at all.
//! 3. `complete` is the highest GSN such that every transaction up to it is durable on all its participants. A shard
//!    acknowledges nothing that lies behind a transaction with a higher one: recovery may have to cut there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use formats::log::Gsn;
use tokio::sync::oneshot;

use super::locks::TransactionId;

struct State {
    next_gsn: u64,
    next_transaction: u64,
    /// Two-step transactions between lock and commit.
    two_step: usize,
    /// Those who wait to start, in order: `true` for exclusive ones.
    waiting: VecDeque<(bool, oneshot::Sender<()>)>,
    /// An exclusive one has been let in and has yet to enter.
    exclusive_enters: bool,
    /// For each GSN behind `complete`: participants on which it is not durable yet.
    remaining: VecDeque<u16>,
    /// Transactions are logged; without a log nothing is tracked.
    logged: bool,
}

/// See the module.
pub struct Sequencer {
    state: Mutex<State>,
    complete: AtomicU64,
    /// The last number handed out, for [`Sequencer::is_full`].
    started: AtomicU64,
    /// The last section whose messages are all in their mailboxes.
    published: AtomicU64,
}

/// Transactions that may be under way, that is, not durable everywhere. More come only if a log is stuck.
const MAX_INCOMPLETE: u64 = 1 << 18;

/// The critical section. Sending happens while it is held.
pub struct Section<'a> {
    state: MutexGuard<'a, State>,
    sequencer: &'a Sequencer,
    number: u64,
}

impl Sequencer {
    /// `next_gsn`: the first number to hand out.
    pub fn new(next_gsn: Gsn) -> Self {
        Self {
            state: Mutex::new(State {
                next_gsn: next_gsn.0,
                next_transaction: 0,
                two_step: 0,
                waiting: VecDeque::new(),
                exclusive_enters: false,
                remaining: VecDeque::new(),
                logged: false,
            }),
            complete: AtomicU64::new(next_gsn.0.saturating_sub(1)),
            started: AtomicU64::new(0),
            published: AtomicU64::new(0),
        }
    }

    fn section<'a>(&'a self, state: MutexGuard<'a, State>) -> Section<'a> {
        // Sections do not overlap, so the last published one is the one before this.
        Section { state, sequencer: self, number: self.published.load(Ordering::Relaxed) + 1 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that can panic (none does).
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Continues the numbering of the log found at the start. Before the first client is served.
    pub fn start(&self, next_gsn: Gsn, logged: bool) {
        let mut state = self.lock();
        assert!(state.remaining.is_empty(), "numbering starts before the first transaction");
        state.next_gsn = next_gsn.0.max(1);
        state.logged = logged;
        self.complete.store(state.next_gsn - 1, Ordering::Release);
    }

    /// The highest GSN up to which all transactions are durable everywhere.
    #[inline]
    pub fn complete(&self) -> Gsn {
        Gsn(self.complete.load(Ordering::Acquire))
    }

    /// So many transactions are incomplete that no more should begin: a log is stuck.
    pub fn is_full(&self) -> bool {
        self.started.load(Ordering::Relaxed).saturating_sub(self.complete().0) > MAX_INCOMPLETE
    }

    /// Waits until all messages of a section are in their mailboxes. A shard that runs its part earlier could show it to a
    /// client that is faster than the message to another participant.
    #[inline]
    pub fn wait_published(&self, section: u64) {
        let mut tries = 0u32;
        while self.published.load(Ordering::Acquire) < section {
            // The sender is a few pushes from its end, unless it was preempted.
            tries += 1;
            if tries < 100 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }

    /// One participant has made its part of `gsn` durable. Returns whether `complete` rose: then
    /// the other shards must look.
    pub fn durable(&self, gsn: Gsn) -> bool {
        let mut state = self.lock();
        let complete = self.complete.load(Ordering::Relaxed);
        let index = usize::try_from(gsn.0 - complete - 1).expect("the window fits into memory");
        state.remaining[index] -= 1;
        let mut risen = complete;
        while state.remaining.front() == Some(&0) {
            state.remaining.pop_front();
            risen += 1;
        }
        self.complete.store(risen, Ordering::Release);
        risen != complete
    }

    /// Enters the critical section for a one-shot command. `None`: a write must take the two-step way now,
    /// and a read must wait for its connection's own commands first.
    pub fn one_shot(&self) -> Option<Section<'_>> {
        let state = self.lock();
        state.is_calm().then(|| self.section(state))
    }

    /// No two-step transaction is under way.
    pub fn is_calm(&self) -> bool {
        self.lock().is_calm()
    }

    /// Enters the critical section for a reading one-shot command whose connection has nothing else under way.
    pub fn read(&self) -> Section<'_> {
        self.section(self.lock())
    }

    /// Starts a two-step transaction; waits while something exclusive waits.
    pub async fn two_step(&self) -> (TransactionId, Section<'_>) {
        loop {
            let wait = {
                let mut state = self.lock();
                if state.waiting.is_empty() && !state.exclusive_enters {
                    return self.begin(state);
                }
                let (sender, receiver) = oneshot::channel();
                state.waiting.push_back((false, sender));
                receiver
            };
            if wait.await.is_ok() {
                // `leave` counted us in already.
                let mut state = self.lock();
                state.two_step -= 1;
                return self.begin(state);
            }
        }
    }

    fn begin<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (TransactionId, Section<'a>) {
        state.two_step += 1;
        let id = TransactionId(state.next_transaction);
        state.next_transaction += 1;
        (id, self.section(state))
    }

    /// Enters the critical section of a two-step transaction's end.
    pub fn end_two_step(&self) -> Section<'_> {
        let mut state = self.lock();
        state.two_step -= 1;
        self.section(state)
    }

    /// Enters the critical section with no two-step transaction under way; those that come later wait.
    pub async fn exclusive(&self) -> Section<'_> {
        loop {
            let wait = {
                let mut state = self.lock();
                if state.is_calm() {
                    return self.section(state);
                }
                let (sender, receiver) = oneshot::channel();
                state.waiting.push_back((true, sender));
                receiver
            };
            if wait.await.is_ok() {
                let mut state = self.lock();
                assert_eq!(state.two_step, 0, "exclusive means alone");
                state.exclusive_enters = false;
                return self.section(state);
            }
        }
    }
}

impl State {
    /// No two-step transaction is under way, and nobody waits for that.
    fn is_calm(&self) -> bool {
        self.two_step == 0 && self.waiting.is_empty() && !self.exclusive_enters
    }
}

impl Section<'_> {
    /// The number of this section, for the messages that are sent in it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The last number given out so far, in this run or before it.
    pub fn last_gsn(&self) -> Gsn {
        Gsn(self.state.next_gsn - 1)
    }

    /// The next number, for a transaction that writes on `participants` shards.
    pub fn next_gsn(&mut self, participants: usize) -> Gsn {
        let state = &mut *self.state;
        let gsn = Gsn(state.next_gsn);
        state.next_gsn += 1;
        if state.logged {
            state.remaining.push_back(u16::try_from(participants).expect("shards are numbered in 16 bits"));
            self.sequencer.started.store(gsn.0, Ordering::Relaxed);
        }
        gsn
    }
}

impl Drop for Section<'_> {
    /// Publishes the section, and lets those in who waited: an exclusive one alone, two-step ones together. Whoever is let in counts at once,
    /// so that nobody slips in between.
    fn drop(&mut self) {
        self.sequencer.published.store(self.number, Ordering::Release);
        let state = &mut *self.state;
        while !state.exclusive_enters {
            let enter = match state.waiting.front() {
                Some((true, _)) => state.two_step == 0,
                Some((false, _)) => true,
                None => false,
            };
            if !enter {
                return;
            }
            let Some((exclusive, sender)) = state.waiting.pop_front() else { return };
            if sender.send(()).is_err() {
                continue; // it has gone away
            }
            if exclusive {
                state.exclusive_enters = true;
            } else {
                state.two_step += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_published_when_it_ends_and_not_before() {
        let sequencer = Sequencer::new(Gsn(1));
        let section = sequencer.one_shot().expect("nothing is under way");
        let number = section.number();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| sequencer.wait_published(number));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiter.is_finished(), "its messages are not all sent yet");
            drop(section);
            waiter.join().expect("it ends now");
        });
        assert_eq!(sequencer.read().number(), number + 1);
    }
}
