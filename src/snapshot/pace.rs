//! Lets clients through while views are written.
//!
//! A writer that runs on and on has a core for a whole slice of the scheduler, milliseconds in which a shard may wait for it.
//! So it works in short bursts and sleeps in between; but only while its views cost little: where owners are copying
//! pages faster than they are written, memory matters more, and it runs through.

use std::time::{Duration, Instant};

use super::Progress;
use crate::{clock, waiting};

/// Longest time at work without a pause, and the pause.
const BURST: Duration = Duration::from_micros(250);
const PAUSE: Duration = Duration::from_micros(250);
/// Pages between two looks at the clock; a page takes a few microseconds.
const LOOK_PAGES: u32 = 16;
/// Copied pages that may wait while the writer sleeps.
const CALM_BYTES: u64 = 1 << 20;

/// One writer's rhythm.
pub(super) struct Pace<'p> {
    progress: &'p Progress,
    pages: u32,
    since: Instant,
}

impl<'p> Pace<'p> {
    pub(super) fn new(progress: &'p Progress) -> Self {
        Pace { progress, pages: 0, since: clock::now() }
    }

    /// A page was written.
    #[inline]
    pub(super) fn page(&mut self) {
        self.pages += 1;
        waiting::pass();
        if self.pages.is_multiple_of(LOOK_PAGES) {
            self.look();
        }
    }

    fn look(&mut self) {
        if clock::elapsed(self.since) < BURST {
            return;
        }
        if self.progress.held_bytes().is_some_and(|held| held < CALM_BYTES) {
            waiting::sleep(PAUSE);
        }
        self.since = clock::now();
    }
}
