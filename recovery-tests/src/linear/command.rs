//! The commands that histories are made of, and how they are said on the wire.

use std::fmt;

/// One of a history's few keys, by number. Its name on the wire is the history's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u8);

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", char::from(b'a' + self.0))
    }
}

/// SET's NX and XX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Always,
    IfMissing,
    IfThere,
}

/// What a command makes of a key's time to live. Times are so far off that nothing expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Keep,
    Clear,
    Far,
}

/// What BITOP makes of several strings. NOT is left out: what it makes of a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitOperation {
    And,
    Or,
    Xor,
}

/// What MOVE and SWAPDB take keys to; all other commands are run in database 0.
const SPARE_DATABASE: &str = "1";
/// Seconds that no history lasts.
const FAR_SECONDS: &str = "100000";

/// A command of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Get(Key),
    StrLen(Key),
    GetDel(Key),
    GetEx(Key, Expiry),
    Set {
        key: Key,
        value: String,
        condition: Condition,
        get: bool,
        expiry: Expiry,
    },
    SetNx(Key, String),
    GetSet(Key, String),
    Append(Key, String),
    SetRange(Key, usize, String),
    SetBit(Key, usize, bool),
    /// `SET u8 #place byte`
    BitField(Key, usize, u8),
    /// INCR, DECR, INCRBY or DECRBY, as the number says.
    Add(Key, i64),
    Expire(Key),
    Persist(Key),
    /// The reply counts as 1 if there is a time to live, whatever is left of it.
    Ttl(Key),
    Exists(Vec<Key>),
    Del(Vec<Key>),
    MGet(Vec<Key>),
    MSet(Vec<(Key, String)>),
    MSetNx(Vec<(Key, String)>),
    Rename(Key, Key),
    RenameNx(Key, Key),
    Copy {
        from: Key,
        to: Key,
        replace: bool,
    },
    BitOp {
        operation: BitOperation,
        to: Key,
        from: Vec<Key>,
    },
    /// To the spare database.
    Move(Key),
    /// The database and the spare one change places.
    SwapDb,
    FlushAll,
    FlushDb,
    DbSize,
    /// `KEYS *`.
    Keys,
}

/// The keys that a command reads or writes, as a set of bits; `!0` is the whole database.
pub type KeySet = u64;

/// Every key there is.
pub const ALL_KEYS: KeySet = !0;

impl Command {
    pub fn keys(&self) -> KeySet {
        let set = |keys: &[Key]| keys.iter().fold(0, |set, key| set | 1 << key.0);
        match self {
            Self::Get(key)
            | Self::StrLen(key)
            | Self::GetDel(key)
            | Self::GetEx(key, _)
            | Self::Set { key, .. }
            | Self::SetNx(key, _)
            | Self::GetSet(key, _)
            | Self::Append(key, _)
            | Self::SetRange(key, ..)
            | Self::SetBit(key, ..)
            | Self::BitField(key, ..)
            | Self::Add(key, _)
            | Self::Expire(key)
            | Self::Persist(key)
            | Self::Move(key)
            | Self::Ttl(key) => set(&[*key]),
            Self::Exists(keys) | Self::Del(keys) | Self::MGet(keys) => set(keys),
            Self::MSet(pairs) | Self::MSetNx(pairs) => {
                set(&pairs.iter().map(|(key, _)| *key).collect::<Vec<_>>())
            }
            Self::Rename(from, to) | Self::RenameNx(from, to) | Self::Copy { from, to, .. } => {
                set(&[*from, *to])
            }
            Self::BitOp { to, from, .. } => set(&[*to]) | set(from),
            Self::SwapDb | Self::FlushAll | Self::FlushDb | Self::DbSize | Self::Keys => ALL_KEYS,
        }
    }

    /// Changes nothing, whatever the state.
    pub fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Get(_)
                | Self::StrLen(_)
                | Self::Ttl(_)
                | Self::GetEx(_, Expiry::Keep)
                | Self::Exists(_)
                | Self::MGet(_)
                | Self::DbSize
                | Self::Keys
        )
    }

    /// The command's words, with `name` for each key.
    pub fn words(&self, name: impl Fn(Key) -> String) -> Vec<String> {
        let mut words = Words(Vec::new());
        match self {
            Self::Get(key) => words.add("GET").key(name(*key)),
            Self::StrLen(key) => words.add("STRLEN").key(name(*key)),
            Self::GetDel(key) => words.add("GETDEL").key(name(*key)),
            Self::GetEx(key, expiry) => words.add("GETEX").key(name(*key)).expiry(*expiry, Expiry::Keep),
            Self::Set { key, value, condition, get, expiry } => words
                .add("SET")
                .key(name(*key))
                .add(value)
                .add(match condition {
                    Condition::Always => "",
                    Condition::IfMissing => "NX",
                    Condition::IfThere => "XX",
                })
                .add(if *get { "GET" } else { "" })
                .expiry(*expiry, Expiry::Clear),
            Self::SetNx(key, value) => words.add("SETNX").key(name(*key)).add(value),
            Self::GetSet(key, value) => words.add("GETSET").key(name(*key)).add(value),
            Self::Append(key, value) => words.add("APPEND").key(name(*key)).add(value),
            Self::SetRange(key, place, value) => {
                words.add("SETRANGE").key(name(*key)).add(&place.to_string()).add(value)
            }
            Self::SetBit(key, place, bit) => {
                words.add("SETBIT").key(name(*key)).add(&place.to_string()).add(if *bit { "1" } else { "0" })
            }
            Self::BitField(key, place, byte) => {
                let words = words.add("BITFIELD").key(name(*key)).add("SET").add("u8");
                words.add(&format!("#{place}")).add(&byte.to_string())
            }
            Self::Add(key, 1) => words.add("INCR").key(name(*key)),
            Self::Add(key, -1) => words.add("DECR").key(name(*key)),
            Self::Add(key, number) if *number < 0 => {
                words.add("DECRBY").key(name(*key)).add(&number.unsigned_abs().to_string())
            }
            Self::Add(key, number) => words.add("INCRBY").key(name(*key)).add(&number.to_string()),
            Self::Expire(key) => words.add("EXPIRE").key(name(*key)).add(FAR_SECONDS),
            Self::Persist(key) => words.add("PERSIST").key(name(*key)),
            Self::Ttl(key) => words.add("TTL").key(name(*key)),
            Self::Exists(keys) => words.add("EXISTS").all(keys, name),
            Self::Del(keys) => words.add("DEL").all(keys, name),
            Self::MGet(keys) => words.add("MGET").all(keys, name),
            Self::MSet(pairs) => words.add("MSET").pairs(pairs, name),
            Self::MSetNx(pairs) => words.add("MSETNX").pairs(pairs, name),
            Self::Rename(from, to) => words.add("RENAME").key(name(*from)).key(name(*to)),
            Self::RenameNx(from, to) => words.add("RENAMENX").key(name(*from)).key(name(*to)),
            Self::Copy { from, to, replace } => {
                words.add("COPY").key(name(*from)).key(name(*to)).add(if *replace { "REPLACE" } else { "" })
            }
            Self::BitOp { operation, to, from } => {
                let operation = match operation {
                    BitOperation::And => "AND",
                    BitOperation::Or => "OR",
                    BitOperation::Xor => "XOR",
                };
                words.add("BITOP").add(operation).key(name(*to)).all(from, name)
            }
            Self::Move(key) => words.add("MOVE").key(name(*key)).add(SPARE_DATABASE),
            Self::SwapDb => words.add("SWAPDB").add("0").add(SPARE_DATABASE),
            Self::FlushAll => words.add("FLUSHALL"),
            Self::FlushDb => words.add("FLUSHDB"),
            Self::DbSize => words.add("DBSIZE"),
            Self::Keys => words.add("KEYS").add("*"),
        };
        words.0
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words(|key| key.to_string()).join(" "))
    }
}

struct Words(Vec<String>);

impl Words {
    /// Adds a word; an option that is not used is an empty one.
    fn add(&mut self, word: &str) -> &mut Self {
        if !word.is_empty() {
            self.0.push(word.to_owned());
        }
        self
    }

    fn key(&mut self, name: String) -> &mut Self {
        self.0.push(name);
        self
    }

    fn expiry(&mut self, expiry: Expiry, default: Expiry) -> &mut Self {
        match expiry {
            _ if expiry == default => self,
            Expiry::Keep => self.add("KEEPTTL"),
            Expiry::Clear => self.add("PERSIST"),
            Expiry::Far => self.add("EX").add(FAR_SECONDS),
        }
    }

    fn all(&mut self, keys: &[Key], name: impl Fn(Key) -> String) -> &mut Self {
        self.0.extend(keys.iter().map(|key| name(*key)));
        self
    }

    fn pairs(&mut self, pairs: &[(Key, String)], name: impl Fn(Key) -> String) -> &mut Self {
        self.0.extend(pairs.iter().flat_map(|(key, value)| [name(*key), value.clone()]));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keys_and_what_only_reads() {
        let (a, b) = (Key(0), Key(1));
        let set = |condition, get, expiry| Command::Set { key: a, value: "7".into(), condition, get, expiry };
        let cases = [
            (Command::Get(a), "GET a", 0b01, true),
            (Command::GetEx(b, Expiry::Keep), "GETEX b", 0b10, true),
            (Command::GetEx(b, Expiry::Clear), "GETEX b PERSIST", 0b10, false),
            (set(Condition::Always, false, Expiry::Clear), "SET a 7", 0b01, false),
            (set(Condition::IfMissing, true, Expiry::Keep), "SET a 7 NX GET KEEPTTL", 0b01, false),
            (set(Condition::IfThere, false, Expiry::Far), "SET a 7 XX EX 100000", 0b01, false),
            (Command::Add(a, 1), "INCR a", 0b01, false),
            (Command::Add(a, -1), "DECR a", 0b01, false),
            (Command::Add(a, -12), "DECRBY a 12", 0b01, false),
            (Command::MSet(vec![(a, "1".into()), (b, "2".into())]), "MSET a 1 b 2", 0b11, false),
            (Command::Copy { from: a, to: b, replace: true }, "COPY a b REPLACE", 0b11, false),
            (Command::SetRange(b, 5, "7".into()), "SETRANGE b 5 7", 0b10, false),
            (Command::SetBit(b, 5, true), "SETBIT b 5 1", 0b10, false),
            (Command::BitField(b, 5, 7), "BITFIELD b SET u8 #5 7", 0b10, false),
            (
                Command::BitOp { operation: BitOperation::Xor, to: a, from: vec![b, b] },
                "BITOP XOR a b b",
                0b11,
                false,
            ),
            (Command::Move(b), "MOVE b 1", 0b10, false),
            (Command::SwapDb, "SWAPDB 0 1", ALL_KEYS, false),
            (Command::Keys, "KEYS *", ALL_KEYS, true),
        ];
        for (command, text, keys, only_reads) in cases {
            assert_eq!(command.to_string(), text);
            assert_eq!(command.keys(), keys, "{text}");
            assert_eq!(command.only_reads(), only_reads, "{text}");
        }
    }
}
