//! What each command means when nothing else runs: the state before it gives the state after it and the reply.
//!
//! The meaning is that of the public Redis documentation. It is written down as plainly as can be, on a plain list of
//! values, and shares nothing with the server.

use formats::resp::Value;

use super::command::{BitOperation, Command, Condition, Expiry, Key};

/// A key's value, and whether it has a time to live.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub value: String,
    pub expires: bool,
}

/// What the database and the spare one hold: one place for each of a history's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State(Vec<Option<Entry>>, Vec<Option<Entry>>);

const NO_SUCH_KEY: &str = "ERR no such key";
const SAME_OBJECT: &str = "ERR source and destination objects are the same";
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const WOULD_OVERFLOW: &str = "ERR increment or decrement would overflow";

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn error(text: &str) -> Value {
    Value::Error(text.into())
}

fn count(count: usize) -> Value {
    Value::Integer(count as i64)
}

fn flag(yes: bool) -> Value {
    Value::Integer(i64::from(yes))
}

fn bulk(value: Option<&Entry>) -> Value {
    value.map_or(Value::Null, |entry| Value::Bulk(entry.value.clone().into_bytes()))
}

impl State {
    /// Empty databases, for a history with so many keys.
    pub fn empty(keys: usize) -> Self {
        Self(vec![None; keys], vec![None; keys])
    }

    pub fn get(&self, key: Key) -> Option<&Entry> {
        self.0[usize::from(key.0)].as_ref()
    }

    fn place(&mut self, key: Key) -> &mut Option<Entry> {
        &mut self.0[usize::from(key.0)]
    }

    fn put(&mut self, key: Key, value: &str) {
        *self.place(key) = Some(Entry { value: value.into(), expires: false });
    }

    /// The keys that are there, with their values.
    pub fn entries(&self) -> impl Iterator<Item = (Key, &Entry)> {
        (0..).map(Key).zip(&self.0).filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
    }

    /// Runs a command. `KEYS` answers the keys' letters in order.
    pub fn apply(&mut self, command: &Command) -> Value {
        match command {
            Command::Get(key) => bulk(self.get(*key)),
            Command::StrLen(key) => count(self.get(*key).map_or(0, |entry| entry.value.len())),
            Command::GetDel(key) => bulk(self.place(*key).take().as_ref()),
            Command::GetEx(key, expiry) => self.get_ex(*key, *expiry),
            Command::Set { key, value, condition, get, expiry } => {
                let old = self.get(*key).cloned();
                let set = self.set(*key, value, *condition, *expiry);
                match (get, set) {
                    (true, _) => bulk(old.as_ref()),
                    (false, true) => ok(),
                    (false, false) => Value::Null,
                }
            }
            Command::SetNx(key, value) => flag(self.set(*key, value, Condition::IfMissing, Expiry::Clear)),
            Command::GetSet(key, value) => {
                let old = self.get(*key).cloned();
                self.put(*key, value);
                bulk(old.as_ref())
            }
            Command::Append(key, value) => self.append(*key, value),
            Command::SetRange(key, place, value) => {
                self.change_bytes(*key, place + value.len(), |bytes| {
                    bytes[*place..][..value.len()].copy_from_slice(value.as_bytes());
                });
                count(self.get(*key).map_or(0, |entry| entry.value.len()))
            }
            Command::SetBit(key, place, bit) => {
                let mask = 0x80 >> (place % 8);
                flag(self.change_bytes(*key, place / 8 + 1, |bytes| {
                    let byte = &mut bytes[place / 8];
                    let old = *byte & mask != 0;
                    *byte = if *bit { *byte | mask } else { *byte & !mask };
                    old
                }))
            }
            Command::BitField(key, place, byte) => {
                let old =
                    self.change_bytes(*key, place + 1, |bytes| std::mem::replace(&mut bytes[*place], *byte));
                Value::Array(vec![Value::Integer(old.into())])
            }
            Command::BitOp { operation, to, from } => self.bit_op(*operation, *to, from),
            Command::Add(key, number) => self.add(*key, *number),
            Command::Expire(key) => match self.place(*key) {
                Some(entry) => {
                    entry.expires = true;
                    flag(true)
                }
                None => flag(false),
            },
            Command::Persist(key) => match self.place(*key) {
                Some(entry) => flag(std::mem::take(&mut entry.expires)),
                None => flag(false),
            },
            Command::Ttl(key) => Value::Integer(match self.get(*key) {
                None => -2,
                Some(entry) if entry.expires => 1,
                Some(_) => -1,
            }),
            Command::Exists(keys) => count(keys.iter().filter(|key| self.get(**key).is_some()).count()),
            Command::Del(keys) => count(keys.iter().filter(|key| self.place(**key).take().is_some()).count()),
            Command::MGet(keys) => Value::Array(keys.iter().map(|key| bulk(self.get(*key))).collect()),
            Command::MSet(pairs) => {
                pairs.iter().for_each(|(key, value)| self.put(*key, value));
                ok()
            }
            Command::MSetNx(pairs) => {
                let all_missing = pairs.iter().all(|(key, _)| self.get(*key).is_none());
                if all_missing {
                    pairs.iter().for_each(|(key, value)| self.put(*key, value));
                }
                flag(all_missing)
            }
            Command::Rename(from, to) => match self.rename(*from, *to, true) {
                Some(_) => ok(),
                None => error(NO_SUCH_KEY),
            },
            Command::RenameNx(from, to) => match self.rename(*from, *to, false) {
                Some(renamed) => flag(renamed),
                None => error(NO_SUCH_KEY),
            },
            Command::Copy { from, to, .. } if from == to => error(SAME_OBJECT),
            Command::Copy { from, to, replace } => flag(self.copy(*from, *to, *replace)),
            Command::Move(key) => flag(self.move_away(*key)),
            Command::SwapDb => {
                std::mem::swap(&mut self.0, &mut self.1);
                ok()
            }
            Command::FlushAll => {
                self.0.fill(None);
                self.1.fill(None);
                ok()
            }
            Command::FlushDb => {
                self.0.fill(None);
                ok()
            }
            Command::DbSize => count(self.entries().count()),
            Command::Keys => Value::Array(
                self.entries().map(|(key, _)| Value::Bulk(key.to_string().into_bytes())).collect(),
            ),
        }
    }

    fn get_ex(&mut self, key: Key, expiry: Expiry) -> Value {
        let Some(entry) = self.place(key) else { return Value::Null };
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => entry.expires = false,
            Expiry::Far => entry.expires = true,
        }
        bulk(self.get(key))
    }

    fn set(&mut self, key: Key, value: &str, condition: Condition, expiry: Expiry) -> bool {
        let old = self.get(key);
        let allowed = match condition {
            Condition::Always => true,
            Condition::IfMissing => old.is_none(),
            Condition::IfThere => old.is_some(),
        };
        let expires = match expiry {
            Expiry::Keep => old.is_some_and(|entry| entry.expires),
            Expiry::Clear => false,
            Expiry::Far => true,
        };
        if allowed {
            *self.place(key) = Some(Entry { value: value.into(), expires });
        }
        allowed
    }

    fn append(&mut self, key: Key, value: &str) -> Value {
        let entry = self.place(key).get_or_insert_with(|| Entry { value: String::new(), expires: false });
        entry.value.push_str(value);
        count(entry.value.len())
    }

    /// Changes the bytes of a string that is at least so long, with zeros at its end if it was not.
    fn change_bytes<R>(&mut self, key: Key, length: usize, change: impl FnOnce(&mut [u8]) -> R) -> R {
        let entry = self.place(key).get_or_insert_with(|| Entry { value: String::new(), expires: false });
        let mut bytes = std::mem::take(&mut entry.value).into_bytes();
        bytes.resize(bytes.len().max(length), 0);
        let result = change(&mut bytes);
        entry.value = String::from_utf8(bytes).expect("all that histories write is ASCII");
        result
    }

    fn bit_op(&mut self, operation: BitOperation, to: Key, from: &[Key]) -> Value {
        let sources: Vec<&[u8]> =
            from.iter().map(|key| self.get(*key).map_or(&b""[..], |entry| entry.value.as_bytes())).collect();
        let length = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        let byte = |place| {
            let bytes = sources.iter().map(|source| source.get(place).copied().unwrap_or(0));
            bytes.reduce(|a, b| match operation {
                BitOperation::And => a & b,
                BitOperation::Or => a | b,
                BitOperation::Xor => a ^ b,
            })
        };
        let result: Vec<u8> = (0..length).filter_map(byte).collect();
        *self.place(to) = None;
        if length > 0 {
            self.change_bytes(to, length, |bytes| bytes.copy_from_slice(&result));
        }
        count(length)
    }

    fn add(&mut self, key: Key, number: i64) -> Value {
        let entry = self.get(key).cloned().unwrap_or(Entry { value: "0".into(), expires: false });
        // Only what an integer would be printed as counts as one: not `07`.
        let Some(old) = entry.value.parse::<i64>().ok().filter(|old| old.to_string() == entry.value) else {
            return error(NOT_AN_INTEGER);
        };
        let Some(sum) = old.checked_add(number) else { return error(WOULD_OVERFLOW) };
        *self.place(key) = Some(Entry { value: sum.to_string(), ..entry });
        Value::Integer(sum)
    }

    /// Whether it was renamed, if the source is there.
    fn rename(&mut self, from: Key, to: Key, replace: bool) -> Option<bool> {
        self.get(from)?;
        if !replace && self.get(to).is_some() {
            return Some(false);
        }
        let entry = self.place(from).take();
        *self.place(to) = entry;
        Some(true)
    }

    fn move_away(&mut self, key: Key) -> bool {
        let spare = &mut self.1[usize::from(key.0)];
        let is_moved = spare.is_none() && self.0[usize::from(key.0)].is_some();
        if is_moved {
            *spare = self.0[usize::from(key.0)].take();
        }
        is_moved
    }

    fn copy(&mut self, from: Key, to: Key, replace: bool) -> bool {
        let Some(entry) = self.get(from).cloned() else { return false };
        if !replace && self.get(to).is_some() {
            return false;
        }
        *self.place(to) = Some(entry);
        true
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries: Vec<String> = self
            .entries()
            .map(|(key, entry)| {
                format!("{key}={}{}", entry.value, if entry.expires { " (expires)" } else { "" })
            })
            .collect();
        if entries.is_empty() {
            formatter.write_str("nothing")
        } else {
            formatter.write_str(&entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key(0);
    const B: Key = Key(1);

    fn text(value: &Value) -> String {
        match value {
            Value::Null => "nil".into(),
            Value::Simple(text) | Value::Error(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Bulk(bytes) => format!("'{}'", String::from_utf8_lossy(bytes)),
            Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
            other => panic!("{other:?}"),
        }
    }

    /// Runs commands one after the other on an empty database.
    fn run(steps: &[(Command, &str)], end: &str) {
        let mut state = State::empty(2);
        for (command, reply) in steps {
            assert_eq!(text(&state.apply(command)), *reply, "{command}");
        }
        assert_eq!(state.to_string(), end);
    }

    fn set(key: Key, value: &str) -> Command {
        let value = value.to_owned();
        Command::Set { key, value, condition: Condition::Always, get: false, expiry: Expiry::Clear }
    }

    #[test]
    fn single_keys() {
        let with = |condition, get, expiry, value: &str| Command::Set {
            key: A,
            value: value.into(),
            condition,
            get,
            expiry,
        };
        run(
            &[
                (Command::Get(A), "nil"),
                (with(Condition::IfThere, false, Expiry::Clear, "1"), "nil"),
                (with(Condition::IfMissing, true, Expiry::Far, "2"), "nil"),
                (with(Condition::IfMissing, true, Expiry::Clear, "3"), "'2'"),
                (with(Condition::IfThere, true, Expiry::Keep, "4"), "'2'"),
                (Command::Add(A, 5), "9"),
                (Command::Append(A, "7".into()), "2"),
                (Command::StrLen(A), "2"),
                (Command::Ttl(A), "1"),
                (Command::Persist(A), "1"),
                (Command::Persist(A), "0"),
                (Command::Ttl(A), "-1"),
                (Command::Ttl(B), "-2"),
                (Command::Expire(B), "0"),
                (Command::Expire(A), "1"),
                (Command::GetEx(A, Expiry::Clear), "'97'"),
                (Command::Persist(A), "0"),
                (Command::SetNx(A, "1".into()), "0"),
                (Command::GetDel(A), "'97'"),
                (Command::SetNx(A, "0".into()), "1"),
                (Command::Append(A, "7".into()), "2"),
                (Command::Add(A, 1), NOT_AN_INTEGER),
                (set(A, &i64::MAX.to_string()), "OK"),
                (Command::Add(A, 1), WOULD_OVERFLOW),
                (set(A, "1"), "OK"),
                (Command::Add(A, -1), "0"),
            ],
            "a=0",
        );
    }

    #[test]
    fn several_keys() {
        let copy = |from, to, replace| Command::Copy { from, to, replace };
        run(
            &[
                (Command::MSetNx(vec![(A, "1".into()), (B, "2".into())]), "1"),
                (Command::MSetNx(vec![(A, "3".into())]), "0"),
                (Command::MGet(vec![B, A, B]), "'2' '1' '2'"),
                (Command::RenameNx(A, B), "0"),
                (Command::Expire(A), "1"),
                (Command::Rename(A, B), "OK"),
                (Command::Rename(A, B), NO_SUCH_KEY),
                (Command::RenameNx(A, B), NO_SUCH_KEY),
                (Command::RenameNx(B, B), "0"),
                (Command::Rename(B, B), "OK"),
                (copy(A, B, true), "0"),
                (copy(A, A, true), SAME_OBJECT),
                (set(A, "5"), "OK"),
                (copy(B, A, false), "0"),
                (copy(B, A, true), "1"),
                (Command::Exists(vec![A, A, B]), "3"),
                (Command::Keys, "'a' 'b'"),
                (Command::Del(vec![A, A]), "1"),
                (Command::DbSize, "1"),
                (Command::MSet(vec![(A, "8".into()), (A, "9".into())]), "OK"),
                (Command::RenameNx(A, B), "0"),
            ],
            "a=9, b=1 (expires)",
        );
        let bit_op = |operation, from| Command::BitOp { operation, to: B, from };
        run(
            &[
                (bit_op(BitOperation::Or, vec![A]), "0"),
                (Command::SetRange(A, 1, "12".into()), "3"),
                (Command::BitField(A, 0, b'5'), "0"),
                (Command::BitField(A, 2, b'6'), "50"),
                (Command::SetBit(A, 15, false), "1"),
                (Command::SetBit(A, 15, true), "0"),
                (Command::GetSet(B, "3".into()), "nil"),
                (Command::GetSet(B, "4".into()), "'3'"),
                (Command::Expire(B), "1"),
                (bit_op(BitOperation::And, vec![A, B]), "3"),
                (Command::Get(B), "'4\0\0'"),
                (bit_op(BitOperation::Xor, vec![A, B]), "3"),
                (Command::Get(B), "'\u{1}16'"),
                (bit_op(BitOperation::Or, vec![A, B]), "3"),
            ],
            "a=516, b=516",
        );
        run(&[(set(A, "1"), "OK"), (Command::FlushAll, "OK"), (Command::DbSize, "0")], "nothing");
    }

    #[test]
    fn two_databases() {
        run(
            &[
                (Command::Move(A), "0"),
                (set(A, "1"), "OK"),
                (Command::Move(A), "1"),
                (Command::Get(A), "nil"),
                (set(A, "2"), "OK"),
                (Command::Move(A), "0"),
                (set(B, "3"), "OK"),
                (Command::SwapDb, "OK"),
                (Command::MGet(vec![A, B]), "'1' nil"),
                (Command::FlushDb, "OK"),
                (Command::SwapDb, "OK"),
                (Command::Move(B), "1"),
            ],
            "a=2",
        );
        run(
            &[
                (set(A, "1"), "OK"),
                (Command::SwapDb, "OK"),
                (Command::FlushAll, "OK"),
                (Command::SwapDb, "OK"),
            ],
            "nothing",
        );
    }
}
