//! Which save runs, which waits, what became of the last ones, and when the next one is due (`state`): no threads, no I/O.
//!
//! ```text
//!            start / due                 note_cut                    finished
//!   idle ───────────────────► running ──────────────► running, cut ────────────► idle
//!     ▲                          │ cancel                  │ cancel                │
//!     └──────────────────────────┴── finished, not counted ┘     scheduled: due ◄──┘
//! ```
//!
//! The *runner*, which the server sets, does the work on threads of its own.
//!
//! Invariants:
//! 1. One save runs at a time; every job that the runner was given is ended by one call of [`Saves::finished`].
//! 2. Only a save that went well counts: what a failed or cancelled one saw at its cut is forgotten.
//! 3. After a failure nothing starts by itself before a pause is over.

mod state;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock;

use state::{Cut, Running, Scheduled, State};
pub use state::{History, LogSight, Sight};

/// What a save is for. With a log each of them is a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SAVE, BGSAVE, a save point, SHUTDOWN.
    Save,
    /// BGREWRITEAOF, or the log has grown.
    Rewrite,
    /// A log is poisoned: what only it has must get to stable storage another way.
    Heal,
}

/// What the runner is to do.
#[derive(Debug)]
pub struct Job {
    pub kind: Kind,
    /// Write the file `dbfilename` too (without a log: write it alone).
    pub dump: bool,
    /// Turns true when the save is to be given up.
    pub cancelled: Arc<AtomicBool>,
}

/// What became of a job.
#[derive(Debug)]
pub struct Outcome {
    /// Of the checkpoint; without a log, of the dump file.
    pub result: Result<(), String>,
    /// Of the dump file that a checkpoint was followed by. If it failed, the checkpoint counts all the same.
    pub dump: Result<(), String>,
    pub keys: u64,
    /// Most memory that was held at a time because keys changed while they were saved.
    pub cow_peak_bytes: u64,
    /// Size of all snapshots together.
    pub snapshot_bytes: u64,
    /// Longest time that a shard stood still for the cut.
    pub cut_max_us: u64,
}

impl Outcome {
    /// Whether all went well, the dump file too.
    pub(super) fn whole(&self) -> Result<(), String> {
        self.result.clone().and_then(|()| self.dump.clone())
    }

    /// It failed before anything was done.
    pub fn failure(error: impl Into<String>) -> Self {
        Self {
            result: Err(error.into()),
            dump: Ok(()),
            keys: 0,
            cow_peak_bytes: 0,
            snapshot_bytes: 0,
            cut_max_us: 0,
        }
    }
}

/// How far the running job is.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunningFigures {
    pub keys_processed: u64,
    pub keys_total: u64,
    pub cow_bytes: u64,
    pub cow_peak_bytes: u64,
}

/// Why a save cannot start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Another one runs.
    Running(Kind),
    /// The server is ending.
    Ending,
}

/// Who waits for a save: its result, or nothing if the server ends first.
pub type Done = oneshot::Sender<Result<(), String>>;

/// The save that runs.
#[derive(Clone, Debug)]
pub struct RunningView {
    pub kind: Kind,
    pub since: Instant,
    pub figures: RunningFigures,
}

/// All that INFO tells.
#[derive(Clone, Debug)]
pub struct View {
    pub running: Option<RunningView>,
    pub is_rewrite_scheduled: bool,
    pub is_save_scheduled: bool,
    pub save: History,
    pub rewrite: History,
    /// Unix seconds of the last good save, or of the start.
    pub last_save_unix: u64,
    /// Total of changes at the cut of the last good save, of whatever kind.
    pub saved_changes: u64,
    pub snapshot_bytes: u64,
    pub cut_max_us: Option<u64>,
    /// Why the last one of any kind failed, if it did.
    pub last_error: Option<String>,
}

type Runner = Box<dyn Fn(Job) + Send + Sync>;
type Figures = Box<dyn Fn() -> RunningFigures + Send + Sync>;

/// See the module.
pub struct Saves {
    state: Mutex<State>,
    /// Of the state's: whether the last save of kind [`Kind::Save`] went well, for those who ask often.
    last_save_was_ok: AtomicBool,
    /// A job has ended.
    ended: Condvar,
    runner: OnceLock<Runner>,
    figures: OnceLock<Figures>,
}

impl Default for Saves {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            last_save_was_ok: AtomicBool::new(true),
            ended: Condvar::new(),
            runner: OnceLock::new(),
            figures: OnceLock::new(),
        }
    }
}

impl Saves {
    /// Sets, once, what does the work: it starts the job on a thread of its own and returns at once.
    pub fn set_runner(&self, runner: Runner) {
        let _ = self.runner.set(runner); // the first and only one
    }

    /// Sets, once, who tells how far the running job is.
    pub fn set_figures(&self, figures: Figures) {
        let _ = self.figures.set(figures); // the first and only one
    }

    /// What the recovery began with: the size of the checkpoint's snapshots, and of the log behind them.
    pub fn set_base(&self, snapshot_bytes: u64, log_bytes: u64) {
        let mut state = self.state();
        state.snapshot_bytes = snapshot_bytes;
        state.recovered_log_bytes = log_bytes;
    }

    /// The runner has made its cut.
    ///
    /// `changes`: total of [`super::engine::Engine::changes`] of all shards at the cut; `log_bytes`:
    /// [`super::shared::Shared::log_bytes`] then.
    pub fn note_cut(&self, changes: u64, log_bytes: u64) {
        if let Some(running) = &mut self.state().running {
            running.cut = Some(Cut { changes, log_bytes });
        }
    }

    /// Starts a save. `done` is told what became of it.
    ///
    /// # Errors
    /// One runs already, or the server is ending.
    pub fn start(&self, kind: Kind, dump: bool, done: Option<Done>) -> Result<(), Busy> {
        let state = self.state();
        if state.is_ending {
            return Err(Busy::Ending);
        }
        self.begin(state, kind, dump, done.into_iter().collect())
    }

    /// The save at the end of the server, behind [`Saves::cancel`].
    ///
    /// # Errors
    /// One runs still.
    pub fn start_last(&self, dump: bool, done: Done) -> Result<(), Busy> {
        self.begin(self.state(), Kind::Save, dump, vec![done])
    }

    fn begin(
        &self,
        mut state: MutexGuard<'_, State>,
        kind: Kind,
        dump: bool,
        done: Vec<Done>,
    ) -> Result<(), Busy> {
        if let Some(running) = &state.running {
            return Err(Busy::Running(running.kind));
        }
        let cancelled = Arc::new(AtomicBool::new(false));
        let job = Job { kind, dump, cancelled: Arc::clone(&cancelled) };
        state.running =
            Some(Running { kind, since: clock::now(), cancelled, is_given_up: false, cut: None, done });
        drop(state); // the runner may answer at once
        match self.runner.get() {
            Some(runner) => runner(job),
            None => self.finished(Outcome::failure("the server cannot save yet")),
        }
        Ok(())
    }

    /// Lets a save follow the running one. Save points and the like do not count as running.
    pub fn schedule(&self, kind: Kind, dump: bool, done: Option<Done>) {
        let mut state = self.state();
        match kind {
            Kind::Save => {
                let waiting =
                    state.scheduled_save.get_or_insert_with(|| Scheduled { dump: false, done: Vec::new() });
                waiting.dump |= dump;
                waiting.done.extend(done);
            }
            Kind::Rewrite => state.is_rewrite_scheduled = true,
            Kind::Heal => {} // due by itself for as long as a log is poisoned
        }
    }

    /// Gives up the running save and those that wait, and starts none by itself from now on: the server is ending.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.is_ending = true;
        state.scheduled_save = None;
        state.is_rewrite_scheduled = false;
        if let Some(running) = &mut state.running {
            running.is_given_up = true;
            running.cancelled.store(true, Ordering::Release);
        }
    }

    /// The server stays after all.
    pub fn resume(&self) {
        self.state().is_ending = false;
    }

    /// Waits until no save runs; says whether that came to be. Not for a shard's thread.
    pub fn wait_until_idle(&self, patience: Duration) -> bool {
        let state = self.state();
        let waited = self.ended.wait_timeout_while(state, patience, |state| state.running.is_some());
        waited.unwrap_or_else(PoisonError::into_inner).0.running.is_none()
    }

    /// A job has ended; the runner's last word about it.
    pub fn finished(&self, outcome: Outcome) {
        let mut state = self.state();
        let Some(running) = state.running.take() else { return };
        let took = clock::elapsed(running.since);
        tell(&running, &outcome, took);
        state.note(&running, &outcome, took);
        self.last_save_was_ok.store(!state.stops_writes, Ordering::Release);
        drop(state);
        self.ended.notify_all();
        for done in running.done {
            let _ = done.send(outcome.whole()); // a client that has left
        }
    }

    /// Starts the save that is due, if one is.
    pub fn start_due(&self, sight: &Sight<'_>) {
        if self.runner.get().is_none() {
            return; // the server is not that far
        }
        let mut state = self.state();
        let Some((kind, dump)) = state.due(sight) else { return };
        let mut done = Vec::new();
        match kind {
            Kind::Save => done.extend(state.scheduled_save.take().into_iter().flat_map(|save| save.done)),
            Kind::Rewrite => state.is_rewrite_scheduled = false,
            Kind::Heal => {}
        }
        let _ = self.begin(state, kind, dump, done); // nothing runs, or nothing would be due
    }

    /// What runs now.
    pub fn running(&self) -> Option<Kind> {
        self.state().running.as_ref().map(|running| running.kind)
    }

    /// Whether the last save of kind [`Kind::Save`] that nobody waited for went well, or one has since.
    #[inline]
    pub fn last_save_was_ok(&self) -> bool {
        self.last_save_was_ok.load(Ordering::Acquire)
    }

    /// Unix seconds of the last good save, or of the start.
    pub fn last_save_unix(&self) -> u64 {
        self.state().last_save_unix
    }

    /// CONFIG RESETSTAT
    pub fn reset_counts(&self) {
        let mut state = self.state();
        state.save.count = 0;
        state.rewrite.count = 0;
    }

    /// Bytes of log behind the last checkpoint, of so many since the start.
    pub fn log_bytes(&self, bytes: u64) -> u64 {
        self.state().log_bytes(bytes)
    }

    pub fn view(&self) -> View {
        let figures = self.figures.get().map(|figures| figures()).unwrap_or_default();
        let state = self.state();
        let running = state.running.as_ref();
        View {
            running: running.map(|running| RunningView { kind: running.kind, since: running.since, figures }),
            is_rewrite_scheduled: state.is_rewrite_scheduled,
            is_save_scheduled: state.scheduled_save.is_some(),
            save: state.save,
            rewrite: state.rewrite,
            last_save_unix: state.last_save_unix,
            saved_changes: state.saved.changes,
            snapshot_bytes: state.snapshot_bytes,
            cut_max_us: state.cut_max_us,
            last_error: state.last_error.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // nothing panics between two changes
    }
}

/// A failing save is loud each time, whoever asked for it.
fn tell(running: &Running, outcome: &Outcome, took: Duration) {
    let kind = running.kind;
    let took_ms = took.as_millis() as u64;
    match &outcome.whole() {
        Ok(()) => tracing::info!(
            ?kind,
            keys = outcome.keys,
            bytes = outcome.snapshot_bytes,
            took_ms,
            cut_max_us = outcome.cut_max_us,
            "saved"
        ),
        Err(_) if running.is_given_up => tracing::warn!(?kind, took_ms, "a save was given up"),
        Err(error) => tracing::error!(?kind, took_ms, "a save failed: {error}"),
    }
}
