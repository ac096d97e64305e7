//! CLIENT PAUSE: commands of clients wait for a time, all of them or those that write.
//!
//! Invariant: while a pause lasts no key is removed because its time has come, so that the data stands still; such a key
//! does not exist for those who look it up. Only a write that was under way when the pause began removes what it replaces.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::clock;

/// Which commands wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Paused {
    Nothing,
    Writes,
    All,
}

impl Paused {
    fn of(number: u8) -> Paused {
        match number {
            0 => Paused::Nothing,
            1 => Paused::Writes,
            _ => Paused::All,
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct ClientPause {
    kind: AtomicU8,
    until_ms: AtomicU64,
}

impl ClientPause {
    /// Begins a pause, or makes the one that lasts longer and stricter, never shorter or milder.
    pub fn begin(&self, kind: Paused, until_ms: u64) {
        if self.now() == Paused::Nothing {
            self.end(); // what has passed does not count
        }
        self.until_ms.fetch_max(until_ms, Ordering::SeqCst);
        self.kind.fetch_max(kind as u8, Ordering::SeqCst);
    }

    pub fn end(&self) {
        self.kind.store(0, Ordering::SeqCst);
        self.until_ms.store(0, Ordering::SeqCst);
    }

    /// What waits now.
    #[inline]
    pub fn now(&self) -> Paused {
        match self.kind.load(Ordering::SeqCst) {
            0 => Paused::Nothing,
            kind if clock::unix_ms() <= self.until_ms.load(Ordering::SeqCst) => Paused::of(kind),
            _ => Paused::Nothing,
        }
    }

    /// When it ends by itself, Unix ms.
    pub fn until_ms(&self) -> u64 {
        self.until_ms.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_and_never_shrinks() {
        let pause = ClientPause::default();
        let now_ms = clock::unix_ms();
        assert_eq!(pause.now(), Paused::Nothing);
        pause.begin(Paused::All, now_ms + 60_000);
        pause.begin(Paused::Writes, now_ms + 1000);
        assert_eq!((pause.now(), pause.until_ms()), (Paused::All, now_ms + 60_000));
        pause.end();
        pause.begin(Paused::All, 1);
        assert_eq!(pause.now(), Paused::Nothing, "it lies in the past");
        pause.begin(Paused::Writes, now_ms + 60_000);
        assert_eq!(pause.now(), Paused::Writes, "what has passed does not count");
    }
}
