//! Two levels of directories over pages: a root of segments, and in each segment at most 256 pages.
//!
//! Two levels keep every step small. A freeze clones the root alone (a few hundred `Arc`s for millions of keys), the first
//! write to a frozen segment clones that segment, and no doubling ever touches more than the root.
//!
//! Invariants:
//! 1. The pages cover all places, each place once, in order: a walk by place meets every record once.
//! 2. No page is written while it is shared; the readers of views get a hint when a shared page is left behind.
//! 3. Splits need room to be worth it: keys that agree in more bits than [`Tree::allowed_depth`] share a chained page.
//! 4. A split leaves two half full pages and only pages with at most three quarters together are joined, so a page lives
//!    for at least sixteen insertions or removals.

use triomphe::Arc;

use super::directory::{Dir, Index};
use super::freeze::Readers;
use super::gauge::Watch;
use super::hash::KeyHasher;
use super::page::{MAX_BYTES, MAX_RECORDS, Page};

/// Bits that tell apart the pages of a segment.
const SEGMENT_DEPTH: u32 = 8;
/// Bits of a place that can tell pages apart; what a scan's cursor holds.
pub(super) const MAX_DEPTH: u32 = 48;
/// Bits beyond the average depth that a single page may take. Random hashes stay far below; more would let equal
/// ones double the root without end.
const SPARE_DEPTH: u32 = 6;
/// Pages that together hold no more than this are joined.
const JOINED_RECORDS: usize = MAX_RECORDS * 3 / 4;
const JOINED_BYTES: usize = MAX_BYTES * 3 / 4;
/// Segments that together have no more pages than this are joined.
const JOINED_PAGES: usize = 64;

/// The pages of all places that begin with the same `prefix` bits.
#[derive(Clone)]
pub(super) struct Segment {
    prefix: u32,
    pages: Dir<Page, u8>,
}

impl Segment {
    pub(super) fn prefix(&self) -> u32 {
        self.prefix
    }

    pub(super) fn into_pages(self) -> Dir<Page, u8> {
        self.pages
    }

    pub(super) fn pages(&self) -> &[Arc<Page>] {
        self.pages.items()
    }

    #[inline]
    fn page(&self, place: u64) -> &Arc<Page> {
        self.pages.get(place << self.prefix)
    }
}

/// All pages of a keyspace. The first key brings the first page.
pub(super) struct Tree {
    root: Dir<Segment, u32>,
    /// An estimate of what all pages take, in bytes.
    page_bytes: usize,
    pages: usize,
    readers: Readers,
}

/// The place of a page in its segment, with what has to be told when the page changes.
pub(super) struct PageCell<'a> {
    page: &'a mut Arc<Page>,
    place: u64,
    page_bytes: &'a mut usize,
    readers: &'a mut Readers,
}

impl PageCell<'_> {
    #[inline]
    pub(super) fn page(&self) -> &Page {
        self.page
    }

    /// Lets `change` work on the page, or on a copy that takes its place if a view holds it.
    #[inline]
    pub(super) fn edit<R>(self, change: impl FnOnce(&mut Page) -> R) -> R {
        let before = self.page.heap_bytes();
        if !self.page.is_unique() {
            let copy = Arc::new(Page::clone(self.page));
            self.readers.leave(self.place, std::mem::replace(self.page, copy));
        }
        let page = Arc::make_mut(self.page);
        let meter = if page.has_objects() { self.readers.meter() } else { None };
        let watch = meter.map(|meter| Watch::new(meter, page));
        let result = change(page);
        if let Some(watch) = watch {
            watch.compare(page);
        }
        *self.page_bytes = *self.page_bytes - before + page.heap_bytes();
        result
    }
}

impl Tree {
    /// A tree of one empty page.
    pub(super) fn new() -> Tree {
        let segment = Segment { prefix: 0, pages: Dir::of(Page::default()) };
        let page_bytes = Page::default().heap_bytes();
        Tree { root: Dir::of(segment), page_bytes, pages: 1, readers: Readers::default() }
    }

    pub(super) fn clone_root(&self) -> (Index<u32>, Vec<Arc<Segment>>) {
        self.root.clone().into_parts()
    }

    pub(super) fn readers(&mut self) -> &mut Readers {
        &mut self.readers
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        self.root.items()
    }

    /// An estimate of the heap that the tree takes, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        const POINTER_AND_SLOTS: usize = 16;
        self.page_bytes + self.pages * POINTER_AND_SLOTS + self.root.items().len() * size_of::<Segment>()
    }

    /// The page that covers `place`.
    #[inline]
    pub(super) fn page(&self, place: u64) -> &Page {
        self.root.get(place).page(place)
    }

    /// All pages in the order of their places.
    pub(super) fn pages_in_order(&self) -> impl Iterator<Item = &Page> {
        self.root.in_order().flat_map(|segment| segment.pages.in_order()).map(|page| &**page)
    }

    /// The first place behind the page that covers `place`, if any.
    pub(super) fn end_of_page(&self, place: u64) -> Option<u64> {
        match self.page_depth(place) {
            0 => None,
            depth => ((place >> (64 - depth)) + 1).checked_mul(1 << (64 - depth)),
        }
    }

    /// How many bits the places of a page share.
    fn page_depth(&self, place: u64) -> u32 {
        let segment = self.root.get(place);
        segment.prefix + segment.pages.item_depth(place << segment.prefix)
    }

    /// The page that covers `place`, to look at and then to change. Copies the segment if a view holds it.
    #[inline]
    pub(super) fn cell(&mut self, place: u64) -> PageCell<'_> {
        let segment = Arc::make_mut(self.root.get_mut(place));
        let page = segment.pages.get_mut(place << segment.prefix);
        PageCell { page, place, page_bytes: &mut self.page_bytes, readers: &mut self.readers }
    }

    /// Lets `change` work on the page that covers `place`.
    pub(super) fn edit<R>(&mut self, place: u64, change: impl FnOnce(&mut Page) -> R) -> R {
        self.cell(place).edit(change)
    }

    /// Splits the page that covers `place`, for a key that belongs there. False if no split can part its keys. The tree will
    /// have `expected` keys, or more.
    pub(super) fn split(&mut self, place: u64, hasher: &KeyHasher, expected: usize) -> bool {
        let depth = self.page_depth(place);
        let places: Vec<u64> =
            self.page(place).entries().map(|entry| hasher.hash(entry.key).place()).collect();
        let differing = places.iter().fold(0, |bits, other| bits | (place ^ other));
        if differing.leading_zeros() >= self.allowed_depth(expected) {
            return false;
        }
        if self.root.get(place).pages.depth() == SEGMENT_DEPTH && self.page_is_as_deep_as_its_segment(place) {
            self.split_segment(place);
        }
        let halves = [0, 1].map(|bit| {
            let chosen = |at: usize| places[at] >> (63 - depth) & 1 == bit;
            let mut half = Page::with_room(self.page(place).own_bytes() / 2);
            half.absorb(self.page(place), chosen);
            half
        });
        self.pages += 1;
        self.page_bytes += halves[0].heap_bytes() + halves[1].heap_bytes();
        let segment = Arc::make_mut(self.root.get_mut(place));
        let old = segment.pages.split(place << segment.prefix, halves);
        self.page_bytes -= old.heap_bytes();
        if !old.is_unique() {
            self.readers.leave(place, old);
        }
        true
    }

    fn allowed_depth(&self, expected: usize) -> u32 {
        let depth = self.root.items().len().ilog2() + SEGMENT_DEPTH;
        let expected_depth = (expected / MAX_RECORDS).checked_ilog2().unwrap_or(0);
        (depth.max(expected_depth) + SPARE_DEPTH).min(MAX_DEPTH)
    }

    fn page_is_as_deep_as_its_segment(&self, place: u64) -> bool {
        let pages = &self.root.get(place).pages;
        pages.item_depth(place << self.root.get(place).prefix) == pages.depth()
    }

    fn split_segment(&mut self, place: u64) {
        let segment = self.root.get(place);
        let prefix = segment.prefix + 1;
        let halves = segment.pages.halves().map(|pages| Segment { prefix, pages });
        self.root.split(place, halves);
    }

    /// Joins the page that covers `place` with its buddy as long as they are nearly empty together.
    pub(super) fn join(&mut self, place: u64) {
        while self.join_page(place) {
            while self.join_segment(place) {}
        }
    }

    fn join_page(&mut self, place: u64) -> bool {
        let segment = self.root.get(place);
        let bits = place << segment.prefix;
        let Some([left, right]) = segment.pages.buddies(bits) else { return false };
        let (records, bytes) = (left.own_len() + right.own_len(), left.own_bytes() + right.own_bytes());
        if records > JOINED_RECORDS || bytes > JOINED_BYTES || left.is_chained() || right.is_chained() {
            return false;
        }
        let mut joined = Page::with_room(bytes);
        joined.absorb(left, |_| true);
        joined.absorb(right, |_| true);
        // The lowest bit that tells the two apart gives the buddy's place.
        let buddy = place ^ (1 << (64 - self.page_depth(place)));
        let shared = [left, right].map(|page| (!page.is_unique()).then(|| page.clone()));
        self.page_bytes -= left.heap_bytes() + right.heap_bytes();
        self.page_bytes += joined.heap_bytes();
        self.pages -= 1;
        Arc::make_mut(self.root.get_mut(place)).pages.join(bits, joined);
        for page in shared.into_iter().flatten() {
            // Which of the two places is its own is not known any more: one hint too many does no harm.
            self.readers.leave(place, page);
            self.readers.hint(buddy);
        }
        true
    }

    fn join_segment(&mut self, place: u64) -> bool {
        let Some([left, right]) = self.root.buddies(place) else { return false };
        let depth = left.pages.depth().max(right.pages.depth());
        if depth == SEGMENT_DEPTH || left.pages().len() + right.pages().len() > JOINED_PAGES {
            return false;
        }
        let joined = Segment { prefix: left.prefix - 1, pages: Dir::of_halves(&left.pages, &right.pages) };
        self.root.join(place, joined);
        true
    }
}

impl Drop for Tree {
    /// What views hold is theirs alone from now on.
    fn drop(&mut self) {
        let Some(meter) = self.readers.meter() else { return };
        for segment in self.root.take_items() {
            let segment = Arc::unwrap_or_clone(segment);
            segment.into_pages().into_parts().1.into_iter().for_each(|page| meter.leave(page));
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Compares what is counted along with what is there.
    pub(super) fn assert_accounts(&self) {
        let pages = || self.pages_in_order();
        assert_eq!((self.pages, self.page_bytes), (pages().count(), pages().map(Page::heap_bytes).sum()));
        pages().for_each(Page::assert_accounts);
    }

    pub(super) fn shared_pages(&self) -> usize {
        let shared = |segment: &Arc<Segment>| match segment.is_unique() {
            true => segment.pages().iter().filter(|page| !page.is_unique()).count(),
            false => segment.pages().len(),
        };
        self.segments().iter().map(shared).sum()
    }

    pub(super) fn page_count(&self) -> usize {
        self.pages
    }
}
