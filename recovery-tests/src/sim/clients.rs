//! The clients of a [`World`]: what they send, and what the replies tell.
//!
//! A client sends pipelines. It never has two commands under way that change the same item, so it knows what each must
//! answer; what others read is checked against all that the item went through meanwhile.

use std::collections::VecDeque;

use everfast::config::AppendFsync;
use everfast::server::simulated::SimulatedConnection;
use formats::resp::{Value, decode, encode_command};

use super::commands::{FLIGHT_MS, Meets};
use super::model::{Item, living};
use super::world::{CLIENTS, DATABASES, World};

/// A version of an item, by their numbers.
type Version = (usize, usize);

/// What a client waits for.
enum Awaited {
    /// A command on an item that it alone changes: what was expected, and the version that it made.
    Own { item: usize, reply: Value, version: Option<usize> },
    /// A reading of keys, of anybody's.
    Read { keys: Vec<ReadKey>, sent: u64 },
    /// FLUSHALL, FLUSHDB or SWAPDB, and the versions that it made; another command on the same items is behind it, or not.
    Flush { versions: Vec<Version>, is_last: bool },
    /// WAITAOF, and the versions that are durable when it says so.
    Durable { versions: Vec<Version> },
    /// CONFIG SET appendfsync
    Policy(AppendFsync),
    /// SELECT, BGSAVE and the like.
    Anything,
}

/// A key that is read: which of which item, and the oldest versions that might be seen, and be found after a crash, when
/// it was sent.
struct ReadKey {
    item: usize,
    key: usize,
    oldest: usize,
    floor: usize,
}

struct Sent {
    awaited: Awaited,
    /// For people.
    line: String,
    /// Replies waited for the log when it was sent.
    is_gated: bool,
    /// How often the policy had been switched then.
    switches: u64,
    step: u64,
}

/// A connection, and what is under way on it.
pub(super) struct Client {
    connection: SimulatedConnection,
    replies: Vec<u8>,
    sent: VecDeque<Sent>,
    /// When the oldest unanswered command was sent.
    since: u64,
    database: u16,
}

impl Client {
    pub(super) fn new(connection: SimulatedConnection) -> Client {
        Client { connection, replies: Vec::new(), sent: VecDeque::new(), since: 0, database: 0 }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether its oldest command may still be under way at this time.
    pub(super) fn may_wait_until(&self, time: u64) -> bool {
        self.is_idle() || time <= self.since + FLIGHT_MS / 2
    }
}

impl World {
    /// A client sends a command, or several.
    pub(super) fn issue(&self) {
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

    /// GET of a key, or MGET of several, of anybody's items in one database.
    fn issue_read(&self, client: usize) {
        let now = self.now();
        let items = self.items.borrow();
        let database = self.below(2) as u16;
        // What is about to end while something else changes it could be anything.
        let is_clear =
            |item: &Item| item.database == database && !(item.is_busy && item.rests(now, FLIGHT_MS));
        let clear: Vec<usize> = (0..items.len()).filter(|index| is_clear(&items[*index])).collect();
        if clear.is_empty() {
            return;
        }
        let item = || clear[self.below(clear.len() as u64) as usize];
        let read = |item: usize, key: usize| {
            let (oldest, floor) = (items[item].shown(), items[item].floor());
            ReadKey { item, key, oldest, floor }
        };
        let one = |item: usize| read(item, self.below(items[item].keys.len() as u64) as usize);
        let keys: Vec<ReadKey> = match self.below(4) {
            0 | 1 => vec![one(item())],
            2 => (0..4).map(|_| one(item())).collect(),
            _ => {
                let item = item();
                (0..items[item].keys.len()).map(|key| read(item, key)).collect()
            }
        };
        let name = if keys.len() == 1 { "GET" } else { "MGET" };
        let names = keys.iter().map(|read| items[read.item].keys[read.key].clone().into_bytes());
        let args: Vec<Vec<u8>> = std::iter::once(name.into()).chain(names).collect();
        drop(items);
        self.send(client, Some(database), &args, Awaited::Read { keys, sent: now });
    }

    /// Commands that concern everybody.
    pub(super) fn administer(&self) {
        let client = self.below(CLIENTS as u64) as usize;
        match self.below(10) {
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
            6 if self.below(3) == 0 => self.swap_twice(client),
            6 => self.flush(client),
            7 | 8 => {
                let policy = self.of(&[AppendFsync::Always, AppendFsync::Everysec]);
                self.switch_policy(client, policy);
            }
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

    /// CONFIG SET appendfsync, one at a time. Of what is sent or answered meanwhile nobody knows which policy it met.
    fn switch_policy(&self, client: usize, policy: AppendFsync) {
        if self.is_switching.replace(true) {
            return;
        }
        self.is_gated.set(false);
        self.switches.set(self.switches.get() + 1);
        self.was_always.set(self.was_always.get() && policy == AppendFsync::Always);
        let args = ["CONFIG", "SET", "appendfsync", policy.word()].map(|word| word.as_bytes().to_vec());
        self.send(client, None, &args, Awaited::Policy(policy));
    }

    /// FLUSHALL or FLUSHDB, while nothing else is under way: it changes what everybody has.
    fn flush(&self, client: usize) {
        if !self.clients.borrow().iter().flatten().all(Client::is_idle) {
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
        self.send(
            client,
            database,
            &[command.as_bytes().to_vec()],
            Awaited::Flush { versions, is_last: true },
        );
    }

    /// SWAPDB with a database that never held anything, and back, while nothing else is under way: the items of the
    /// database are away and come back.
    fn swap_twice(&self, client: usize) {
        let (database, spare) = (self.below(2) as u16, self.next_spare.get());
        if spare >= DATABASES || !self.clients.borrow().iter().flatten().all(Client::is_idle) {
            return;
        }
        let mut items = self.items.borrow_mut();
        if items.iter().any(|item| item.rests(self.now(), FLIGHT_MS)) {
            return;
        }
        self.next_spare.set(spare + 1);
        let (mut away, mut back) = (Vec::new(), Vec::new());
        for (index, item) in items.iter_mut().enumerate().filter(|(_, item)| item.database == database) {
            let state = item.latest().to_vec();
            item.issue(vec![None; item.keys.len()]);
            away.push((index, item.version()));
            item.issue(state);
            back.push((index, item.version()));
            item.is_busy = true;
        }
        drop(items);
        for (versions, [one, other], is_last) in
            [(away, [database, spare], false), (back, [spare, database], true)]
        {
            let args = ["SWAPDB".to_owned(), one.to_string(), other.to_string()].map(String::into_bytes);
            self.send(client, None, &args, Awaited::Flush { versions, is_last });
        }
    }

    fn next_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }

    fn send(&self, index: usize, database: Option<u16>, args: &[Vec<u8>], awaited: Awaited) {
        let mut clients = self.clients.borrow_mut();
        let Some(Some(client)) = clients.get_mut(index) else { return };
        if client.is_idle() {
            client.since = self.now();
        }
        let mut bytes = Vec::new();
        if let Some(database) = database.filter(|database| *database != client.database) {
            client.database = database;
            encode_command(&mut bytes, &["SELECT", &database.to_string()]);
            let line = format!("SELECT {database}");
            client.sent.push_back(Sent {
                awaited: Awaited::Anything,
                line,
                is_gated: false,
                switches: 0,
                step: 0,
            });
        }
        encode_command(&mut bytes, args);
        let shown = |arg: &Vec<u8>| arg[..arg.len().min(24)].escape_ascii().to_string();
        let line = args.iter().map(shown).collect::<Vec<_>>().join(" ");
        self.tell(|| format!("client {index} sends {line}"));
        let (is_gated, switches, step) = (self.is_gated.get(), self.switches.get(), self.steps.get());
        client.sent.push_back(Sent { awaited, line, is_gated, switches, step });
        client.connection.send(&bytes);
        self.commands.set(self.commands.get() + 1);
    }

    pub(super) fn turn_client(&self, index: usize) {
        let Some(mut client) = self.clients.borrow_mut().get_mut(index).and_then(Option::take) else {
            return;
        };
        if let Some(server) = self.server.borrow().clone() {
            self.look_at_the_logs(&server);
        }
        let bytes = client.connection.turn();
        client.replies.extend_from_slice(&bytes);
        let mut consumed = 0;
        while let Ok(Some((reply, length))) = decode(&client.replies[consumed..]) {
            consumed += length;
            match client.sent.pop_front() {
                Some(sent) => self.take_reply(index, sent, reply),
                None => self.violate(format!("client {index} was answered {reply:?} to nothing")),
            }
        }
        client.replies.drain(..consumed);
        self.clients.borrow_mut()[index] = Some(client);
    }

    fn take_reply(&self, client: usize, sent: Sent, reply: Value) {
        let Sent { awaited, line, is_gated, switches, step } = sent;
        self.tell(|| format!("client {client} has {} to {line}", short(&reply)));
        let is_refused = matches!(&reply, Value::Error(text) if text.starts_with("MISCONF "));
        let is_durable = is_gated && self.is_gated.get() && switches == self.switches.get();
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
                if version.is_some() && self.refuses_since.get().is_some_and(|since| since <= step) {
                    self.violate(format!("{line} was taken while writes are refused"));
                }
                let version = version.unwrap_or(items[item].version());
                items[item].show(version);
                if is_durable {
                    items[item].keep(version);
                }
            }
            Awaited::Read { keys, sent } => {
                let values = match (reply, keys.len()) {
                    (Value::Array(values), count) if count > 1 && values.len() == count => values,
                    (value, _) => vec![value],
                };
                for read in &keys {
                    let of_item = keys.iter().zip(&values).filter(|(other, _)| other.item == read.item);
                    let seen: Vec<(usize, &Value)> =
                        of_item.map(|(other, value)| (other.key, value)).collect();
                    let item = &mut items[read.item];
                    match item.seen(&seen, read.oldest, sent, self.now()) {
                        Ok(version) => item.show(version),
                        Err(what) => self.violate(what),
                    }
                    // Of the keys that were not read later changes may be lost: the oldest state that fits is what counts.
                    let oldest = item.seen(&seen, read.floor, sent, self.now());
                    if let Some(version) = oldest.ok().filter(|_| is_durable) {
                        item.keep(version);
                    }
                }
            }
            Awaited::Policy(policy) => {
                self.is_switching.set(false);
                self.is_gated.set(policy == AppendFsync::Always && reply == ok());
            }
            Awaited::Flush { versions, is_last } => {
                for (item, version) in versions {
                    items[item].is_busy = !is_last;
                    if is_refused {
                        items[item].retract();
                        continue;
                    }
                    items[item].show(version);
                    if is_durable {
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

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn short(value: &Value) -> String {
    let text = format!("{value:?}");
    if text.len() > 80 { format!("{}...", &text[..80]) } else { text }
}
