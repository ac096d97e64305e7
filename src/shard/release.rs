//! When may a reply leave? The one place that answers.
//!
//! A reply carries a *gate*: the position of its shard's log that must be released before it leaves. A position is
//! released when it is durable and no transaction before it can still be cut by a recovery, that is, when every
//! transaction before it is durable on all its participants, and so is every transaction with a lower number.
//!
//! Invariants:
//! 1. `released <= durable`, and `released` never falls.
//! 2. Held replies leave in the order in which they were held.

use std::collections::VecDeque;

use formats::log::{Gsn, Position};
use tokio::sync::oneshot;

use super::batch::Batch;
use super::sequencer::Sequencer;

/// Who waits for a position.
pub enum Held {
    /// A connection of this shard that has local replies to send.
    Connection { slot: usize, client: u64 },
    /// Replies for another shard's connection, or for a task.
    Batch(Box<Batch>),
    /// Somebody who only wants to know.
    Notify(oneshot::Sender<()>),
}

struct Transaction {
    /// Position before its first effect.
    begin: Position,
    /// Position behind its last effect.
    end: Position,
    gsn: Gsn,
}

#[derive(Default)]
pub struct Release {
    held: VecDeque<(Position, Held)>,
    /// This shard's transactions that are not complete, in the order of their numbers.
    transactions: VecDeque<Transaction>,
    /// How many of them, from the front, are durable here.
    durable_transactions: usize,
    released: Position,
}

impl Release {
    #[inline]
    pub fn released(&self) -> Position {
        self.released
    }

    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.transactions.is_empty()
    }

    /// Number of replies, or groups of them, that wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Holds `what` until `gate` is released.
    pub fn hold(&mut self, gate: Position, what: Held) {
        // Behind a later gate it waits a little longer than it must, but order is kept.
        let gate = self.held.back().map_or(gate, |(last, _)| gate.max(*last));
        self.held.push_back((gate, what));
    }

    /// Notes a transaction that was appended at `begin..end`.
    pub fn appended(&mut self, begin: Position, end: Position, gsn: Gsn) {
        assert!(
            self.transactions.back().is_none_or(|last| last.gsn < gsn),
            "transactions are appended in order"
        );
        self.transactions.push_back(Transaction { begin, end, gsn });
    }

    /// Takes note that the log is durable up to `durable`. Returns whether this completed a transaction, so
    /// that other shards may have something to release.
    pub fn advance(&mut self, durable: Position, sequencer: &Sequencer) -> bool {
        let mut completed = false;
        while let Some(next) = self.transactions.get(self.durable_transactions)
            && next.end <= durable
        {
            completed |= sequencer.durable(next.gsn);
            self.durable_transactions += 1;
        }
        let complete = sequencer.complete();
        while self.transactions.front().is_some_and(|first| first.gsn <= complete) {
            self.transactions.pop_front();
            self.durable_transactions -= 1;
        }
        let horizon = self.transactions.front().map_or(durable, |first| durable.min(first.begin));
        self.released = self.released.max(horizon);
        completed
    }

    /// The next one that may leave.
    pub fn pop(&mut self) -> Option<Held> {
        if self.held.front()?.0 > self.released {
            return None;
        }
        self.held.pop_front().map(|(_, held)| held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_count(release: &mut Release) -> usize {
        std::iter::from_fn(|| release.pop()).count()
    }

    fn hold(release: &mut Release, gate: u64) {
        release.hold(Position(gate), Held::Connection { slot: 0, client: 0 });
    }

    #[test]
    fn replies_leave_when_durable_and_in_order() {
        let sequencer = Sequencer::new(Gsn(1));
        let mut release = Release::default();
        for gate in [3, 5, 4, 6] {
            hold(&mut release, gate);
        }
        release.advance(Position(2), &sequencer);
        assert_eq!(held_count(&mut release), 0);
        release.advance(Position(4), &sequencer);
        assert_eq!(held_count(&mut release), 1, "the one with gate 4 stands behind the one with gate 5");
        release.advance(Position(6), &sequencer);
        assert_eq!(held_count(&mut release), 3);
    }

    #[test]
    fn nothing_behind_an_incomplete_transaction_leaves() {
        let sequencer = Sequencer::new(Gsn(1));
        sequencer.start(Gsn(1), true);
        let (mut a, mut b) = (Release::default(), Release::default());
        let gsn = sequencer.one_shot().expect("nothing is under way").next_gsn(2);
        a.appended(Position(2), Position(5), gsn);
        b.appended(Position(0), Position(3), gsn);
        hold(&mut a, 2);
        hold(&mut a, 5);
        hold(&mut a, 7);
        assert!(!a.advance(Position(7), &sequencer), "the other participant is not durable");
        assert_eq!(held_count(&mut a), 1, "what lies before the transaction may leave");
        assert!(b.advance(Position(3), &sequencer));
        a.advance(Position(7), &sequencer);
        assert_eq!(held_count(&mut a), 2);
    }

    #[test]
    fn a_later_transaction_waits_for_an_earlier_one_elsewhere() {
        let sequencer = Sequencer::new(Gsn(1));
        sequencer.start(Gsn(1), true);
        let (mut a, mut b, mut c) = (Release::default(), Release::default(), Release::default());
        let first = sequencer.one_shot().expect("calm").next_gsn(2);
        let second = sequencer.one_shot().expect("calm").next_gsn(2);
        a.appended(Position(0), Position(2), first);
        b.appended(Position(0), Position(2), first);
        b.appended(Position(2), Position(4), second);
        c.appended(Position(0), Position(2), second);
        hold(&mut c, 2);
        b.advance(Position(4), &sequencer);
        c.advance(Position(2), &sequencer);
        assert_eq!(
            held_count(&mut c),
            0,
            "the first transaction may still be cut, and the second with it on b"
        );
        assert!(a.advance(Position(2), &sequencer));
        c.advance(Position(2), &sequencer);
        assert_eq!(held_count(&mut c), 1);
    }
}
