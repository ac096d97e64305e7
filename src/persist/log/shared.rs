//! What a log tells other threads: positions, state, and figures.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use formats::log::{LogId, Position, ShardId};

use super::histogram::Histogram;
use super::policy::PolicyCell;

/// Whether a shard's log takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogStatus {
    Ok,
    /// Writing fails and is tried again; resumes by itself. The text says why.
    Refusing(String),
    /// A sync failed: nothing more will become durable in this log. The text says why.
    Poisoned(String),
}

const OK: u8 = 0;
const REFUSING: u8 = 1;
const POISONED: u8 = 2;

/// One shard's log, as other threads see it.
pub struct LogShared {
    shard: ShardId,
    log: LogId,
    appended: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,
    /// Effect bytes handed over and not yet written.
    handed_over_bytes: AtomicUsize,
    queue_limit_bytes: usize,
    state: AtomicU8,
    state_text: Mutex<String>,
    /// Writing fails and is tried again, be the log poisoned or not.
    retrying: AtomicBool,
    /// The shard has gathered something and waits for the writer to be free.
    waits_for_writer: AtomicBool,
    /// The shard was woken after a batch and has not called `submit` since.
    owes_tick: AtomicBool,
    policy: Arc<PolicyCell>,
    metrics: Arc<LogMetrics>,
}

impl LogShared {
    pub(crate) fn new(
        shard: ShardId,
        log: LogId,
        queue_limit_bytes: usize,
        policy: Arc<PolicyCell>,
        metrics: Arc<LogMetrics>,
    ) -> Self {
        LogShared {
            shard,
            log,
            appended: AtomicU64::new(0),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            handed_over_bytes: AtomicUsize::new(0),
            queue_limit_bytes,
            state: AtomicU8::new(OK),
            state_text: Mutex::default(),
            retrying: AtomicBool::new(false),
            waits_for_writer: AtomicBool::new(false),
            owes_tick: AtomicBool::new(false),
            policy,
            metrics,
        }
    }

    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// The log that holds this shard's frames.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Effects handed to the writer so far (the shard may have gathered more).
    pub fn appended(&self) -> Position {
        Position(self.appended.load(Ordering::Acquire))
    }

    /// Effects written to the file.
    pub fn written(&self) -> Position {
        Position(self.written.load(Ordering::Acquire))
    }

    /// Effects on stable storage.
    pub fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// Effect bytes handed to the writer and not yet written.
    pub fn queue_bytes(&self) -> usize {
        self.handed_over_bytes.load(Ordering::Acquire)
    }

    /// Whether writes should wait until the writer has caught up.
    pub fn is_full(&self) -> bool {
        self.queue_bytes() >= self.queue_limit_bytes
    }

    pub fn queue_limit_bytes(&self) -> usize {
        self.queue_limit_bytes
    }

    /// Whether the log takes writes; one atomic load when it does.
    pub fn status(&self) -> LogStatus {
        let state = self.state.load(Ordering::Acquire);
        if state == OK {
            return LogStatus::Ok;
        }
        let text = self.state_text.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if state == REFUSING { LogStatus::Refusing(text) } else { LogStatus::Poisoned(text) }
    }

    pub fn is_ok(&self) -> bool {
        self.state.load(Ordering::Acquire) == OK
    }

    /// Whether writes are refused because writing fails.
    pub fn is_refusing(&self) -> bool {
        self.state.load(Ordering::Acquire) == REFUSING
    }

    /// Whether writing fails and is tried again. A poisoned log may do so too: it does not get to a cut then.
    pub fn is_retrying(&self) -> bool {
        self.retrying.load(Ordering::Acquire)
    }

    pub fn policy(&self) -> super::SyncPolicy {
        self.policy.get()
    }

    /// Changes the policy, of all logs of the data directory.
    pub fn set_policy(&self, policy: super::SyncPolicy) {
        self.policy.set(policy);
    }

    /// Figures of the writer that serves this shard (and maybe others).
    pub fn metrics(&self) -> &Arc<LogMetrics> {
        &self.metrics
    }

    pub(super) fn note_handed_over(&self, appended: Position, bytes: usize) {
        self.handed_over_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.appended.store(appended.0, Ordering::Release);
    }

    pub(super) fn note_written(&self, written: Position, bytes: usize) {
        assert!(self.written() <= written && written <= self.appended(), "written passes appended");
        self.written.store(written.0, Ordering::Release);
        let before = self.handed_over_bytes.fetch_sub(bytes, Ordering::AcqRel);
        assert!(before >= bytes, "more bytes written than handed over");
    }

    pub(super) fn note_durable(&self, durable: Position) {
        assert!(self.durable() <= durable && durable <= self.written(), "durable passes written");
        self.durable.store(durable.0, Ordering::Release);
    }

    pub(super) fn set_status(&self, status: LogStatus) {
        let (state, text) = match status {
            LogStatus::Ok => (OK, String::new()),
            LogStatus::Refusing(text) => (REFUSING, text),
            LogStatus::Poisoned(text) => (POISONED, text),
        };
        *self.state_text.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.state.store(state, Ordering::Release);
    }

    pub(super) fn set_retrying(&self, retrying: bool) {
        self.retrying.store(retrying, Ordering::Release);
    }

    pub(super) fn wait_for_writer(&self) {
        self.waits_for_writer.store(true, Ordering::SeqCst);
    }

    pub(super) fn set_owes_tick(&self, owes: bool) {
        self.owes_tick.store(owes, Ordering::SeqCst);
    }

    /// Whether the shard owed a tick; now it does not.
    pub(super) fn pay_tick(&self) -> bool {
        self.owes_tick.load(Ordering::Relaxed) && self.owes_tick.swap(false, Ordering::SeqCst)
    }

    pub(super) fn stop_waiting(&self) -> bool {
        self.waits_for_writer.swap(false, Ordering::SeqCst)
    }
}

/// Counters of one log writer. Relaxed: figures for people.
#[derive(Default)]
pub struct LogMetrics {
    pub syncs: AtomicU64,
    pub sync_us: Histogram,
    pub writes: AtomicU64,
    pub write_us: Histogram,
    /// The longest ones since somebody looked, in µs.
    pub longest_sync_us: Longest,
    pub longest_write_us: Longest,
    pub frames: AtomicU64,
    pub bytes_written: AtomicU64,
    /// Effects per write.
    pub batch_effects: Histogram,
    /// Frame bytes per write.
    pub batch_bytes: Histogram,
    pub segments: AtomicU64,
    pub write_errors: AtomicU64,
}

/// The greatest of some values.
#[derive(Default)]
pub struct Longest(AtomicU64);

impl Longest {
    pub fn record(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The greatest since the last call; 0: there was none.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "durable passes written")]
    fn durable_never_passes_written() {
        let shared = LogShared::new(ShardId(0), LogId(1), 1, Arc::new(PolicyCell::default()), Arc::default());
        shared.note_durable(Position(1));
    }
}
