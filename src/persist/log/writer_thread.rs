//! What drives a [`LogWriter`]: waits for chunks, a due time or the end. Usually a thread.
//!
//! Invariants:
//! 1. Every chunk pushed before `close` is written before the thread ends, or the writer that is handed back
//!    says that it is not.
//! 2. A shard is woken after what it shall see is published.

use crate::{clock, waiting};
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
pub struct RunningWriter {
    queue: Arc<WriterQueue>,
    runs: Runs,
}

enum Runs {
    OnThread(JoinHandle<LogWriter>),
    /// Taken out while it takes its turn.
    ByHand(Option<Box<Worker>>),
}

impl RunningWriter {
    /// Runs the writer on a thread of its own.
    pub fn spawn(
        writer: LogWriter,
        queue: Arc<WriterQueue>,
        wake: WakeShard,
        close_patience: Duration,
    ) -> io::Result<RunningWriter> {
        let name = format!("log-writer-{}", writer.log());
        let mut worker = Worker::new(writer, Arc::clone(&queue), wake, close_patience);
        let thread = Builder::new().name(name).spawn(move || {
            // Another thread may have pushed before `set_writer`: look before the first sleep.
            loop {
                match worker.turn() {
                    Next::Again => {}
                    Next::Sleep(None) => std::thread::park(),
                    Next::Sleep(Some(time)) => std::thread::park_timeout(time),
                    Next::End => return worker.finish(),
                }
            }
        })?;
        queue.set_writer(thread.thread().clone());
        Ok(RunningWriter { queue, runs: Runs::OnThread(thread) })
    }

    /// Without a thread: the writer does something when [`RunningWriter::turn`] is called, and when it is closed.
    pub fn by_hand(
        writer: LogWriter,
        queue: Arc<WriterQueue>,
        wake: WakeShard,
        close_patience: Duration,
    ) -> RunningWriter {
        let worker = Worker::new(writer, Arc::clone(&queue), wake, close_patience);
        RunningWriter { queue, runs: Runs::ByHand(Some(Box::new(worker))) }
    }

    /// Takes out what works where there is no thread; nothing if it is at work.
    pub fn take_worker(&mut self) -> Option<Box<Worker>> {
        match &mut self.runs {
            Runs::OnThread(_) => None,
            Runs::ByHand(worker) => worker.take(),
        }
    }

    /// Puts back what was taken out.
    pub fn put_back(&mut self, worker: Box<Worker>) {
        self.runs = Runs::ByHand(Some(worker));
    }

    pub fn queue(&self) -> &Arc<WriterQueue> {
        &self.queue
    }

    /// Lets the writer write the rest and end; hands it back. `None`: its thread panicked.
    pub fn close(self) -> Option<LogWriter> {
        self.queue.close();
        match self.runs {
            Runs::OnThread(thread) => thread.join().ok(),
            Runs::ByHand(worker) => worker.map(|worker| worker.finish()),
        }
    }
}

/// A writer at work.
pub struct Worker {
    writer: LogWriter,
    queue: Arc<WriterQueue>,
    wake: WakeShard,
    close_patience: Duration,
    started: Instant,
    gather_until: Option<Instant>,
}

/// What a worker does next. A wake between its look at the queue and its sleep is not lost: `park` returns.
enum Next {
    Again,
    /// Until something is pushed, or for so long.
    Sleep(Option<Duration>),
    End,
}

impl Worker {
    fn new(writer: LogWriter, queue: Arc<WriterQueue>, wake: WakeShard, close_patience: Duration) -> Worker {
        Worker { writer, queue, wake, close_patience, started: clock::now(), gather_until: None }
    }

    /// What it would do before it sleeps again, where there is no thread. Answers whether it did something.
    pub fn work(&mut self) -> bool {
        matches!(self.turn(), Next::Again)
    }

    fn now_ms(&self) -> u64 {
        clock::elapsed(self.started).as_millis() as u64
    }

    fn turn(&mut self) -> Next {
        if let Some(left) = self.gather_until.map(|until| until.saturating_duration_since(clock::now()))
            && !left.is_zero()
            && self.queue.ticks_owed() > 0
        {
            return Next::Sleep(Some(left));
        }
        self.queue.expect_ticks(0);
        let work = self.queue.take();
        let idle = work.handed.is_empty() && !work.sync && work.healed.is_none() && !work.closing;
        let (due, now_ms) = (self.writer.next_due_ms(), self.now_ms());
        if idle && due.is_none_or(|due| due > now_ms) && !self.writer.has_due_sync() {
            return Next::Sleep(due.map(|due| Duration::from_millis(due - now_ms)));
        }
        self.writer.accept(work.handed);
        if work.sync {
            self.writer.request_sync();
        }
        self.writer.run(now_ms);
        if let Some(checkpoint) = work.healed {
            self.writer.heal(checkpoint);
        }
        self.gather_until = self.writer.gather_time().map(|time| clock::now() + time);
        self.publish(self.gather_until.is_some());
        if work.closing { Next::End } else { Next::Again }
    }

    /// Frees the writer for the next batch and wakes the shards that the last one concerns.
    fn publish(&mut self, gathers: bool) {
        self.queue.finish_batch(self.writer.used_buffers());
        let shards = self.writer.take_changed(gathers);
        self.queue.expect_ticks(if gathers { shards.len() } else { 0 });
        shards.into_iter().for_each(|shard| (self.wake)(shard));
    }

    fn finish(mut self) -> LogWriter {
        let closing = clock::now();
        loop {
            self.writer.accept(self.queue.take().handed);
            self.writer.flush(self.now_ms());
            self.publish(false);
            let is_over = self.writer.is_clean() || self.writer.is_poisoned();
            if is_over || clock::elapsed(closing) >= self.close_patience {
                return self.writer;
            }
            waiting::sleep(CLOSE_RETRY);
        }
    }
}
