//! A progress bar on stderr: only on a terminal, only for work that takes long.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long work may take without a bar.
const QUIET: Duration = Duration::from_millis(700);

/// Whether a bar stands on the terminal.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Removes the bar, if there is one, when the program ends at once. Waits for nobody who writes to stderr.
pub fn clear() {
    if IS_SHOWN.load(Ordering::Relaxed)
        && let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned()
    {
        let _ = File::from(stderr).write_all(b"\r\x1b[K");
    }
}

/// Bytes done of bytes to do.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    started: Instant,
}

impl Progress {
    pub fn new(total_bytes: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
            ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Progress { bar, total: total_bytes, started: Instant::now() }
    }

    /// So many bytes are done. To be called often, but not for every key.
    pub fn at(&self, bytes: u64) {
        let Some(bar) = &self.bar else { return };
        if bar.is_hidden() && self.started.elapsed() > QUIET {
            IS_SHOWN.store(true, Ordering::Relaxed);
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_position(bytes.min(self.total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            IS_SHOWN.store(false, Ordering::Relaxed);
        }
    }
}
