//! Compares what a recovery brought back with all that was appended to the logs before: it must be, of each shard, what
//! stood there at one moment, all moments together must split no transaction, and none may lie before what was released.
//!
//! This does not know what commands mean or who issued them: it takes effects as they were logged. That they are the right
//! ones is for the model to find out.

use std::collections::BTreeMap;

use everfast::persist::log::journal::Entry;
use everfast::persist::{Gsn, Position};

/// All keys: database and key, value and when it ends.
pub type Keys = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<u64>)>;

/// What is known of a run that ended.
pub struct Before {
    /// What it began with.
    pub base: Keys,
    pub journal: Vec<Entry>,
    /// Of each shard: what replies may have told.
    pub released: Vec<Position>,
    /// What was appended up to this time must be there.
    pub kept_until_ms: u64,
}

/// One shard's history.
struct Shard<'a> {
    entries: Vec<&'a Entry>,
    /// Numbers of entries after which the state is what was found, ascending.
    moments: Vec<usize>,
}

/// Answers how many effects were lost.
///
/// # Errors
/// What was found is no state that may be there.
pub fn check(before: &Before, found: &Keys, shard_of: impl Fn(&[u8]) -> usize) -> Result<u64, String> {
    let of_shard = |keys: &Keys, shard: usize| -> Keys {
        keys.iter()
            .filter(|((_, key), _)| shard_of(key) == shard)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut shards = Vec::new();
    for shard in 0..before.released.len() {
        let entries: Vec<&Entry> =
            before.journal.iter().filter(|entry| usize::from(entry.shard.0) == shard).collect();
        let (base, found) = (of_shard(&before.base, shard), of_shard(found, shard));
        let must = entries.partition_point(|entry| {
            entry.end <= before.released[shard] || entry.time_ms <= before.kept_until_ms
        });
        let all = moments(&base, &entries, &found);
        let moments: Vec<usize> = all.iter().copied().filter(|moment| *moment >= must).collect();
        if moments.is_empty() {
            let (property, why) = match all.last() {
                Some(last) => ("lost", format!("it stands after effect {last}, and {must} had to be kept")),
                None => ("no prefix", difference(&base, &entries, &found)),
            };
            return Err(format!("shard {shard}: {property}: {why} (of {} effects)", entries.len()));
        }
        shards.push(Shard { entries, moments });
    }
    split_no_transaction(&mut shards)?;
    Ok(shards.iter().map(|shard| (shard.entries.len() - shard.last()) as u64).sum())
}

/// What was appended must say what is in memory: a replay of all of it would bring back just that.
///
/// # Errors
/// It would not.
pub fn tells_the_same(
    before: &Before,
    in_memory: &Keys,
    shard_of: impl Fn(&[u8]) -> usize,
) -> Result<(), String> {
    let base = before.base.clone();
    let everything = Before {
        base,
        journal: before.journal.clone(),
        kept_until_ms: u64::MAX,
        released: before.released.clone(),
    };
    check(&everything, in_memory, shard_of)
        .map(drop)
        .map_err(|what| format!("effects and memory differ: {what}"))
}

impl Shard<'_> {
    /// The latest moment that is still possible.
    fn last(&self) -> usize {
        self.moments.last().copied().unwrap_or(0)
    }
}

/// The numbers of effects after which `base` has become `found`.
fn moments(base: &Keys, entries: &[&Entry], found: &Keys) -> Vec<usize> {
    let mut state = base.clone();
    let differs = |state: &Keys, key: &(u16, Vec<u8>)| state.get(key) != found.get(key);
    let mut wrong = base
        .keys()
        .chain(found.keys().filter(|key| !base.contains_key(key)))
        .filter(|key| differs(base, key))
        .count();
    let mut moments: Vec<usize> = if wrong == 0 { vec![0] } else { Vec::new() };
    for (number, entry) in entries.iter().enumerate() {
        for key in touched(&state, entry) {
            wrong -= usize::from(differs(&state, &key));
            apply(&mut state, entry, &key);
            wrong += usize::from(differs(&state, &key));
        }
        let is_within =
            entry.gsn.is_some() && entries.get(number + 1).is_some_and(|next| next.gsn == entry.gsn);
        if wrong == 0 && !is_within {
            moments.push(number + 1);
        }
    }
    moments
}

fn name(entry: &Entry) -> &[u8] {
    entry.args.first().map_or(b"", Vec::as_slice)
}

fn touched(state: &Keys, entry: &Entry) -> Vec<(u16, Vec<u8>)> {
    match name(entry) {
        b"" => Vec::new(),
        b"FLUSHALL" => state.keys().cloned().collect(),
        b"FLUSHDB" => state.keys().filter(|(db, _)| *db == entry.database).cloned().collect(),
        _ => vec![(entry.database, entry.args[1].clone())],
    }
}

/// What an effect means, for one key. docs/data-files.md has the list.
fn apply(state: &mut Keys, entry: &Entry, key: &(u16, Vec<u8>)) {
    let time = |arg: &[u8]| std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok());
    match name(entry) {
        b"SET" => {
            let ends = entry.args.get(4).and_then(|at| time(at));
            state.insert(key.clone(), (entry.args[2].clone(), ends));
        }
        b"APPEND" => state.entry(key.clone()).or_default().0.extend_from_slice(&entry.args[2]),
        b"PEXPIREAT" => drop(state.get_mut(key).map(|held| held.1 = time(&entry.args[2]))),
        b"PERSIST" => drop(state.get_mut(key).map(|held| held.1 = None)),
        b"DEL" | b"FLUSHALL" | b"FLUSHDB" => drop(state.remove(key)),
        other => panic!("an effect that the checker does not know: {}", other.escape_ascii()),
    }
}

/// Goes back to earlier moments until every transaction is on both sides of none.
fn split_no_transaction(shards: &mut [Shard<'_>]) -> Result<(), String> {
    loop {
        let Some((gsn, shard, begin)) = split(shards) else { return Ok(()) };
        let moments = &mut shards[shard].moments;
        moments.retain(|moment| *moment <= begin);
        if moments.is_empty() {
            return Err(format!(
                "half a transaction: shard {shard} has its part of {gsn}, and another one has not"
            ));
        }
    }
}

/// A transaction that stands before one shard's moment and not before another's: with a shard that has it, and where it
/// begins there.
fn split(shards: &[Shard<'_>]) -> Option<(Gsn, usize, usize)> {
    let lacks = |gsn: Gsn| {
        shards.iter().any(|shard| shard.entries[shard.last()..].iter().any(|entry| entry.gsn == Some(gsn)))
    };
    for (index, shard) in shards.iter().enumerate() {
        for (begin, entry) in shard.entries[..shard.last()].iter().enumerate() {
            if let Some(gsn) = entry.gsn.filter(|gsn| lacks(*gsn)) {
                return Some((gsn, index, begin));
            }
        }
    }
    None
}

/// How the closest moment differs, for people.
fn difference(base: &Keys, entries: &[&Entry], found: &Keys) -> String {
    let mut state = base.clone();
    let wrong = |state: &Keys| -> Vec<(u16, Vec<u8>)> {
        let keys = state.keys().chain(found.keys().filter(|key| !state.contains_key(key)));
        keys.filter(|key| state.get(key) != found.get(key)).cloned().collect()
    };
    let mut closest = (wrong(&state), 0, state.clone());
    for (number, entry) in entries.iter().enumerate() {
        for key in touched(&state, entry) {
            apply(&mut state, entry, &key);
        }
        let now = wrong(&state);
        if now.len() <= closest.0.len() {
            closest = (now, number + 1, state.clone());
        }
    }
    let (keys, number, state) = closest;
    let held = |keys: &Keys, key: &(u16, Vec<u8>)| super::model::text(&[keys.get(key).cloned()]);
    let shown: Vec<String> = keys
        .iter()
        .take(4)
        .map(|key| format!("{}: found {}, not {}", key.1.escape_ascii(), held(found, key), held(&state, key)))
        .collect();
    format!("closest to the state after effect {number}, but for {} keys: {}", keys.len(), shown.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use everfast::persist::ShardId;

    /// `shard gsn command`, a 0 for no transaction.
    fn journal(lines: &[(u16, u64, &str)]) -> Vec<Entry> {
        let mut ends = [0; 4];
        let entry = |&(shard, gsn, command): &(u16, u64, &str)| {
            ends[usize::from(shard)] += 1;
            Entry {
                shard: ShardId(shard),
                end: Position(ends[usize::from(shard)]),
                database: 0,
                args: command.split_whitespace().map(|word| word.as_bytes().to_vec()).collect(),
                gsn: (gsn > 0).then_some(Gsn(gsn)),
                time_ms: 0,
            }
        };
        lines.iter().map(entry).collect()
    }

    /// Keys that begin with `a` are on shard 0, others on shard 1.
    fn verdict(
        lines: &[(u16, u64, &str)],
        released: [u64; 2],
        found: &[(&str, &str)],
    ) -> Result<u64, String> {
        let before = Before {
            base: Keys::new(),
            journal: journal(lines),
            released: released.map(Position).to_vec(),
            kept_until_ms: 0,
        };
        let found = found
            .iter()
            .map(|(key, value)| ((0, key.as_bytes().to_vec()), (value.as_bytes().to_vec(), None)));
        check(&Before { kept_until_ms: u64::MIN, ..before }, &found.collect(), |key| {
            usize::from(key[0] != b'a')
        })
    }

    const PLAIN: &[(u16, u64, &str)] = &[(0, 0, "SET a 1"), (0, 0, "APPEND a 2"), (0, 0, "DEL a")];
    const SPLIT: &[(u16, u64, &str)] =
        &[(0, 0, "SET a 1"), (0, 7, "SET a 2"), (0, 7, ""), (1, 7, "SET b 2"), (1, 7, ""), (1, 0, "SET b 3")];

    #[test]
    fn only_prefixes_pass_and_none_before_what_was_released() {
        // kept_until_ms is 0, and so is every effect's time: tell them apart
        let entries = |found: &[(&str, &str)], released| {
            let mut before = Before {
                base: Keys::new(),
                journal: journal(PLAIN),
                released: vec![Position(released), Position(0)],
                kept_until_ms: 0,
            };
            before.journal.iter_mut().for_each(|entry| entry.time_ms = 5);
            let found = found
                .iter()
                .map(|(key, value)| ((0, key.as_bytes().to_vec()), (value.as_bytes().to_vec(), None)));
            check(&before, &found.collect(), |_| 0)
        };
        assert_eq!(entries(&[("a", "1")], 1), Ok(2));
        assert!(entries(&[("a", "1")], 2).is_err());
        assert_eq!(entries(&[("a", "12")], 2), Ok(1));
        assert_eq!(entries(&[], 3), Ok(0));
        assert!(entries(&[("a", "2")], 0).is_err());
        assert!(entries(&[("x", "2")], 0).is_err());
    }

    #[test]
    fn a_transaction_is_there_as_a_whole_or_not() {
        let late = |found: &[(&str, &str)], released| {
            let mut before = Before {
                base: Keys::new(),
                journal: journal(SPLIT),
                released: vec![Position(released), Position(0)],
                kept_until_ms: 0,
            };
            before.journal.iter_mut().for_each(|entry| entry.time_ms = 5);
            let found = found
                .iter()
                .map(|(key, value)| ((0, key.as_bytes().to_vec()), (value.as_bytes().to_vec(), None)));
            check(&before, &found.collect(), |key| usize::from(key[0] != b'a'))
        };
        assert!(late(&[("a", "2"), ("b", "2")], 0).is_ok());
        assert!(late(&[("a", "2"), ("b", "3")], 0).is_ok());
        assert!(late(&[("a", "1")], 0).is_ok());
        assert!(late(&[("a", "2")], 0).is_err());
        assert!(late(&[("a", "1"), ("b", "2")], 0).is_err());
    }

    #[test]
    fn what_is_old_enough_must_be_there() {
        assert!(verdict(PLAIN, [0, 0], &[("a", "1")]).is_err());
        assert!(verdict(PLAIN, [0, 0], &[]).is_ok());
    }
}
