//! What views cost: the bytes that they alone hold, because the owner has copied, replaced or dropped them.
//!
//! Whoever lets go of a page or of a value that stands outside one asks whether others hold it, in one step with letting
//! go: the owner first adds what it leaves to the views and takes it back if it was the last after all; a view takes back
//! what it was the last to hold.
//!
//! Invariants:
//! 1. Each page is counted once, however many views hold it, from when the owner leaves it to when the last view does.
//! 2. So is each value outside pages, but one that two keys share (COPY) or that stands in a chained page may be counted
//!    until the last view is gone.
//! 3. Nothing is held when no view is alive, and then the owner's writes do not look for what to count.

use std::sync::Arc as Shared;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use triomphe::Arc;

use super::page::Page;
use super::value::Object;

/// What one view costs, or several that overlap in time.
#[derive(Debug, Default)]
pub struct ViewGauge {
    held_bytes: AtomicI64,
    peak_bytes: AtomicI64,
    copied_pages: AtomicU64,
}

impl ViewGauge {
    /// Bytes that the views hold now and the keyspace does not any more.
    pub fn held_bytes(&self) -> u64 {
        self.held_bytes.load(Ordering::Relaxed).try_into().unwrap_or(0)
    }

    /// The most that it was.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed).try_into().unwrap_or(0)
    }

    /// Pages that the owner had to copy, or split or join into others, while the views held them.
    pub fn copied_pages(&self) -> u64 {
        self.copied_pages.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        let held = self.held_bytes.fetch_add(bytes as i64, Ordering::Relaxed) + bytes as i64;
        self.peak_bytes.fetch_max(held, Ordering::Relaxed);
    }

    fn subtract(&self, bytes: usize) {
        self.held_bytes.fetch_sub(bytes as i64, Ordering::Relaxed);
    }
}

/// Moves a gauge; alive as long as any part of a view is.
#[derive(Default)]
pub(super) struct Meter(Shared<ViewGauge>);

impl Meter {
    pub(super) fn gauge(&self) -> Shared<ViewGauge> {
        self.0.clone()
    }

    /// The owner gives up a page of which it has a copy now: the values outside are in both.
    pub(super) fn leave_copied(&self, page: Arc<Page>) {
        self.0.copied_pages.fetch_add(1, Ordering::Relaxed);
        self.0.add(page.own_heap_bytes());
        self.release(page);
    }

    /// The owner gives up a page and all that is in it.
    pub(super) fn leave(&self, mut page: Arc<Page>) {
        match Arc::get_mut(&mut page) {
            Some(page) => page.take_objects().into_iter().for_each(|object| self.leave_object(object)),
            None => {
                let objects = page.objects().flatten().map(Object::heap_bytes);
                self.0.add(page.own_heap_bytes() + objects.sum::<usize>());
                self.release(page);
            }
        }
    }

    /// The owner gives up a value.
    fn leave_object(&self, object: Object) {
        if object.is_shared() {
            self.0.add(object.heap_bytes());
            self.0.subtract(object.release());
        }
    }

    /// Lets go of a page that was counted if nobody else has it.
    pub(super) fn release(&self, page: Arc<Page>) {
        if let Some(mut page) = Arc::into_unique(page) {
            let objects = page.take_objects();
            self.0.subtract(page.own_heap_bytes() + objects.into_iter().map(Object::release).sum::<usize>());
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.0.held_bytes.store(0, Ordering::Relaxed);
    }
}

/// The values outside a page that views have too, held over a change of the page.
pub(super) struct Watch {
    meter: Shared<Meter>,
    objects: Vec<(usize, Object)>,
}

impl Watch {
    #[cold]
    pub(super) fn new(meter: Shared<Meter>, page: &Page) -> Watch {
        let objects = page.objects().enumerate();
        let shared =
            objects.filter_map(|(number, object)| Some((number, object.filter(|it| it.is_shared())?)));
        Watch { meter, objects: shared.map(|(number, object)| (number, object.clone())).collect() }
    }

    /// Counts the values that the page does not have any more.
    #[cold]
    pub(super) fn compare(self, page: &Page) {
        for (number, object) in self.objects {
            if !page.objects().nth(number).flatten().is_some_and(|kept| kept.is_same(&object)) {
                self.meter.leave_object(object);
            }
        }
    }
}
