//! Keeps one spare segment ready per log, so that a writer hardly ever waits for zeros to be written.
//!
//! Invariants:
//! 1. A segment number is tried once: after an error the next attempt takes the next number, since a file or
//!    a MANIFEST with the old one may come back.
//! 2. A slot's lock is held while its spare is made: a writer that needs it waits for it instead of making a
//!    second one.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use formats::log::{CheckpointId, SegmentHeader, SegmentNo};

use crate::persist::files::{Files, PreparedSegment};

/// A spare that is better than none.
const SMALL_BYTES: u64 = 256 << 10;

/// Where one log's next segment is made and kept.
pub struct SpareSlot {
    files: Arc<Files>,
    state: Mutex<SlotState>,
}

struct SlotState {
    /// Header of the log's segments; number, uid and size are filled in for each.
    template: SegmentHeader,
    next: SegmentNo,
    ready: Option<PreparedSegment>,
    wanted_bytes: u64,
}

impl SpareSlot {
    /// `template.segment` is the number of the log's current segment.
    pub fn new(files: Arc<Files>, template: SegmentHeader, wanted_bytes: u64) -> SpareSlot {
        let next = SegmentNo(template.segment.0 + 1);
        SpareSlot { files, state: Mutex::new(SlotState { template, next, ready: None, wanted_bytes }) }
    }

    fn with<T>(&self, work: impl FnOnce(&Files, &mut SlotState) -> T) -> T {
        work(&self.files, &mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the spare if there is none. An error is left to the writer, which tries again when it needs it.
    pub fn fill(&self) {
        self.with(|files, state| {
            if state.ready.is_none() {
                let bytes = state.wanted_bytes;
                state.ready = state.make(files, bytes, None).ok();
            }
        });
    }

    /// As [`SpareSlot::fill`], for somebody who wants to know whether it worked. Where there is no room for a spare of the
    /// size that is wanted, a small one does.
    pub fn ensure(&self) -> io::Result<()> {
        self.with(|files, state| {
            if state.ready.is_none() {
                let (bytes, small) = (state.wanted_bytes, state.wanted_bytes.min(SMALL_BYTES));
                let made = state.make(files, bytes, None);
                state.ready = Some(made.or_else(|_| state.make(files, small, None))?);
            }
            Ok(())
        })
    }

    /// Segments made from now on follow this checkpoint.
    pub fn follow(&self, checkpoint: CheckpointId) {
        self.with(|_, state| state.template.checkpoint = checkpoint.0);
    }

    /// The next segment, with room for `least_bytes` in all; made now if no spare fits. `wanted_bytes`: size
    /// of the one after.
    pub fn take(&self, least_bytes: u64, wanted_bytes: u64) -> io::Result<PreparedSegment> {
        self.with(|files, state| {
            let taken = match state.ready.take() {
                Some(spare) if spare.bytes >= least_bytes => Ok(spare),
                Some(small) => {
                    state.make(files, least_bytes, Some(&small)).inspect_err(|_| state.ready = Some(small))
                }
                None => state.make(files, least_bytes.max(state.wanted_bytes), None),
            };
            if taken.is_ok() {
                state.wanted_bytes = wanted_bytes;
            }
            taken
        })
    }
}

impl SlotState {
    fn make(
        &mut self,
        files: &Files,
        bytes: u64,
        instead_of: Option<&PreparedSegment>,
    ) -> io::Result<PreparedSegment> {
        let exhausted = || io::Error::other("segment numbers of this log are used up");
        let header = SegmentHeader { segment: self.next, ..self.template.clone() };
        self.next = SegmentNo(self.next.0.checked_add(1).ok_or_else(exhausted)?);
        files.prepare_segment(header, bytes, instead_of.map(|spare| spare.number))
    }
}

/// The thread that makes spares, for all logs of a data directory. Ends when nobody can ask any more.
pub struct Preparer {
    requests: Option<Sender<Arc<SpareSlot>>>,
    thread: Option<JoinHandle<()>>,
}

impl Preparer {
    pub fn spawn() -> io::Result<Preparer> {
        let (requests, slots): (_, Receiver<Arc<SpareSlot>>) = channel();
        let work = move || slots.iter().for_each(|slot| slot.fill());
        let thread = Builder::new().name("log-preparer".to_owned()).spawn(work)?;
        Ok(Preparer { requests: Some(requests), thread: Some(thread) })
    }

    /// A way to ask for spares.
    pub fn requests(&self) -> Option<Sender<Arc<SpareSlot>>> {
        self.requests.clone()
    }
}

impl Drop for Preparer {
    /// Waits for the spare under way. Every other sender must be gone by now, or this waits for it too.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
