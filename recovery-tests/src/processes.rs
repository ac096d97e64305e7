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

use crate::family::{Counts, Family, Place, Round};

/// The kinds of runs with processes.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "kill",
        about: "real servers under load, killed at random moments and while they recover",
        share: 3,
        round: |seed, place| with_log(kill::round, seed, place),
    },
    Family {
        name: "fail-point",
        about: "real servers that end at a named point, once and again in recovery",
        share: 6,
        round: |seed, place| with_log(fail_point::round, seed, place),
    },
    Family {
        name: "disk-error",
        about: "real servers whose disk fails: writes, syncs, names",
        share: 4,
        round: |seed, place| with_log(disk_error::round, seed, place),
    },
    Family {
        name: "full-disk",
        about: "a real server on a file system that fills up (as root)",
        share: 1,
        round: |seed, place| with_log(full_disk::round, seed, place),
    },
    Family {
        name: "strace",
        about: "real servers whose calls of the system fail or kill (needs strace)",
        share: 1,
        round: |seed, place| with_log(strace::round, seed, place),
    },
];

/// Lines of a server's log that a violation repeats, and most characters of each.
const LOG_LINES: usize = 5;
const LINE_CHARS: usize = 300;

/// A round, whose violation ends with the last that its servers said.
fn with_log(round: Round, seed: u64, place: &Place) -> Result<Counts, String> {
    round(seed, place).map_err(|what| match std::fs::read(place.scratch.join("server.log")) {
        Ok(log) => format!("{what}{}", last_lines(&String::from_utf8_lossy(&log))),
        Err(_) => what, // no server was started
    })
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    let cut = |line: &&str| format!("\n  server.log: {}", line.chars().take(LINE_CHARS).collect::<String>());
    last.iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_ends_with_the_last_lines_of_the_log() {
        let scratch = tempfile::tempdir().expect("a directory");
        let place = Place { scratch: scratch.path().to_owned(), server: "none".into(), shrinks: false };
        let fails: Round = |_, _| Err("lost".into());
        assert_eq!(with_log(fails, 1, &place), Err("lost".into()));
        let log: String = (0..9).map(|line| format!("line {line}\n")).collect();
        std::fs::write(scratch.path().join("server.log"), log + &"x".repeat(1000)).expect("written");
        let text = with_log(fails, 1, &place).expect_err("a violation");
        assert!(text.starts_with("lost\n  server.log: line 5\n") && text.contains("line 8\n"), "{text}");
        assert!(!text.contains("line 4") && text.len() < 600, "{text}");
    }
}
