//! A server without threads and sockets: who drives it says whose turn it is. With a simulated disk, clock and source of random
//! numbers everything that happens follows from those turns.
//!
//! It has the parts of the real one: shards, sequencer, logs and their writers, saves, recovery. Left out are sockets and
//! the loops that wait: each function here is what one of those loops does between two waits.
//!
//! Invariants:
//! 1. Nothing happens but in a call. A save and a recovery run within one call; where they wait, or pause, they call back
//!    ([`crate::waiting::simulated`]), and the driver lets the others take turns.
//! 2. A turn never begins another save or recovery within one that runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use formats::resp::{Limits, Parsed, RequestParser};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::saver::{self, Work};
use super::{ServerError, drain, make_shard, recover, run_id, take_logs};
use crate::clock;
use crate::config::Config;
use crate::net::Buffers;
use crate::net::dispatch::{Dispatcher, Next};
use crate::persist::DataDir;
use crate::persist::disk::Disk;
use crate::shard::Shard;
use crate::shard::client::Client;
use crate::shard::cron::Cron;
use crate::shard::shared::Shared;
use crate::store::KeyHasher;

/// Turns of the tasks after which they count as waiting for something else.
const TASK_TURNS: usize = 8;

/// See the module.
pub struct SimulatedServer {
    pub shared: Arc<Shared>,
    pub shards: Vec<Rc<Shard>>,
    data_dir: Arc<DataDir>,
    disk: Arc<dyn Disk>,
    crons: RefCell<Vec<Cron>>,
    /// Saves that were started and have not begun to work.
    saves: Arc<Mutex<VecDeque<Work>>>,
    runtime: Runtime,
    tasks: LocalSet,
    buffers: Rc<Buffers>,
    next_client: Cell<u64>,
}

impl SimulatedServer {
    /// Opens the data directory. The server is loading until [`SimulatedServer::recover`] has been called.
    ///
    /// # Errors
    /// As the real one.
    pub fn open(config: &Config, disk: &Arc<dyn Disk>) -> Result<Rc<Self>, ServerError> {
        let data_dir = Arc::new(DataDir::open(Arc::clone(disk), &config.dir)?);
        let hasher = KeyHasher::new(data_dir.manifest().hash_seed);
        let shared = Shared::new(config.shards, config.clone(), run_id());
        shared.loading.active.store(true, std::sync::atomic::Ordering::Release);
        let config = Arc::new(config.clone());
        let shard = |id| make_shard(id, &config, hasher, &shared);
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(ServerError::Thread)?;
        Ok(Rc::new(Self {
            shards: shared.shard_ids().map(shard).collect(),
            crons: RefCell::new(shared.shard_ids().map(|_| Cron::default()).collect()),
            shared,
            data_dir,
            disk: Arc::clone(disk),
            saves: Arc::default(),
            runtime,
            tasks: LocalSet::new(),
            buffers: Rc::default(),
            next_client: Cell::new(1),
        }))
    }

    /// Recovers, starts the logs, and serves from now on.
    ///
    /// # Errors
    /// As the real one.
    pub fn recover(&self) -> Result<(), ServerError> {
        let config = self.shared.config().clone();
        recover(&self.data_dir, &self.shared, &config, &self.disk)?;
        let saves = Arc::clone(&self.saves);
        let queue = move |work| {
            saves.lock().unwrap_or_else(PoisonError::into_inner).push_back(work);
            Ok(())
        };
        let hash_seed = self.data_dir.manifest().hash_seed;
        saver::install(&self.shared, &self.disk, Some(Arc::clone(&self.data_dir)), hash_seed, queue);
        self.shared.loading.active.store(false, std::sync::atomic::Ordering::Release);
        Ok(())
    }

    /// A shard takes in its messages, releases replies, hands its log over.
    pub fn pump(&self, shard: usize) {
        let _local = self.tasks.enter();
        self.shards[shard].pump();
    }

    /// What a shard does by the clock.
    pub fn cron(&self, shard: usize) {
        self.crons.borrow_mut()[shard].turn(&self.shards[shard]);
    }

    /// A log writer writes and syncs what it has to; answers whether it did something.
    pub fn turn_writer(&self, writer: usize) -> bool {
        self.data_dir.turn_writer(writer)
    }

    /// Tasks go on as far as they can: commands that wait for others.
    pub fn run_tasks(&self) {
        self.runtime.block_on(self.tasks.run_until(async {
            for _ in 0..TASK_TURNS {
                tokio::task::yield_now().await;
            }
        }));
    }

    /// Runs a save that was started, if there is one, to its end.
    pub fn run_save(&self) -> bool {
        let work = self.waiting_saves().pop_front();
        work.map(|work| work()).is_some()
    }

    fn waiting_saves(&self) -> MutexGuard<'_, VecDeque<Work>> {
        self.saves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the server as SHUTDOWN NOSAVE does: what was appended is made durable, the logs are sealed.
    ///
    /// # Errors
    /// Something could not be made durable.
    pub fn close(&self) -> Result<(), ServerError> {
        self.waiting_saves().clear();
        drain(&self.shared);
        drop(take_logs(&self.shared));
        self.data_dir.close().map_err(ServerError::Close)
    }

    /// A client of a shard.
    pub fn connect(self: &Rc<Self>, shard: usize) -> SimulatedConnection {
        let id = self.next_client.get();
        self.next_client.set(id + 1);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let client = Client::new(id, address, address, clock::unix_ms());
        client.authenticated.set(true);
        let shard = Rc::clone(&self.shards[shard]);
        let slot = shard.clients.borrow_mut().insert(Rc::clone(&client));
        let dispatcher = Dispatcher::new(shard, client, slot, Rc::clone(&self.buffers));
        SimulatedConnection {
            server: Rc::clone(self),
            dispatcher,
            parser: RequestParser::new(),
            input: Vec::new(),
            waits_drained: false,
        }
    }
}

impl Drop for SimulatedServer {
    /// A save that did not begin holds what holds its queue.
    fn drop(&mut self) {
        self.waiting_saves().clear();
    }
}

/// A client's connection, without its socket.
pub struct SimulatedConnection {
    server: Rc<SimulatedServer>,
    dispatcher: Dispatcher,
    parser: RequestParser,
    input: Vec<u8>,
    /// The next request waits until nothing else is under way.
    waits_drained: bool,
}

impl SimulatedConnection {
    /// Bytes arrive from the client.
    pub fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Runs what has arrived and may be run now; answers the bytes of the replies that may leave.
    pub fn turn(&mut self) -> Vec<u8> {
        self.dispatcher.collect();
        self.waits_drained &= !self.dispatcher.is_drained();
        if !self.input.is_empty() && !self.waits_drained && !self.dispatcher.is_blocked() {
            let server = Rc::clone(&self.server);
            let _local = server.tasks.enter();
            self.parse();
            self.dispatcher.collect();
        }
        std::mem::take(&mut self.dispatcher.out)
    }

    fn parse(&mut self) {
        let limits = Limits { max_bulk_bytes: 1 << 20, unauthenticated: false };
        self.dispatcher.begin();
        let mut consumed = 0;
        while let Ok(Parsed::Request { consumed: count }) =
            self.parser.parse(&self.input[consumed..], &limits)
        {
            match self.dispatcher.dispatch(self.parser.request(&self.input[consumed..])) {
                Next::Continue => consumed += count,
                Next::Wait | Next::Close => {
                    consumed += count;
                    break;
                }
                Next::RetryDrained => {
                    self.waits_drained = true;
                    break;
                }
                Next::RetryLogFull | Next::RetryUnpaused => break,
            }
        }
        self.dispatcher.end();
        self.input.drain(..consumed);
    }
}
