//! The section `persistence`: loading, saves, checkpoints, the log as a whole.
//!
//! A save is a checkpoint where there is a log: what Redis tells of RDB files holds for SAVE, BGSAVE and save points, what it
//! tells of the rewriting of its log for BGREWRITEAOF, for checkpoints because the log has grown, and for those that heal it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Text;
use super::figures::Figures;
use crate::shard::saves::{Kind, RunningView, View};

pub fn write(text: &mut Text, figures: &Figures) {
    let view = figures.shared.saves.view();
    text.field("loading", u8::from(figures.shared.is_loading()));
    text.field("async_loading", 0);
    running(text, view.running.as_ref());
    saves(text, figures, &view);
    rewrites(text, &view);
    log(text, figures, &view);
    text.field("module_fork_in_progress", 0);
    text.field("module_fork_last_cow_size", 0);
    if figures.shared.is_loading() {
        loading_progress(text, figures);
    }
    checkpoint(text, figures, &view);
    if let Some(report) = figures.shared.recovery_report.get() {
        text.field("recovery_report", one_line(report));
        text.field("recovery_bytes", figures.shared.loading.loaded_bytes.load(Ordering::Relaxed));
    }
}

/// The save under way; zeros without one.
fn running(text: &mut Text, running: Option<&RunningView>) {
    let figures = running.map(|running| running.figures).unwrap_or_default();
    let percent = figures.keys_processed as f64 * 100.0 / figures.keys_total.max(1) as f64;
    text.field("current_cow_peak", figures.cow_peak_bytes);
    text.field("current_cow_size", figures.cow_bytes);
    text.field("current_cow_size_age", 0); // it is of this moment
    text.field("current_fork_perc", format!("{percent:.2}"));
    text.field("current_save_keys_processed", figures.keys_processed);
    text.field("current_save_keys_total", figures.keys_total);
}

fn saves(text: &mut Text, figures: &Figures, view: &View) {
    let running = view.running.as_ref().filter(|running| running.kind == Kind::Save);
    let changes = figures.sum(|shard| shard.changes).saturating_sub(view.saved_changes);
    text.field("rdb_changes_since_last_save", changes);
    text.field("rdb_bgsave_in_progress", u8::from(running.is_some()));
    text.field("rdb_last_save_time", view.last_save_unix);
    text.field("rdb_last_bgsave_status", status(view.save.is_ok));
    text.field("rdb_last_bgsave_time_sec", seconds(view.save.took));
    text.field("rdb_current_bgsave_time_sec", seconds(running.map(|running| running.since.elapsed())));
    text.field("rdb_saves", view.save.count);
    text.field("rdb_last_cow_size", view.save.last_cow_bytes);
    text.field("rdb_last_load_keys_expired", 0); // nothing expires while it is loaded
    let loaded = figures.shared.loading.snapshot_keys.load(Ordering::Relaxed);
    text.field("rdb_last_load_keys_loaded", loaded);
}

fn rewrites(text: &mut Text, view: &View) {
    let running = view.running.as_ref().filter(|running| running.kind != Kind::Save);
    text.field("aof_rewrite_in_progress", u8::from(running.is_some()));
    text.field("aof_rewrite_scheduled", u8::from(view.is_rewrite_scheduled));
    text.field("aof_last_rewrite_time_sec", seconds(view.rewrite.took));
    text.field("aof_current_rewrite_time_sec", seconds(running.map(|running| running.since.elapsed())));
    text.field("aof_last_bgrewrite_status", status(view.rewrite.is_ok));
    text.field("aof_rewrites", view.rewrite.count);
    text.field("aof_last_cow_size", view.rewrite.last_cow_bytes);
}

fn log(text: &mut Text, figures: &Figures, view: &View) {
    let shared = &figures.shared;
    let is_enabled = shared.logs.iter().any(|log| log.get().is_some());
    let refusal = shared.log_refuses();
    text.field("aof_enabled", u8::from(is_enabled));
    text.field("aof_last_write_status", status(refusal.is_none()));
    if let Some(reason) = refusal {
        text.field("aof_last_write_error", one_line(&reason));
    }
    if !is_enabled {
        return;
    }
    text.field("aof_policy", figures.config.appendfsync.word());
    text.field("aof_current_size", view.snapshot_bytes + shared.saves.log_bytes(shared.log_bytes()));
    text.field("aof_base_size", view.snapshot_bytes);
    text.field("aof_pending_rewrite", 0);
    text.field("aof_bytes_written", shared.log_bytes_written());
    text.field("aof_buffer_length", figures.sum(|shard| shard.queue_bytes as u64));
    let lag = shared
        .logs
        .iter()
        .zip(&figures.shards)
        .map(|(log, shard)| log.get().map_or(0, |log| shard.appended.saturating_sub(log.durable().0)));
    text.field("aof_effects_not_durable", lag.sum::<u64>());
}

/// Everfast's own: what a start would begin with, as MANIFEST has it; zeros before the first one.
fn checkpoint(text: &mut Text, figures: &Figures, view: &View) {
    if let Some(data_dir) = figures.shared.data_dir.get() {
        let manifest = data_dir.manifest();
        let last = manifest.newest_checkpoint();
        text.field("checkpoint_last_id", last.map_or(0, |checkpoint| checkpoint.id.0));
        text.field("checkpoint_last_time", last.map_or(0, |checkpoint| checkpoint.time_ms / 1000));
    }
    if let Some(micros) = view.cut_max_us {
        text.field("checkpoint_last_cut_max_usec", micros);
    }
    if let Some(error) = &view.last_error {
        text.field("checkpoint_last_error", one_line(error));
    }
}

fn loading_progress(text: &mut Text, figures: &Figures) {
    let loading = &figures.shared.loading;
    let started_ms = loading.started_unix_ms.load(Ordering::Relaxed).max(figures.shared.started_unix_ms);
    let (total, loaded) =
        (loading.total_bytes.load(Ordering::Relaxed), loading.loaded_bytes.load(Ordering::Relaxed));
    let seconds = figures.now_ms.saturating_sub(started_ms) as f64 / 1000.0;
    let rate = loaded as f64 / seconds.max(0.001);
    text.field("loading_start_time", started_ms / 1000);
    text.field("loading_total_bytes", total);
    text.field("loading_loaded_bytes", loaded);
    text.field("loading_loaded_perc", format!("{:.2}", loaded as f64 * 100.0 / total.max(1) as f64));
    text.field("loading_bytes_per_second", rate as u64);
    text.field("loading_eta_seconds", (total.saturating_sub(loaded) as f64 / rate.max(1.0)) as u64);
}

fn status(is_ok: bool) -> &'static str {
    if is_ok { "ok" } else { "err" }
}

/// Whole seconds, or -1 as Redis writes that there is nothing to tell.
fn seconds(took: Option<Duration>) -> i64 {
    took.map_or(-1, |took| took.as_secs() as i64)
}

fn one_line(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("; ")
}
