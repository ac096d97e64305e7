//! Ctrl-C: a thread of its own waits for it, removes what is not finished, and ends the program with code 130, whatever
//! the others are doing or waiting for.
//!
//! Invariant: a signal that whoever started the program has set to be ignored (`nohup`, `&` in a script) stays ignored.

use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, INTERRUPTED_CODE};
use crate::{progress, unfinished};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP end the program without leaving files behind.
pub fn listen() {
    let ignored = ignored_signals();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Where handlers cannot be set a signal ends the program, as it would without us.
    let Ok(mut signals) = Signals::new(wanted) else { return };
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            end();
        }
    });
}

fn end() {
    // Held until the end: nothing new is begun, nothing half removed gets its name, and `main` does not return.
    let _held = unfinished::remove_all(|| INTERRUPTED.store(true, Ordering::Relaxed));
    progress::clear();
    signal_hook::low_level::exit(INTERRUPTED_CODE.into());
}

/// Bit `n - 1` stands for signal `n`; as the kernel tells it in `proc(5)`.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Fails once the program is about to end, so that no more work is begun. Cheap: one load.
pub fn check() -> Result<(), Failure> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
}
