//! Draws commands. A client alone writes its keys, so it knows each reply in advance.

use std::time::{SystemTime, UNIX_EPOCH};

use formats::resp::Value;

use super::Workload;
use super::layout::{self, Kind};
use crate::clients::model::{State, Stored};

/// Values longer than this are replaced rather than appended to.
const LONG: usize = 200;

/// What a reply must be.
#[derive(Clone, Debug)]
pub enum Expected {
    Exactly(Value),
    /// A time of expiry, in ms since 1970, set by a time to live.
    Ends(u64),
    /// The value of another client's key: what it is, is theirs to know.
    Shown {
        client: usize,
        slot: usize,
        place: usize,
    },
    /// The values of the keys of another client's group: all the same.
    ShownAlike {
        client: usize,
        slot: usize,
    },
}

/// A command, and what it means.
pub struct Issued {
    pub args: Vec<String>,
    pub expected: Expected,
    /// Its own number, if it wrote something.
    pub step: u64,
    /// The slots that it wrote.
    pub wrote: Vec<usize>,
}

pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis() as u64)
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn bulk(stored: &Option<Stored>) -> Value {
    stored.as_ref().map_or(Value::Null, |stored| Value::Bulk(stored.value.clone().into_bytes()))
}

fn args(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How the end of a key is said: the word, the number behind it, and the end in ms since 1970.
struct End {
    word: &'static str,
    number: u64,
    at: u64,
}

impl Workload {
    fn value(&mut self) -> String {
        self.serial += 1;
        let padding = self.random.below(60) as usize;
        format!("{}.{}-{}", self.client, self.serial, "x".repeat(padding))
    }

    /// An end far away: no key of these is gone before the run is over.
    fn end(&mut self) -> End {
        if self.random.below(2) == 0 {
            return self.time_to_live();
        }
        let now = unix_ms();
        let seconds = 1_000 + 100 * self.random.below(1_000);
        match self.random.below(2) {
            0 => End { word: "EXAT", number: now / 1000 + seconds, at: (now / 1000 + seconds) * 1000 },
            _ => End { word: "PXAT", number: now + seconds * 1000, at: now + seconds * 1000 },
        }
    }

    /// The same, counted from now.
    fn time_to_live(&mut self) -> End {
        let seconds = 1_000 + 100 * self.random.below(1_000);
        let at = unix_ms() + seconds * 1000;
        match self.random.below(2) {
            0 => End { word: "EX", number: seconds, at },
            _ => End { word: "PX", number: seconds * 1000, at },
        }
    }

    fn read(&self, args: Vec<String>, reply: Value) -> Issued {
        Issued { args, expected: Expected::Exactly(reply), step: 0, wrote: Vec::new() }
    }

    fn write(&mut self, args: Vec<String>, reply: Value, slot: usize, next: State) -> Issued {
        self.write_all(args, reply, vec![(slot, next)])
    }

    fn write_all(&mut self, args: Vec<String>, reply: Value, changes: Vec<(usize, State)>) -> Issued {
        self.steps += 1;
        let wrote = changes.iter().map(|(slot, _)| *slot).collect::<Vec<_>>();
        for (slot, next) in changes {
            self.slots[slot].item.issue(self.steps, next);
        }
        if wrote.len() > 1 {
            self.wide_steps.push((self.steps, wrote.clone()));
        }
        Issued { args, expected: Expected::Exactly(reply), step: self.steps, wrote }
    }

    pub(super) fn commands(&mut self, out: &mut Vec<Issued>) {
        match self.random.below(24) {
            _ if self.only_reads => out.push(self.foreign_command()),
            0..=10 => out.push(self.plain_command()),
            11 | 12 => out.push(self.counter_command()),
            13..=16 => out.push(self.group_command()),
            17..=19 => out.push(self.pair_command()),
            20 | 21 if self.peers > 0 => out.push(self.foreign_command()),
            _ if self.slots.len() > layout::first(Kind::Flushed) => self.database_commands(out),
            _ => out.push(self.plain_command()),
        }
    }

    /// A slot of a kind.
    pub(super) fn draw_slot(&mut self, kind: Kind) -> usize {
        layout::first(kind) + self.random.below(layout::count(kind) as u64) as usize
    }

    fn plain_command(&mut self) -> Issued {
        let slot = self.draw_slot(Kind::Plain);
        let key = self.slots[slot].keys[0].clone();
        let before = self.slots[slot].item.latest()[0].clone();
        let is_there = Value::Integer(i64::from(before.is_some()));
        match self.random.below(19) {
            0 => self.write(vec!["DEL".into(), key], is_there, slot, vec![None]),
            1 => self.write(vec!["UNLINK".into(), key], is_there, slot, vec![None]),
            2 => self.write(vec!["GETDEL".into(), key], bulk(&before), slot, vec![None]),
            3 => self.read(vec!["GET".into(), key], bulk(&before)),
            4 => self.ends_command(key, before),
            5 | 6 if before.as_ref().is_none_or(|stored| stored.value.len() < LONG) => {
                let suffix = self.value();
                let (value, ends) =
                    before.map_or((String::new(), None), |stored| (stored.value, stored.ends));
                let value = value + &suffix;
                let length = Value::Integer(value.len() as i64);
                self.write(
                    vec!["APPEND".into(), key, suffix],
                    length,
                    slot,
                    vec![Some(Stored { value, ends })],
                )
            }
            7..=9 => self.lifetime_command(slot, key, before),
            10..=12 if before.as_ref().is_none_or(|stored| stored.value.len() < LONG) => {
                self.part_command(slot, key, before)
            }
            _ => self.set_command(slot, key, before),
        }
    }

    /// Changes a part of a string.
    fn part_command(&mut self, slot: usize, key: String, before: Option<Stored>) -> Issued {
        let Stored { value, ends } = before.unwrap_or(Stored { value: String::new(), ends: None });
        let mut bytes = value.into_bytes();
        let (place, part) = (self.random.below(bytes.len() as u64 + 3) as usize, self.value());
        let old = [0, 1].map(|n| bytes.get(place + n).copied().unwrap_or(0));
        let mut overwrite = |part: &[u8]| {
            bytes.resize(bytes.len().max(place + part.len()), 0);
            bytes[place..place + part.len()].copy_from_slice(part);
        };
        let (args, reply) = match self.random.below(3) {
            0 => {
                overwrite(part.as_bytes());
                (args(&["SETRANGE", &key, &place.to_string(), &part]), Value::Integer(bytes.len() as i64))
            }
            1 => {
                // The lowest bit of a byte: a text stays one.
                let (bit, offset) = (self.random.below(2) as u8, (8 * place + 7).to_string());
                overwrite(&[old[0] & !1 | bit]);
                (args(&["SETBIT", &key, &offset, &bit.to_string()]), Value::Integer((old[0] & 1).into()))
            }
            _ => {
                overwrite(b"~!");
                let args = args(&[
                    "BITFIELD",
                    &key,
                    "SET",
                    "u8",
                    &format!("#{place}"),
                    "126",
                    "SET",
                    "u8",
                    &format!("#{}", place + 1),
                    "33",
                ]);
                (args, Value::Array(old.map(|byte| Value::Integer(byte.into())).to_vec()))
            }
        };
        let value = String::from_utf8_lossy(&bytes).into_owned();
        self.write(args, reply, slot, vec![Some(Stored { value, ends })])
    }

    fn ends_command(&self, key: String, before: Option<Stored>) -> Issued {
        let args = vec!["PEXPIRETIME".into(), key];
        match before {
            None => self.read(args, Value::Integer(-2)),
            Some(Stored { ends: None, .. }) => self.read(args, Value::Integer(-1)),
            Some(Stored { ends: Some(ends), .. }) => {
                Issued { args, expected: Expected::Ends(ends), step: 0, wrote: Vec::new() }
            }
        }
    }

    /// SET in one of its many forms, SETNX, SETEX or PSETEX.
    fn set_command(&mut self, slot: usize, key: String, before: Option<Stored>) -> Issued {
        let value = self.value();
        if self.random.below(8) == 0 {
            let (args, is_new) = (vec!["SETNX".into(), key, value.clone()], before.is_none());
            let reply = Value::Integer(i64::from(is_new));
            let next = vec![Some(Stored { value, ends: None })];
            return if is_new { self.write(args, reply, slot, next) } else { self.read(args, reply) };
        }
        if self.random.below(8) == 0 {
            let End { word, number, at } = self.time_to_live();
            let command = if word == "EX" { "SETEX" } else { "PSETEX" };
            let args = args(&[command, &key, &number.to_string(), &value]);
            return self.write(args, ok(), slot, vec![Some(Stored { value, ends: Some(at) })]);
        }
        if self.random.below(8) == 0 {
            let args = args(&["GETSET", &key, &value]);
            return self.write(args, bulk(&before), slot, vec![Some(Stored { value, ends: None })]);
        }
        let mut args = vec!["SET".into(), key, value.clone()];
        let runs = match self.random.below(6) {
            0 => {
                args.push("NX".into());
                before.is_none()
            }
            1 => {
                args.push("XX".into());
                before.is_some()
            }
            _ => true,
        };
        let ends = match self.random.below(4) {
            0 => {
                let End { word, number, at } = self.end();
                args.extend([word.to_owned(), number.to_string()]);
                Some(at)
            }
            1 => {
                args.push("KEEPTTL".into());
                before.as_ref().and_then(|stored| stored.ends)
            }
            _ => None,
        };
        let asks = self.random.below(5) == 0;
        if asks {
            args.push("GET".into());
        }
        let reply = match (asks, runs) {
            (true, _) => bulk(&before),
            (false, true) => ok(),
            (false, false) => Value::Null,
        };
        let next = vec![Some(Stored { value, ends })];
        if runs { self.write(args, reply, slot, next) } else { self.read(args, reply) }
    }

    /// What changes when a key ends, not what it holds.
    fn lifetime_command(&mut self, slot: usize, key: String, before: Option<Stored>) -> Issued {
        let End { word, number, at } = self.end();
        let number = number.to_string();
        let with = |ends| before.clone().map(|stored| Stored { ends, ..stored });
        let old_ends = before.as_ref().and_then(|stored| stored.ends);
        let (args, reply, next) = match self.random.below(4) {
            0 => (args(&["PERSIST", &key]), Value::Integer(i64::from(old_ends.is_some())), with(None)),
            1 => (args(&["GETEX", &key, "PERSIST"]), bulk(&before), with(None)),
            2 => (args(&["GETEX", &key, word, &number]), bulk(&before), with(Some(at))),
            _ => {
                let command = match word {
                    "EX" => "EXPIRE",
                    "PX" => "PEXPIRE",
                    "EXAT" => "EXPIREAT",
                    _ => "PEXPIREAT",
                };
                let (condition, holds) = match self.random.below(4) {
                    0 => (Some("NX"), old_ends.is_none()),
                    1 => (Some("XX"), old_ends.is_some()),
                    _ => (None, true),
                };
                let mut args = args(&[command, &key, &number]);
                args.extend(condition.map(str::to_owned));
                let runs = holds && before.is_some();
                let next = if runs { with(Some(at)) } else { before.clone() };
                (args, Value::Integer(i64::from(runs)), next)
            }
        };
        if next == before { self.read(args, reply) } else { self.write(args, reply, slot, vec![next]) }
    }

    fn counter_command(&mut self) -> Issued {
        let slot = self.draw_slot(Kind::Counter);
        let key = self.slots[slot].keys[0].clone();
        // A counter that ends has ended: see `expire_and_count`.
        let before = self.slots[slot].item.latest()[0].as_ref().filter(|stored| stored.ends.is_none());
        let before: i64 = before.map_or(0, |stored| stored.value.parse().unwrap_or(0));
        let by = 1 + self.random.below(1000) as i64;
        let (args, after) = match self.random.below(5) {
            0 => (args(&["DECR", &key]), before - 1),
            3 => (args(&["INCRBYFLOAT", &key, &by.to_string()]), before + by),
            1 => (args(&["INCRBY", &key, &by.to_string()]), before + by),
            2 => (args(&["DECRBY", &key, &by.to_string()]), before - by),
            _ => (args(&["INCR", &key]), before + 1),
        };
        let next = vec![Some(Stored { value: after.to_string(), ends: None })];
        let reply = match &*args[0] {
            "INCRBYFLOAT" => Value::Bulk(after.to_string().into_bytes()),
            _ => Value::Integer(after),
        };
        self.write(args, reply, slot, next)
    }

    fn group_command(&mut self) -> Issued {
        let slot = self.draw_slot(Kind::Group);
        let keys = self.slots[slot].keys.clone();
        let before = self.slots[slot].item.latest().clone();
        let named = |command: &str| std::iter::once(command.to_owned()).chain(keys.clone()).collect();
        let choice = self.random.below(8);
        if choice < 2 {
            return self.read(named("MGET"), Value::Array(before.iter().map(bulk).collect()));
        }
        if choice == 2 {
            let count = before.iter().flatten().count() as i64;
            return self.write(named("DEL"), Value::Integer(count), slot, vec![None; keys.len()]);
        }
        let value = self.value();
        let pairs = keys.iter().flat_map(|key| [key.clone(), value.clone()]);
        let next = vec![Some(Stored { value: value.clone(), ends: None }); keys.len()];
        if choice == 3 {
            let args = std::iter::once("MSETNX".to_owned()).chain(pairs).collect();
            let is_new = before.iter().all(Option::is_none);
            let reply = Value::Integer(i64::from(is_new));
            return if is_new { self.write(args, reply, slot, next) } else { self.read(args, reply) };
        }
        self.write(std::iter::once("MSET".to_owned()).chain(pairs).collect(), ok(), slot, next)
    }

    /// A value that wanders between two keys, is copied, and ends in one of them again.
    fn pair_command(&mut self) -> Issued {
        let slot = self.draw_slot(Kind::Pair);
        let [left, right] = [self.slots[slot].keys[0].clone(), self.slots[slot].keys[1].clone()];
        let state = self.slots[slot].item.latest().clone();
        let coin = self.random.below(3);
        let one = || Value::Integer(1);
        match (state[0].clone(), state[1].clone()) {
            (None, None) => {
                let value = self.value();
                let args = args(&["SET", &left, &value]);
                self.write(args, ok(), slot, vec![Some(Stored { value, ends: None }), None])
            }
            (Some(value), None) if coin == 0 && self.random.below(2) == 0 => {
                // Those that are not there are zeros.
                let args = args(&["BITOP", "XOR", &right, &left, &right]);
                let length = Value::Integer(value.value.len() as i64);
                self.write(args, length, slot, vec![Some(value.clone()), Some(value)])
            }
            (Some(value), None) if coin == 0 => self.write(
                args(&["COPY", &left, &right]),
                one(),
                slot,
                vec![Some(value.clone()), Some(value)],
            ),
            (None, Some(value)) if coin == 0 => {
                let args = args(&["COPY", &right, &left, "REPLACE"]);
                self.write(args, one(), slot, vec![Some(value.clone()), Some(value)])
            }
            (Some(value), None) if coin == 1 => {
                self.write(args(&["RENAMENX", &left, &right]), one(), slot, vec![None, Some(value)])
            }
            (Some(value), None) => {
                self.write(args(&["RENAME", &left, &right]), ok(), slot, vec![None, Some(value)])
            }
            (None, Some(value)) => {
                self.write(args(&["RENAME", &right, &left]), ok(), slot, vec![Some(value), None])
            }
            (Some(value), Some(_)) if coin == 0 => {
                self.write(args(&["RENAME", &left, &right]), ok(), slot, vec![None, Some(value)])
            }
            (Some(_), Some(_)) if coin == 1 => {
                self.write(args(&["DEL", &left, &right]), Value::Integer(2), slot, vec![None, None])
            }
            (Some(value), Some(_)) => {
                self.write(args(&["DEL", &right]), one(), slot, vec![Some(value), None])
            }
        }
    }

    /// Reads what another client writes.
    fn foreign_command(&mut self) -> Issued {
        let other = (self.client + 1 + self.random.below(self.peers as u64) as usize) % (self.peers + 1);
        let kind = if self.random.below(2) == 0 { Kind::Plain } else { Kind::Group };
        let slot = self.draw_slot(kind);
        let keys = layout::keys(other, kind, slot - layout::first(kind));
        if kind == Kind::Plain {
            let expected = Expected::Shown { client: other, slot, place: 0 };
            return Issued { args: args(&["GET", &keys[0]]), expected, step: 0, wrote: Vec::new() };
        }
        if self.random.below(2) == 0 {
            let place = self.random.below(keys.len() as u64) as usize;
            let expected = Expected::Shown { client: other, slot, place };
            return Issued { args: args(&["GET", &keys[place]]), expected, step: 0, wrote: Vec::new() };
        }
        let args = std::iter::once("MGET".to_owned()).chain(keys).collect();
        Issued { args, expected: Expected::ShownAlike { client: other, slot }, step: 0, wrote: Vec::new() }
    }

    /// The client's own database changes places with an empty one, and back: its keys are away and come again.
    fn swap_twice(&mut self, database: &str, slots: Vec<usize>, out: &mut Vec<Issued>) {
        let states = slots.iter().map(|slot| (*slot, self.slots[*slot].item.latest().clone())).collect();
        let away = slots.iter().map(|slot| (*slot, vec![None])).collect();
        let spare = layout::spare_database(self.client).to_string();
        out.push(self.read(args(&["SELECT", &spare]), ok()));
        out.push(self.read(args(&["FLUSHDB"]), ok()));
        out.push(self.write_all(args(&["SWAPDB", database, &spare]), ok(), away));
        out.push(self.write_all(args(&["SWAPDB", &spare, database]), ok(), states));
    }

    /// A key is made in another database, and moved into the client's own.
    fn move_there(&mut self, slot: usize, database: &str, out: &mut Vec<Issued>) {
        let spare = layout::spare_database(self.client).to_string();
        let (key, value) = (self.slots[slot].keys[0].clone(), self.value());
        out.push(self.read(args(&["SELECT", &spare]), ok()));
        out.push(self.read(args(&["SET", &key, &value]), ok()));
        let is_free = self.slots[slot].item.latest()[0].is_none();
        let (args, reply) = (args(&["MOVE", &key, database]), Value::Integer(i64::from(is_free)));
        let next = vec![Some(Stored { value, ends: None })];
        out.push(if is_free { self.write(args, reply, slot, next) } else { self.read(args, reply) });
    }

    /// A few commands in the database of this client alone, and back.
    fn database_commands(&mut self, out: &mut Vec<Issued>) {
        let slot = self.draw_slot(Kind::Flushed);
        let database = self.slots[slot].database.to_string();
        out.push(self.read(args(&["SELECT", &database]), ok()));
        if self.random.below(6) == 0 {
            let word = if self.random.below(2) == 0 { "SYNC" } else { "ASYNC" };
            let all = (0..self.slots.len()).filter(|slot| self.slots[*slot].kind == Kind::Flushed);
            let changes = all.map(|slot| (slot, vec![None])).collect();
            out.push(self.write_all(args(&["FLUSHDB", word]), ok(), changes));
        } else if self.random.below(6) == 0 {
            let flushed = layout::first(Kind::Flushed)..self.slots.len();
            self.swap_twice(&database, flushed.collect(), out);
        } else if self.random.below(4) == 0 {
            self.move_there(slot, &database, out);
        } else {
            let (key, value) = (self.slots[slot].keys[0].clone(), self.value());
            let args = args(&["SET", &key, &value]);
            out.push(self.write(args, ok(), slot, vec![Some(Stored { value, ends: None })]));
        }
        out.push(self.read(args(&["SELECT", "0"]), ok()));
    }
}
