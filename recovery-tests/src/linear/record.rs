//! Clients of a server, and everything they did and saw, written down as a history.
//!
//! Invariants:
//! 1. A command's invocation is noted before its first byte is sent, its answer after its last byte was read.
//! 2. A command that the server refused (`-MISCONF`, `-LOADING`) is not in the history: it must not have changed
//!    anything, and if it did, nothing in the history explains that.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use formats::resp::Value;

use super::command::{Command, Key};
use super::history::{History, Moment, Operation, Outcome, Promise};
use super::script::{Mix, Script};
use super::spec::State;
use crate::client::Client;
use crate::random::Random;

/// Replies that say: not done.
const REFUSALS: [&str; 2] = ["MISCONF ", "LOADING "];

/// Writes down one history, across crashes.
pub struct Recorder {
    moments: AtomicU64,
    mix: Mix,
    /// Their names on the wire.
    names: Vec<String>,
    history: History,
    refused: u64,
    /// Connections so far: each is a client of its own.
    connections: usize,
}

/// What one connection did.
struct Record {
    operations: Vec<Operation>,
    refused: u64,
    end: io::Result<()>,
}

impl Recorder {
    /// The keys' names, and with them their shards, are drawn.
    pub fn new(mix: Mix, promise: Promise, random: &mut Random) -> Self {
        let names = (0..mix.keys).map(|key| format!("{}{}", Key(key), random.below(1000))).collect();
        let history = History::new(State::empty(usize::from(mix.keys)), promise);
        Self { moments: AtomicU64::new(0), mix, names, history, refused: 0, connections: 0 }
    }

    /// Runs concurrent clients until they are through or their connections end; one of them begins by reading everything.
    /// `meanwhile` runs beside them; it is told how many moments have passed and whether all clients have ended. Answers
    /// what that answers, and how the first connection ended that ended early.
    pub fn run_clients<T>(
        &mut self,
        address: SocketAddr,
        random: &mut Random,
        meanwhile: impl FnOnce(&dyn Fn() -> (Moment, bool)) -> T,
    ) -> (T, io::Result<()>) {
        let scripts: Vec<(usize, Vec<Command>, Script)> = (0..self.mix.clients)
            .map(|index| {
                let client = self.connections + index;
                let first = if index == 0 { self.reads() } else { Vec::new() };
                (client, first, Script::new(self.mix.clone(), client, Random::new(random.draw())))
            })
            .collect();
        self.connections += self.mix.clients;
        let (moments, names, operations) = (&self.moments, &self.names, self.mix.operations);
        let (seen, records) = std::thread::scope(|scope| {
            let clients: Vec<_> = scripts
                .into_iter()
                .map(|(client, first, script)| {
                    let wire = Wire { client, moments, names };
                    scope.spawn(move || wire.run(address, first, script, operations))
                })
                .collect();
            let progress = || {
                (
                    moments.load(Ordering::SeqCst),
                    clients.iter().all(std::thread::ScopedJoinHandle::is_finished),
                )
            };
            let seen = meanwhile(&progress);
            let records: Vec<Record> =
                clients.into_iter().map(|client| client.join().expect("a client does not panic")).collect();
            (seen, records)
        });
        let mut end = Ok(());
        for record in records {
            self.keep(record, &mut end);
        }
        (seen, end)
    }

    /// Reads everything, as one more client.
    ///
    /// # Errors
    /// The connection ended.
    pub fn read_all(&mut self, address: SocketAddr) -> io::Result<()> {
        let wire = Wire { client: self.connections, moments: &self.moments, names: &self.names };
        self.connections += 1;
        let record = wire.run(address, self.reads(), Script::new(self.mix.clone(), 0, Random::new(0)), 0);
        let mut end = Ok(());
        self.keep(record, &mut end);
        end
    }

    /// Commands that show all there is.
    fn reads(&self) -> Vec<Command> {
        let keys: Vec<Key> = (0..self.mix.keys).map(Key).collect();
        let times = keys.iter().copied().map(Command::Ttl);
        if self.mix.single_keys {
            return keys.iter().copied().map(Command::Get).chain(times).collect();
        }
        [Command::MGet(keys.clone()), Command::Keys].into_iter().chain(times).collect()
    }

    /// Notes that the server ended, with all its connections.
    pub fn crash(&mut self) {
        self.history.crashes.push(self.moments.fetch_add(1, Ordering::SeqCst));
    }

    fn keep(&mut self, record: Record, end: &mut io::Result<()>) {
        self.history.operations.extend(record.operations);
        self.refused += record.refused;
        if end.is_ok() {
            *end = record.end;
        }
    }

    /// The history, and how many commands the server refused.
    pub fn finish(self) -> (History, u64) {
        (self.history, self.refused)
    }
}

/// How one client writes down what it does.
#[derive(Clone, Copy)]
struct Wire<'a> {
    client: usize,
    moments: &'a AtomicU64,
    names: &'a [String],
}

impl Wire<'_> {
    fn moment(&self) -> Moment {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }

    /// Sends the commands of `first` one by one, and then so many of the script.
    fn run(&self, address: SocketAddr, first: Vec<Command>, mut script: Script, operations: u64) -> Record {
        let mut record = Record { operations: Vec::new(), refused: 0, end: Ok(()) };
        let total = first.len() as u64 + operations;
        record.end = Client::connect(address).and_then(|mut client| {
            for command in first {
                self.send(&mut client, vec![command], &mut record)?;
            }
            while record.operations.len() as u64 + record.refused < total {
                self.send(&mut client, script.pipeline(), &mut record)?;
            }
            Ok(())
        });
        record
    }

    /// Sends commands at once and waits for their replies.
    fn send(&self, client: &mut Client, commands: Vec<Command>, record: &mut Record) -> io::Result<()> {
        for command in &commands {
            client.queue(&command.words(|key| self.names[usize::from(key.0)].clone()));
        }
        let invoked = self.moment();
        let mut end = client.flush();
        for command in commands {
            let mut outcome = Outcome::Unknown;
            if end.is_ok() {
                match client.reply() {
                    Ok(reply) if is_refusal(&reply) => {
                        record.refused += 1;
                        continue;
                    }
                    Ok(reply) => {
                        outcome = Outcome::Answered { at: self.moment(), reply: self.plain(&command, reply) };
                    }
                    Err(error) => end = Err(error),
                }
            }
            record.operations.push(Operation { client: self.client, command, invoked, outcome });
        }
        end
    }

    /// A reply without what the specification does not tell: keys by their letters and in order, times to live as 1.
    fn plain(&self, command: &Command, reply: Value) -> Value {
        match (command, reply) {
            (Command::Ttl(_), Value::Integer(seconds)) => Value::Integer(seconds.min(1)),
            (Command::Keys, Value::Array(found)) => {
                let mut letters: Vec<Vec<u8>> = found.into_iter().map(|name| self.letter(name)).collect();
                letters.sort();
                Value::Array(letters.into_iter().map(Value::Bulk).collect())
            }
            (_, reply) => reply,
        }
    }

    /// A key's letter; a name that is nobody's stays as it is, and nothing explains it.
    fn letter(&self, name: Value) -> Vec<u8> {
        let Value::Bulk(name) = name else { return format!("{name:?}").into_bytes() };
        match (0..).map(Key).zip(self.names).find(|(_, ours)| ours.as_bytes() == name) {
            Some((key, _)) => key.to_string().into_bytes(),
            None => name,
        }
    }
}

fn is_refusal(reply: &Value) -> bool {
    matches!(reply, Value::Error(text) if REFUSALS.iter().any(|refusal| text.starts_with(refusal)))
}
