//! What a client of a recorded history does, chosen by a seed.
//!
//! Which kinds of commands there are at all is drawn anew for each history: a few kinds often meet in ways that a mixture
//! of everything seldom shows (Groce and others, "Swarm testing", 2012).

use super::command::{BitOperation, Command, Condition, Expiry, Key};
use crate::random::Random;

/// Kinds of commands, by number: see [`Script::command`].
const KINDS: u64 = 21;
const SINGLE_KEY_KINDS: u64 = 11;
/// Kinds about the whole database come seldom: they join all keys, and leave nothing behind.
const WHOLE_DATABASE_FROM: u64 = 18;

/// What the clients of one history have in common.
#[derive(Clone, Debug)]
pub struct Mix {
    pub keys: u8,
    pub clients: usize,
    /// Operations of each client.
    pub operations: u64,
    /// Most commands that are sent at once.
    pub pipeline: u64,
    /// There are no commands that join keys.
    pub single_keys: bool,
    kinds: Vec<u64>,
}

impl Mix {
    /// Up to `most` operations per client, on keys that nothing joins or any.
    pub fn new(random: &mut Random, most: u64, single_keys: bool) -> Self {
        let last = if single_keys { SINGLE_KEY_KINDS } else { KINDS };
        // From two or three kinds to half of them.
        let one_in = [2, 4, 8][random.below(3) as usize];
        let mut kinds: Vec<u64> = (0..last).filter(|_| random.below(one_in) == 0).collect();
        // Without these there is nothing to be seen.
        kinds.extend([0, 1]);
        Self {
            keys: 1 + random.below(4) as u8,
            clients: 2 + random.below(4) as usize,
            operations: 1 + random.below(most),
            pipeline: if random.below(2) == 0 { 1 } else { 2 + random.below(3) },
            single_keys,
            kinds,
        }
    }
}

/// One client's commands.
pub struct Script {
    random: Random,
    mix: Mix,
    /// Values are integers that nobody else writes: the client's number and a count.
    next_value: u64,
}

impl Script {
    pub fn new(mix: Mix, client: usize, random: Random) -> Self {
        Self { random, mix, next_value: 1000 * (client as u64 + 1) }
    }

    /// What is sent at once.
    pub fn pipeline(&mut self) -> Vec<Command> {
        let count = 1 + self.random.below(self.mix.pipeline);
        (0..count).map(|_| self.command()).collect()
    }

    fn command(&mut self) -> Command {
        let kinds = &self.mix.kinds;
        let kind = kinds[self.random.below(kinds.len() as u64) as usize];
        let kind = if kind >= WHOLE_DATABASE_FROM && self.random.below(4) > 0 { 0 } else { kind };
        let (key, other) = (self.key(), self.key());
        match kind {
            0 => Command::Get(key),
            1 => self.set(key),
            2 => Command::Add(key, [1, -1, 10, -10][self.random.below(4) as usize]),
            3 => self.change(key),
            4 => Command::GetDel(key),
            5 => match self.random.below(2) {
                0 => Command::SetNx(key, self.value()),
                _ => Command::GetSet(key, self.value()),
            },
            6 => Command::StrLen(key),
            7 => Command::Expire(key),
            8 => Command::Persist(key),
            9 => Command::Ttl(key),
            10 => Command::GetEx(key, self.expiry()),
            11 => Command::Exists(self.keys()),
            12 => Command::Del(self.keys()),
            13 => Command::MGet(self.keys()),
            14 => Command::MSet(self.pairs()),
            15 => Command::MSetNx(self.pairs()),
            16 => match self.random.below(2) {
                0 => Command::Rename(key, other),
                _ => Command::RenameNx(key, other),
            },
            17 => match self.random.below(5) {
                0 => Command::Move(key),
                1 | 2 => Command::Copy { from: key, to: other, replace: self.random.below(3) > 0 },
                _ => Command::BitOp { operation: self.operation(), to: key, from: self.keys() },
            },
            18 => match self.random.below(4) {
                0 | 1 => Command::SwapDb,
                2 => Command::FlushAll,
                _ => Command::FlushDb,
            },
            19 => Command::DbSize,
            _ => Command::Keys,
        }
    }

    fn set(&mut self, key: Key) -> Command {
        let condition = match self.random.below(6) {
            0 => Condition::IfMissing,
            1 => Condition::IfThere,
            _ => Condition::Always,
        };
        let expiry = if self.random.below(4) == 0 { self.expiry() } else { Expiry::Clear };
        Command::Set { key, value: self.value(), condition, get: self.random.below(3) == 0, expiry }
    }

    /// Changes a part of what a key holds.
    fn change(&mut self, key: Key) -> Command {
        let (digit, place) = (self.random.below(10) as u8, self.random.below(6) as usize);
        match self.random.below(4) {
            0 => Command::Append(key, digit.to_string()),
            1 => Command::SetRange(key, place, digit.to_string()),
            // The lowest bit of a byte: a digit stays one.
            2 => Command::SetBit(key, 8 * place + 7, digit > 4),
            _ => Command::BitField(key, place, b'0' + digit),
        }
    }

    fn operation(&mut self) -> BitOperation {
        [BitOperation::And, BitOperation::Or, BitOperation::Xor][self.random.below(3) as usize]
    }

    fn expiry(&mut self) -> Expiry {
        [Expiry::Keep, Expiry::Clear, Expiry::Far][self.random.below(3) as usize]
    }

    fn key(&mut self) -> Key {
        Key(self.random.below(u64::from(self.mix.keys)) as u8)
    }

    fn value(&mut self) -> String {
        self.next_value += 1;
        self.next_value.to_string()
    }

    fn keys(&mut self) -> Vec<Key> {
        (0..1 + self.random.below(4)).map(|_| self.key()).collect()
    }

    fn pairs(&mut self) -> Vec<(Key, String)> {
        self.keys().into_iter().map(|key| (key, self.value())).collect()
    }
}
