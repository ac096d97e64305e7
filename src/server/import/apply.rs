//! Runs the commands of append-only files on one shard: so a command with several keys finds all of them there.
//!
//! Invariants:
//! 1. Commands run in the order of the files; one that fails ends the import with its place.
//! 2. Nothing expires and no clock is asked: a command whose meaning depends on when it ran is an error.
//! 3. What is under way is bounded: a fixed number of batches.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};

use formats::aof::{AofItem, AofReader};
use formats::resp::{ArgRange, Request};

use super::{ImportError, Progress, Source};
use crate::command::key::transfer::{CopyOptions, move_target};
use crate::command::{self, Run, keys};
use crate::server::offline::{DATABASES, Memory};
use crate::shard::batch::{Batch, Mode, Origin};
use crate::shard::context::{Call, CommandError, Context, KeyRef};
use crate::shard::mailbox::Message;

const BATCHES: usize = 8;
const BATCH_CALLS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;
/// Most bytes of a word that an error shows.
const SHOWN_BYTES: usize = 64;

/// Commands whose times count from when they ran.
const RELATIVE: [&str; 4] = ["EXPIRE", "PEXPIRE", "SETEX", "PSETEX"];

/// Applies the commands of several files.
pub struct Applier<'m> {
    memory: &'m Memory,
    skip_functions: bool,
    db: u16,
    open: Box<Batch>,
    /// Where the calls of the open batch stand in their file.
    offsets: Vec<u64>,
    /// Boxed, as they travel.
    #[allow(clippy::vec_box)]
    free: Vec<Box<Batch>>,
    /// The same of each batch under way, in their order.
    under_way: VecDeque<Vec<u64>>,
    returned: Receiver<Box<Batch>>,
    give_back: Sender<Box<Batch>>,
    ranges: Vec<ArgRange>,
    words: Vec<u8>,
    pub commands: u64,
    /// Commands on functions that were left out.
    pub functions: u64,
}

impl<'m> Applier<'m> {
    /// `memory` has one shard.
    pub fn new(memory: &'m Memory, skip_functions: bool) -> Self {
        let (give_back, returned) = channel();
        Applier {
            memory,
            skip_functions,
            db: 0,
            open: Box::default(),
            offsets: Vec::new(),
            free: (1..BATCHES).map(|_| Box::default()).collect(),
            under_way: VecDeque::new(),
            returned,
            give_back,
            ranges: Vec::new(),
            words: Vec::new(),
            commands: 0,
            functions: 0,
        }
    }

    /// Runs the commands of one file: all of them have run when it answers.
    pub fn run(&mut self, source: &Source, progress: &Progress) -> Result<(), ImportError> {
        self.db = 0; // a file is read as by a client of its own
        let mut reader = AofReader::new(source.commands(), source.rdb_bytes as u64);
        let mut counted = reader.offset();
        loop {
            let record = reader.next_record();
            let record = record.map_err(|error| source.damaged(error.record_offset(), error.to_string()))?;
            let Some(record) = record else { break };
            let end = record.offset + record.bytes;
            if let AofItem::Command(args) = record.item {
                self.command(source, record.offset, args)?;
            }
            if self.open.calls.len() >= BATCH_CALLS || self.open.bytes() >= BATCH_BYTES {
                self.send(source)?;
                progress.advance(end - counted);
                counted = end;
            }
        }
        self.send(source)?;
        while !self.under_way.is_empty() {
            self.take_back(source)?;
        }
        progress.advance(source.end as u64 - counted);
        Ok(())
    }

    fn command(&mut self, source: &Source, offset: u64, args: &[&[u8]]) -> Result<(), ImportError> {
        let name = args.first().copied().unwrap_or_default();
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("MULTI") || is("EXEC") {
            return Ok(()); // what has no EXEC lies behind the end that counts
        }
        self.commands += 1;
        if is("SELECT") {
            return self.select(source, offset, args);
        }
        if is("FUNCTION") {
            self.functions += 1;
            return if self.skip_functions { Ok(()) } else { Err(source.functions(offset)) };
        }
        if needs_clock(args) {
            let what = format!("command '{}', which depends on when it ran", shown(name));
            return Err(source.unsupported(offset, what));
        }
        self.push(source, offset, args)
    }

    fn select(&mut self, source: &Source, offset: u64, args: &[&[u8]]) -> Result<(), ImportError> {
        let number = args.get(1).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let number = number.filter(|&db| u32::from(db) < DATABASES);
        self.db = number.ok_or_else(|| source.unsupported(offset, "a SELECT of no database".to_owned()))?;
        Ok(())
    }

    fn push(&mut self, source: &Source, offset: u64, args: &[&[u8]]) -> Result<(), ImportError> {
        let unsupported =
            |why: &str| Err(source.unsupported(offset, format!("command '{}': {why}", shown(args[0]))));
        self.words.clear();
        self.ranges.clear();
        for (index, arg) in args.iter().enumerate() {
            let start = self.words.len();
            // The table looks at the name, and of a container at the second word, alone.
            self.words.extend_from_slice(if index < 2 { arg } else { &[] });
            self.ranges.push(ArgRange { start, end: self.words.len() });
        }
        let request = Request::new(&self.words, &self.ranges);
        let (index, found) = match command::find(request) {
            Ok(found) => found,
            // The arguments that the table shows were not given to it.
            Err(refusal) => {
                return unsupported(refusal.error.0.split(", with args").next().unwrap_or_default());
            }
        };
        let handler = match found.run {
            Run::Keys(handler, _) | Run::Everywhere(handler, _) => handler,
            _ if args[0].eq_ignore_ascii_case(b"COPY") => copy,
            _ if args[0].eq_ignore_ascii_case(b"MOVE") => move_key,
            _ => return unsupported("it belongs to a client"),
        };
        let call = Call { handler, command: index, writes: true, whole_keyspace: false, db: self.db };
        let hasher = self.memory.hasher;
        let keys = keys::positions(found, request);
        let keys = keys.map(|arg| KeyRef { arg: arg as u32, hash: hasher.hash(args[arg]) });
        self.open.push(&call, args.iter().copied(), keys);
        self.offsets.push(offset);
        Ok(())
    }

    fn send(&mut self, source: &Source) -> Result<(), ImportError> {
        if self.offsets.is_empty() {
            return Ok(());
        }
        while self.free.is_empty() {
            self.take_back(source)?;
        }
        let Some(next) = self.free.pop() else { return Err(ImportError::Thread) };
        let mut batch = std::mem::replace(&mut self.open, next);
        batch.mode = Mode::Replay;
        batch.origin = Origin::Replay(self.give_back.clone());
        self.under_way.push_back(std::mem::take(&mut self.offsets));
        self.memory.shared.mailboxes[0].send(Message::Run(batch));
        Ok(())
    }

    /// Waits for a batch to come back, and looks whether all of it went well.
    fn take_back(&mut self, source: &Source) -> Result<(), ImportError> {
        let mut batch = self.returned.recv().map_err(|_| ImportError::Thread)?;
        for (index, offset) in self.under_way.pop_front().unwrap_or_default().into_iter().enumerate() {
            if batch.reply(index).first() == Some(&b'-') {
                let args: Vec<String> = batch.call(index).0.iter().take(2).map(shown).collect();
                let reply = batch.reply(index).trim_ascii_end().escape_ascii();
                return Err(source.unsupported(offset, format!("command '{}': {reply}", args.join(" "))));
            }
        }
        batch.reset();
        self.free.push(batch);
        Ok(())
    }
}

/// COPY where both keys are here. (A server always takes it for one that touches several shards or databases.)
fn copy(context: &mut Context<'_>) -> Result<(), CommandError> {
    let options = CopyOptions::parse(context.request, context.db, context.databases())?;
    let (from, to) = (context.key(0), context.key(1));
    let record = context.detach(context.db, from);
    let is_free = options.replace || context.lookup_in(options.db, to).is_none();
    let record = record.filter(|_| is_free);
    context.reply.integer(i64::from(record.is_some()));
    if let Some(record) = record {
        context.put_record(options.db, to, record);
    }
    Ok(())
}

/// MOVE, as [`copy`].
fn move_key(context: &mut Context<'_>) -> Result<(), CommandError> {
    let (key, db) = (context.key(0), move_target(context.request, context.db, context.databases())?);
    let is_free = context.lookup_in(db, key).is_none();
    let record = context.detach(context.db, key).filter(|_| is_free);
    context.reply.integer(i64::from(record.is_some()));
    if let Some(record) = record {
        context.delete(key);
        context.put_record(db, key, record);
    }
    Ok(())
}

fn shown(word: &[u8]) -> String {
    word[..word.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}

/// Whether a command counts a time from when it ran.
fn needs_clock(args: &[&[u8]]) -> bool {
    let is = |word: &[u8], other: &str| word.eq_ignore_ascii_case(other.as_bytes());
    let name = args.first().copied().unwrap_or_default();
    let has_relative = |from: usize| args.iter().skip(from).any(|word| is(word, "EX") || is(word, "PX"));
    RELATIVE.iter().any(|relative| is(name, relative))
        || (is(name, "SET") && has_relative(3))
        || (is(name, "GETEX") && has_relative(2))
        || (is(name, "RESTORE")
            && args.get(2).is_some_and(|ttl| *ttl != b"0")
            && !args.iter().skip(4).any(|word| is(word, "ABSTTL")))
}

#[cfg(test)]
mod tests {
    use super::needs_clock;

    #[test]
    fn relative_times_are_told_apart() {
        let needs = |line: &str| needs_clock(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        for line in [
            "expire k 5",
            "SETEX k 5 v",
            "SET k v EX 5",
            "set k v NX px 5",
            "GETEX k EX 5",
            "RESTORE k 5 ABSTTL",
        ] {
            assert!(needs(line), "{line}");
        }
        for line in [
            "SET k EX",
            "SET EX PX",
            "SET k v PXAT 5",
            "PEXPIREAT k 5",
            "GETEX k PERSIST",
            "GETEX EX",
            "RESTORE k 0 v",
            "restore k 5 v REPLACE absttl",
        ] {
            assert!(!needs(line), "{line}");
        }
    }
}
