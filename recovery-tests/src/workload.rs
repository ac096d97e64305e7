//! One client's stream of commands. Each reply is checked: a client alone writes its keys, so it knows what to expect.
//!
//! Items: plain keys (SET, DEL, GETDEL, APPEND), counters (INCR), counters that expire first and are counted anew,
//! groups that MSET writes together, pairs between which RENAME moves a value, and copies made by COPY.

use std::io;
use std::time::Duration;

use formats::resp::Value;

use crate::client::Client;
use crate::model::Item;
use crate::random::Random;

const KEYS: usize = 24;
const COUNTERS: usize = 8;
const GROUPS: usize = 6;
const GROUP_KEYS: usize = 5;
const PAIRS: usize = 6;
/// Values longer than this are replaced rather than appended to.
const LONG: usize = 200;

type Text = Option<String>;

/// What a command wrote to, so that its acknowledgement can be noted.
#[derive(Clone, Copy)]
enum Wrote {
    Nothing,
    Key(usize),
    Counter(usize),
    Group(usize),
    Pair(usize),
}

/// One client.
pub struct Workload {
    name: String,
    random: Random,
    serial: u64,
    keys: Vec<Item<Text>>,
    counters: Vec<Item<Text>>,
    groups: Vec<Item<Text>>,
    /// The two keys of a pair: the value is in one of them.
    pairs: Vec<Item<(Text, Text)>>,
    /// Commands acknowledged.
    pub acknowledged: u64,
}

/// What ended a client's run.
#[derive(Debug)]
pub enum End {
    /// The connection: as it should be when the server is killed.
    Connection,
    /// All rounds were run.
    Finished,
    /// The server takes no writes.
    Refused,
    /// A reply that must not be.
    Wrong(String),
}

impl Workload {
    pub fn new(index: usize, seed: u64) -> Self {
        let items = |count| (0..count).map(|_| Item::new(None)).collect();
        Self {
            name: format!("c{index}"),
            random: Random::new(seed),
            serial: 0,
            keys: items(KEYS),
            counters: items(COUNTERS),
            groups: items(GROUPS),
            pairs: (0..PAIRS).map(|_| Item::new((None, None))).collect(),
            acknowledged: 0,
        }
    }

    fn key(&self, kind: &str, index: usize) -> String {
        format!("{}:{kind}{index}", self.name)
    }

    fn group_keys(&self, index: usize) -> Vec<String> {
        (0..GROUP_KEYS).map(|member| format!("{}:g{index}:{member}", self.name)).collect()
    }

    fn pair_keys(&self, index: usize) -> [String; 2] {
        [self.key("left", index), self.key("right", index)]
    }

    fn value(&mut self) -> String {
        self.serial += 1;
        let padding = self.random.below(60) as usize;
        format!("{}-{}", self.serial, "x".repeat(padding))
    }

    /// Sends commands until the connection ends.
    pub fn run(&mut self, client: &mut Client) -> End {
        self.run_rounds(client, u64::MAX)
    }

    /// Sends commands, a pipeline of them per round.
    pub fn run_rounds(&mut self, client: &mut Client, rounds: u64) -> End {
        for _ in 0..rounds {
            if let Err(end) = self.round(client) {
                return end;
            }
        }
        End::Finished
    }

    fn round(&mut self, client: &mut Client) -> Result<(), End> {
        let commands = 1 + self.random.below(12);
        let mut expected = Vec::new();
        for _ in 0..commands {
            let (args, reply, wrote) = self.command();
            client.queue(&args);
            expected.push((args, reply, wrote));
        }
        client.flush().map_err(|_| End::Connection)?;
        for (args, expected, wrote) in expected {
            let reply = client.reply().map_err(connection)?;
            if matches!(&reply, Value::Error(text) if text.starts_with("MISCONF ")) {
                return Err(End::Refused);
            }
            if reply != expected {
                return Err(End::Wrong(format!("{args:?} was answered {reply:?}, expected {expected:?}")));
            }
            self.acknowledge(wrote);
        }
        if self.random.below(16) == 0 {
            self.expire_and_count(client)?;
        }
        Ok(())
    }

    fn acknowledge(&mut self, wrote: Wrote) {
        self.acknowledged += 1;
        match wrote {
            Wrote::Nothing => {}
            Wrote::Key(index) => self.keys[index].acknowledge(),
            Wrote::Counter(index) => self.counters[index].acknowledge(),
            Wrote::Group(index) => self.groups[index].acknowledge(),
            Wrote::Pair(index) => self.pairs[index].acknowledge(),
        }
    }

    fn command(&mut self) -> (Vec<String>, Value, Wrote) {
        match self.random.below(10) {
            0..=4 => self.key_command(),
            5 => self.counter_command(),
            6 | 7 => self.group_command(),
            _ => self.pair_command(),
        }
    }

    fn key_command(&mut self) -> (Vec<String>, Value, Wrote) {
        let index = self.random.below(KEYS as u64) as usize;
        let key = self.key("k", index);
        let before = self.keys[index].latest().clone();
        let choice = self.random.below(6);
        let (args, reply, after) = match choice {
            0 => (vec!["DEL".into(), key], Value::Integer(i64::from(before.is_some())), None),
            1 => (vec!["GETDEL".into(), key], bulk(&before), None),
            2 => return (vec!["GET".into(), key], bulk(&before), Wrote::Nothing),
            3 if before.as_ref().is_none_or(|value| value.len() < LONG) => {
                let suffix = self.value();
                let after = before.unwrap_or_default() + &suffix;
                (vec!["APPEND".into(), key, suffix], Value::Integer(after.len() as i64), Some(after))
            }
            _ => {
                let value = self.value();
                (vec!["SET".into(), key, value.clone()], Value::Simple("OK".into()), Some(value))
            }
        };
        self.keys[index].issue(after);
        (args, reply, Wrote::Key(index))
    }

    fn counter_command(&mut self) -> (Vec<String>, Value, Wrote) {
        let index = self.random.below(COUNTERS as u64) as usize;
        let before: i64 = self.counters[index].latest().as_ref().map_or(0, |text| text.parse().unwrap_or(0));
        self.counters[index].issue(Some((before + 1).to_string()));
        (vec!["INCR".into(), self.key("n", index)], Value::Integer(before + 1), Wrote::Counter(index))
    }

    fn group_command(&mut self) -> (Vec<String>, Value, Wrote) {
        let index = self.random.below(GROUPS as u64) as usize;
        let keys = self.group_keys(index);
        if self.random.below(4) == 0 {
            let before = self.groups[index].latest().clone();
            let reply = Value::Array(keys.iter().map(|_| bulk(&before)).collect());
            return (std::iter::once("MGET".to_owned()).chain(keys).collect(), reply, Wrote::Nothing);
        }
        if self.random.below(8) == 0 {
            let there = self.groups[index].latest().is_some();
            self.groups[index].issue(None);
            let reply = Value::Integer(if there { GROUP_KEYS as i64 } else { 0 });
            return (std::iter::once("DEL".to_owned()).chain(keys).collect(), reply, Wrote::Group(index));
        }
        let value = self.value();
        let mut args = vec!["MSET".to_owned()];
        for key in keys {
            args.extend([key, value.clone()]);
        }
        self.groups[index].issue(Some(value));
        (args, Value::Simple("OK".into()), Wrote::Group(index))
    }

    fn pair_command(&mut self) -> (Vec<String>, Value, Wrote) {
        let index = self.random.below(PAIRS as u64) as usize;
        let [left, right] = self.pair_keys(index);
        let ok = Value::Simple("OK".into());
        let (args, after): (Vec<String>, _) = match self.pairs[index].latest().clone() {
            (None, None) => {
                let value = self.value();
                (vec!["SET".into(), left, value.clone()], (Some(value), None))
            }
            (Some(value), None) => (vec!["RENAME".into(), left, right], (None, Some(value))),
            (None, Some(value)) => (vec!["RENAME".into(), right, left], (Some(value), None)),
            (Some(_), Some(_)) => unreachable!("a pair has one value"),
        };
        self.pairs[index].issue(after);
        (args, ok, Wrote::Pair(index))
    }

    /// A counter expires and is counted anew: its old value must not come back.
    fn expire_and_count(&mut self, client: &mut Client) -> Result<(), End> {
        let index = self.random.below(COUNTERS as u64) as usize;
        let key = self.key("n", index);
        // From here on until the INCR is issued the counter may be found at 900, or gone, or as before.
        self.counters[index].issue(Some("900".into()));
        self.counters[index].issue(None);
        let reply = client.call(&["SET", &key, "900", "PX", "1"]).map_err(connection)?;
        if matches!(&reply, Value::Error(text) if text.starts_with("MISCONF ")) {
            return Err(End::Refused);
        }
        if reply != Value::Simple("OK".into()) {
            return Err(End::Wrong(format!("SET PX was answered {reply:?}")));
        }
        self.counters[index].acknowledge();
        std::thread::sleep(Duration::from_millis(3));
        self.counters[index].acknowledge();
        self.counters[index].issue(Some("1".into()));
        // Both make it 1. INCR's effect says so; APPEND's says only what was added, so that a replay needs the deletion.
        let (command, rest): (_, &[&str]) =
            if self.random.below(2) == 0 { ("INCR", &[]) } else { ("APPEND", &["1"]) };
        let args = [&[command, &key], rest].concat();
        let reply = client.call(&args).map_err(connection)?;
        if matches!(&reply, Value::Error(text) if text.starts_with("MISCONF ")) {
            return Err(End::Refused);
        }
        if reply != Value::Integer(1) {
            return Err(End::Wrong(format!("{command} of an expired key was answered {reply:?}")));
        }
        self.counters[index].acknowledge();
        self.acknowledged += 2;
        Ok(())
    }

    /// Compares what is there after a restart with what may be there.
    ///
    /// # Errors
    /// Each violation, with the key.
    pub fn check(&mut self, client: &mut Client) -> io::Result<Vec<String>> {
        let mut violations = Vec::new();
        for (kind, count) in [("k", KEYS), ("n", COUNTERS)] {
            for index in 0..count {
                let key = self.key(kind, index);
                let found = text(client.call(&["GET", &key])?);
                let item = if kind == "k" { &mut self.keys[index] } else { &mut self.counters[index] };
                // A counter that stood at 900 has expired by now.
                note(&mut violations, &key, item.found(found.filter(|value| value != "900")));
            }
        }
        for index in 0..GROUPS {
            let mut found = Vec::new();
            for key in self.group_keys(index) {
                found.push(text(client.call(&["GET", &key])?));
            }
            let name = format!("{}:g{index}", self.name);
            if found.iter().any(|value| *value != found[0]) {
                violations.push(format!("{name}: half of a transaction: {found:?}"));
            } else {
                note(&mut violations, &name, self.groups[index].found(found[0].clone()));
            }
        }
        for index in 0..PAIRS {
            let [left, right] = self.pair_keys(index);
            let found = (text(client.call(&["GET", &left])?), text(client.call(&["GET", &right])?));
            note(&mut violations, &left, self.pairs[index].found(found));
        }
        Ok(violations)
    }
}

fn connection(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::InvalidData => End::Wrong(error.to_string()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => End::Wrong("no reply within 30 s".into()),
        _ => End::Connection,
    }
}

fn note(violations: &mut Vec<String>, key: &str, result: Result<(), String>) {
    if let Err(violation) = result {
        violations.push(format!("{key}: {violation}"));
    }
}

fn bulk(text: &Text) -> Value {
    text.as_ref().map_or(Value::Null, |text| Value::Bulk(text.clone().into_bytes()))
}

fn text(value: Value) -> Text {
    match value {
        Value::Null => None,
        Value::Bulk(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(format!("{other:?}")),
    }
}
