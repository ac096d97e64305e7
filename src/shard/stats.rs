//! What a shard counts for INFO and LATENCY HISTOGRAM.
//!
//! Invariants:
//! 1. A command that comes in parts is counted once, by its first part; the time of all its parts is added up.
//! 2. A command's histogram takes memory from its first call on, not before.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latencies::Latencies;

/// Stands, in the command of a call, for one that is not in the table: nothing of it is counted.
pub const UNCOUNTED: u16 = u16::MAX;
/// Of a part of a command that is not its first one, only the time is counted.
const LATER_PART: u16 = 1 << 15;

/// Codes that are told apart, and their length: DEBUG ERROR answers what it is told to.
const MAX_ERROR_CODES: usize = 128;
const MAX_CODE_BYTES: usize = 32;

/// The command `index` in a part of it that is not the first.
#[inline]
pub fn later_part(index: u16) -> u16 {
    index | LATER_PART
}

/// What became of the calls of one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStats {
    pub calls: u64,
    /// Time in its handler, in ns.
    pub nanos: u64,
    /// Refused before it ran: wrong number of arguments, no password, no memory.
    pub rejected: u64,
    /// It ran and answered an error.
    pub failed: u64,
    /// Latencies of its calls; none before the first call, or while `latency-tracking` is off.
    pub latencies: Option<Latencies>,
}

impl CommandStats {
    /// The figures without the histogram, which is large.
    fn figures(&self) -> CommandStats {
        CommandStats { latencies: None, ..*self }
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct EngineStats {
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub expired_keys: u64,
    /// What the search for expired keys took, and how often its time was up before it was through.
    pub expire_time: Duration,
    pub expire_slices_cut: u64,
    /// Commands that were run.
    pub commands: u64,
    /// Indexed as the command table; empty: nothing is counted by command.
    pub by_command: Vec<CommandStats>,
    /// Errors by their code, the first word of the reply.
    pub errors_by_code: BTreeMap<String, u64>,
    /// Latencies go into histograms (`latency-tracking`).
    pub tracks_latency: bool,
}

impl EngineStats {
    /// For a table of so many commands.
    pub fn new(commands: usize) -> Self {
        Self { by_command: vec![CommandStats::default(); commands], tracks_latency: true, ..Self::default() }
    }

    /// Starts anew.
    pub fn reset(&mut self) {
        let tracks_latency = self.tracks_latency;
        *self = Self { tracks_latency, ..Self::new(self.by_command.len()) };
    }

    /// All figures, without histograms.
    pub fn figures(&self) -> EngineStats {
        EngineStats {
            by_command: self.by_command.iter().map(CommandStats::figures).collect(),
            errors_by_code: self.errors_by_code.clone(),
            ..*self
        }
    }

    /// Counts a call that took `nanos`.
    #[inline]
    pub fn count(&mut self, command: u16, nanos: u64, failed: bool) {
        let Some(stats) = self.by_command.get_mut(usize::from(command & !LATER_PART)) else { return };
        stats.nanos += nanos;
        if command & LATER_PART != 0 {
            return;
        }
        self.commands += 1;
        stats.calls += 1;
        stats.failed += u64::from(failed);
        if self.tracks_latency {
            stats.latencies.get_or_insert_default().record(nanos);
        }
    }

    /// Counts a call that was refused before it ran.
    pub fn count_rejected(&mut self, command: u16) {
        if let Some(stats) = self.by_command.get_mut(usize::from(command)) {
            stats.rejected += 1;
        }
    }

    /// Counts an error that a client is told.
    pub fn count_error(&mut self, text: &str) {
        let code = text.split(' ').next().unwrap_or(text);
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if code.is_empty() || code.len() > MAX_CODE_BYTES || !code.bytes().all(is_code) {
            return; // a client's own words
        }
        if let Some(count) = self.errors_by_code.get_mut(code) {
            *count += 1;
        } else if self.errors_by_code.len() < MAX_ERROR_CODES {
            self.errors_by_code.insert(code.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_are_counted_as_errors() {
        let mut stats = EngineStats::default();
        for text in ["ERR x", "WRONGTYPE", "", "abc", " x", "ERR\r\n", &"A".repeat(33), "ERR y"] {
            stats.count_error(text);
        }
        let counted: Vec<(&str, u64)> =
            stats.errors_by_code.iter().map(|(code, count)| (&code[..], *count)).collect();
        assert_eq!(counted, [("ERR", 2), ("WRONGTYPE", 1)]);
    }

    #[test]
    fn parts_of_a_command_are_one_call() {
        let mut stats = EngineStats::new(3);
        stats.count(1, 500, false);
        stats.count(later_part(1), 700, true);
        stats.count(UNCOUNTED, 900, false);
        stats.count(later_part(UNCOUNTED), 900, false);
        let one = &stats.by_command[1];
        assert_eq!((one.calls, one.nanos, one.failed, stats.commands), (1, 1200, 0, 1));
        assert_eq!(one.latencies.as_ref().unwrap().total(), 1);
        stats.count_rejected(2);
        assert_eq!((stats.by_command[2].calls, stats.by_command[2].rejected), (0, 1));
        assert!(stats.by_command[2].latencies.is_none() && stats.figures().by_command[1].latencies.is_none());
        stats.reset();
        assert_eq!((stats.by_command[1].calls, stats.by_command.len(), stats.commands), (0, 3, 0));
    }
}
