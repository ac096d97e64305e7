//! What all shards of a process share: addresses of each other, the sequencer, and a few counters.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use formats::log::{Gsn, ShardId};
use tokio::sync::oneshot;

use super::Shard;
use super::latency::{Events, Sample};
use super::mailbox::{Mailbox, Message};
use super::monitors::Monitors;
use super::pause::ClientPause;
use super::rate::Rate;
use super::saves::Saves;
use super::sequencer::Sequencer;
use super::slow_log::SlowLog;
use super::spent;
use crate::clock;
use crate::config::{Config, LogLevel};
use crate::persist::DataDir;
use crate::persist::log::{LogShared, LogStatus};
use crate::store::Keyspace;

/// How far the recovery at the start has come.
#[derive(Default)]
pub struct Loading {
    pub active: AtomicBool,
    pub total_bytes: AtomicU64,
    pub loaded_bytes: AtomicU64,
    pub started_unix_ms: AtomicU64,
    /// Keys that came from snapshots.
    pub snapshot_keys: AtomicU64,
}

/// Counters that connections of all shards touch, rarely.
#[derive(Default)]
pub struct Counters {
    pub next_client_id: AtomicU64,
    pub connected: AtomicUsize,
    pub accepted: AtomicU64,
    pub rejected: AtomicU64,
    pub net_input_bytes: AtomicU64,
    pub net_output_bytes: AtomicU64,
}

/// See [`Shared::net_rates`].
#[derive(Default)]
pub struct NetRates {
    pub input: Rate,
    pub output: Rate,
}

/// What a SHUTDOWN asks of the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShutdownRequest {
    /// Leave even if what is in memory cannot be made durable.
    pub force: bool,
    /// Nothing needs to be kept beyond what the log has.
    pub no_save: bool,
    pub save: bool,
}

/// See [`Shared::load_log`]. All that was logged must be durable, and nothing be logged meanwhile.
pub type LoadLog = Box<dyn Fn() -> Result<Vec<Vec<Keyspace>>, String> + Send + Sync>;

/// See the module.
pub struct Shared {
    pub mailboxes: Box<[Mailbox]>,
    pub sequencer: Sequencer,
    pub logs: Box<[OnceLock<Arc<LogShared>>]>,
    /// The data directory, once it is recovered; none with `appendonly no`.
    pub data_dir: OnceLock<Arc<DataDir>>,
    /// Reads the log as a start would: the databases of each shard. None without a log.
    pub load_log: OnceLock<LoadLog>,
    /// Puts a changed `loglevel` into effect.
    pub set_log_level: OnceLock<Box<dyn Fn(LogLevel) + Send + Sync>>,
    /// Bytes that the allocator had given out: when the shards began, and at most.
    pub startup_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    /// How many bytes come and go per second.
    pub net_rates: Mutex<NetRates>,
    /// More memory is in use than `maxmemory` allows: commands that may need more are refused.
    pub is_over_memory: AtomicBool,
    pub loading: Loading,
    pub saves: Saves,
    /// Keys are removed when their time comes, not only when they are looked up (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: AtomicBool,
    /// [`super::engine::Engine::changes`] of each shard, as of its last look at the clock.
    pub changes: Box<[AtomicU64]>,
    pub counters: Counters,
    /// CLIENT PAUSE.
    pub pause: Arc<ClientPause>,
    pub monitors: Monitors,
    slow_log: Mutex<SlowLog>,
    latency: Mutex<Events>,
    /// The configuration that CONFIG SET changes; shards hold copies.
    config: Mutex<Config>,
    /// Where CONFIG REWRITE writes.
    config_file: OnceLock<PathBuf>,
    pub started: Instant,
    pub started_unix_ms: u64,
    /// 40 hexadecimal digits that name this run.
    pub run_id: String,
    /// What the recovery found, for INFO and the log.
    pub recovery_report: OnceLock<String>,
    /// Where SHUTDOWN and signals go; the answer comes only if the server stays.
    pub shutdown:
        OnceLock<tokio::sync::mpsc::UnboundedSender<(ShutdownRequest, Option<oneshot::Sender<String>>)>>,
    pub shutting_down: AtomicBool,
}

impl Shared {
    pub fn new(shards: u16, config: Config, run_id: String) -> Arc<Self> {
        Arc::new(Self {
            mailboxes: (0..shards).map(|_| Mailbox::default()).collect(),
            sequencer: Sequencer::new(Gsn(1)),
            logs: (0..shards).map(|_| OnceLock::new()).collect(),
            data_dir: OnceLock::new(),
            load_log: OnceLock::new(),
            set_log_level: OnceLock::new(),
            startup_bytes: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            net_rates: Mutex::default(),
            is_over_memory: AtomicBool::new(false),
            loading: Loading::default(),
            saves: Saves::default(),
            active_expire: AtomicBool::new(true),
            changes: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            counters: Counters::default(),
            pause: Arc::default(),
            monitors: Monitors::new(shards),
            slow_log: Mutex::default(),
            latency: Mutex::default(),
            config: Mutex::new(config),
            config_file: OnceLock::new(),
            started: clock::now(),
            started_unix_ms: clock::unix_ms(),
            run_id,
            recovery_report: OnceLock::new(),
            shutdown: OnceLock::new(),
            shutting_down: AtomicBool::new(false),
        })
    }

    /// The most memory that has been in use, in bytes, `bytes` now being.
    pub fn note_memory(&self, bytes: u64) -> u64 {
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed).max(bytes)
    }

    /// The master copy of the configuration.
    pub fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner) // a value is replaced whole or not at all
    }

    pub fn slow_log(&self) -> MutexGuard<'_, SlowLog> {
        self.slow_log.lock().unwrap_or_else(PoisonError::into_inner) // an entry is there or not
    }

    /// What LATENCY tells.
    pub fn latency(&self) -> MutexGuard<'_, Events> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner) // a sample is there or not
    }

    /// Keeps an event that took `took`, if `latency-monitor-threshold`, in ms, is on and was reached.
    #[inline]
    pub fn note_latency(&self, threshold_ms: i64, event: &'static str, took: Duration) {
        let millis = took.as_millis() as u64;
        if threshold_ms > 0 && millis >= threshold_ms.unsigned_abs() {
            let sample = Sample { unix_seconds: clock::unix_ms() / 1000, millis };
            self.latency().add(event, sample);
        }
    }

    pub fn set_config_file(&self, path: Option<PathBuf>) {
        if let Some(path) = path {
            let _ = self.config_file.set(path); // once, at the start
        }
    }

    pub fn config_file(&self) -> Option<&Path> {
        self.config_file.get().map(PathBuf::as_path)
    }

    #[inline]
    pub fn shards(&self) -> u16 {
        self.mailboxes.len() as u16
    }

    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.shards()).map(ShardId)
    }

    pub fn is_loading(&self) -> bool {
        self.loading.active.load(Ordering::Acquire)
    }

    /// Wakes all shards but one that sleep: something that they look at has changed.
    pub fn wake_others(&self, but: ShardId) {
        for (index, mailbox) in self.mailboxes.iter().enumerate() {
            if index != usize::from(but.0) {
                mailbox.wake();
            }
        }
    }

    /// The log queue of a shard is full: writes must wait.
    #[inline]
    pub fn log_is_full(&self, shard: ShardId) -> bool {
        self.logs[usize::from(shard.0)].get().is_some_and(|log| log.is_full())
    }

    /// Why no writes are taken, if so.
    ///
    /// One log in trouble stops the writes of all shards: a transaction that is not durable there holds back what comes
    /// after it everywhere, so other shards' acknowledgements could not leave, or, under `everysec`, would be lost without bound.
    #[inline]
    pub fn log_refuses(&self) -> Option<String> {
        self.logs.iter().filter_map(OnceLock::get).find(|log| !log.is_ok()).and_then(|log| {
            match log.status() {
                LogStatus::Ok => None,
                LogStatus::Refusing(text) | LogStatus::Poisoned(text) => Some(text),
            }
        })
    }

    /// A log cannot be written, and tries again; it may be poisoned besides.
    pub fn log_is_stuck(&self) -> bool {
        self.logs.iter().filter_map(OnceLock::get).any(|log| log.is_retrying())
    }

    /// A sync has failed: nothing more becomes durable in that log until it is healed.
    pub fn is_poisoned(&self) -> bool {
        let mut troubled = self.logs.iter().filter_map(OnceLock::get).filter(|log| !log.is_ok());
        troubled.any(|log| matches!(log.status(), LogStatus::Poisoned(_)))
    }

    /// One log per writer: shards that share a writer share its figures.
    pub fn writers(&self) -> impl Iterator<Item = &LogShared> {
        self.logs.iter().enumerate().filter_map(|(index, log)| {
            let log = log.get()?;
            let mut before = self.logs[..index].iter().filter_map(OnceLock::get);
            before.all(|other| other.log() != log.log()).then_some(&**log)
        })
    }

    /// Bytes of log since the start: what the writers have written, and what was handed to them.
    pub fn log_bytes(&self) -> u64 {
        let queued: usize = self.logs.iter().filter_map(OnceLock::get).map(|log| log.queue_bytes()).sum();
        self.log_bytes_written() + queued as u64
    }

    /// Bytes that all logs' writers have written since the start.
    pub fn log_bytes_written(&self) -> u64 {
        self.writers().map(|log| log.metrics().bytes_written.load(Ordering::Relaxed)).sum()
    }

    #[inline]
    pub fn mailbox(&self, shard: ShardId) -> &Mailbox {
        &self.mailboxes[usize::from(shard.0)]
    }

    /// Runs `call` on every shard's thread and collects the answers in the order of the shards. The time of the shard that takes
    /// longest counts for the task that asks.
    pub async fn call_all<T: Send + 'static>(
        &self,
        call: impl Fn(&Shard) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut answers = Vec::with_capacity(self.mailboxes.len());
        for mailbox in &self.mailboxes {
            let call = call.clone();
            let (sender, receiver) = oneshot::channel();
            mailbox.send(Message::Call(Box::new(move |shard| {
                let _ = sender.send(spent::working(|| call(shard))); // nobody waits any more: fine
            })));
            answers.push(receiver);
        }
        let mut collected = Vec::with_capacity(answers.len());
        let mut longest = 0;
        for answer in answers {
            // A shard that has ended answers nothing; the process is ending with it.
            if let Ok((answer, nanos)) = answer.await {
                collected.push(answer);
                longest = longest.max(nanos);
            }
        }
        spent::add(longest);
        collected
    }
}
