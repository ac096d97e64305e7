//! What shards send each other.
//!
//! Invariants:
//! 1. A mailbox is first-in-first-out: what one thread sent first, arrives first; what the sequencer sent to several
//!    mailboxes stands in all of them in the same order.
//! 2. A mailbox is bounded by construction: a connection has a limited number of rounds in flight and sends at most one
//!    message per shard and round, a two-step transaction one per participant and step. So sending never fails.
//! 3. A sleeping shard is woken by whoever sends; an awake one is not (a wake is a system call), because it empties its
//!    mailbox before it sleeps.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::Waker;

use crossbeam_queue::SegQueue;

use super::Shard;
use super::batch::Batch;

/// Work for a shard.
pub enum Message {
    /// Commands to run here, for a connection or a transaction of another shard (or of this one).
    Run(Box<Batch>),
    /// Commands that this shard had sent out have been run.
    Done(Box<Batch>),
    /// Rare administrative work that needs the shard's own thread.
    Call(Box<dyn FnOnce(&Shard) + Send>),
}

/// One per shard; anybody may send, the shard alone receives.
pub struct Mailbox {
    queue: SegQueue<Message>,
    sleeping: AtomicBool,
    waker: OnceLock<Waker>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { queue: SegQueue::new(), sleeping: AtomicBool::new(false), waker: OnceLock::new() }
    }
}

impl Mailbox {
    /// Sets what [`Mailbox::wake`] wakes; the shard does so once, before it sleeps for the first time.
    pub fn set_waker(&self, waker: Waker) {
        let _ = self.waker.set(waker); // a second one would be the same runtime's
    }

    pub fn send(&self, message: Message) {
        self.push(message);
        self.wake();
    }

    /// Sends without waking: the sender wakes the shard soon after.
    pub fn push(&self, message: Message) {
        self.queue.push(message);
    }

    /// Messages that are there now.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Lets the shard's own runtime come back at once instead of sleeping.
    pub fn come_back(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// Wakes the shard if it sleeps. The caller has published what the shard is to see.
    #[inline]
    pub fn wake(&self) {
        fence(Ordering::SeqCst); // pairs with the fence in `prepare_sleep`: one of the two sees the other
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::Relaxed)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn receive(&self) -> Option<Message> {
        self.queue.pop()
    }

    /// Declares that the shard goes to sleep. Afterwards it must look once more for work, and call
    /// [`Mailbox::awake`] if there is any.
    pub fn prepare_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    #[inline]
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }
}
