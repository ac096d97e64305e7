//! The commands that a client issues, with what each means: the state that it makes and the reply that it gets.
//!
//! Values name the number of their command, so that hardly two writes make the same state.

use formats::rdb::dump::encode_string;
use formats::resp::Value;

use super::choices::Choices;
use super::model::{Ends, Held, Slot};

/// Longest time from the sending of a command to its execution, in simulated ms.
pub const FLIGHT_MS: u64 = 60_000;

const HOUR_MS: u64 = 3_600_000;
/// Values longer than this are replaced rather than appended to.
const LONG_BYTES: usize = 300;

/// A command on an item.
#[derive(Debug)]
pub struct Command {
    pub args: Vec<Vec<u8>>,
    /// `None`: it changes nothing.
    pub after: Option<Vec<Slot>>,
    pub reply: Value,
}

/// What a command meets.
pub struct Meets<'a> {
    pub keys: &'a [String],
    /// Living values.
    pub state: &'a [Slot],
    pub now: u64,
    /// Of this command.
    pub serial: u64,
}

impl Meets<'_> {
    /// Draws a command.
    pub fn command(&self, choices: &mut Choices) -> Command {
        if self.keys.len() > 1 && choices.below(4) != 3 {
            return self.on_all(choices);
        }
        let index = choices.below(self.keys.len() as u64) as usize;
        let (args, after, reply) = self.on_one(index, choices);
        let mut state = self.state.to_vec();
        let changed = after.map(|slot| {
            state[index] = slot;
            state
        });
        Command { args, after: changed, reply }
    }

    fn value(&self, choices: &mut Choices) -> Vec<u8> {
        let padding = match choices.below(16) {
            15 => 3000 + choices.below(20_000),
            few => few * 4,
        };
        let mut value = format!("{}-", self.serial).into_bytes();
        value.resize(value.len() + padding as usize, b'x');
        value
    }

    fn on_one(&self, index: usize, choices: &mut Choices) -> (Vec<Vec<u8>>, Option<Slot>, Value) {
        let (key, before) = (self.keys[index].as_str(), &self.state[index]);
        let words =
            |words: &[&str]| -> Vec<Vec<u8>> { words.iter().map(|word| word.as_bytes().to_vec()).collect() };
        let ok = || Value::Simple("OK".into());
        let flag = |is: bool| Value::Integer(i64::from(is));
        let there = before.is_some();
        let ends = before.as_ref().and_then(|held| held.ends);
        let held = |value: Vec<u8>, ends: Option<Ends>| Some(Some(Held { value, ends }));
        let soon = self.now + 1 + choices.below(20);
        let later = self.now + HOUR_MS + choices.below(1000);
        if choices.below(30) == 29 {
            return self.restored(key, before, choices);
        }
        match choices.below(29) {
            0..=3 => {
                let value = self.value(choices);
                ([words(&["SET", key]), vec![value.clone()]].concat(), held(value, None), ok())
            }
            4 => (words(&["GET", key]), None, bulk(before)),
            5 => {
                let (value, at) = (self.value(choices), choices.of(&[later, soon]));
                let tail = words(&["PXAT", &at.to_string()]);
                (
                    [words(&["SET", key]), vec![value.clone()], tail].concat(),
                    held(value, Some(Ends::at(at))),
                    ok(),
                )
            }
            6 => {
                let (value, seconds) = (self.value(choices), 3600 + choices.below(9));
                let tail = words(&["EX", &seconds.to_string()]);
                let from_now = self.now + seconds * 1000;
                let ends = Ends { earliest: from_now, latest: from_now + FLIGHT_MS };
                ([words(&["SET", key]), vec![value.clone()], tail].concat(), held(value, Some(ends)), ok())
            }
            7 => {
                let value = self.value(choices);
                let tail = words(&["KEEPTTL"]);
                ([words(&["SET", key]), vec![value.clone()], tail].concat(), held(value, ends), ok())
            }
            8 => {
                let (value, condition) = (self.value(choices), choices.of(&["NX", "XX"]));
                let is_set = there == (condition == "XX");
                let args = [words(&["SET", key]), vec![value.clone()], words(&[condition])].concat();
                if is_set { (args, held(value, None), ok()) } else { (args, None, Value::Null) }
            }
            9 => {
                let value = self.value(choices);
                let args = [words(&["SET", key]), vec![value.clone()], words(&["GET"])].concat();
                (args, held(value, None), bulk(before))
            }
            10 => {
                let value = self.value(choices);
                let args = [words(&["SETNX", key]), vec![value.clone()]].concat();
                (args, if there { None } else { held(value, None) }, flag(!there))
            }
            11 => (words(&["GETDEL", key]), there.then_some(None), bulk(before)),
            12 => {
                let args = words(&["GETEX", key, "PXAT", &soon.to_string()]);
                (
                    args,
                    before.clone().map(|was| Some(Held { ends: Some(Ends::at(soon)), ..was })),
                    bulk(before),
                )
            }
            13 => {
                let after = before
                    .clone()
                    .filter(|was| was.ends.is_some())
                    .map(|was| Some(Held { ends: None, ..was }));
                let did = flag(after.is_some());
                (words(&["PERSIST", key]), after, did)
            }
            14..=16 if before.as_ref().is_none_or(|was| was.value.len() < LONG_BYTES) => {
                let suffix = format!("~{}", self.serial).into_bytes();
                let was = before.clone().unwrap_or(Held { value: Vec::new(), ends: None });
                let value = [was.value, suffix.clone()].concat();
                let length = Value::Integer(value.len() as i64);
                ([words(&["APPEND", key]), vec![suffix]].concat(), held(value, was.ends), length)
            }
            23..=25 if before.as_ref().is_none_or(|was| was.value.len() < LONG_BYTES) => {
                self.in_part(key, before, choices)
            }
            26 => {
                let value = self.value(choices);
                ([words(&["GETSET", key]), vec![value.clone()]].concat(), held(value, None), bulk(before))
            }
            17 | 18 => match before.as_ref().map_or(Some(0), |was| number(&was.value)) {
                Some(was) => {
                    let forms = [("INCRBY", 7), ("DECRBY", -3), ("INCRBY", 1_000_000), ("INCRBYFLOAT", 12)];
                    let (name, by) = choices.of(&forms);
                    let value = was + by;
                    let args = words(&[name, key, &by.abs().to_string()]);
                    let text = value.to_string().into_bytes();
                    let reply = match name {
                        "INCRBYFLOAT" => Value::Bulk(text.clone()),
                        _ => Value::Integer(value),
                    };
                    (args, held(text, ends), reply)
                }
                None => {
                    let value = self.serial.to_string();
                    (words(&["SET", key, &value]), held(value.into_bytes(), None), ok())
                }
            },
            19 => {
                let at = choices.of(&[later, soon, 1]);
                let after = before.clone().map(|was| match at {
                    1 => None,
                    _ => Some(Held { ends: Some(Ends::at(at)), ..was }),
                });
                (words(&["PEXPIREAT", key, &at.to_string()]), after, flag(there))
            }
            20 => {
                let from_now = self.now + HOUR_MS;
                let ends = Ends { earliest: from_now, latest: from_now + FLIGHT_MS };
                let after = before.clone().map(|was| Some(Held { ends: Some(ends), ..was }));
                (words(&["EXPIRE", key, "3600"]), after, flag(there))
            }
            21 => (words(&["EXISTS", key]), None, flag(there)),
            22 => {
                let (value, (name, time, ms)) = (
                    self.value(choices),
                    choices.of(&[("SETEX", "3600", HOUR_MS), ("PSETEX", "3600000", HOUR_MS)]),
                );
                let ends = Ends { earliest: self.now + ms, latest: self.now + ms + FLIGHT_MS };
                ([words(&[name, key, time]), vec![value.clone()]].concat(), held(value, Some(ends)), ok())
            }
            _ => (words(&[choices.of(&["DEL", "UNLINK"]), key]), there.then_some(None), flag(there)),
        }
    }

    /// Changes a part of a string: the last bytes become those of this command's number, or a bit behind the end a one.
    fn in_part(
        &self,
        key: &str,
        before: &Slot,
        choices: &mut Choices,
    ) -> (Vec<Vec<u8>>, Option<Slot>, Value) {
        let mut held = before.clone().unwrap_or(Held { value: Vec::new(), ends: None });
        let (serial, length) = (self.serial.to_string(), held.value.len());
        let mut overwrite = |place: usize, bytes: &[u8]| {
            held.value.resize(held.value.len().max(place + bytes.len()), 0);
            held.value[place..place + bytes.len()].copy_from_slice(bytes);
            held.value.len()
        };
        let (args, reply) = match choices.below(3) {
            0 => {
                let place = length.saturating_sub(3);
                let length = Value::Integer(overwrite(place, serial.as_bytes()) as i64);
                (vec!["SETRANGE".into(), key.into(), place.to_string(), serial], length)
            }
            1 => {
                let place = length + choices.below(3) as usize;
                overwrite(place, &[1]);
                let bit = (8 * place + 7).to_string();
                (vec!["SETBIT".into(), key.into(), bit, "1".into()], Value::Integer(0))
            }
            _ => {
                // Two integers with a gap between: one effect, or two.
                let places = [length, length + [2, 100][choices.below(2) as usize]];
                let mut args: Vec<String> = vec!["BITFIELD".into(), key.into()];
                for place in places {
                    overwrite(place, &(self.serial as u32).to_be_bytes());
                    let (offset, value) = ((8 * place).to_string(), (self.serial as u32).to_string());
                    args.extend(["SET".into(), "u32".into(), offset, value]);
                }
                let old = if places[1] == length + 2 { i64::from(self.serial as u16) << 16 } else { 0 };
                (args, Value::Array(vec![Value::Integer(0), Value::Integer(old)]))
            }
        };
        (args.into_iter().map(String::into_bytes).collect(), Some(Some(held)), reply)
    }

    /// RESTORE, of a payload that says the value as SET would.
    fn restored(
        &self,
        key: &str,
        before: &Slot,
        choices: &mut Choices,
    ) -> (Vec<Vec<u8>>, Option<Slot>, Value) {
        let (value, at) = (self.value(choices), choices.of(&[0, self.now + HOUR_MS, 1]));
        let payload = encode_string(&value, choices.below(2) == 1);
        let replaces = choices.below(4) > 0;
        let mut args =
            vec![b"RESTORE".to_vec(), key.into(), at.to_string().into(), payload, b"ABSTTL".to_vec()];
        if replaces {
            args.push(b"REPLACE".to_vec());
        }
        if before.is_some() && !replaces {
            return (args, None, Value::Error("BUSYKEY Target key name already exists.".into()));
        }
        let after = match at {
            1 => before.as_ref().map(|_| None), // ended long ago
            0 => Some(Some(Held { value, ends: None })),
            at => Some(Some(Held { value, ends: Some(Ends::at(at)) })),
        };
        (args, after, Value::Simple("OK".into()))
    }

    /// On all keys of the item, or from one to another.
    fn on_all(&self, choices: &mut Choices) -> Command {
        let named = |name: &str| -> Vec<Vec<u8>> {
            let keys = self.keys.iter().map(|key| key.as_bytes().to_vec());
            std::iter::once(name.as_bytes().to_vec()).chain(keys).collect()
        };
        let count = self.state.iter().flatten().count() as i64;
        let empty = || vec![None; self.keys.len()];
        match choices.below(11) {
            0..=3 => self.set_all("MSET", Value::Simple("OK".into()), choices),
            4 if count == 0 => self.set_all("MSETNX", Value::Integer(1), choices),
            4 => Command { after: None, ..self.set_all("MSETNX", Value::Integer(0), choices) },
            5 => {
                let name = choices.of(&["DEL", "UNLINK"]);
                Command { args: named(name), after: (count > 0).then(empty), reply: Value::Integer(count) }
            }
            6 => {
                let values = self.state.iter().map(bulk).collect();
                Command { args: named("MGET"), after: None, reply: Value::Array(values) }
            }
            7 => Command { args: named("EXISTS"), after: None, reply: Value::Integer(count) },
            8 => self.invert_one(choices),
            _ => self.move_one(choices),
        }
    }

    fn set_all(&self, name: &str, reply: Value, choices: &mut Choices) -> Command {
        let value = self.value(choices);
        let mut args = vec![name.as_bytes().to_vec()];
        for key in self.keys {
            args.extend([key.as_bytes().to_vec(), value.clone()]);
        }
        let after = self.keys.iter().map(|_| Some(Held { value: value.clone(), ends: None })).collect();
        Command { args, after: Some(after), reply }
    }

    /// BITOP NOT of one key, stored at another.
    fn invert_one(&self, choices: &mut Choices) -> Command {
        let keys = self.keys.len() as u64;
        let (from, to) = (choices.below(keys) as usize, choices.below(keys) as usize);
        let source = self.state[from].as_ref().map_or(&b""[..], |held| &held.value);
        let result: Vec<u8> = source.iter().map(|byte| !byte).collect();
        let words = ["BITOP", "NOT", &self.keys[to], &self.keys[from]];
        let reply = Value::Integer(result.len() as i64);
        let after = (!result.is_empty() || self.state[to].is_some()).then(|| {
            let mut state = self.state.to_vec();
            state[to] = (!result.is_empty()).then_some(Held { value: result, ends: None });
            state
        });
        Command { args: words.map(|word| word.as_bytes().to_vec()).to_vec(), after, reply }
    }

    /// RENAME, RENAMENX, COPY.
    fn move_one(&self, choices: &mut Choices) -> Command {
        let keys = self.keys.len() as u64;
        let from = choices.below(keys) as usize;
        let to = (from + 1 + choices.below(keys - 1) as usize) % self.keys.len();
        let command = choices.of(&["RENAME", "RENAMENX", "COPY", "COPY REPLACE"]);
        let (is_copy, replaces) =
            (command.starts_with("COPY"), command == "RENAME" || command == "COPY REPLACE");
        let mut args: Vec<Vec<u8>> = vec![command.split(' ').next().unwrap_or(command).into()];
        args.extend([self.keys[from].clone().into(), self.keys[to].clone().into()]);
        args.extend(command.split(' ').skip(1).map(Into::into));
        let is_done = self.state[from].is_some() && (replaces || self.state[to].is_none());
        let reply = match command {
            "RENAME" if is_done => Value::Simple("OK".into()),
            "RENAME" | "RENAMENX" if self.state[from].is_none() => Value::Error("ERR no such key".into()),
            _ => Value::Integer(i64::from(is_done)),
        };
        let after = is_done.then(|| {
            let mut state = self.state.to_vec();
            state[to] = state[from].clone();
            if !is_copy {
                state[from] = None;
            }
            state
        });
        Command { args, after, reply }
    }
}

fn bulk(slot: &Slot) -> Value {
    slot.as_ref().map_or(Value::Null, |held| Value::Bulk(held.value.clone()))
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok().filter(|number: &i64| number.abs() < 1 << 50)
}
