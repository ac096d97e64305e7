//! What is told of commands beside their replies: the slow log, events of latency, MONITOR.
//!
//! A command that ran on another shard is told of when its reply is taken: here are its arguments and its client, and what the
//! client asks next, such as SLOWLOG GET, finds it.

use std::time::Duration;

use formats::resp::Request;

use super::Dispatcher;
use crate::clock;
use crate::command::monitoring::monitor;
use crate::command::{Command, Flags, redact, table};
use crate::net::round::{Piece, Round};
use crate::shard::latency;
use crate::shard::slow_log::{CutArgs, Entry};

/// A round's lines are told to the monitors at the latest when there are so many bytes.
const MONITORED_BYTES: usize = 64 * 1024;

impl Dispatcher {
    /// The words of a command as the slow log would keep them.
    pub(super) fn cut_args(&self, command: u16, request: Request<'_>) -> CutArgs {
        match table().get(usize::from(command)) {
            Some(row) => CutArgs::of(request, |index| redact::hides(row, request, index)),
            None => CutArgs::of(request, |_| false),
        }
    }

    /// A command took long.
    #[cold]
    pub(super) fn note(&self, command: u16, request: Request<'_>, nanos: u64) {
        self.note_args(command, || self.cut_args(command, request), nanos);
    }

    pub(super) fn note_args(&self, command: u16, args: impl FnOnce() -> CutArgs, nanos: u64) {
        let shared = &self.shard.shared;
        let (slower_than, max_entries, threshold_ms) = {
            let config = self.shard.config.borrow();
            (config.slowlog_log_slower_than_us, config.slowlog_max_len, config.latency_monitor_threshold_ms)
        };
        let is_fast = table().get(usize::from(command)).is_some_and(|row| row.flags.has(Flags::FAST));
        let event = if is_fast { latency::FAST_COMMAND } else { latency::COMMAND };
        shared.note_latency(threshold_ms, event, Duration::from_nanos(nanos));
        let micros = nanos / 1000;
        if u64::try_from(slower_than).is_ok_and(|limit| micros >= limit) {
            let entry = Entry {
                id: 0,
                unix_seconds: clock::unix_ms() / 1000,
                micros,
                args: args(),
                client_address: self.client.address.to_string(),
                client_name: self.client.name.borrow().clone(),
            };
            shared.slow_log().push(entry, usize::try_from(max_entries).unwrap_or(0));
        }
    }

    /// Tells of the commands of a round that took long on other shards.
    pub(super) fn note_remote(&self, round: &Round) {
        if round.parts.iter().flatten().any(|batch| !batch.notable.is_empty()) {
            round.pieces.iter().for_each(|piece| self.note_piece(round, piece));
        }
    }

    fn note_piece(&self, round: &Round, piece: &Piece) {
        match piece {
            Piece::Local { .. } => {}
            Piece::Muted(piece) => self.note_piece(round, piece),
            Piece::Remote { part, call } => {
                let Some(nanos) = took(round, *part, *call) else { return };
                let Some(Some(batch)) = round.parts.get(*part as usize) else { return };
                let command = batch.calls[*call as usize].call.command;
                self.note(command, batch.call(*call as usize).0, nanos);
            }
            Piece::Merged { replies, command, args, .. } => {
                // The parts ran at the same time.
                let longest = replies.iter().filter_map(|(part, call)| took(round, *part, *call)).max();
                if let Some(nanos) = longest {
                    self.note_args(*command, || args.clone(), nanos);
                }
            }
        }
    }

    /// Adds a line for those who monitor; what administers the server is not told.
    #[cold]
    pub(super) fn monitor(&mut self, command: &Command, request: Request<'_>) {
        if command.flags.has(Flags::ADMIN) {
            return;
        }
        if self.monitored.len() > MONITORED_BYTES {
            self.tell_monitors();
        }
        let (db, address) = (self.client.db.get(), self.client.address);
        monitor::write_line(&mut self.monitored, db, address, request, |index| {
            redact::hides(command, request, index)
        });
    }

    pub(super) fn tell_monitors(&mut self) {
        if !self.monitored.is_empty() {
            self.shard.tell_monitors(&std::mem::take(&mut self.monitored));
        }
    }
}

/// How long a call took, in ns, if it took long.
fn took(round: &Round, part: u32, call: u32) -> Option<u64> {
    let batch = round.parts.get(part as usize)?.as_ref()?;
    batch.notable.iter().find(|(index, _)| *index == call).map(|(_, nanos)| *nanos)
}
