//! A server on one thread, its clients, its disk and its clock, and whose turn it is.
//!
//! Invariants:
//! 1. Everything follows from the choices: no thread, no real clock, no random number from elsewhere takes part.
//! 2. A save or a recovery that waits lets the others take turns; neither begins within another.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everfast::clock;
use everfast::config::{AppendFsync, Config, LogRetention, LogWriters};
use everfast::persist::disk::{Disk, Fault, SimDisk};
use everfast::persist::log::journal;
use everfast::persist::{Position, simulated_random};
use everfast::server::simulated::{SimulatedConnection, SimulatedServer};
use everfast::store::ValueRef;
use everfast::waiting;
use formats::resp::{Value, decode, encode_command};

use super::checker::Keys;
use super::choices::Choices;
use super::commands::{FLIGHT_MS, Meets};
use super::model::{Item, living};

const CLIENTS: usize = 3;
/// A wait that takes so many turns will not end.
const MAX_TURNS: u64 = 200_000;
/// Where the clock begins: Unix ms.
const BEGIN_MS: u64 = 1_700_000_000_000;
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
            databases: 4,
            appendfsync: self.policy,
            log_writers: LogWriters::Count(self.writers),
            segment_size_bytes: self.segment_bytes,
            shutdown_timeout_seconds: 0,
            log_retention: LogRetention { checkpoints: self.checkpoints_kept, ..LogRetention::default() },
            ..Config::default()
        }
    }
}

/// What a client waits for.
enum Awaited {
    /// A command on an item that it alone changes: what was expected, and the version that it made.
    Own { item: usize, reply: Value, version: Option<usize> },
    /// A reading of another one's key: of which item and key, the floor and the time when it was sent.
    Read { item: usize, key: usize, floor: usize, sent: u64 },
    /// FLUSHALL or FLUSHDB, and the versions that it made.
    Flush { versions: Vec<(usize, usize)> },
    /// WAITAOF, and the versions that are durable when it says so.
    Durable { versions: Vec<(usize, usize)> },
    /// SELECT, BGSAVE and the like.
    Anything,
}

struct Client {
    connection: SimulatedConnection,
    replies: Vec<u8>,
    awaits: VecDeque<(Awaited, String)>,
    /// When the oldest unanswered command was sent.
    since: u64,
    database: u16,
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
    choices: RefCell<Choices>,
    pub disk: SimDisk,
    setup: Cell<Setup>,
    server: RefCell<Option<Rc<SimulatedServer>>>,
    clients: RefCell<Vec<Option<Client>>>,
    pub items: RefCell<Vec<Item>>,
    serial: Cell<u64>,
    phase: Cell<Phase>,
    turns: Cell<u64>,
    /// Disk calls at which the power goes.
    power_fails_at: Cell<u64>,
    /// Disk calls failed, or will: what follows is not what a sound disk promises.
    pub is_faulty: Cell<bool>,
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
            phase: Cell::new(Phase::Serving),
            turns: Cell::new(0),
            power_fails_at: Cell::new(u64::MAX),
            is_faulty: Cell::new(false),
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

    fn now(&self) -> u64 {
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

    fn violate(&self, what: String) {
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

    /// Some disk calls to come will fail.
    pub fn plan_faults(&self, count: u64) {
        for _ in 0..count {
            let faults = [Fault::ShortWrite, Fault::Enospc, Fault::Eio, Fault::SyncError, Fault::SyncError];
            let (call, fault) = (self.disk.calls() + self.below(300), self.of(&faults));
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
        self.phase.set(Phase::Serving);
        let connect = |index: usize| {
            let connection = server.connect(index % server.shards.len());
            Some(Client { connection, replies: Vec::new(), awaits: VecDeque::new(), since: 0, database: 0 })
        };
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

    /// Where a key is, with as many shards as now.
    pub fn shard_of(&self) -> impl Fn(&[u8]) -> usize + use<> {
        let server = self.server.borrow().clone();
        let hasher = server.as_ref().map(|server| server.shards[0].engine.borrow().hasher);
        let shards = self.setup().shards;
        move |key| hasher.map_or(0, |hasher| usize::from(hasher.shard(key, hasher.hash(key), shards)))
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
            Phase::Serving | Phase::Save => self.step(),
        }
        true
    }

    fn step(&self) {
        let Some(server) = self.server.borrow().clone() else { return };
        let shard = |world: &World| world.below(server.shards.len() as u64) as usize;
        match self.below(24) {
            0 => self.everybody(),
            1..=6 => self.issue(),
            7..=10 => self.turn_client(self.below(CLIENTS as u64) as usize),
            11..=14 => server.pump(shard(self)),
            15..=17 => self.turn_writer(&server, self.below(u64::from(self.setup().writers)) as usize),
            18 => server.run_tasks(),
            19 => server.cron(shard(self)),
            20 | 21 => self.pass_time(self.of(&[1, 5, 40, 300, 1500])),
            22 => self.administer(),
            _ => self.save(&server),
        }
    }

    /// What must happen in time does, under any load.
    fn everybody(&self) {
        let Some(server) = self.server.borrow().clone() else { return };
        (0..CLIENTS).for_each(|client| self.turn_client(client));
        for shard in 0..server.shards.len() {
            server.cron(shard);
            server.pump(shard);
            server.pump(shard);
        }
        server.run_tasks();
        (0..usize::from(self.setup().writers)).for_each(|writer| self.turn_writer(&server, writer));
    }

    fn turn_writer(&self, server: &SimulatedServer, writer: usize) {
        let calls = self.disk.calls();
        if server.turn_writer(writer) && self.disk.calls() > calls {
            self.tell(|| format!("log writer {writer}: calls {calls}..{}", self.disk.calls()));
            clock::simulated::advance(Duration::from_micros(self.setup().sync_us));
        }
    }

    fn pass_time(&self, ms: u64) {
        let waits = |client: &Client| !client.awaits.is_empty() && self.now() + ms > client.since + FLIGHT_MS;
        if self.clients.borrow().iter().flatten().any(waits) {
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
        if self.phase.get() != Phase::Serving {
            return;
        }
        self.phase.set(Phase::Save);
        self.turns.set(0);
        if server.run_save() {
            self.saves.set(self.saves.get() + 1);
            self.tell(|| "a save has ended".to_owned());
        }
        self.phase.set(Phase::Serving);
    }

    /// A client sends a command, or several.
    fn issue(&self) {
        let client = self.below(CLIENTS as u64) as usize;
        for _ in 0..1 + self.below(4) {
            match self.below(6) {
                0..=3 => self.issue_own(client),
                _ => self.issue_read(client),
            }
        }
        self.turn_client(client);
    }

    fn issue_own(&self, owner: usize) {
        let now = self.now();
        let mut items = self.items.borrow_mut();
        let is_free = |item: &Item| item.owner == owner && !item.is_busy && !item.rests(now, FLIGHT_MS);
        let free: Vec<usize> = (0..items.len()).filter(|index| is_free(&items[*index])).collect();
        if free.is_empty() {
            return;
        }
        let index = free[self.below(free.len() as u64) as usize];
        let item = &mut items[index];
        let state: Vec<_> = item.latest().iter().map(|slot| living(slot, now)).collect();
        let meets = Meets { keys: &item.keys, state: &state, now, serial: self.next_serial() };
        let command = meets.command(&mut self.choices.borrow_mut());
        item.is_busy = true;
        let version = command.after.map(|after| {
            item.issue(after);
            item.version()
        });
        let awaited = Awaited::Own { item: index, reply: command.reply, version };
        self.send(owner, Some(item.database), &command.args, awaited);
    }

    fn issue_read(&self, client: usize) {
        let now = self.now();
        let items = self.items.borrow();
        let index = self.below(items.len() as u64) as usize;
        let item = &items[index];
        if item.rests(now, FLIGHT_MS) && item.is_busy {
            return;
        }
        let key = self.below(item.keys.len() as u64) as usize;
        let args = [b"GET".to_vec(), item.keys[key].clone().into_bytes()];
        let awaited = Awaited::Read { item: index, key, floor: item.floor(), sent: now };
        self.send(client, Some(item.database), &args, awaited);
    }

    /// Commands that concern everybody.
    fn administer(&self) {
        let client = self.below(CLIENTS as u64) as usize;
        match self.below(8) {
            0 | 1 => self.send(client, None, &[b"BGREWRITEAOF".to_vec()], Awaited::Anything),
            2 | 3 => self.send(client, None, &[b"BGSAVE".to_vec()], Awaited::Anything),
            4 => self.send(client, None, &[b"SAVE".to_vec()], Awaited::Anything),
            5 => {
                let items = self.items.borrow();
                let mine = items.iter().enumerate().filter(|(_, item)| item.owner == client && !item.is_busy);
                let versions = mine.map(|(index, item)| (index, item.version())).collect();
                let args = ["WAITAOF", "1", "0", "0"].map(|word| word.as_bytes().to_vec());
                drop(items);
                self.send(client, None, &args, Awaited::Durable { versions });
            }
            6 => self.flush(client),
            _ => {
                let full = self.below(2) == 1;
                self.tell(|| format!("the disk is {}", if full { "full" } else { "not full" }));
                self.disk.set_disk_full(full);
                if full {
                    self.is_faulty.set(true);
                }
            }
        }
    }

    /// FLUSHALL or FLUSHDB, while nothing else is under way: it changes what everybody has.
    fn flush(&self, client: usize) {
        if self.clients.borrow().iter().flatten().any(|client| !client.awaits.is_empty()) {
            return;
        }
        let database = self.below(3) as u16; // 2: all
        let mut versions = Vec::new();
        for (index, item) in self.items.borrow_mut().iter_mut().enumerate() {
            if item.rests(self.now(), FLIGHT_MS) {
                return;
            }
            if database == 2 || item.database == database {
                versions.push(index);
            }
        }
        let mut items = self.items.borrow_mut();
        let empty = |index: usize| {
            let item = &mut items[index];
            item.issue(vec![None; item.keys.len()]);
            item.is_busy = true;
            (index, item.version())
        };
        let versions = versions.into_iter().map(empty).collect();
        drop(items);
        let (command, database) =
            if database == 2 { ("FLUSHALL", None) } else { ("FLUSHDB", Some(database)) };
        self.send(client, database, &[command.as_bytes().to_vec()], Awaited::Flush { versions });
    }

    fn next_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    fn send(&self, index: usize, database: Option<u16>, args: &[Vec<u8>], awaited: Awaited) {
        let mut clients = self.clients.borrow_mut();
        let Some(Some(client)) = clients.get_mut(index) else { return };
        if client.awaits.is_empty() {
            client.since = self.now();
        }
        let mut bytes = Vec::new();
        if let Some(database) = database.filter(|database| *database != client.database) {
            client.database = database;
            encode_command(&mut bytes, &["SELECT", &database.to_string()]);
            client.awaits.push_back((Awaited::Anything, format!("SELECT {database}")));
        }
        encode_command(&mut bytes, args);
        let shown = |arg: &Vec<u8>| arg[..arg.len().min(24)].escape_ascii().to_string();
        let line = args.iter().map(shown).collect::<Vec<_>>().join(" ");
        self.tell(|| format!("client {index} sends {line}"));
        client.awaits.push_back((awaited, line));
        client.connection.send(&bytes);
        self.commands.set(self.commands.get() + 1);
    }

    fn turn_client(&self, index: usize) {
        let Some(mut client) = self.clients.borrow_mut().get_mut(index).and_then(Option::take) else {
            return;
        };
        let bytes = client.connection.turn();
        client.replies.extend_from_slice(&bytes);
        let mut consumed = 0;
        while let Ok(Some((reply, length))) = decode(&client.replies[consumed..]) {
            consumed += length;
            match client.awaits.pop_front() {
                Some((awaited, line)) => self.take_reply(index, awaited, &line, reply),
                None => self.violate(format!("client {index} was answered {reply:?} to nothing")),
            }
        }
        client.replies.drain(..consumed);
        self.clients.borrow_mut()[index] = Some(client);
    }

    fn take_reply(&self, client: usize, awaited: Awaited, line: &str, reply: Value) {
        self.tell(|| format!("client {client} has {} to {line}", short(&reply)));
        let is_refused = matches!(&reply, Value::Error(text) if text.starts_with("MISCONF "));
        let is_always = self.setup().policy == AppendFsync::Always;
        let mut items = self.items.borrow_mut();
        match awaited {
            Awaited::Anything => {}
            Awaited::Own { item, version, .. } if is_refused => {
                items[item].is_busy = false;
                if version.is_some() {
                    items[item].retract();
                }
            }
            Awaited::Own { item, reply: expected, version } => {
                items[item].is_busy = false;
                self.acknowledged.set(self.acknowledged.get() + 1);
                if reply != expected {
                    let what = format!("{line} was answered {}, not {}", short(&reply), short(&expected));
                    self.violate(what);
                }
                let version = version.unwrap_or(items[item].version());
                if is_always {
                    items[item].keep(version);
                }
            }
            Awaited::Read { item, key, floor, sent } => {
                match items[item].seen(key, &reply, floor, sent, self.now()) {
                    Ok(version) if is_always => items[item].keep(version),
                    Ok(_) => {}
                    Err(what) => self.violate(what),
                }
            }
            Awaited::Flush { versions } => {
                for (item, version) in versions {
                    items[item].is_busy = false;
                    if is_refused {
                        items[item].retract();
                    } else if is_always {
                        items[item].keep(version);
                    }
                }
            }
            Awaited::Durable { versions } => {
                if matches!(&reply, Value::Array(counts) if counts.first() == Some(&Value::Integer(1))) {
                    versions.into_iter().for_each(|(item, version)| items[item].keep(version));
                }
            }
        }
    }
}

fn short(value: &Value) -> String {
    let text = format!("{value:?}");
    if text.len() > 80 { format!("{}...", &text[..80]) } else { text }
}
