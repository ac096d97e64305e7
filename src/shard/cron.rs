//! What a shard does by the clock: remove expired keys, start the saves that are due, close idle connections.
//!
//! Invariant: one slice of expiry takes a bounded time; where much has expired, slices follow each other with pauses in
//! between, in which clients are served.

use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::pause::Paused;
use super::saves::{LogSight, Sight};
use super::{Shard, latency};
use crate::clock;
use crate::config::AppendFsync;

/// Longest pause between two looks; also what the log needs to hand over in time.
const TICK: Duration = Duration::from_millis(100);
/// Longest slice of expiry, and the pause behind it where there is more to do.
const SLICE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(3);
/// Pages looked at between two looks at the clock.
const PAGES: usize = 16;

/// Runs until the shard ends.
pub async fn run(shard: Rc<Shard>) {
    let mut cron = Cron::default();
    loop {
        tokio::time::sleep(cron.turn(&shard)).await;
    }
}

/// How far a shard has come in what it does by the clock.
#[derive(Default)]
pub struct Cron {
    /// The database whose keys are looked at next.
    db: u16,
    /// When what is due once a second is due again.
    next_second: Option<Instant>,
}

impl Cron {
    /// Does what is due; answers how long to wait for the next turn.
    pub fn turn(&mut self, shard: &Shard) -> Duration {
        let began = clock::now();
        let more = !shard.shared.is_loading() && !shard.stopping.get() && expire(shard, &mut self.db);
        let threshold_ms = shard.config.borrow().latency_monitor_threshold_ms;
        shard.shared.note_latency(threshold_ms, latency::EXPIRE_CYCLE, clock::elapsed(began));
        if shard.id.0 == 0 {
            watch_network(shard);
            watch_writers(shard, threshold_ms);
        }
        shard.commands_rate.borrow_mut().look(shard.engine.borrow().stats.commands, clock::now());
        look_after_saves(shard);
        let now = clock::now();
        let is_second = self.next_second.is_none_or(|at| now >= at);
        if shard.id.0 == 0 && (is_second || shard.config.borrow().maxmemory_bytes > 0) {
            watch_memory(shard); // some microseconds: not at every turn for INFO alone
        }
        if is_second {
            close_idle(shard);
            self.next_second = Some(now + Duration::from_secs(1));
        }
        let tick = Duration::from_millis(1000 / u64::from(shard.config.borrow().hz.clamp(10, 500))).min(TICK);
        if more { PAUSE } else { tick }
    }
}

/// One slice, going on at database `db`. Returns whether so much has expired that the next slice should come soon.
fn expire(shard: &Shard, db: &mut u16) -> bool {
    if !shard.shared.active_expire.load(Ordering::Relaxed) || shard.shared.pause.now() != Paused::Nothing {
        return false;
    }
    if shard.shared.log_refuses().is_some() || shard.shared.log_is_full(shard.id) {
        return false; // an expiry is a write
    }
    let started = clock::now();
    let mut engine = shard.engine.borrow_mut();
    let more = expire_slice(&mut engine, db, started);
    engine.stats.expire_time += clock::elapsed(started);
    engine.stats.expire_slices_cut += u64::from(more.is_some());
    more.unwrap_or(false)
}

/// Until the time of the slice is up (then: whether much had expired), or all databases have been looked through.
fn expire_slice(engine: &mut Engine, db: &mut u16, started: Instant) -> Option<bool> {
    let databases = engine.dbs.len() as u16;
    let (mut pages, mut expired) = (0, 0);
    for _ in 0..databases {
        loop {
            let pass = engine.expire_cycle(*db, clock::unix_ms(), PAGES);
            pages += pass.pages;
            expired += pass.expired;
            if clock::now() - started > SLICE {
                return Some(expired > pages);
            }
            if pass.finished {
                break;
            }
        }
        *db = (*db + 1) % databases;
    }
    None
}

/// Keeps what the logs' writers took long for, as events of latency.
fn watch_writers(shard: &Shard, threshold_ms: i64) {
    if threshold_ms == 0 {
        return;
    }
    let sync = match shard.config.borrow().appendfsync {
        AppendFsync::Always => latency::LOG_SYNC_ALWAYS,
        AppendFsync::Everysec | AppendFsync::No => latency::LOG_SYNC,
    };
    for log in shard.shared.writers() {
        let metrics = log.metrics();
        for (event, longest) in
            [(sync, &metrics.longest_sync_us), (latency::LOG_WRITE, &metrics.longest_write_us)]
        {
            shard.shared.note_latency(threshold_ms, event, Duration::from_micros(longest.take()));
        }
    }
}

/// Compares the memory in use with `maxmemory`. Nothing is evicted: what needs more memory is refused.
pub fn watch_memory(shard: &Shard) {
    let Some(bytes) = allocated_bytes() else { return };
    let limit = shard.config.borrow().maxmemory_bytes;
    shard.shared.is_over_memory.store(limit > 0 && bytes > limit, Ordering::Relaxed);
    shard.shared.note_memory(bytes);
}

fn watch_network(shard: &Shard) {
    let (counters, now) = (&shard.shared.counters, clock::now());
    let mut rates = shard.shared.net_rates.lock().unwrap_or_else(PoisonError::into_inner);
    rates.input.look(counters.net_input_bytes.load(Ordering::Relaxed), now);
    rates.output.look(counters.net_output_bytes.load(Ordering::Relaxed), now);
}

/// Bytes that the allocator has given out; `None` where it is not jemalloc.
pub fn allocated_bytes() -> Option<u64> {
    tikv_jemalloc_ctl::epoch::advance().ok()?;
    tikv_jemalloc_ctl::stats::allocated::read().ok().map(|bytes| bytes as u64)
}

/// Tells how much has changed here; shard 0 starts what is due for all.
fn look_after_saves(shard: &Shard) {
    let shared = &shard.shared;
    let changes = shard.engine.borrow().changes;
    shared.changes[usize::from(shard.id.0)].store(changes, Ordering::Relaxed);
    if shard.id.0 != 0 || shared.is_loading() || shard.stopping.get() {
        return;
    }
    let config = shard.config.borrow();
    let log = config.appendonly.then(|| LogSight {
        bytes: shared.log_bytes(),
        is_poisoned: shared.is_poisoned(),
        growth_percent: config.auto_aof_rewrite_percentage,
        min_bytes: config.auto_aof_rewrite_min_size_bytes,
    });
    let can_save = config.appendonly || config.writes_dump();
    shared.saves.start_due(&Sight {
        now: clock::now(),
        changes: shared.changes.iter().map(|changes| changes.load(Ordering::Relaxed)).sum(),
        log,
        points: if can_save { &config.save } else { &[] },
    });
}

/// Closes clients that have said nothing for `timeout`; those that wait for an answer are not idle, nor are monitors.
fn close_idle(shard: &Shard) {
    let timeout_ms = u64::from(shard.config.borrow().timeout_seconds) * 1000;
    if timeout_ms == 0 {
        return;
    }
    let now_ms = clock::unix_ms();
    for (_, client) in shard.clients.borrow().iter() {
        let waits = client.is_blocked() || client.monitors.get();
        if !waits && now_ms.saturating_sub(client.active_unix_ms.get()) > timeout_ms {
            client.kill();
        }
    }
}
