//! One core owns one shard: its part of every database, its log, the connections that it accepted.
//!
//! Reading order: [`context`] (what a command sees), [`engine`] (running commands), [`batch`] and [`mailbox`] (work between
//! shards), [`sequencer`], [`locks`] and [`transaction`] (commands that touch several shards), [`release`] (when a reply
//! may leave), [`saves`] (when a save is due), [`cron`] (what is done by the clock), [`spawn`] (the thread); [`stats`], [`latencies`],
//! [`spent`], [`slow_log`], [`latency`] and [`monitors`] (what is told of all that), [`pause`] (when clients wait).
//!
//! Invariants:
//! 1. A shard's data is touched by its own thread alone.
//! 2. A shard empties its mailbox before it runs a local command and before it sleeps. So what was sequenced before a
//!    command arrived is run before it.
//! 3. A reply leaves through [`release`] or had nothing to wait for.

pub mod batch;
pub mod client;
pub mod context;
pub mod cron;
pub mod engine;
pub mod latencies;
pub mod latency;
pub mod locks;
pub mod mailbox;
pub mod monitors;
pub mod pause;
pub mod rate;
pub mod release;
pub mod saves;
pub mod sequencer;
pub mod shared;
pub mod slow_log;
pub mod spawn;
pub mod spent;
pub mod stats;
pub mod transaction;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use formats::log::{Gsn, Position, ShardId};
use slab::Slab;
use tokio::sync::oneshot;

use crate::clock;
use crate::config::Config;
use crate::persist::log::Log;
use batch::{Batch, Origin};
use client::Client;
use engine::Engine;
use mailbox::{Mailbox, Message};
use rate::Rate;
use release::{Held, Release};
use shared::Shared;

/// A busy shard whose task queue never runs empty still looks after its log this often, in rounds of connections.
const ROUNDS_PER_PUMP: u32 = 32;
/// Batches kept for reuse.
const SPARE_BATCHES: usize = 256;

const SAVE_FAILED: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to \
    disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during \
    writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about \
    the RDB error.";

/// A shard without a log makes nothing durable.
#[derive(Clone, Copy, Debug)]
pub struct NoLog;

/// See the module.
pub struct Shard {
    pub id: ShardId,
    pub shared: Arc<Shared>,
    pub engine: RefCell<Engine>,
    pub config: RefCell<Arc<Config>>,
    pub clients: RefCell<Slab<Rc<Client>>>,
    /// How many commands this shard runs per second.
    pub commands_rate: RefCell<Rate>,
    release: RefCell<Release>,
    /// Boxed, as they travel between shards: unboxing them to keep them would copy them.
    #[allow(clippy::vec_box)]
    spare: RefCell<Vec<Box<Batch>>>,
    /// Durable position and complete GSN at the last look.
    seen: Cell<(Position, Gsn)>,
    rounds: Cell<u32>,
    /// No more commands are taken from connections: the server is ending.
    pub stopping: Cell<bool>,
    /// The log is closed: nothing at all is run any more, for it could be acknowledged and not be logged.
    closed: Cell<bool>,
    /// Log hand-overs put off because replies were just released: the next requests shall join the batch.
    deferred: Cell<bool>,
}

impl Shard {
    pub fn new(mut engine: Engine, config: Arc<Config>, shared: Arc<Shared>) -> Rc<Self> {
        engine.shards = shared.shards();
        engine.max_string_bytes = config.proto_max_bulk_len_bytes;
        engine.compresses_dumps = config.rdbcompression;
        engine.pause = Arc::clone(&shared.pause);
        engine.watch(&config);
        Rc::new(Self {
            id: engine.id,
            shared,
            engine: RefCell::new(engine),
            config: RefCell::new(config),
            clients: RefCell::new(Slab::new()),
            commands_rate: RefCell::default(),
            release: RefCell::default(),
            spare: RefCell::default(),
            seen: Cell::new((Position(0), Gsn(0))),
            rounds: Cell::new(0),
            deferred: Cell::new(false),
            stopping: Cell::new(false),
            closed: Cell::new(false),
        })
    }

    #[inline]
    pub fn mailbox(&self) -> &Mailbox {
        self.shared.mailbox(self.id)
    }

    /// Before a connection runs local commands: takes in what was sent to this shard.
    #[inline]
    pub fn before_round(&self) {
        self.rounds.set(self.rounds.get() + 1);
        if !self.mailbox().is_empty() || self.rounds.get() >= ROUNDS_PER_PUMP {
            self.pump();
        }
    }

    /// Takes in the messages that are there, releases replies, hands the log over. Returns whether a connection's task became
    /// runnable; `true` must be certain, because the thread then does not prepare to sleep.
    ///
    /// Messages that come meanwhile wait for the next time: a shard that others keep busy still serves its own clients.
    pub fn pump(&self) -> bool {
        let woke = self.take_in();
        self.hand_over(woke);
        woke
    }

    fn take_in(&self) -> bool {
        self.rounds.set(0);
        let mut woke = false;
        for _ in 0..self.mailbox().len() {
            let Some(message) = self.mailbox().receive() else { break };
            woke |= self.handle(message);
        }
        woke | self.release()
    }

    /// The log goes to its writer when no reply was released just now: clients that have their replies send the next
    /// requests at once, and these shall be in the same batch.
    fn hand_over(&self, woke: bool) {
        let mut engine = self.engine.borrow_mut();
        let Some(log) = &mut engine.log else { return };
        if woke && !self.deferred.replace(true) {
            return;
        }
        self.deferred.set(false);
        log.submit(clock::unix_ms());
    }

    fn handle(&self, message: Message) -> bool {
        match message {
            Message::Run(batch) => self.run(batch),
            Message::Done(batch) => self.deliver(batch),
            Message::Call(call) => {
                call(self);
                false
            }
        }
    }

    /// Runs a batch here and sends its replies when they may leave.
    pub fn run(&self, batch: Box<Batch>) -> bool {
        if self.closed.get() {
            return false;
        }
        self.shared.sequencer.wait_published(batch.section);
        let mut woke = false;
        let mut engine = self.engine.borrow_mut();
        let begin = engine.appended();
        engine.run(batch, clock::unix_ms(), &mut |engine, batch| {
            woke |= self.finish(engine, batch, begin);
        });
        woke
    }

    fn finish(&self, engine: &Engine, batch: Box<Batch>, begin: Position) -> bool {
        if engine.log.is_some()
            && let Some(gsn) = Engine::gsn_of(&batch)
        {
            self.release.borrow_mut().appended(begin, engine.appended(), gsn);
        }
        let gate = batch.gate;
        // The reads of a lock step go to its coordinator at once; the gate travels with them to the commit.
        if gate > self.released() && !matches!(batch.mode, batch::Mode::Lock(_)) {
            self.release.borrow_mut().hold(gate, Held::Batch(batch));
            return false;
        }
        self.send_back(batch)
    }

    /// Sends a batch that has run to where it came from.
    fn send_back(&self, batch: Box<Batch>) -> bool {
        let shard = match &batch.origin {
            Origin::Connection { shard, .. } | Origin::Task { shard, .. } => *shard,
            Origin::Replay(done) => {
                let done = done.clone();
                let _ = done.send(batch); // the replay has failed elsewhere and nobody waits
                return false;
            }
            Origin::None => {
                self.recycle(batch);
                return false;
            }
        };
        if shard == self.id {
            return self.deliver(batch);
        }
        self.send(shard, Message::Done(batch));
        false
    }

    /// Gives a batch that came back to its connection or task.
    fn deliver(&self, mut batch: Box<Batch>) -> bool {
        match std::mem::replace(&mut batch.origin, Origin::None) {
            Origin::Connection { shard, slot, client, round, part } => {
                let clients = self.clients.borrow();
                match clients.get(slot) {
                    Some(connection) if connection.id == client => {
                        batch.origin = Origin::Connection { shard, slot, client, round, part };
                        connection.done.borrow_mut().push(batch);
                        connection.wake();
                        return true;
                    }
                    _ => self.recycle(batch), // the connection is gone
                }
                false
            }
            Origin::Task { done, .. } => {
                let _ = done.send(batch); // a task always waits for its parts
                false // it may wait for another part first
            }
            Origin::Replay(_) | Origin::None => false,
        }
    }

    /// The error that a write is answered now, if so.
    pub fn refuses_writes(&self) -> Option<String> {
        if !self.shared.saves.last_save_was_ok() {
            let config = self.config.borrow();
            if config.stop_writes_on_bgsave_error && !config.save.is_empty() {
                return Some(SAVE_FAILED.to_owned());
            }
        }
        let reason = self.shared.log_refuses()?;
        Some(format!("MISCONF Errors writing to the AOF file: {reason}"))
    }

    #[inline]
    pub fn send(&self, to: ShardId, message: Message) {
        self.shared.mailbox(to).send(message);
    }

    /// The position up to which replies may leave.
    #[inline]
    pub fn released(&self) -> Position {
        self.release.borrow().released()
    }

    /// Replies, or groups of them, that wait for the log.
    pub fn held_replies(&self) -> usize {
        self.release.borrow().held()
    }

    /// Holds a local connection's replies until `gate` is released.
    pub fn hold_connection(&self, gate: Position, slot: usize, client: u64) {
        self.release.borrow_mut().hold(gate, Held::Connection { slot, client });
    }

    /// Tells when all that is appended now is released, whatever the policy; asks for a sync.
    ///
    /// # Errors
    /// There is no log, or no more: nothing will become durable.
    pub fn when_durable(&self) -> Result<Option<oneshot::Receiver<()>>, NoLog> {
        let mut engine = self.engine.borrow_mut();
        let log = engine.log.as_mut().ok_or(NoLog)?;
        log.submit_all();
        log.request_sync();
        let gate = log.appended();
        if gate <= self.released() {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        self.release.borrow_mut().hold(gate, Held::Notify(sender));
        Ok(Some(receiver))
    }

    fn progress(&self) -> (Position, Gsn) {
        let durable = self.engine.borrow().log.as_ref().map_or(Position(0), |log| log.durable());
        (durable, self.shared.sequencer.complete())
    }

    /// Lets go what may leave by now.
    fn release(&self) -> bool {
        let progress = self.progress();
        if progress == self.seen.replace(progress) {
            return false;
        }
        let mut woke = false;
        if self.release.borrow_mut().advance(progress.0, &self.shared.sequencer) {
            self.shared.wake_others(self.id);
        }
        while let Some(held) = { self.release.borrow_mut().pop() } {
            match held {
                Held::Connection { slot, client } => {
                    if let Some(connection) = self.clients.borrow().get(slot).filter(|c| c.id == client) {
                        connection.wake();
                        woke = true;
                    }
                }
                Held::Batch(batch) => woke |= self.send_back(batch),
                Held::Notify(sender) => {
                    let _ = sender.send(()); // whoever asked may have given up
                }
            }
        }
        woke
    }

    /// The thread is about to sleep.
    ///
    /// The order matters: the flag goes up before the last look at mailbox and positions, so that whoever sends or publishes
    /// afterwards wakes the shard; and before the log is handed over, so that a writer which becomes free just then does.
    fn before_sleep(&self) {
        if self.take_in() {
            self.hand_over(true);
            self.mailbox().awake();
            return; // a task can run: the runtime will not sleep
        }
        self.mailbox().prepare_sleep();
        self.hand_over(false);
        if !self.mailbox().is_empty() || self.progress() != self.seen.get() {
            self.mailbox().awake();
            self.mailbox().come_back(); // after the tasks and sockets had their turn
        }
    }

    /// Takes the log away, for the end of the server.
    pub fn close(&self) -> Option<Log> {
        self.stopping.set(true);
        self.closed.set(true);
        self.engine.borrow_mut().log.take()
    }

    /// An empty batch, reused where there is one.
    pub fn new_batch(&self) -> Box<Batch> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a batch back for reuse.
    pub fn recycle(&self, mut batch: Box<Batch>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_BATCHES {
            batch.reset();
            spare.push(batch);
        }
    }
}
