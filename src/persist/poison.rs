//! A failed sync latches.
//!
//! After a failed fsync the kernel may have dropped the pages and call them clean: the next fsync succeeds
//! and proves nothing. So a log whose sync failed once is poisoned until its data is written anew elsewhere.
//! The way back is a checkpoint: when one that holds everything appended before its cut is durable, the log needs
//! nothing of what was written before; the segment that failed is never synced again.
//!
//! Invariants:
//! 1. Once poisoned, always poisoned.

use std::io;

/// Whether a log's syncs still prove anything.
#[derive(Debug, Default)]
pub struct Poison(Option<String>);

impl Poison {
    /// Passes on the result of a sync; an error latches.
    ///
    /// # Panics
    /// If the log is poisoned already: then it must not be synced.
    pub fn latch(&mut self, result: io::Result<()>) -> Result<(), &str> {
        assert!(self.0.is_none(), "a poisoned log was synced again");
        if let Err(error) = result {
            self.0 = Some(format!("sync failed: {error}"));
        }
        self.reason().map_or(Ok(()), Err)
    }

    /// What went wrong, if something did.
    pub fn reason(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_latches() {
        let mut poison = Poison::default();
        assert_eq!(poison.latch(Ok(())), Ok(()));
        assert!(poison.latch(Err(io::Error::other("broken"))).is_err());
        assert!(poison.reason().is_some_and(|reason| reason.contains("broken")));
    }

    #[test]
    #[should_panic(expected = "synced again")]
    fn a_poisoned_log_is_never_synced() {
        let mut poison = Poison::default();
        let _ = poison.latch(Err(io::Error::other("broken")));
        let _ = poison.latch(Ok(()));
    }
}
