//! What is known of saves, and the rules by which one is due.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::{Done, Kind, Outcome};
use crate::clock;
use crate::config::SavePoint;

/// How long nothing starts by itself after a save failed.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// A log that is still poisoned is healed again so long after the last attempt ended.
const HEAL_DELAY: Duration = Duration::from_secs(1);

/// What decides whether a save is due.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    pub now: Instant,
    /// As [`Saves::note_cut`] counts them.
    pub changes: u64,
    /// None without a log: then save points write the dump file.
    pub log: Option<LogSight>,
    pub points: &'a [SavePoint],
}

/// See [`Sight`].
#[derive(Clone, Copy, Debug)]
pub struct LogSight {
    /// [`super::super::shared::Shared::log_bytes`] now.
    pub bytes: u64,
    pub is_poisoned: bool,
    /// Grown by so many percent, a log is rewritten; 0: never.
    pub growth_percent: u32,
    /// But not while log and snapshots together are smaller.
    pub min_bytes: u64,
}

/// What became of the saves of one kind.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// The last one that nobody waited for went well, or one has since.
    pub is_ok: bool,
    /// Of the last one that ended, well or not.
    pub took: Option<Duration>,
    pub last_cow_bytes: u64,
    /// So many went well.
    pub count: u64,
    /// When the last one ended.
    ended: Option<Instant>,
}

impl History {
    const NEW: History = History { is_ok: true, took: None, last_cow_bytes: 0, count: 0, ended: None };

    /// Nothing speaks against another one: the last one went well, or `pause` ago.
    fn may_retry(&self, now: Instant, pause: Duration) -> bool {
        self.is_ok || self.has_rested(now, pause)
    }

    fn has_rested(&self, now: Instant, pause: Duration) -> bool {
        self.ended.is_none_or(|ended| now.saturating_duration_since(ended) >= pause)
    }
}

pub(super) struct Running {
    pub(super) kind: Kind,
    pub(super) since: Instant,
    pub(super) cancelled: Arc<AtomicBool>,
    /// [`super::Saves::cancel`] was called. `cancelled` does not tell: a runner that fails may set it to stop its threads.
    pub(super) is_given_up: bool,
    pub(super) cut: Option<Cut>,
    pub(super) done: Vec<Done>,
}

#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) changes: u64,
    pub(super) log_bytes: u64,
}

/// A save that waits for the running one to end.
pub(super) struct Scheduled {
    pub(super) dump: bool,
    /// No more than there are clients, for each waits for its answer.
    pub(super) done: Vec<Done>,
}

pub(super) struct State {
    pub(super) running: Option<Running>,
    pub(super) scheduled_save: Option<Scheduled>,
    pub(super) is_rewrite_scheduled: bool,
    pub(super) is_ending: bool,
    pub(super) save: History,
    pub(super) rewrite: History,
    pub(super) heal: History,
    pub(super) last_save_unix: u64,
    /// The last good save of any kind: when it ended, and what it saw at its cut.
    pub(super) saved_at: Instant,
    pub(super) saved: Cut,
    /// Size of its snapshots, and of the log behind it that was there at the start.
    pub(super) snapshot_bytes: u64,
    pub(super) recovered_log_bytes: u64,
    pub(super) cut_max_us: Option<u64>,
    pub(super) last_error: Option<String>,
    /// Nothing was saved since a save of kind [`Kind::Save`] failed.
    pub(super) stops_writes: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            running: None,
            scheduled_save: None,
            is_rewrite_scheduled: false,
            is_ending: false,
            save: History::NEW,
            rewrite: History::NEW,
            heal: History::NEW,
            last_save_unix: clock::unix_ms() / 1000,
            saved_at: clock::now(),
            saved: Cut { changes: 0, log_bytes: 0 },
            snapshot_bytes: 0,
            recovered_log_bytes: 0,
            cut_max_us: None,
            last_error: None,
            stops_writes: false,
        }
    }
}

impl State {
    fn history(&mut self, kind: Kind) -> &mut History {
        match kind {
            Kind::Save => &mut self.save,
            Kind::Rewrite => &mut self.rewrite,
            Kind::Heal => &mut self.heal,
        }
    }

    pub(super) fn note(&mut self, running: &Running, outcome: &Outcome, took: Duration) {
        let now = clock::now();
        let whole = outcome.whole();
        let is_ok = whole.is_ok();
        let history = self.history(running.kind);
        history.took = Some(took);
        history.ended = Some(now);
        // Who waits is told of a failure; the status is for those of which nobody else would hear.
        let is_told = running.is_given_up || !running.done.is_empty();
        history.is_ok = is_ok || is_told && history.is_ok;
        history.count += u64::from(is_ok);
        history.last_cow_bytes = outcome.cow_peak_bytes;
        if !running.is_given_up {
            self.last_error = whole.err();
        }
        if outcome.result.is_err() {
            self.stops_writes |= running.kind == Kind::Save && !is_told;
            return;
        }
        self.stops_writes = false;
        if running.kind == Kind::Save {
            self.last_save_unix = clock::unix_ms() / 1000;
        }
        self.saved_at = now;
        self.saved = running.cut.unwrap_or(self.saved);
        self.snapshot_bytes = outcome.snapshot_bytes;
        self.recovered_log_bytes = 0;
        self.cut_max_us = Some(outcome.cut_max_us);
    }

    pub(super) fn log_bytes(&self, bytes: u64) -> u64 {
        bytes.saturating_sub(self.saved.log_bytes) + self.recovered_log_bytes
    }

    /// What should start now, and whether it writes the dump file.
    pub(super) fn due(&self, sight: &Sight<'_>) -> Option<(Kind, bool)> {
        if self.running.is_some() || self.is_ending {
            return None;
        }
        let is_poisoned = sight.log.is_some_and(|log| log.is_poisoned);
        if is_poisoned && self.heal.has_rested(sight.now, HEAL_DELAY) {
            return Some((Kind::Heal, false));
        }
        if self.is_rewrite_scheduled && self.rewrite.may_retry(sight.now, RETRY_DELAY) {
            return Some((Kind::Rewrite, false));
        }
        let may_save = self.save.may_retry(sight.now, RETRY_DELAY);
        if let Some(save) = &self.scheduled_save
            && (may_save || !save.done.is_empty())
        {
            return Some((Kind::Save, save.dump));
        }
        // A save that failed is owed, whatever has changed since.
        let is_owed = !self.save.is_ok && !sight.points.is_empty();
        let is_due = || sight.points.iter().any(|point| self.has_reached(*point, sight));
        if may_save && (is_owed || is_due()) {
            return Some((Kind::Save, sight.log.is_none()));
        }
        sight.log.filter(|log| self.has_grown(log, sight)).map(|_| (Kind::Rewrite, false))
    }

    fn has_reached(&self, point: SavePoint, sight: &Sight<'_>) -> bool {
        let elapsed = sight.now.saturating_duration_since(self.saved_at);
        sight.changes.saturating_sub(self.saved.changes) >= u64::from(point.changes)
            && elapsed > Duration::from_secs(u64::from(point.seconds))
    }

    /// As Redis measures it: log and snapshots together, against the snapshots alone.
    fn has_grown(&self, log: &LogSight, sight: &Sight<'_>) -> bool {
        // A new segment has a header: without this a log that nobody writes to could grow by its own checkpoints.
        let has_news = sight.changes > self.saved.changes || self.recovered_log_bytes > 0;
        let grown = self.log_bytes(log.bytes);
        let size = self.snapshot_bytes + grown;
        let percent = u128::from(size) * 100 / u128::from(self.snapshot_bytes.max(1));
        has_news
            && log.growth_percent > 0
            && size > log.min_bytes
            && percent >= 100 + u128::from(log.growth_percent)
            && self.rewrite.may_retry(sight.now, RETRY_DELAY)
    }
}
