//! SCAN: a walk over all pages that needs no state but a cursor.
//!
//! The cursor is the first [`CURSOR_BITS`] bits of the place where the next page starts. A split only adds pages behind or
//! at that place, and a join only makes the page that covers it start earlier. So a key that is there from the start of a
//! walk to its end is met at least once; a join (and nothing else) can show keys again.
//!
//! Invariants:
//! 1. Each step visits one page, whatever its keys; it always gets ahead.
//! 2. A cursor fits in 48 bits: the caller has 16 for the shard.

use super::tree::{MAX_DEPTH, Tree};
use super::value::Entry;

pub(super) const CURSOR_BITS: u32 = MAX_DEPTH;

/// Visits the page at `cursor` and gives the next cursor, 0 at the end. Any number is a valid cursor.
pub(super) fn step(tree: &Tree, cursor: u64, visit: impl FnMut(Entry<'_>)) -> u64 {
    let place = place_of(cursor);
    tree.page(place).entries().for_each(visit);
    next(tree, place)
}

pub(super) fn place_of(cursor: u64) -> u64 {
    cursor << (64 - CURSOR_BITS)
}

/// The cursor behind the page that covers `place`.
pub(super) fn next(tree: &Tree, place: u64) -> u64 {
    tree.end_of_page(place).map_or(0, |end| end >> (64 - CURSOR_BITS))
}
