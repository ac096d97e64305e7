//! The search for keys that have ended though nobody asks for them.
//!
//! A page knows its earliest expiry, so a page without expired keys costs one look and no second index is kept.
//!
//! Invariants:
//! 1. The search changes nothing: the caller removes what it is shown, and logs that.
//! 2. A pass looks at no more pages than it was allowed; the next one goes on where it stopped.

use super::hash::{KeyHash, KeyHasher};
use super::scan;
use super::tree::Tree;

/// Where the search stands; starts at [`ExpireCycle::default`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpireCycle {
    cursor: u64,
}

/// What one pass has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpirePass {
    /// Pages looked at.
    pub pages: usize,
    /// Keys reported.
    pub expired: usize,
    /// Whether the search came to the end of the keyspace; the next pass starts at its beginning.
    pub finished: bool,
}

/// Reports keys that have ended at `now_ms`, going over at most `max_pages` pages.
pub(super) fn pass(
    tree: &Tree,
    hasher: &KeyHasher,
    cycle: &mut ExpireCycle,
    now_ms: u64,
    max_pages: usize,
    mut report: impl FnMut(KeyHash, &[u8]),
) -> ExpirePass {
    let mut pass = ExpirePass::default();
    while pass.pages < max_pages && !pass.finished {
        let place = scan::place_of(cycle.cursor);
        let page = tree.page(place);
        if page.earliest_expiry().is_some_and(|at| at <= now_ms) {
            for entry in page.entries().filter(|entry| entry.is_expired(now_ms)) {
                report(hasher.hash(entry.key), entry.key);
                pass.expired += 1;
            }
        }
        cycle.cursor = scan::next(tree, place);
        pass.pages += 1;
        pass.finished = cycle.cursor == 0;
    }
    pass
}
