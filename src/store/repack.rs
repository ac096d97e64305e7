//! The move of pages to fresh memory, so that the allocator can give back what mass deletion left thinly filled.
//!
//! Invariants:
//! 1. A page that was left behind is freed [`DELAY`] pages later. An allocator hands out first what was freed last: freed at
//!    once, the old page's memory would be the next page's, and nothing would move together.
//! 2. Pages that a view holds stay where they are.

use std::collections::VecDeque;

use triomphe::Arc;

use super::page::Page;
use super::scan;
use super::tree::Tree;

/// Pages that wait to be freed, at most: several times what an allocator's thread cache holds over all size classes.
const DELAY: usize = 2048;

/// Where the move stands; starts at [`RepackCycle::default`]. Holds up to some megabytes until it is dropped.
#[derive(Default)]
pub struct RepackCycle {
    cursor: u64,
    left_behind: VecDeque<Arc<Page>>,
}

/// Moves the next `max_pages` pages. True at the end of the keyspace: the next call starts at its beginning.
pub(super) fn pass(tree: &mut Tree, cycle: &mut RepackCycle, max_pages: usize) -> bool {
    for _ in 0..max_pages {
        let place = scan::place_of(cycle.cursor);
        cycle.left_behind.extend(tree.cell(place).repack());
        if cycle.left_behind.len() > DELAY {
            cycle.left_behind.pop_front();
        }
        cycle.cursor = scan::next(tree, place);
        if cycle.cursor == 0 {
            cycle.left_behind.clear();
            return true;
        }
    }
    false
}
