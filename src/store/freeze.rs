//! A view of a keyspace that stands still while its owner goes on writing.
//!
//! A freeze clones the root's `Arc`s. From then on the owner copies what is shared before it writes. Whoever reads the view
//! takes its pages one by one and drops each when done, so a page that the owner has copied would cost memory until the
//! reader comes by: the owner therefore *hints* where it copied, and the reader takes those pages first. What the view
//! costs is then the reader's lag and not the share of pages that were touched.
//!
//! Invariants:
//! 1. A view hands out each of its pages exactly once, in no promised order.
//! 2. Hints only change the order: one that is lost, late, doubled or meant for another view does no harm. So their queue
//!    can be bounded, and each view alive gets all of them.
//! 3. A hint is a place, not a page: every tree, old or new, knows which of its own pages covers a place.
//! 4. Every page that a view lets go of goes through [`Meter::release`], also when the view is dropped half read.

use crossbeam_queue::SegQueue;
use std::sync::{Arc as Shared, Weak};
use triomphe::{Arc, UniqueArc};

use super::directory::Index;
use super::gauge::{Meter, ViewGauge};
use super::page::Page;
use super::tree::{Segment, Tree};
use super::value::Entry;

/// Hints that wait for a reader; further ones are dropped. A page costs its reader about a microsecond, so this is far
/// more than its lag should ever be.
const MAX_HINTS: usize = 1 << 17;

pub(super) type Hints = SegQueue<u64>;

/// The owner's end: the hint queues of all views that are alive, and what they cost.
#[derive(Default)]
pub(super) struct Readers {
    hints: Vec<Shared<Hints>>,
    meter: Weak<Meter>,
}

impl Readers {
    fn join(&mut self) -> (Shared<Hints>, Shared<Meter>) {
        self.forget_gone();
        let hints = Shared::new(Hints::new());
        self.hints.push(hints.clone());
        // Views that overlap share a meter: what several hold is held once.
        let meter = self.meter.upgrade().unwrap_or_default();
        self.meter = Shared::downgrade(&meter);
        (hints, meter)
    }

    /// What measures the views, if a part of any is alive.
    #[inline]
    pub(super) fn meter(&self) -> Option<Shared<Meter>> {
        self.meter.upgrade()
    }

    /// Gives up `page`, which covered `place` and which views hold: they are told, and have it to themselves.
    #[cold]
    pub(super) fn leave(&mut self, place: u64, page: Arc<Page>) {
        self.hint(place);
        if let Some(meter) = self.meter() {
            meter.leave_copied(page);
        }
    }

    /// Tells the readers that the owner no longer needs the page that covered `place`.
    pub(super) fn hint(&mut self, place: u64) {
        self.forget_gone();
        self.hints.iter().filter(|hints| hints.len() < MAX_HINTS).for_each(|hints| hints.push(place));
    }

    fn forget_gone(&mut self) {
        self.hints.retain(|hints| Shared::strong_count(hints) > 1);
    }
}

/// A keyspace as it was when it was frozen. Yields its pages; can go to another thread.
pub struct Frozen {
    index: Index<u32>,
    parts: Vec<Part>,
    hints: Shared<Hints>,
    meter: Shared<Meter>,
    /// The walk: the part and the page in it that come next.
    next: (usize, usize),
    keys: usize,
    keys_with_expiry: usize,
}

/// What is left of a segment.
enum Part {
    Whole(Arc<Segment>),
    Opened { prefix: u32, index: Index<u8>, pages: Vec<Option<Arc<Page>>> },
    Done,
}

impl Part {
    /// The pages, as the reader's own. The segment may be the owner's too: then its pages are shared from here on, and
    /// the owner has its segment for itself.
    fn open(&mut self) -> &mut [Option<Arc<Page>>] {
        if let Part::Whole(_) = self
            && let Part::Whole(segment) = std::mem::replace(self, Part::Done)
        {
            let segment = Arc::try_unwrap(segment).unwrap_or_else(|shared| Segment::clone(&shared));
            let prefix = segment.prefix();
            let (index, pages) = segment.into_pages().into_parts();
            *self = Part::Opened { prefix, index, pages: pages.into_iter().map(Some).collect() };
        }
        match self {
            Part::Opened { pages, .. } => pages,
            Part::Whole(_) | Part::Done => &mut [],
        }
    }

    fn take(&mut self, place: u64) -> Option<Arc<Page>> {
        self.open();
        let Part::Opened { prefix, index, pages } = self else { return None };
        pages[index.number(place << *prefix)].take()
    }
}

impl Frozen {
    pub(super) fn of(tree: &mut Tree, keys: usize, keys_with_expiry: usize) -> Frozen {
        let (index, segments) = tree.clone_root();
        let parts = segments.into_iter().map(Part::Whole).collect();
        let (hints, meter) = tree.readers().join();
        Frozen { index, parts, hints, meter, next: (0, 0), keys, keys_with_expiry }
    }

    pub(super) fn empty() -> Frozen {
        Frozen {
            index: Index::one(),
            parts: Vec::new(),
            hints: Shared::default(),
            meter: Shared::default(),
            next: (0, 0),
            keys: 0,
            keys_with_expiry: 0,
        }
    }

    /// Keys in the view when it was taken.
    pub fn len(&self) -> usize {
        self.keys
    }

    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Keys with an expiry in the view when it was taken.
    pub fn expires_len(&self) -> usize {
        self.keys_with_expiry
    }

    /// What this view costs, together with those that overlap with it. Outlives the view.
    pub fn gauge(&self) -> Shared<ViewGauge> {
        self.meter.gauge()
    }

    #[cfg(test)]
    pub(super) fn hints_waiting(&self) -> usize {
        self.hints.len()
    }

    fn take_hinted(&mut self) -> Option<Arc<Page>> {
        while let Some(place) = self.hints.pop() {
            let number = self.index.number(place);
            if let Some(page) = self.parts[number].take(place) {
                return Some(page);
            }
        }
        None
    }

    fn take_next(&mut self) -> Option<Arc<Page>> {
        while let Some(part) = self.parts.get_mut(self.next.0) {
            match part.open().get_mut(self.next.1) {
                Some(page) => {
                    self.next.1 += 1;
                    if let Some(page) = page.take() {
                        return Some(page);
                    }
                }
                None => {
                    *part = Part::Done;
                    self.next = (self.next.0 + 1, 0);
                }
            }
        }
        None
    }
}

impl Iterator for Frozen {
    type Item = FrozenPage;

    /// The next page: one that the owner has copied if there is any. Drop it soon: that is what frees its memory.
    fn next(&mut self) -> Option<FrozenPage> {
        if self.parts.is_empty() {
            return None;
        }
        let page = self.take_hinted().or_else(|| self.take_next())?;
        Some(FrozenPage { page: Some(page), meter: self.meter.clone() })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for part in self.parts.drain(..) {
            match part {
                // A segment that the owner has too keeps its pages.
                Part::Whole(segment) => {
                    if let Some(segment) = Arc::into_unique(segment) {
                        let (_, pages) = UniqueArc::into_inner(segment).into_pages().into_parts();
                        pages.into_iter().for_each(|page| self.meter.release(page));
                    }
                }
                Part::Opened { pages, .. } => {
                    pages.into_iter().flatten().for_each(|page| self.meter.release(page));
                }
                Part::Done => {}
            }
        }
    }
}

/// A page of a frozen view.
pub struct FrozenPage {
    /// There until the page is dropped.
    page: Option<Arc<Page>>,
    meter: Shared<Meter>,
}

impl FrozenPage {
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.page.iter().flat_map(|page| page.entries())
    }
}

impl Drop for FrozenPage {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            self.meter.release(page);
        }
    }
}
