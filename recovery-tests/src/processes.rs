//! Real servers, real files, real signals.
//!
//! What a killed process proves: nothing acknowledged was only in its memory, and recovery brings back exactly what its files
//! hold, on any number of shards. It does not prove durability: the page cache survives it.
//! `disk-error` goes a step further: a sync that fails takes back what it was for.
//!
//! ```text
//! load         clients on a server until it dies or their time is up; what is promised then
//! kill         SIGKILL at random moments, also in recovery
//! fail_point   SIGKILL at named points
//! disk_error   EIO, ENOSPC, short writes, failed syncs
//! full_disk    a small tmpfs that fills up
//! strace       calls of the system that fail, or kill
//! ```

pub mod disk_error;
pub mod fail_point;
pub mod full_disk;
pub mod kill;
pub mod load;
pub mod strace;

use crate::family::Family;

/// The kinds of runs with processes.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "kill",
        about: "real servers under load, killed at random moments and while they recover",
        share: 3,
        round: kill::round,
    },
    Family {
        name: "fail-point",
        about: "real servers that end at a named point, once and again in recovery",
        share: 6,
        round: fail_point::round,
    },
    Family {
        name: "disk-error",
        about: "real servers whose disk fails: writes, syncs, names",
        share: 4,
        round: disk_error::round,
    },
    Family {
        name: "full-disk",
        about: "a real server on a file system that fills up (as root)",
        share: 1,
        round: full_disk::round,
    },
    Family {
        name: "strace",
        about: "real servers whose calls of the system fail or kill (needs strace)",
        share: 1,
        round: strace::round,
    },
];
