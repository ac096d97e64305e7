//! Clients that write to the logs of several shards under `always`, without a network between: figures of the log alone, on a
//! device whose flushes are as slow as we like and do not run in parallel.
//!
//! Each shard is a thread with its log and its share of the clients, as in the server: it appends for every client that is due,
//! submits, and sleeps until the log writer wakes it. A client that was told that its write is durable thinks for a
//! while (a reply's way out and the next request's way in) and writes again.
//!
//! Invariant: a commit counts when the log's durable position covers it, never before.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use everfast::persist::disk::{Disk, RealDisk, SlowFlushDisk};
use everfast::persist::{
    DataDir, Log, LogMetrics, LogOptions, LogStatus, PersistError, Position, ShardId, SyncPolicy,
    calibrate_writers,
};
use hdrhistogram::Histogram;

/// Longest sleep of a shard that hears nothing: how late it sees the end.
const TICK: Duration = Duration::from_millis(20);
const VALUE: [u8; 64] = [b'v'; 64];

/// One arrangement to measure.
#[derive(Clone, Debug)]
pub struct Setting {
    pub shards: u16,
    /// Log writers; `None`: as many as the server itself would choose for this device.
    pub writers: Option<u16>,
    /// Clients over all shards.
    pub clients: usize,
    /// From a reply to the next request of the same client, on average: drawn from nothing to twice this, so that clients do not
    /// march in step as they would not on a network.
    pub think: Duration,
    /// A flush takes at least so long, and only one runs at a time; zero: the disk as it is.
    pub flush: Duration,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What an arrangement did.
#[derive(Clone, Debug)]
pub struct Figures {
    pub writers: u16,
    pub commits: u64,
    pub flushes: u64,
    pub elapsed: Duration,
    /// Microseconds from append to durable.
    pub latencies: Histogram<u64>,
}

impl Figures {
    pub fn commits_per_second(&self) -> f64 {
        self.commits as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    pub fn commits_per_flush(&self) -> f64 {
        self.commits as f64 / self.flushes.max(1) as f64
    }
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum ClosedLoopError {
    #[error(transparent)]
    Persist(#[from] PersistError),
    #[error("choosing the number of log writers: {0}")]
    Calibrate(std::io::Error),
    #[error("shard {shard:?} takes no writes: {status:?}", shard = .0, status = .1)]
    Refused(ShardId, LogStatus),
    #[error("a shard's thread panicked")]
    Panicked,
}

/// Runs one arrangement in `dir`, which must be empty.
pub fn measure(setting: &Setting, dir: &Path) -> Result<Figures, ClosedLoopError> {
    let real: Arc<dyn Disk> = Arc::new(RealDisk);
    let disk: Arc<dyn Disk> =
        if setting.flush.is_zero() { real } else { Arc::new(SlowFlushDisk::new(real, setting.flush)) };
    let data_dir = DataDir::open(Arc::clone(&disk), dir)?;
    data_dir.recover()?;
    let writers = match setting.writers {
        Some(writers) => writers,
        None => calibrate_writers(&disk, dir, setting.shards).map_err(ClosedLoopError::Calibrate)?,
    };
    let threads: Arc<Vec<OnceLock<Thread>>> =
        Arc::new((0..setting.shards).map(|_| OnceLock::new()).collect());
    let sleepers = Arc::clone(&threads);
    let wake = move |shard: ShardId| {
        if let Some(thread) = sleepers.get(usize::from(shard.0)).and_then(OnceLock::get) {
            thread.unpark();
        }
    };
    let mut options = LogOptions::new(setting.shards, Arc::new(wake));
    options.writers = writers;
    options.policy = SyncPolicy::Always;
    let logs = data_dir.start_logs(&options)?;
    let metrics = metrics_of_writers(&logs, writers);
    let totals = run_shards(setting, logs, &threads, &metrics)?;
    data_dir.close()?;
    Ok(Figures { writers, ..totals })
}

/// One set of counters per writer; the shards of a writer share theirs.
fn metrics_of_writers(logs: &[Log], writers: u16) -> Vec<Arc<LogMetrics>> {
    logs.iter().take(usize::from(writers)).map(|log| Arc::clone(log.shared().metrics())).collect()
}

fn flushes(metrics: &[Arc<LogMetrics>]) -> u64 {
    metrics.iter().map(|metrics| metrics.syncs.load(Ordering::Relaxed)).sum()
}

fn run_shards(
    setting: &Setting,
    logs: Vec<Log>,
    threads: &[OnceLock<Thread>],
    metrics: &[Arc<LogMetrics>],
) -> Result<Figures, ClosedLoopError> {
    let stop = AtomicBool::new(false);
    let gathered = Mutex::new((0, new_histogram()));
    let measured_from = Instant::now() + setting.warm_up;
    let shards = logs.len();
    thread::scope(|scope| {
        let (stop, gathered) = (&stop, &gathered);
        let mut workers = Vec::new();
        for (index, (log, thread)) in logs.into_iter().zip(threads).enumerate() {
            let clients = setting.clients / shards + usize::from(index < setting.clients % shards);
            workers.push(scope.spawn(move || {
                thread.get_or_init(thread::current);
                let mut shard = Shard::new(log, clients, setting.think, measured_from);
                let result = shard.run(stop);
                let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
                gathered.0 += shard.commits;
                let _ = gathered.1.add(&shard.latencies); // same bounds: cannot fail
                result
            }));
        }
        thread::sleep(setting.warm_up);
        let (flushes_before, began) = (flushes(metrics), Instant::now());
        thread::sleep(setting.measured);
        stop.store(true, Ordering::Relaxed);
        let (flushes, elapsed) = (flushes(metrics) - flushes_before, began.elapsed());
        for worker in workers {
            worker.join().map_err(|_| ClosedLoopError::Panicked)??;
        }
        let (commits, latencies) = gathered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Figures { writers: 0, commits, flushes, elapsed, latencies })
    })
}

/// A minute at most.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

/// What a client does.
enum Client {
    Thinks { until: Instant },
    Awaits { position: Position, since: Instant },
}

struct Shard {
    log: Log,
    clients: Vec<Client>,
    think: Duration,
    measured_from: Instant,
    commits: u64,
    latencies: Histogram<u64>,
    random: u64,
}

impl Shard {
    fn new(log: Log, clients: usize, think: Duration, measured_from: Instant) -> Shard {
        let until = Instant::now();
        let clients = (0..clients).map(|_| Client::Thinks { until }).collect();
        let random = u64::from(log.shared().shard().0) * 2 + 1;
        Shard { log, clients, think, measured_from, commits: 0, latencies: new_histogram(), random }
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), ClosedLoopError> {
        while !stop.load(Ordering::Relaxed) {
            if self.log.status() != LogStatus::Ok {
                return Err(ClosedLoopError::Refused(self.log.shared().shard(), self.log.status()));
            }
            let now = Instant::now();
            self.release(now);
            let next = self.append_due(now);
            self.log.submit(wall_clock_ms());
            // A wake that came since the log was looked at makes this return at once.
            thread::park_timeout(next.map_or(TICK, |due| due.saturating_duration_since(now).min(TICK)));
        }
        Ok(())
    }

    /// Answers the clients whose write is durable.
    fn release(&mut self, now: Instant) {
        let durable = self.log.durable();
        let twice = self.think.as_nanos() as u64 * 2 + 1;
        for client in &mut self.clients {
            let Client::Awaits { position, since } = *client else { continue };
            if position <= durable {
                if now >= self.measured_from {
                    self.commits += 1;
                    let microseconds = (now - since).as_micros() as u64;
                    self.latencies.saturating_record(microseconds.max(1));
                }
                self.random = next_random(self.random);
                *client = Client::Thinks { until: now + Duration::from_nanos((self.random >> 16) % twice) };
            }
        }
    }

    /// Writes for the clients that have thought enough; tells when the next one has.
    fn append_due(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for client in &mut self.clients {
            let Client::Thinks { until } = *client else { continue };
            if until > now {
                next = Some(next.map_or(until, |next| next.min(until)));
                continue;
            }
            self.log.append(0, &[b"SET", b"key:000000000001", &VALUE]);
            self.log.command_boundary();
            *client = Client::Awaits { position: self.log.appended(), since: now };
        }
        next
    }
}

/// A linear congruential generator; multiplier from Steele and Vigna, "Computationally easy, spectrally good multipliers", 2021.
fn next_random(random: u64) -> u64 {
    random.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1)
}

fn wall_clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrangement_commits_and_flushes() {
        for (shards, writers) in [(1, Some(1)), (3, Some(1)), (2, Some(2)), (2, None)] {
            let dir = tempfile::tempdir().unwrap();
            let setting = Setting {
                shards,
                writers,
                clients: 5,
                think: Duration::ZERO,
                flush: Duration::from_micros(100),
                warm_up: Duration::ZERO,
                measured: Duration::from_millis(100),
            };
            let figures = measure(&setting, &dir.path().join("data")).unwrap();
            assert!(figures.commits > 0 && figures.flushes > 0, "{figures:?}");
            assert!(figures.latencies.min() >= 1);
        }
    }
}
