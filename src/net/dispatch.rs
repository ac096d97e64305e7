//! Decides where each command runs, and collects the replies. [`across`]: commands over several shards; [`task`]: commands
//! that the connection waits for; [`watch`]: what is told of commands beside their replies.
//!
//! Invariants:
//! 1. Replies leave in the order of the commands.
//! 2. What a connection sent before is run before what it sends later, wherever they share a key: batches go out
//!    before anything is sequenced, and tasks wait until the connection has nothing under way.
//! 3. At most `MAX_ROUNDS` rounds are in flight; each has at most one message per shard, or one transaction.

mod across;
mod task;
mod watch;

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use formats::log::{Position, ShardId};
use formats::resp::{Protocol, Reply, Request};
use smallvec::SmallVec;

use super::Buffers;
use super::round::{Piece, Round};
use crate::clock;
use crate::command::{self, Across, Command, Flags, Invocation, Run, Session};
use crate::shard::Shard;
use crate::shard::batch::{Batch, Origin};
use crate::shard::client::{Client, ReplyMode};
use crate::shard::context::{Call, CommandError, Context, KeyRef};
use crate::shard::mailbox::Message;
use crate::shard::pause::Paused;
use crate::shard::transaction;

use task::{Task, Unfinished};

/// Rounds of a connection that wait for other shards or for the log.
pub const MAX_ROUNDS: usize = 64;

/// Bytes of replies, and so many for each command sent to another shard, after which a round ends.
const ROUND_BYTES: usize = 256 * 1024;

/// To copy so much takes time that shows.
const COPIED_BYTES: usize = 64 * 1024;

/// Room for keys that an idle connection keeps.
const KEEP_KEYS: usize = 64;

/// What the connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request.
    Continue,
    /// Nothing more until the task has answered.
    Wait,
    /// The same request again when all rounds are through.
    RetryDrained,
    /// The same request again when the log of a shard that it writes to has room.
    RetryLogFull,
    /// The same request again when clients are not paused any more.
    RetryUnpaused,
    /// No more requests; close when all replies are sent.
    Close,
}

impl Next {
    /// The request has not been run, and comes again.
    fn is_retry(self) -> bool {
        matches!(self, Next::RetryDrained | Next::RetryLogFull | Next::RetryUnpaused)
    }
}

/// A batch that is being filled, and which part of the round it is.
type OpenBatch = (u32, Box<Batch>);

/// The commands under way on one connection.
pub struct Dispatcher {
    pub shard: Rc<Shard>,
    pub client: Rc<Client>,
    slot: usize,
    buffers: Rc<Buffers>,
    /// Replies ready to be written to the socket.
    pub out: Vec<u8>,
    /// What stood in `out` before this round.
    out_at_begin: usize,
    rounds: VecDeque<Round>,
    /// The round that is being filled.
    current: Option<Round>,
    spare: Option<Round>,
    next_round: u64,
    /// Batches of the current round that have not been sent, with their part.
    open: SmallVec<[Option<OpenBatch>; 8]>,
    task: Option<Task>,
    keys: Vec<KeyRef>,
    /// The shard of each key in `keys`, where the last command had keys on several shards.
    targets: Vec<ShardId>,
    now_ms: u64,
    gated: bool,
    /// Why no writes are taken in this round, as it is answered.
    refused: Option<String>,
    /// Which commands wait in this round for the end of a CLIENT PAUSE.
    paused: Paused,
    /// Somebody monitors, and what is to be told of this round.
    is_monitored: bool,
    monitored: Vec<u8>,
}

impl Dispatcher {
    pub fn new(shard: Rc<Shard>, client: Rc<Client>, slot: usize, buffers: Rc<Buffers>) -> Self {
        let shards = usize::from(shard.shared.shards());
        Self {
            shard,
            client,
            slot,
            buffers,
            out: Vec::new(),
            out_at_begin: 0,
            rounds: VecDeque::new(),
            current: None,
            spare: None,
            next_round: 0,
            open: (0..shards).map(|_| None).collect(),
            task: None,
            keys: Vec::new(),
            targets: Vec::new(),
            now_ms: 0,
            gated: false,
            refused: None,
            paused: Paused::Nothing,
            is_monitored: false,
            monitored: Vec::new(),
        }
    }

    /// Nothing waits for a shard, the log or a task.
    pub fn is_drained(&self) -> bool {
        self.rounds.is_empty() && self.current.is_none()
    }

    /// A task has yet to answer, or too much is under way.
    pub fn is_blocked(&self) -> bool {
        self.task.is_some() || self.rounds.len() >= MAX_ROUNDS || self.shard.stopping.get()
    }

    /// Bytes of replies that have not reached the socket.
    pub fn reply_bytes(&self) -> usize {
        self.out.len() + self.rounds.iter().map(Round::bytes).sum::<usize>()
    }

    /// The replies of this round are so large that they should leave before more is run.
    #[inline]
    pub fn is_round_full(&self) -> bool {
        let round = self.current.as_ref().map_or(0, |round| round.local.len() + round.pieces.len() * 64);
        self.out.len() - self.out_at_begin + round > ROUND_BYTES
    }

    /// Before the first request of a round.
    pub fn begin(&mut self) {
        self.shard.before_round();
        self.now_ms = clock::unix_ms();
        self.gated = self.shard.engine.borrow().is_gated();
        self.refused = self.shard.refuses_writes();
        if self.out.capacity() == 0 {
            self.out = self.buffers.take();
        }
        self.out_at_begin = self.out.len();
        self.client.active_unix_ms.set(self.now_ms);
        self.paused = self.shard.shared.pause.now();
        self.is_monitored = self.shard.shared.monitors.are_there();
        self.shard.engine.borrow_mut().begin_calls();
    }

    /// Behind the last request of a round: sends what other shards are to run.
    pub fn end(&mut self) {
        self.send_open();
        self.keys.clear();
        self.keys.shrink_to(KEEP_KEYS);
        self.targets.clear();
        self.targets.shrink_to(KEEP_KEYS);
        self.tell_monitors();
        let Some(mut round) = self.current.take() else { return };
        if round.pieces.is_empty() && round.pending == 0 {
            round.gate = Position(0);
            self.spare = Some(round);
            return;
        }
        if round.gate > self.shard.released() {
            self.shard.hold_connection(round.gate, self.slot, self.client.id);
        }
        self.rounds.push_back(round);
    }

    /// Takes what came back, and moves the replies of complete rounds to `out`.
    pub fn collect(&mut self) {
        let done = std::mem::take(&mut *self.client.done.borrow_mut());
        for batch in done {
            self.take_part(batch);
        }
        self.take_task();
        let released = self.shard.released();
        while let Some(round) = self.rounds.front() {
            if !round.is_complete() || round.gate > released {
                break;
            }
            if self.out.capacity() == 0 {
                self.out = self.buffers.take();
            }
            let mut round = self.rounds.pop_front().expect("the front was looked at");
            self.note_remote(&round);
            round.write(&mut self.out, self.client.protocol.get(), &self.shard);
            self.spare = Some(round);
        }
        if self.client.has_pushes() {
            self.client.take_pushes(&mut self.out);
        }
    }

    fn take_part(&mut self, batch: Box<Batch>) {
        let Origin::Connection { round, part, .. } = batch.origin else {
            return self.shard.recycle(batch);
        };
        if let Some(round) = self.rounds.iter_mut().find(|candidate| candidate.id == round) {
            round.parts[part as usize] = Some(batch);
            round.pending -= 1;
        }
    }

    /// Runs one request, or sends it on its way.
    pub fn dispatch(&mut self, request: Request<'_>) -> Next {
        if self.shard.stopping.get() {
            return Next::RetryDrained; // which never comes: the server is ending
        }
        if self.client.reply_mode.get() == ReplyMode::SkipNext {
            self.client.reply_mode.set(ReplyMode::Skipping);
        }
        let next = self.find_and_run(request);
        if self.client.reply_mode.get() == ReplyMode::Skipping && !next.is_retry() {
            self.client.reply_mode.set(ReplyMode::On);
        }
        next
    }

    fn find_and_run(&mut self, request: Request<'_>) -> Next {
        let (index, command) = match command::find(request) {
            Ok(found) => found,
            Err(refusal) => return self.reject(refusal.index, &refusal.error),
        };
        self.client.last_command.set(index);
        self.client.commands.set(self.client.commands.get() + 1);
        if let Err(error) = self.admit(command) {
            return self.reject(Some(index), &error);
        }
        if self.must_pause(command) {
            return Next::RetryUnpaused;
        }
        let length = self.monitored.len();
        if self.is_monitored {
            self.monitor(command, request);
        }
        let next = self.run(index, command, request);
        if next.is_retry() {
            self.monitored.truncate(length); // it comes again
        }
        next
    }

    fn run(&mut self, index: u16, command: &'static Command, request: Request<'_>) -> Next {
        match command.run {
            Run::Keys(handler, across) => {
                let call = self.call(handler, index, command);
                self.dispatch_keys(command, call, across, request)
            }
            Run::Routed(handler, route) => match route(request, self.shard.shared.shards()) {
                Ok(target) => {
                    let call = self.call(handler, index, command);
                    self.keys.clear();
                    self.run_on(ShardId(target), &call, request)
                }
                Err(error) => self.fail(&error),
            },
            Run::Everywhere(handler, merge) => {
                let call = self.call(handler, index, command);
                self.dispatch_everywhere(&call, merge, request)
            }
            // What is under way is answered in the protocol version that it was asked in.
            Run::Session(_) if matches!(command.name, "hello" | "reset") && !self.is_drained() => {
                Next::RetryDrained
            }
            Run::Session(handler) => self.run_session(handler, index, request),
            Run::Task(start) => {
                if !self.is_drained() {
                    return Next::RetryDrained;
                }
                let args = self.cut_args(index, request);
                let invocation = Invocation::new(&self.shard, &self.client, request);
                self.start_task(Unfinished { command: index, is_counted: true, args }, start(invocation))
            }
            Run::Container => self.fail(&"ERR unknown subcommand".into()),
        }
    }

    fn call(
        &self,
        handler: fn(&mut Context<'_>) -> Result<(), CommandError>,
        index: u16,
        command: &Command,
    ) -> Call {
        Call {
            handler,
            command: index,
            writes: command.flags.has(Flags::WRITE),
            whole_keyspace: command.flags.has(Flags::WHOLE_KEYSPACE),
            db: self.client.db.get(),
        }
    }

    /// Answers the error of a command that does not run.
    fn reject(&mut self, index: Option<u16>, error: &CommandError) -> Next {
        if let Some(index) = index {
            self.shard.engine.borrow_mut().stats.count_rejected(index);
        }
        self.fail(error)
    }

    /// Must this command wait for the end of a CLIENT PAUSE? Who monitors does not.
    fn must_pause(&self, command: &Command) -> bool {
        match self.paused {
            Paused::Nothing => false,
            Paused::Writes => command.flags.has(Flags::WRITE),
            Paused::All => !self.client.monitors.get(),
        }
    }

    /// May this command run at all now?
    fn admit(&self, command: &Command) -> Result<(), CommandError> {
        if !self.client.authenticated.get() && !command.flags.has(Flags::NO_AUTH) {
            return Err("NOAUTH Authentication required.".into());
        }
        if command.flags.has(Flags::DENYOOM) && self.shard.shared.is_over_memory.load(Ordering::Relaxed) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        if self.shard.shared.is_loading() && !command.flags.has(Flags::LOADING) {
            return Err("LOADING Redis is loading the dataset in memory".into());
        }
        if self.client.monitors.get()
            && (command.flags.has(Flags::WRITE) || command.flags.has(Flags::READONLY))
        {
            return Err("ERR Replica can't interact with the keyspace".into());
        }
        if let Some(reason) = &self.refused
            && command.name == "ping"
        {
            return Err(reason.clone().into()); // so that whoever watches the server learns of it
        }
        Ok(())
    }

    /// May the shard `target` take a write now? Else what to do.
    #[inline]
    fn admit_write(&mut self, call: &Call, target: ShardId) -> Result<(), Next> {
        if !call.writes {
            return Ok(());
        }
        if let Some(reason) = &self.refused {
            let error = CommandError::from(reason.clone());
            return Err(self.fail(&error));
        }
        let is_full = if target == self.shard.id {
            self.shard.engine.borrow().log_is_full() // with what is only gathered
        } else {
            self.shard.shared.log_is_full(target)
        };
        if is_full { Err(Next::RetryLogFull) } else { Ok(()) }
    }

    /// May all of `shards` take a write, as one transaction?
    fn admit_transaction(&mut self, call: &Call, shards: &[ShardId]) -> Result<(), Next> {
        shards.iter().try_for_each(|shard| self.admit_write(call, *shard))?;
        // Last: a log that refuses may be what keeps it full.
        match call.writes && self.shard.shared.sequencer.is_full() {
            true => Err(Next::RetryLogFull),
            false => Ok(()),
        }
    }

    fn dispatch_keys(&mut self, command: &Command, call: Call, across: Across, request: Request<'_>) -> Next {
        let shards = self.shard.shared.shards();
        self.keys.clear();
        self.targets.clear();
        let mut spread = false;
        {
            let engine = self.shard.engine.borrow();
            for arg in command::keys::positions(command, request) {
                let key = request.arg(arg);
                let hash = engine.hasher.hash(key);
                self.keys.push(KeyRef { arg: arg as u32, hash });
                if shards > 1 {
                    self.targets.push(ShardId(engine.hasher.shard(key, hash, shards)));
                    spread |= self.targets.first() != self.targets.last();
                }
            }
        }
        let first = self.targets.first().copied().unwrap_or(self.shard.id);
        if !spread {
            return self.run_on(first, &call, request);
        }
        match across {
            Across::Never => self.run_on(first, &call, request),
            Across::Split { group, merge } => self.split(&call, group, merge, request),
            Across::TwoStep(plan) => {
                if !self.is_drained() {
                    return Next::RetryDrained;
                }
                let invocation = Invocation::new(&self.shard, &self.client, request);
                if let Err(next) = self.admit_transaction(&call, &self.key_shards()) {
                    return next;
                }
                match plan(&self.shard, &invocation) {
                    Ok(plan) => {
                        let shard = Rc::clone(&self.shard);
                        let args = self.cut_args(call.command, request);
                        let unfinished = Unfinished { command: call.command, is_counted: true, args };
                        let task = async move { transaction::two_step(&shard, plan.read, plan.decide).await };
                        self.start_task(unfinished, Box::pin(task))
                    }
                    Err(error) => {
                        self.shard.engine.borrow_mut().end_call(call.command, true);
                        self.fail(&error)
                    }
                }
            }
        }
    }

    /// The shards of the command's keys, each once.
    fn key_shards(&self) -> SmallVec<[ShardId; 4]> {
        let mut shards = SmallVec::new();
        for target in &self.targets {
            if !shards.contains(target) {
                shards.push(*target);
            }
        }
        shards
    }

    /// Runs a command whose keys (in `self.keys`) are all on `target`.
    fn run_on(&mut self, target: ShardId, call: &Call, request: Request<'_>) -> Next {
        if let Err(next) = self.admit_write(call, target) {
            return next;
        }
        if target == self.shard.id {
            return self.run_here(call, request);
        }
        self.send_later(target, call, request);
        Next::Continue
    }

    fn run_here(&mut self, call: &Call, request: Request<'_>) -> Next {
        let shard = Rc::clone(&self.shard);
        let mut engine = shard.engine.borrow_mut();
        if self.open[usize::from(shard.id.0)].is_some()
            || engine.blocks((shard.id, self.slot, self.client.id), call, &self.keys)
        {
            drop(engine);
            self.send_later(shard.id, call, request); // it waits for the lock as a batch, and what follows behind it
            return Next::Continue;
        }
        let protocol = self.client.protocol.get();
        let is_muted = self.is_muted();
        if self.is_direct() {
            let start = self.out.len();
            engine.execute(call, request, &self.keys, self.now_ms, protocol, &mut self.out);
            if is_muted {
                self.out.truncate(start);
            }
        } else {
            let now_ms = self.now_ms;
            let keys = std::mem::take(&mut self.keys);
            let round = self.round();
            let start = round.local.len();
            let gate = engine.execute(call, request, &keys, now_ms, protocol, &mut round.local);
            if is_muted {
                round.local.truncate(start);
            } else {
                round.gate = round.gate.max(gate);
                round.local_reply();
            }
            self.keys = keys;
        }
        if let Some(nanos) = engine.notable() {
            drop(engine);
            self.note(call.command, request, nanos);
        }
        Next::Continue
    }

    /// The client does not want the reply to the command that runs.
    #[inline]
    fn is_muted(&self) -> bool {
        matches!(self.client.reply_mode.get(), ReplyMode::Off | ReplyMode::Skipping)
    }

    /// Adds a reply that comes from elsewhere.
    fn push_piece(&mut self, piece: Piece) {
        let piece = if self.is_muted() { Piece::Muted(Box::new(piece)) } else { piece };
        self.round().pieces.push(piece);
    }

    /// Replies may go straight to the socket's buffer.
    #[inline]
    fn is_direct(&self) -> bool {
        !self.gated && self.current.is_none() && self.rounds.is_empty()
    }

    fn round(&mut self) -> &mut Round {
        let Self { current, spare, next_round, .. } = self;
        current.get_or_insert_with(|| {
            let mut round = spare.take().unwrap_or_default();
            round.id = *next_round;
            *next_round += 1;
            round
        })
    }

    /// Adds a command to the batch for `target`.
    fn send_later(&mut self, target: ShardId, call: &Call, request: Request<'_>) {
        let index = usize::from(target.0);
        if self.open[index].is_none() {
            let part = self.round().expect_part();
            let mut batch = self.shard.new_batch();
            batch.protocol = self.client.protocol.get();
            self.open[index] = Some((part, batch));
        }
        let keys = std::mem::take(&mut self.keys);
        if let Some((part, batch)) = &mut self.open[index] {
            let before = batch.bytes();
            batch.push(call, request.iter(), keys.iter().copied());
            if batch.bytes() - before > COPIED_BYTES {
                self.shard.engine.borrow_mut().begin_calls(); // not the next command's time
            }
            let piece = Piece::Remote { part: *part, call: (batch.calls.len() - 1) as u32 };
            self.push_piece(piece);
        }
        self.keys = keys;
    }

    fn send_open(&mut self) {
        let Some(round) = &self.current else { return };
        let round = round.id;
        for (target, open) in self.open.iter_mut().enumerate() {
            if let Some((part, mut batch)) = open.take() {
                batch.origin = origin(&self.shard, self.slot, &self.client, round, part);
                self.shard.send(ShardId(target as u16), Message::Run(batch));
            }
        }
    }

    fn run_session(
        &mut self,
        handler: fn(&mut Session<'_>) -> Result<(), CommandError>,
        index: u16,
        request: Request<'_>,
    ) -> Next {
        let direct = self.is_direct() || self.gated && self.is_drained();
        let mut local =
            if direct { std::mem::take(&mut self.out) } else { std::mem::take(&mut self.round().local) };
        let start = local.len();
        let mut close = false;
        let mut session = Session {
            shard: &self.shard,
            client: &self.client,
            request,
            reply: Reply::new(&mut local, self.client.protocol.get()),
            close: &mut close,
        };
        let result = handler(&mut session);
        if let Err(error) = &result {
            local.truncate(start);
            Reply::new(&mut local, Protocol::Resp2).error(&error.0);
        }
        let mut engine = self.shard.engine.borrow_mut();
        engine.end_call(index, result.is_err());
        if let Err(error) = &result {
            engine.stats.count_error(&error.0);
        }
        let notable = engine.notable();
        drop(engine);
        if self.is_muted() {
            local.truncate(start);
        }
        if direct {
            self.out = local;
        } else {
            let round = self.round();
            round.local = local;
            round.local_reply();
        }
        if let Some(nanos) = notable {
            self.note(index, request, nanos);
        }
        if close { Next::Close } else { Next::Continue }
    }

    fn fail(&mut self, error: &CommandError) -> Next {
        self.shard.engine.borrow_mut().stats.count_error(&error.0);
        if !self.is_muted() {
            self.write_here(|reply| reply.error(&error.0));
        }
        Next::Continue
    }

    /// A reply that waits for nothing but the replies before it.
    pub fn write_here(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        let protocol = self.client.protocol.get();
        if self.is_drained() {
            return write(&mut Reply::new(&mut self.out, protocol));
        }
        let round = self.round();
        write(&mut Reply::new(&mut round.local, protocol));
        round.local_reply();
    }
}

fn origin(shard: &Shard, slot: usize, client: &Client, round: u64, part: u32) -> Origin {
    Origin::Connection { shard: shard.id, slot, client: client.id, round, part }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.shard.stop_monitoring(&self.client);
        self.buffers.give(std::mem::take(&mut self.out));
        for batch in self.client.done.take() {
            self.shard.recycle(batch);
        }
    }
}
