//! One client's stream of commands. Each reply is checked: a client alone writes its keys, so it knows what to expect.
//!
//! ```text
//! layout     which keys a client has
//! commands   draws a command, and what its reply and its keys will be
//! ```
//!
//! What may be found after a crash is for [`crate::clients::model`] to say, and [`crate::clients::checker`] compares.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use formats::resp::Value;

use crate::client::Client;
use crate::clients::model::{Promise, State, Stored, ends_fit, shown};
use crate::random::Random;

mod commands;
#[cfg(test)]
mod coverage_tests;
pub mod layout;

pub use commands::unix_ms;
use commands::{Expected, Issued};
use layout::{Kind, Slot};

/// Another client's key was seen to hold a value.
#[derive(Clone, Debug)]
pub struct Sight {
    pub client: usize,
    pub slot: usize,
    pub place: usize,
    pub value: String,
}

/// One client.
pub struct Workload {
    pub(crate) client: usize,
    only_reads: bool,
    random: Random,
    serial: u64,
    /// Commands that wrote something, so far.
    pub(crate) steps: u64,
    pub(crate) slots: Vec<Slot>,
    /// Steps that wrote several items, with them.
    pub(crate) wide_steps: Vec<(u64, Vec<usize>)>,
    /// The last commands that it sent, for the text of a violation.
    recent: VecDeque<Issued>,
    /// Other clients, whose keys it reads.
    peers: usize,
    /// What it saw of others since the last look.
    pub sights: Vec<Sight>,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// Writes refused.
    pub refused: u64,
    /// Longest wait for a reply, since it was last asked.
    pub slowest: Duration,
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

/// After so long a key that ends in a millisecond has ended.
const EXPIRY: Duration = Duration::from_millis(3);

/// So many of the last commands are kept.
const RECENT: usize = 20;

/// One of so many clients only reads.
const READERS: usize = 4;
/// What PEXPIRETIME answers for a key that is not there.
const GONE: i64 = -2;

fn is_refusal(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if text.starts_with("MISCONF "))
}

impl Workload {
    pub fn new(client: usize, seed: u64) -> Self {
        Self::among(client, 1, seed)
    }

    /// One of `clients` that read each other's keys. Some do nothing else: a reader's replies wait for no write of its own.
    pub fn among(client: usize, clients: usize, seed: u64) -> Self {
        Self {
            client,
            only_reads: clients > 1 && client % READERS == READERS - 1,
            random: Random::new(seed),
            serial: 0,
            steps: 0,
            slots: layout::slots(client),
            wide_steps: Vec::new(),
            recent: VecDeque::new(),
            peers: clients - 1,
            sights: Vec::new(),
            acknowledged: 0,
            refused: 0,
            slowest: Duration::ZERO,
        }
    }

    /// Sends commands until the connection ends.
    pub fn run(&mut self, client: &mut Client) -> End {
        self.run_rounds(client, u64::MAX)
    }

    /// Sends commands, a pipeline of them per round. What an earlier run left unknown is read first.
    pub fn run_rounds(&mut self, client: &mut Client, rounds: u64) -> End {
        if let Err(end) = self.resync(client) {
            return end;
        }
        for _ in 0..rounds {
            if let Err(end) = self.round(client) {
                return end;
            }
        }
        End::Finished
    }

    fn round(&mut self, client: &mut Client) -> Result<(), End> {
        let count = 1 + self.random.below(12) as usize;
        let mut pipeline = Vec::new();
        while pipeline.len() < count {
            self.commands(&mut pipeline);
        }
        self.send(client, pipeline)?;
        if self.only_reads {
            return Ok(());
        }
        match self.random.below(32) {
            0 => self.expire_and_count(client, "PX"),
            1 => self.expire_and_count(client, "PEXPIRE"),
            _ => Ok(()),
        }
    }

    /// Sends commands in one go, and checks their replies.
    fn send(&mut self, client: &mut Client, pipeline: Vec<Issued>) -> Result<(), End> {
        let end = self.exchange(client, &pipeline);
        self.recent.extend(pipeline);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        end
    }

    /// For a violation: which of the client's last commands wrote an item.
    pub(crate) fn recent_writes(&self, slot: usize) -> String {
        let words =
            |issued: &Issued| issued.args.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" ");
        let wrote = self.recent.iter().filter(|issued| issued.wrote.contains(&slot));
        wrote.map(|issued| format!("\n    sent as step {}: {}", issued.step, words(issued))).collect()
    }

    fn exchange(&mut self, client: &mut Client, pipeline: &[Issued]) -> Result<(), End> {
        for issued in pipeline {
            client.queue(&issued.args);
        }
        let sent = Instant::now();
        client.flush().map_err(|_| End::Connection)?;
        let mut refused = Vec::new();
        for issued in pipeline {
            let reply = client.reply().map_err(connection)?;
            self.slowest = self.slowest.max(sent.elapsed());
            if is_refusal(&reply) {
                refused.push(issued);
            } else if refused.is_empty() {
                self.check_reply(issued, &reply)?;
            }
            // Behind a refusal other replies come than were expected.
        }
        self.note_refusals(pipeline, &refused)
    }

    fn check_reply(&mut self, issued: &Issued, reply: &Value) -> Result<(), End> {
        let wrong = || {
            let text = format!("{:?} was answered {reply:?}, expected {:?}", issued.args, issued.expected);
            Err(End::Wrong(text))
        };
        match (&issued.expected, reply) {
            (Expected::Exactly(expected), _) if reply != expected => return wrong(),
            (Expected::Exactly(_), _) => {}
            (Expected::Ends(ends), Value::Integer(found)) if ends_fit(Some(*ends), Some(*found as u64)) => {}
            (Expected::Shown { .. } | Expected::ShownAlike { .. }, Value::Null) => {}
            (&Expected::Shown { client, slot, place }, Value::Bulk(bytes)) => {
                self.see(client, slot, place, bytes)
            }
            (&Expected::ShownAlike { client, slot }, Value::Array(values)) => match &values[..] {
                [first, rest @ ..] if rest.iter().all(|value| value == first) => {
                    if let Value::Bulk(bytes) = first {
                        self.see(client, slot, 0, bytes);
                    }
                }
                _ => return wrong(),
            },
            _ => return wrong(),
        }
        for slot in &issued.wrote {
            self.slots[*slot].item.acknowledge(issued.step);
        }
        self.acknowledged += 1;
        Ok(())
    }

    fn see(&mut self, client: usize, slot: usize, place: usize, value: &[u8]) {
        let value = String::from_utf8_lossy(value).into_owned();
        self.sights.push(Sight { client, slot, place, value });
    }

    /// FLUSHALL, while no client has a command under way: it empties what all of them have.
    /// Answers whether it was replied to within `patience`; if not, nobody may send more to this server.
    ///
    /// # Errors
    /// The reply is neither OK nor a refusal.
    pub fn flush_all(
        workloads: &mut [Workload],
        client: &mut Client,
        patience: Duration,
    ) -> Result<bool, String> {
        workloads.iter_mut().for_each(Self::issue_flush);
        // Nothing is known of it when the connection ends.
        let reply = match client.send(&["FLUSHALL"]).and_then(|()| client.reply_within(patience)) {
            Ok(Some(reply)) => reply,
            Ok(None) | Err(_) => return Ok(false),
        };
        let is_done = reply == Value::Simple("OK".into());
        if !is_done && !is_refusal(&reply) {
            return Err(format!("FLUSHALL was answered {reply:?}"));
        }
        for workload in workloads {
            let step = workload.steps;
            for slot in &mut workload.slots {
                if is_done { slot.item.acknowledge(step) } else { slot.item.refuse(step) }
            }
        }
        Ok(true)
    }

    fn issue_flush(&mut self) {
        self.steps += 1;
        for slot in &mut self.slots {
            slot.item.issue(self.steps, vec![None; slot.keys.len()]);
        }
        let all: Vec<usize> = (0..self.slots.len()).collect();
        self.wide_steps.push((self.steps, all.clone()));
        let expected = Expected::Exactly(Value::Simple("OK".into()));
        self.recent.push_back(Issued {
            args: vec!["FLUSHALL".into()],
            expected,
            step: self.steps,
            wrote: all,
        });
    }

    /// A refused command did nothing. If it was the last of its pipeline that is known to be all; else what came behind it met
    /// another state than was thought.
    fn note_refusals(&mut self, pipeline: &[Issued], refused: &[&Issued]) -> Result<(), End> {
        let Some(first) = refused.first() else { return Ok(()) };
        self.refused += refused.len() as u64;
        let place = pipeline.iter().position(|issued| std::ptr::eq(issued, *first)).unwrap_or(0);
        let behind = &pipeline[place..];
        for slot in behind.iter().flat_map(|issued| &issued.wrote) {
            match behind {
                [only] => self.slots[*slot].item.refuse(only.step),
                _ => self.slots[*slot].item.confuse(),
            }
        }
        Err(End::Refused)
    }

    /// Reads the items of which is not known what they are.
    fn resync(&mut self, client: &mut Client) -> Result<(), End> {
        if self.slots.iter().all(|slot| !slot.item.is_unknown()) {
            return Ok(());
        }
        let states = self.read_all(client).map_err(connection)?;
        std::thread::sleep(EXPIRY); // of counters that are about to end
        for (slot, state) in self.slots.iter_mut().zip(states) {
            if slot.item.is_unknown() {
                self.steps += 1;
                slot.item.resync(self.steps, state);
            }
        }
        Ok(())
    }

    /// What the client's keys hold now, with when they end.
    pub fn read_all(&self, client: &mut Client) -> io::Result<Vec<State>> {
        for slot in &self.slots {
            client.queue(&["SELECT", &slot.database.to_string()]);
            for key in &slot.keys {
                client.queue(&["GET", key]);
                client.queue(&["PEXPIRETIME", key]);
            }
        }
        client.queue(&["SELECT", "0"]);
        client.flush()?;
        let mut states = Vec::new();
        for slot in &self.slots {
            let _selected = client.reply()?;
            let mut state = State::new();
            for _ in &slot.keys {
                let (value, ends) = (client.reply()?, client.reply()?);
                let stored = match ends {
                    Value::Integer(GONE) => None, // it may have expired in between
                    Value::Integer(ends) => {
                        text(value).map(|value| Stored { value, ends: u64::try_from(ends).ok() })
                    }
                    other => {
                        Some(Stored { value: format!("PEXPIRETIME was answered {other:?}"), ends: None })
                    }
                };
                state.push(stored);
            }
            states.push(state);
        }
        client.reply().map(|_selected| states)
    }

    /// A counter expires and is counted anew: its old value must not come back.
    fn expire_and_count(&mut self, client: &mut Client, how: &str) -> Result<(), End> {
        let slot = self.draw_slot(Kind::Counter);
        let key = self.slots[slot].keys[0].clone();
        let near = |ends| vec![Some(Stored { value: "900".into(), ends })];
        let (ok, ends) = (Value::Simple("OK".into()), Some(unix_ms() + 1));
        let first = if how == "PX" {
            vec![self.note(&["SET", &key, "900", "PX", "1"], ok, slot, near(ends))]
        } else {
            let set = self.note(&["SET", &key, "900"], ok, slot, near(None));
            vec![set, self.note(&["PEXPIRE", &key, "1"], Value::Integer(1), slot, near(ends))]
        };
        self.send(client, first)?;
        std::thread::sleep(EXPIRY);
        // INCR's effect says that it is 1; APPEND's says only what was added, so that a replay needs the deletion.
        let one = vec![Some(Stored { value: "1".into(), ends: None })];
        let (command, rest): (_, &[&str]) =
            if self.random.below(2) == 0 { ("INCR", &[]) } else { ("APPEND", &["1"]) };
        let again = self.note(&[&[command, &key], rest].concat(), Value::Integer(1), slot, one);
        self.send(client, vec![again])
    }

    fn note(&mut self, args: &[&str], reply: Value, slot: usize, next: State) -> Issued {
        self.steps += 1;
        self.slots[slot].item.issue(self.steps, next);
        let args = args.iter().map(|word| (*word).to_owned()).collect();
        Issued { args, expected: Expected::Exactly(reply), step: self.steps, wrote: vec![slot] }
    }

    /// Compares what is there after a crash with what may be there, where nothing acknowledged may be lost.
    pub fn check(&mut self, client: &mut Client) -> io::Result<Vec<String>> {
        crate::clients::checker::check(std::slice::from_mut(self), client, Promise::All)
    }
}

fn connection(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::InvalidData => End::Wrong(error.to_string()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => End::Wrong("no reply within 30 s".into()),
        _ => End::Connection,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bulk(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(format!("{other:?}")),
    }
}
