//! What the threads of a run share.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    WarmUp = 0,
    Measured = 1,
    /// Nothing more is sent; replies under way are awaited.
    Over = 2,
}

/// Shared by reference between the workers and the thread that waits for them.
pub(super) struct Control {
    phase: AtomicU8,
    /// Commands that may still be sent.
    commands_left: AtomicU64,
    /// Next key where keys go up one by one.
    next_key: AtomicU64,
    /// Replies that came so far, whatever the phase.
    replies: AtomicU64,
}

impl Control {
    pub(super) fn new(phase: Phase, commands: u64) -> Self {
        Control {
            phase: AtomicU8::new(phase as u8),
            commands_left: AtomicU64::new(commands),
            next_key: AtomicU64::new(0),
            replies: AtomicU64::new(0),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measured,
            _ => Phase::Over,
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Takes up to `wanted` commands from those left.
    pub(super) fn take_commands(&self, wanted: u64) -> u64 {
        let taken = self.commands_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left != u64::MAX).then(|| left - left.min(wanted)) // u64::MAX: without end, nothing to count
        });
        taken.map_or(wanted, |left| left.min(wanted))
    }

    pub(super) fn count_replies(&self, replies: u64) {
        self.replies.fetch_add(replies, Ordering::Relaxed);
    }

    pub(super) fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }

    /// The first of `count` keys in a row.
    pub(super) fn take_keys(&self, count: u64) -> u64 {
        self.next_key.fetch_add(count, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_out_and_never_below_zero() {
        let control = Control::new(Phase::Measured, 10);
        assert_eq!([7, 7, 7].map(|wanted| control.take_commands(wanted)), [7, 3, 0]);
        let endless = Control::new(Phase::Measured, u64::MAX);
        assert_eq!([7, 7].map(|wanted| endless.take_commands(wanted)), [7, 7]);
    }
}
