//! Adds up the commands of a log, in one pass.
//!
//! Invariants:
//! 1. What is kept has a limit: [`MOST_KINDS`], [`MOST_DATABASES`], the top list, the prefixes.
//! 2. The sums over all kinds, "other" included, are exact; and so over databases.

use formats::rdb::RdbString;

use super::command::{Command, KeyAt};
use crate::histogram::Tally;
use crate::prefix_table::PrefixTable;
use crate::top::Top;

/// Kinds of commands that are told apart.
const MOST_KINDS: usize = 1024;
/// Longer names are counted with the others.
const LONGEST_NAME: usize = 64;
/// Databases that are told apart; commands in further ones are counted with the last.
const MOST_DATABASES: usize = 4096;
/// Bytes of a key that are kept.
const KEY_BYTES: usize = 256;
/// Slots of the table that finds a kind by its name.
const SLOTS: usize = 256;
/// The kind of all that are not told apart.
const OTHERS: usize = 0;

/// Commands of one name.
pub struct Kind {
    /// In capitals; empty for those that are not told apart.
    pub name: Vec<u8>,
    key: KeyAt,
    pub sum: Tally,
}

/// A large command.
pub struct Large {
    pub file: usize,
    pub offset: u64,
    pub db: u64,
    pub name: Vec<u8>,
    /// Its start, if it is long.
    pub key: Option<Vec<u8>>,
    pub bytes: u64,
}

impl Large {
    #[cold]
    fn of(command: &Command<'_, '_>, key: Option<&[u8]>) -> Large {
        let name = command.name();
        Large {
            file: command.file,
            offset: command.offset,
            db: command.db,
            name: name[..name.len().min(LONGEST_NAME)].to_ascii_uppercase(),
            key: key.map(|key| key[..key.len().min(KEY_BYTES)].to_vec()),
            bytes: command.bytes,
        }
    }
}

/// From a MULTI to its EXEC.
#[derive(Clone, Copy, Default)]
pub struct Transaction {
    pub file: usize,
    pub offset: u64,
    /// Between MULTI and EXEC.
    pub commands: u64,
    /// MULTI and EXEC included.
    pub bytes: u64,
}

/// All that is counted.
pub struct Gathered {
    pub total: Tally,
    kinds: Vec<Kind>,
    /// Index of the kind that was found last with a hash.
    slots: [u16; SLOTS],
    last_kind: usize,
    pub databases: Vec<(u64, Tally)>,
    last_database: usize,
    pub prefixes: PrefixTable,
    pub largest: Top<Large>,
    /// First and last time that was seen.
    pub times_ms: Option<(i64, i64)>,
    pub transactions: u64,
    pub largest_transaction: Option<Transaction>,
    open: Option<Transaction>,
}

impl Gathered {
    pub fn new(separator: &[u8], largest_wanted: usize) -> Gathered {
        Gathered {
            total: Tally::default(),
            kinds: vec![Kind { name: Vec::new(), key: KeyAt::Index(1), sum: Tally::default() }],
            slots: [0; SLOTS],
            last_kind: OTHERS,
            databases: Vec::new(),
            last_database: 0,
            prefixes: PrefixTable::new(separator),
            largest: Top::new(largest_wanted),
            times_ms: None,
            transactions: 0,
            largest_transaction: None,
            open: None,
        }
    }

    /// Where the key of the command is.
    #[inline]
    pub fn key<'a>(&mut self, args: &[&'a [u8]]) -> Option<&'a [u8]> {
        let kind = self.kind(args.first().copied().unwrap_or_default());
        self.kinds[kind].key.find(args)
    }

    #[inline]
    pub fn command(&mut self, command: &Command<'_, '_>) {
        let bytes = command.bytes;
        let kind = self.kind(command.name());
        let kind = &mut self.kinds[kind];
        kind.sum.add(bytes);
        let key = kind.key.find(command.args);
        self.total.add(bytes);
        self.database(command.db).add(bytes);
        if let Some(key) = key {
            self.prefixes.add(RdbString::Raw(key), bytes);
        }
        self.largest.offer(bytes, || Large::of(command, key));
        if let Some(time) = command.time_ms {
            let (first, last) = self.times_ms.unwrap_or((time, time));
            self.times_ms = Some((first.min(time), last.max(time)));
        }
    }

    /// Keeps account of MULTI and EXEC; to be called with every command.
    #[inline]
    pub fn follow_transaction(&mut self, command: &Command<'_, '_>) {
        let alone = command.args.len() == 1;
        if alone && command.name().eq_ignore_ascii_case(b"MULTI") {
            let (file, offset, bytes) = (command.file, command.offset, command.bytes);
            self.open = Some(Transaction { file, offset, commands: 0, bytes });
        } else if let Some(mut open) = self.open.take() {
            open.bytes += command.bytes;
            if alone && command.name().eq_ignore_ascii_case(b"EXEC") {
                self.transactions += 1;
                if self.largest_transaction.is_none_or(|largest| open.bytes > largest.bytes) {
                    self.largest_transaction = Some(open);
                }
            } else {
                open.commands += 1;
                self.open = Some(open);
            }
        }
    }

    /// What comes does not continue what was: a bracket that is open stays without an end.
    pub fn next_file(&mut self) {
        self.open = None;
    }

    /// Most bytes first; those that are not told apart last.
    pub fn kinds(&self) -> Vec<&Kind> {
        let mut kinds: Vec<&Kind> = self.kinds.iter().filter(|kind| kind.sum.count > 0).collect();
        kinds.sort_by(|a, b| {
            let rank = |kind: &Kind| (kind.name.is_empty(), std::cmp::Reverse(kind.sum.bytes));
            rank(a).cmp(&rank(b)).then(a.name.cmp(&b.name))
        });
        kinds
    }

    #[inline]
    fn kind(&mut self, name: &[u8]) -> usize {
        if self.kinds[self.last_kind].name.eq_ignore_ascii_case(name) {
            return self.last_kind;
        }
        let (first, last) = (name.first().copied().unwrap_or(0), name.last().copied().unwrap_or(0));
        // Capitals and small letters differ in this bit.
        let slot = (usize::from(first | 0x20) * 7 + usize::from(last | 0x20) * 31 + name.len()) % SLOTS;
        let found = usize::from(self.slots[slot]);
        self.last_kind = match self.kinds[found].name.eq_ignore_ascii_case(name) {
            true => found,
            false => self.find_kind(name),
        };
        self.slots[slot] = self.last_kind as u16;
        self.last_kind
    }

    #[cold]
    fn find_kind(&mut self, name: &[u8]) -> usize {
        if name.is_empty() || name.len() > LONGEST_NAME {
            return OTHERS;
        }
        if let Some(at) = self.kinds.iter().position(|kind| kind.name.eq_ignore_ascii_case(name)) {
            return at;
        }
        if self.kinds.len() == MOST_KINDS {
            return OTHERS;
        }
        let name = name.to_ascii_uppercase();
        self.kinds.push(Kind { key: KeyAt::of(&name), name, sum: Tally::default() });
        self.kinds.len() - 1
    }

    #[inline]
    fn database(&mut self, number: u64) -> &mut Tally {
        let last = self.last_database;
        if self.databases.get(last).is_none_or(|(other, _)| *other != number) {
            self.last_database = self.find_database(number);
        }
        &mut self.databases[self.last_database].1
    }

    #[cold]
    fn find_database(&mut self, number: u64) -> usize {
        let known = self.databases.iter().position(|(other, _)| *other == number);
        match known {
            Some(at) => at,
            None if self.databases.len() == MOST_DATABASES => MOST_DATABASES - 1,
            None => {
                self.databases.push((number, Tally::default()));
                self.databases.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(gathered: &mut Gathered, args: &[&[u8]], bytes: u64) {
        let command =
            Command { file: 0, offset: 7, bytes, time_ms: None, db: 0, place: None, origin: None, args };
        gathered.follow_transaction(&command);
        gathered.command(&command);
    }

    #[test]
    fn names_are_one_kind_whatever_their_case() {
        let mut gathered = Gathered::new(b":", 2);
        for (name, bytes) in [(&b"SET"[..], 1), (b"set", 2), (b"SEt", 3), (b"GET", 4), (b"set", 5)] {
            add(&mut gathered, &[name, b"k"], bytes);
        }
        let kinds: Vec<_> = gathered.kinds().iter().map(|kind| (kind.name.clone(), kind.sum)).collect();
        let sum = |count, bytes| Tally { count, bytes };
        assert_eq!(kinds, [(b"SET".to_vec(), sum(4, 11)), (b"GET".to_vec(), sum(1, 4))]);
        let largest: Vec<_> = gathered.largest.sorted().iter().map(|large| large.bytes).collect();
        assert_eq!(largest, [5, 4]);
    }

    #[test]
    fn sums_are_exact_whatever_the_names() {
        let mut gathered = Gathered::new(b":", 0);
        for i in 0..3000 {
            add(&mut gathered, &[format!("name{i}").as_bytes()], 10);
        }
        add(&mut gathered, &[&[b'x'; 1000]], 10);
        let kinds = gathered.kinds();
        assert_eq!(kinds.len(), MOST_KINDS);
        assert_eq!(kinds.iter().map(|kind| kind.sum.count).sum::<u64>(), 3001);
        assert!(kinds.last().unwrap().name.is_empty());
    }

    #[test]
    fn transactions_end_with_exec() {
        let mut gathered = Gathered::new(b":", 0);
        for name in ["multi", "SET", "SET", "exec", "SET", "MULTI", "EXEC", "MULTI", "SET"] {
            add(&mut gathered, &[name.as_bytes()], 10);
        }
        assert_eq!(gathered.transactions, 2);
        let largest = gathered.largest_transaction.unwrap();
        assert_eq!((largest.commands, largest.bytes), (2, 40));
    }
}
