//! The last records that were accepted, which a damaged place behind them calls into question.
//!
//! A record is confirmed by what follows: names and structures that hardly come about by chance. One whose length is
//! damaged is followed by bytes from the middle of others, which read as records only for a short while.

use std::collections::VecDeque;

/// Most records that are remembered.
const MOST: usize = 64;

/// The state of the pass before a record was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) db: u64,
    /// What the last SELECTDB of this run named.
    pub(super) last_db: Option<u64>,
    /// The record's number.
    pub(super) keys: u64,
    pub(super) needs_version: u16,
    /// Broken values that were named.
    pub(super) named: usize,
    /// It is likelier no record at all.
    pub(super) looks_like_chance: bool,
    /// Evidence in what follows it.
    pub(super) followed_by: u32,
}

/// The last records of a run.
#[derive(Default)]
pub(super) struct Tail {
    marks: VecDeque<Mark>,
    /// All evidence so far; a mark holds what it was.
    sum: u32,
}

impl Tail {
    pub(super) fn clear(&mut self) {
        self.marks.clear();
        self.sum = 0;
    }

    /// Adds a record; `evidence` is what it says for those before, `None` if it looks like chance.
    #[inline]
    pub(super) fn push(&mut self, mark: Mark, evidence: Option<u32>) {
        self.follow(evidence.unwrap_or(0));
        if self.marks.len() == MOST {
            self.marks.pop_front();
        }
        let mark = Mark { looks_like_chance: evidence.is_none(), followed_by: self.sum, ..mark };
        self.marks.push_back(mark);
    }

    /// Says that so much evidence follows the last record.
    #[inline]
    pub(super) fn follow(&mut self, evidence: u32) {
        self.sum = self.sum.wrapping_add(evidence);
    }

    pub(super) fn last(&self) -> Option<Mark> {
        self.marks.back().copied()
    }

    /// The records at the end behind which is less evidence than `enough`, in their order.
    pub(super) fn unconfirmed(&self, enough: u32) -> impl Iterator<Item = &Mark> {
        self.marks.iter().skip_while(move |mark| self.sum.wrapping_sub(mark.followed_by) >= enough)
    }

    /// The last record that starts before `offset`.
    pub(super) fn before(&self, offset: u64) -> Option<Mark> {
        self.marks.iter().rev().find(|mark| mark.offset < offset).copied()
    }

    /// Forgets the records from `offset` on, and what they said.
    pub(super) fn truncate(&mut self, offset: u64) {
        if let Some(first) = self.marks.iter().find(|mark| mark.offset >= offset) {
            self.sum = first.followed_by;
        }
        self.marks.retain(|mark| mark.offset < offset);
    }
}
