//! The thread around a [`LogWriter`]: waits for chunks, a due time or the end.
//!
//! Invariants:
//! 1. Every chunk pushed before `close` is written before the thread ends, or the writer that is handed back
//!    says that it is not.
//! 2. A shard is woken after what it shall see is published.

use crate::clock;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::options::WakeShard;
use super::queue::WriterQueue;
use super::writer::LogWriter;

/// Pause between attempts to write the rest while closing.
const CLOSE_RETRY: Duration = Duration::from_millis(20);

/// A running log writer.
pub struct WriterThread {
    queue: Arc<WriterQueue>,
    thread: JoinHandle<LogWriter>,
}

impl WriterThread {
    pub fn spawn(
        mut writer: LogWriter,
        queue: Arc<WriterQueue>,
        wake: WakeShard,
        close_patience: Duration,
    ) -> io::Result<WriterThread> {
        let name = format!("log-writer-{}", writer.log());
        let theirs = Arc::clone(&queue);
        let thread = Builder::new().name(name).spawn(move || {
            serve(&mut writer, &theirs, &wake, close_patience);
            writer
        })?;
        queue.set_writer(thread.thread().clone());
        Ok(WriterThread { queue, thread })
    }

    pub fn queue(&self) -> &Arc<WriterQueue> {
        &self.queue
    }

    /// Lets the thread write the rest and end; hands back the writer. `None`: it panicked.
    pub fn close(self) -> Option<LogWriter> {
        self.queue.close();
        self.thread.join().ok()
    }
}

fn serve(writer: &mut LogWriter, queue: &WriterQueue, wake: &WakeShard, close_patience: Duration) {
    let started = clock::now();
    let now_ms = || started.elapsed().as_millis() as u64;
    let mut gather_until: Option<Instant> = None;
    // Another thread may have pushed before `set_writer`: look before the first sleep.
    loop {
        if let Some(left) = gather_until.map(|until| until.saturating_duration_since(clock::now()))
            && !left.is_zero()
            && queue.ticks_owed() > 0
        {
            std::thread::park_timeout(left);
            continue;
        }
        queue.expect_ticks(0);
        let work = queue.take();
        let idle = work.handed.is_empty() && !work.sync && work.healed.is_none() && !work.closing;
        if idle && writer.next_due_ms().is_none_or(|due| due > now_ms()) && !writer.has_due_sync() {
            sleep(writer.next_due_ms(), now_ms());
            continue;
        }
        writer.accept(work.handed);
        if work.sync {
            writer.request_sync();
        }
        writer.run(now_ms());
        if let Some(checkpoint) = work.healed {
            writer.heal(checkpoint);
        }
        gather_until = writer.gather_time().map(|time| clock::now() + time);
        publish(writer, queue, wake, gather_until.is_some());
        if work.closing {
            return finish(writer, queue, wake, close_patience, now_ms);
        }
    }
}

/// Frees the writer for the next batch and wakes the shards that the last one concerns.
fn publish(writer: &mut LogWriter, queue: &WriterQueue, wake: &WakeShard, gathers: bool) {
    queue.finish_batch(writer.used_buffers());
    let shards = writer.take_changed(gathers);
    queue.expect_ticks(if gathers { shards.len() } else { 0 });
    shards.into_iter().for_each(|shard| wake(shard));
}

/// Sleeps until something is pushed or due. A wake between the look at the queue and here is not lost: `park`
/// returns.
fn sleep(due_ms: Option<u64>, now_ms: u64) {
    match due_ms {
        None => std::thread::park(),
        Some(due) => std::thread::park_timeout(Duration::from_millis(due.saturating_sub(now_ms))),
    }
}

fn finish(
    writer: &mut LogWriter,
    queue: &WriterQueue,
    wake: &WakeShard,
    patience: Duration,
    now_ms: impl Fn() -> u64,
) {
    let closing = clock::now();
    loop {
        writer.accept(queue.take().handed);
        writer.flush(now_ms());
        publish(writer, queue, wake, false);
        if writer.is_clean() || writer.is_poisoned() || closing.elapsed() >= patience {
            return;
        }
        std::thread::sleep(CLOSE_RETRY);
    }
}
