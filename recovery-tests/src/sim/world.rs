//! A server on one thread, its clients, its disk and its clock, and whose turn it is.
//!
//! Invariants:
//! 1. Everything follows from the choices: no thread, no real clock, no random number from elsewhere takes part.
//! 2. A save or a recovery that waits lets the others take turns; neither begins within another.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everfast::clock;
use everfast::config::{AppendFsync, Config, LogRetention, LogWriters};
use everfast::persist::disk::{Disk, Fault, SimDisk};
use everfast::persist::log::journal;
use everfast::persist::{Position, simulated_random};
use everfast::server::simulated::SimulatedServer;
use everfast::store::{KeyHasher, ValueRef};
use everfast::waiting;

use super::checker::Keys;
use super::choices::Choices;
use super::clients::Client;
use super::model::Item;

pub(super) const CLIENTS: usize = 3;
/// Items are in the first two; SWAPDB takes each of the others once.
pub const DATABASES: u16 = 12;
const FIRST_SPARE: u16 = 2;
/// A wait that takes so many turns will not end.
const MAX_TURNS: u64 = 20_000;
/// Where the clock begins: Unix ms.
const BEGIN_MS: u64 = 1_700_000_000_000;
/// How long it may take until all is well again.
const CALM_MS: u64 = 25_000;
/// Longest step of the clock in which nobody takes a turn.
const STEP_MS: u64 = 50;

/// What one life of the server is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub shards: u16,
    pub writers: u16,
    pub policy: AppendFsync,
    pub segment_bytes: u64,
    pub checkpoints_kept: u32,
    /// What a turn of a writer takes.
    pub sync_us: u64,
}

impl Setup {
    pub fn draw(choices: &mut Choices) -> Setup {
        let shards = 1 + choices.below(4) as u16;
        Setup {
            shards,
            writers: 1 + choices.below(u64::from(shards)) as u16,
            policy: choices.of(&[
                AppendFsync::Always,
                AppendFsync::Always,
                AppendFsync::Everysec,
                AppendFsync::No,
            ]),
            segment_bytes: choices.of(&[8 << 10, 16 << 10, 64 << 10]),
            checkpoints_kept: 1 + choices.below(3) as u32,
            sync_us: choices.of(&[0, 300, 5000]),
        }
    }

    fn config(&self) -> Config {
        Config {
            dir: PathBuf::from("/data"),
            shards: self.shards,
            databases: u32::from(DATABASES),
            appendfsync: self.policy,
            log_writers: LogWriters::Count(self.writers),
            segment_size_bytes: self.segment_bytes,
            shutdown_timeout_seconds: 0,
            log_retention: LogRetention { checkpoints: self.checkpoints_kept, ..LogRetention::default() },
            ..Config::default()
        }
    }
}

/// Which shard a key is on.
pub struct Placement {
    hasher: Option<KeyHasher>,
    shards: u16,
}

impl Placement {
    pub fn shard_of(&self, key: &[u8]) -> usize {
        self.hasher.map_or(0, |hasher| usize::from(hasher.shard(key, hasher.hash(key), self.shards)))
    }
}

/// What else runs meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Recovery,
    Serving,
    Save,
    Closing,
}

/// See the module.
pub struct World {
    pub(super) choices: RefCell<Choices>,
    pub disk: SimDisk,
    setup: Cell<Setup>,
    pub(super) server: RefCell<Option<Rc<SimulatedServer>>>,
    /// Taken out while they take a turn.
    pub(super) clients: RefCell<Vec<Option<Client>>>,
    pub items: RefCell<Vec<Item>>,
    pub(super) serial: Cell<u64>,
    /// The first database that has never held a key.
    pub(super) next_spare: Cell<u16>,
    phase: Cell<Phase>,
    turns: Cell<u64>,
    /// Disk calls at which the power goes.
    power_fails_at: Cell<u64>,
    /// Disk calls failed, or will: what follows is not what a sound disk promises.
    pub is_faulty: Cell<bool>,
    /// Since which step the server refuses writes.
    pub(super) refuses_since: Cell<Option<u64>>,
    /// When it did so first in this life, Unix ms.
    pub first_refusal: Cell<Option<u64>>,
    pub(super) steps: Cell<u64>,
    /// Writers within a sync: a save would wait for them in vain.
    writers_at_work: Cell<u32>,
    /// Nobody asks for anything new.
    is_calm: Cell<bool>,
    /// Replies wait for the log (`always`), as far as is known.
    pub(super) is_gated: Cell<bool>,
    /// So many times a client has begun to switch the policy.
    pub(super) switches: Cell<u64>,
    /// A client switches the policy.
    pub(super) is_switching: Cell<bool>,
    /// In this life replies always waited for the log.
    pub was_always: Cell<bool>,
    pub acknowledged: Cell<u64>,
    pub commands: Cell<u64>,
    pub saves: Cell<u64>,
    violation: RefCell<Option<String>>,
    trace: RefCell<Option<Vec<String>>>,
}

/// While it lives, this thread's clock and random numbers are simulated.
struct Simulated;

impl Drop for Simulated {
    fn drop(&mut self) {
        clock::simulated::set(None);
        simulated_random::set_seed(None);
        waiting::simulated::set_turn(None);
        journal::set(false);
    }
}

/// Runs `run` in a world of its own. `traced`: keeps what happened for people.
pub fn within<T>(choices: Choices, traced: bool, run: impl FnOnce(&World) -> T) -> T {
    let _simulated = Simulated;
    clock::simulated::set(Some(Duration::from_millis(BEGIN_MS)));
    let world = Rc::new({
        let mut choices = choices;
        simulated_random::set_seed(Some(choices.below(1 << 32)));
        let setup = Setup::draw(&mut choices);
        World {
            items: RefCell::new(items(&mut choices)),
            choices: RefCell::new(choices),
            disk: SimDisk::new(),
            setup: Cell::new(setup),
            server: RefCell::default(),
            clients: RefCell::default(),
            serial: Cell::new(0),
            next_spare: Cell::new(FIRST_SPARE),
            phase: Cell::new(Phase::Serving),
            turns: Cell::new(0),
            power_fails_at: Cell::new(u64::MAX),
            is_faulty: Cell::new(false),
            refuses_since: Cell::new(None),
            first_refusal: Cell::new(None),
            steps: Cell::new(0),
            writers_at_work: Cell::new(0),
            is_calm: Cell::new(false),
            is_gated: Cell::new(false),
            switches: Cell::new(0),
            is_switching: Cell::new(false),
            was_always: Cell::new(false),
            acknowledged: Cell::new(0),
            commands: Cell::new(0),
            saves: Cell::new(0),
            violation: RefCell::default(),
            trace: RefCell::new(traced.then(Vec::new)),
        }
    });
    let theirs = Rc::downgrade(&world);
    let turn = move || theirs.upgrade().is_some_and(|world| world.turn_of_others());
    waiting::simulated::set_turn(Some(Rc::new(turn)));
    let result = run(&world);
    world.vanish();
    result
}

/// Each client has some keys of its own, and some items of several keys, in two databases.
fn items(choices: &mut Choices) -> Vec<Item> {
    let mut items = Vec::new();
    let (single, several) = (2 + choices.below(5), 1 + choices.below(3));
    for owner in 0..CLIENTS {
        for number in 0..single {
            items.push(Item::new(owner, (number % 2) as u16, vec![format!("c{owner}:k{number}")]));
        }
        for number in 0..several {
            let keys = (0..2 + number % 4).map(|key| format!("c{owner}:i{number}:{key}")).collect();
            items.push(Item::new(owner, (number % 2) as u16, keys));
        }
    }
    items
}

impl World {
    pub fn below(&self, limit: u64) -> u64 {
        self.choices.borrow_mut().below(limit)
    }

    pub fn once_in(&self, times: u64) -> bool {
        self.choices.borrow_mut().once_in(times)
    }

    pub fn of<T: Copy>(&self, options: &[T]) -> T {
        self.choices.borrow_mut().of(options)
    }

    /// All choices so far.
    pub fn choices(&self) -> Vec<u64> {
        self.choices.borrow().made().to_vec()
    }

    pub(super) fn now(&self) -> u64 {
        clock::unix_ms()
    }

    pub fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut *self.trace.borrow_mut() {
            trace.push(format!("{:>7} ms, call {:>4}: {}", self.now() - BEGIN_MS, self.disk.calls(), what()));
        }
    }

    pub fn trace(&self) -> Vec<String> {
        self.trace.borrow().clone().unwrap_or_default()
    }

    pub(super) fn violate(&self, what: String) {
        self.tell(|| format!("VIOLATION: {what}"));
        self.violation.borrow_mut().get_or_insert(what);
    }

    pub fn violation(&self) -> Option<String> {
        self.violation.borrow().clone()
    }

    pub fn setup(&self) -> Setup {
        self.setup.get()
    }

    /// The next start has other shards, writers and policies.
    pub fn draw_setup(&self) {
        self.setup.set(Setup::draw(&mut self.choices.borrow_mut()));
    }

    /// The power goes before this many further disk calls are through.
    pub fn power_fails_in(&self, calls: u64) {
        let at = self.disk.calls() + calls;
        self.disk.crash_at(at);
        self.power_fails_at.set(at);
    }

    pub fn power_stays(&self) {
        self.power_fails_at.set(u64::MAX);
    }

    pub fn power_has_failed(&self) -> bool {
        self.disk.calls() >= self.power_fails_at.get()
    }

    /// Some of the next disk calls will fail.
    pub fn plan_faults(&self, count: u64, among: u64) {
        for _ in 0..count {
            let faults = [Fault::ShortWrite, Fault::Enospc, Fault::Eio, Fault::SyncError, Fault::TornSync];
            let (call, fault) = (self.disk.calls() + self.below(among), self.of(&faults));
            self.tell(|| format!("call {call} will fail: {fault:?}"));
            self.disk.fail_at(call, fault);
            self.is_faulty.set(true);
        }
    }

    /// Starts a server on the disk and waits until it has recovered.
    ///
    /// # Errors
    /// Why it did not start.
    pub fn start(&self) -> Result<(), String> {
        self.phase.set(Phase::Recovery);
        self.turns.set(0);
        self.tell(|| format!("start: {:?}", self.setup()));
        let disk: Arc<dyn Disk> = self.disk.mount();
        let server =
            SimulatedServer::open(&self.setup().config(), &disk).map_err(|error| error.to_string())?;
        *self.server.borrow_mut() = Some(Rc::clone(&server));
        if let Err(error) = server.recover() {
            self.tell(|| format!("no start: {error}"));
            drop(server);
            self.vanish();
            return Err(error.to_string());
        }
        journal::set(true);
        let is_always = self.setup().policy == AppendFsync::Always;
        self.is_gated.set(is_always);
        self.is_switching.set(false);
        self.refuses_since.set(None);
        self.first_refusal.set(None);
        self.was_always.set(is_always);
        self.phase.set(Phase::Serving);
        let connect = |index: usize| Some(Client::new(server.connect(index % server.shards.len())));
        *self.clients.borrow_mut() = (0..CLIENTS).map(connect).collect();
        self.tell(|| format!("serves {} keys", self.keys().len()));
        Ok(())
    }

    /// Everything in memory, ended keys that were not removed included.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::new();
        for shard in self.server.borrow().iter().flat_map(|server| &server.shards) {
            for (db, keyspace) in shard.engine.borrow().dbs.iter().enumerate() {
                keyspace.for_each(|entry| {
                    #[allow(unreachable_patterns)] // strings are the first type, not the last
                    let value = match entry.value {
                        ValueRef::Str(bytes) => bytes.to_vec(),
                        _ => Vec::new(),
                    };
                    keys.insert((db as u16, entry.key.to_vec()), (value, entry.expire_at));
                });
            }
        }
        keys
    }

    /// Where keys are while this server runs.
    pub fn placement(&self) -> Placement {
        let server = self.server.borrow();
        let hasher = server.as_ref().map(|server| server.shards[0].engine.borrow().hasher);
        Placement { hasher, shards: self.setup().shards }
    }

    /// What replies may have told, by shard.
    pub fn released(&self) -> Vec<Position> {
        let server = self.server.borrow();
        server.iter().flat_map(|server| &server.shards).map(|shard| shard.released()).collect()
    }

    /// The process is gone, and all that it had in memory.
    pub fn vanish(&self) {
        self.clients.borrow_mut().clear();
        let server = self.server.borrow_mut().take();
        self.phase.set(Phase::Closing);
        drop(server);
    }

    /// Ends the server as SHUTDOWN does.
    ///
    /// # Errors
    /// It could not make everything durable.
    pub fn close(&self) -> Result<(), String> {
        self.phase.set(Phase::Closing);
        self.turns.set(0);
        let server = self.server.borrow().clone();
        let result = server.map_or(Ok(()), |server| server.close().map_err(|error| error.to_string()));
        self.tell(|| format!("closed: {result:?}"));
        result
    }

    /// Lets things happen, for so many steps, or until the power fails or something is wrong.
    pub fn live(&self, steps: u64) {
        for _ in 0..steps {
            if self.power_has_failed() || self.violation.borrow().is_some() {
                return;
            }
            self.step();
        }
    }

    /// Nothing fails any more and nobody asks for anything new: what is under way must come to an end.
    pub fn calm_down(&self) {
        self.disk.clear_faults();
        self.disk.set_disk_full(false);
        self.tell(|| "from now on nothing fails".to_owned());
        self.is_calm.set(true);
        self.wait_for_the_end();
        self.is_calm.set(false);
    }

    fn wait_for_the_end(&self) {
        let is_over = || self.power_has_failed() || self.violation.borrow().is_some();
        for _ in 0..CALM_MS / STEP_MS {
            let Some(server) = self.server.borrow().clone().filter(|_| !is_over()) else { return };
            self.everybody();
            self.save(&server);
            clock::simulated::advance(Duration::from_millis(STEP_MS));
            self.look_at_the_logs(&server);
            let is_idle = self.clients.borrow().iter().flatten().all(Client::is_idle);
            if is_idle && self.refuses_since.get().is_none() {
                return;
            }
        }
        if !is_over() {
            let waits = self.clients.borrow().iter().flatten().filter(|client| !client.is_idle()).count();
            let refusal = self.server.borrow().as_ref().and_then(|server| server.shared.log_refuses());
            self.violate(format!(
                "no end of it: {waits} clients wait, and writes are refused for {refusal:?}"
            ));
        }
    }

    /// Somebody waits: the others go on. `false` if there is nothing to wait for any more.
    fn turn_of_others(&self) -> bool {
        self.turns.set(self.turns.get() + 1);
        if self.turns.get() > MAX_TURNS {
            self.violate(format!("a wait does not end ({} turns)", MAX_TURNS));
            return false;
        }
        if self.power_has_failed() || self.violation.borrow().is_some() {
            return false;
        }
        match self.phase.get() {
            Phase::Recovery | Phase::Closing => {
                let Some(server) = self.server.borrow().clone() else { return false };
                (0..server.shards.len()).for_each(|shard| server.pump(shard));
                if self.phase.get() == Phase::Closing {
                    (0..server.shards.len()).for_each(|writer| self.turn_writer(&server, writer));
                    server.run_tasks();
                }
                clock::simulated::advance(Duration::from_millis(1));
            }
            Phase::Serving => self.step(),
            // The work between two pages, or two looks, is long for the others.
            Phase::Save => {
                if self.is_faulty.get() && !self.is_calm.get() && self.once_in(16) {
                    self.tell(|| "the next sync of the directory will fail".to_owned());
                    self.disk.fail_next_dir_sync();
                }
                (0..1 + self.below(8)).for_each(|_| self.step());
            }
        }
        true
    }

    fn step(&self) {
        let Some(server) = self.server.borrow().clone() else { return };
        let shard = |world: &World| world.below(server.shards.len() as u64) as usize;
        match if self.is_calm.get() { 0 } else { self.below(24) } {
            0 => self.everybody(),
            1..=6 => self.issue(),
            7..=10 => self.turn_client(self.below(CLIENTS as u64) as usize),
            11..=14 => self.pump(&server, shard(self)),
            15..=17 => self.turn_writer(&server, self.below(u64::from(self.setup().writers)) as usize),
            18 => server.run_tasks(),
            19 => server.cron(shard(self)),
            // Within a sync little time passes, or others would sync again and again meanwhile.
            20 | 21 if self.writers_at_work.get() > 0 => clock::simulated::advance(Duration::from_millis(1)),
            20 | 21 => self.pass_time(self.of(&[1, 5, 40, 300, 1500])),
            22 => self.administer(),
            _ => self.save(&server),
        }
    }

    fn pump(&self, server: &SimulatedServer, shard: usize) {
        self.look_at_the_logs(server);
        server.pump(shard);
    }

    /// To be called before anything may be run. From a failed write or sync on the server says that it takes no writes, until that is mended.
    pub(super) fn look_at_the_logs(&self, server: &SimulatedServer) {
        let since = self.refuses_since.get();
        self.steps.set(self.steps.get() + 1);
        match (server.shared.log_refuses(), since) {
            (Some(why), None) => {
                self.tell(|| format!("writes are refused: {why}"));
                self.refuses_since.set(Some(self.steps.get()));
                self.first_refusal.set(self.first_refusal.get().or(Some(self.now())));
            }
            (None, Some(_)) => {
                self.tell(|| "writes are taken again".to_owned());
                self.refuses_since.set(None);
            }
            _ => {}
        }
    }

    /// What must happen in time does, under any load.
    fn everybody(&self) {
        let Some(server) = self.server.borrow().clone() else { return };
        clock::simulated::advance(Duration::from_millis(u64::from(self.is_calm.get())));
        (0..CLIENTS).for_each(|client| self.turn_client(client));
        for shard in 0..server.shards.len() {
            server.cron(shard);
            self.pump(&server, shard);
            self.pump(&server, shard);
        }
        server.run_tasks();
        (0..usize::from(self.setup().writers)).for_each(|writer| self.turn_writer(&server, writer));
    }

    fn turn_writer(&self, server: &SimulatedServer, writer: usize) {
        let calls = self.disk.calls();
        self.writers_at_work.set(self.writers_at_work.get() + 1);
        let did_something = server.turn_writer(writer);
        self.writers_at_work.set(self.writers_at_work.get() - 1);
        if did_something && self.disk.calls() > calls {
            self.tell(|| format!("log writer {writer}: calls {calls}..{}", self.disk.calls()));
            clock::simulated::advance(Duration::from_micros(self.setup().sync_us));
        }
    }

    fn pass_time(&self, ms: u64) {
        let until = self.now() + ms;
        if !self.clients.borrow().iter().flatten().all(|client| client.may_wait_until(until)) {
            return;
        }
        self.tell(|| format!("{ms} ms pass"));
        let mut left = ms;
        while left > 0 && !self.power_has_failed() {
            let step = left.min(STEP_MS);
            clock::simulated::advance(Duration::from_millis(step));
            left -= step;
            self.everybody();
        }
    }

    /// Begins the work of a save that was started.
    fn save(&self, server: &SimulatedServer) {
        if self.phase.get() != Phase::Serving || self.writers_at_work.get() > 0 {
            return;
        }
        self.phase.set(Phase::Save);
        self.turns.set(0);
        if self.is_faulty.get() && !self.is_calm.get() && self.once_in(4) {
            self.plan_faults(1, 25);
        }
        if server.run_save() {
            self.saves.set(self.saves.get() + 1);
            self.tell(|| "a save has ended".to_owned());
        }
        self.phase.set(Phase::Serving);
    }
}
