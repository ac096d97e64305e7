//! MONITOR: clients that are told every command.
//!
//! Each shard with such clients has a feed, into which all shards put lines. A feed has a lock, taken only while somebody
//! monitors; else one flag is read per round of a connection.
//!
//! Invariants:
//! 1. A line is told to each monitor that was there when its round began, or the monitor is closed: never left out.
//! 2. A feed holds at most [`FEED_BYTES`]; what one monitor has not read yet is bounded by its output buffer's limit.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use formats::log::ShardId;

use super::Shard;
use super::client::Client;
use super::mailbox::Message;

/// A feed that its shard does not empty may grow to this.
const FEED_BYTES: usize = 64 << 20;

/// Lines on their way to the monitors of one shard.
#[derive(Default)]
struct Feed {
    monitors: AtomicUsize,
    lines: Mutex<Vec<u8>>,
    /// Lines did not fit.
    lost: AtomicBool,
}

/// See the module.
pub struct Monitors {
    count: AtomicUsize,
    feeds: Box<[Feed]>,
}

impl Monitors {
    pub fn new(shards: u16) -> Self {
        Self { count: AtomicUsize::new(0), feeds: (0..shards).map(|_| Feed::default()).collect() }
    }

    /// Somebody monitors.
    #[inline]
    pub fn are_there(&self) -> bool {
        self.count.load(Ordering::SeqCst) > 0
    }

    fn feed(&self, shard: ShardId) -> &Feed {
        &self.feeds[usize::from(shard.0)]
    }
}

impl Feed {
    /// Adds lines; answers whether the shard must be told.
    fn add(&self, lines: &[u8]) -> bool {
        let mut waiting = self.lines.lock().unwrap_or_else(PoisonError::into_inner); // whole lines, or none
        let was_empty = waiting.is_empty();
        if waiting.len() + lines.len() > FEED_BYTES {
            self.lost.store(true, Ordering::SeqCst);
        } else {
            waiting.extend_from_slice(lines);
        }
        was_empty
    }

    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// This client is told every command from now on.
    pub fn start_monitoring(&self, client: &Client) {
        if !client.monitors.replace(true) {
            self.shared.monitors.feed(self.id).monitors.fetch_add(1, Ordering::SeqCst);
            self.shared.monitors.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// And no more; nothing where it was not.
    pub fn stop_monitoring(&self, client: &Client) {
        if client.monitors.replace(false) {
            self.shared.monitors.feed(self.id).monitors.fetch_sub(1, Ordering::SeqCst);
            self.shared.monitors.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Tells lines, each with its line break, to the monitors of all shards.
    pub fn tell_monitors(&self, lines: &[u8]) {
        let monitors = &self.shared.monitors;
        for shard in self.shared.shard_ids() {
            let feed = monitors.feed(shard);
            if feed.monitors.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let must_tell = feed.add(lines);
            if shard == self.id {
                self.feed_monitors();
            } else if must_tell {
                self.send(shard, Message::Call(Box::new(Shard::feed_monitors)));
            }
        }
    }

    /// Gives what stands in this shard's feed to its monitors.
    fn feed_monitors(&self) {
        let feed = self.shared.monitors.feed(self.id);
        let lines = feed.take();
        let lost = feed.lost.swap(false, Ordering::SeqCst);
        let limit = self.config.borrow().client_output_buffer_limits.normal.hard_bytes;
        for (_, client) in self.clients.borrow().iter().filter(|(_, client)| client.monitors.get()) {
            if lost {
                tracing::warn!(client = client.id, "closed: it monitors more than this server can tell it");
                client.kill();
            } else {
                client.push(&lines, limit);
            }
        }
    }
}
