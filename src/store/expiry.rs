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
use super::value::Entry;

/// Where the search stands; starts at [`ExpireCycle::default`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpireCycle {
    cursor: u64,
    /// Of this walk over the keyspace, and of the last whole one.
    ttls: Ttls,
    last_ttls: Ttls,
}

/// How long keys have to live: one key of each page that has keys which end.
#[derive(Clone, Copy, Debug, Default)]
struct Ttls {
    sum_ms: u128,
    keys: u64,
}

impl ExpireCycle {
    /// How long keys that end have to live on average, in ms, as the last whole walk found it; 0 before there are any.
    pub fn mean_ttl_ms(&self) -> u64 {
        let ttls = if self.last_ttls.keys > 0 { self.last_ttls } else { self.ttls };
        ttls.sum_ms.checked_div(u128::from(ttls.keys)).map_or(0, |mean| mean as u64)
    }
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
        if page.earliest_expiry().is_some() {
            let left = |entry: Entry<'_>| entry.expire_at?.checked_sub(now_ms).filter(|left| *left > 0);
            if let Some(left) = page.entries().find_map(left) {
                cycle.ttls.sum_ms += u128::from(left);
                cycle.ttls.keys += 1;
            }
        }
        cycle.cursor = scan::next(tree, place);
        pass.pages += 1;
        pass.finished = cycle.cursor == 0;
        if pass.finished {
            cycle.last_ttls = std::mem::take(&mut cycle.ttls);
        }
    }
    pass
}
