//! Compares what a recovery brought back with all that was appended to the logs before: it must be, of each shard, what
//! stood there at one moment, all moments together must split no transaction, and none may lie before what was released.
//!
//! This does not know what commands mean or who issued them: it takes effects as they were logged. That they are the right
//! ones is for the model to find out.

use std::collections::{BTreeMap, BTreeSet};

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
    let mut shards = shards(before, found, shard_of, |shard, entry| {
        entry.end <= before.released[shard] || entry.time_ms <= before.kept_until_ms
    })?;
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
    // A transaction may be under way.
    let shards = shards(before, in_memory, shard_of, |_, _| true);
    shards.map(drop).map_err(|what| format!("effects and memory differ: {what}"))
}

/// Each shard with the moments at which it may stand; `must`: effects that may not be missing.
fn shards<'a>(
    before: &'a Before,
    found: &Keys,
    shard_of: impl Fn(&[u8]) -> usize,
    must: impl Fn(usize, &Entry) -> bool,
) -> Result<Vec<Shard<'a>>, String> {
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
        let must = entries.partition_point(|entry| must(shard, entry));
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
    Ok(shards)
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
        let keys = touched(&state, entry);
        let wrong_of = |state: &Keys| keys.iter().filter(|key| differs(state, key)).count();
        wrong -= wrong_of(&state);
        apply(&mut state, entry, &keys);
        wrong += wrong_of(&state);
        let ends_here = entry.ends_command && (entry.transaction.is_none() || ends_transaction(entry));
        if wrong == 0 && ends_here {
            moments.push(number + 1);
        }
    }
    moments
}

fn name(entry: &Entry) -> &[u8] {
    entry.args.first().map_or(b"", Vec::as_slice)
}

/// The last entry of a part of a transaction has no effect.
fn ends_transaction(entry: &Entry) -> bool {
    entry.transaction.is_some() && entry.args.is_empty()
}

fn touched(state: &Keys, entry: &Entry) -> Vec<(u16, Vec<u8>)> {
    match name(entry) {
        b"" => Vec::new(),
        b"FLUSHALL" => state.keys().cloned().collect(),
        b"FLUSHDB" => state.keys().filter(|(db, _)| *db == entry.database).cloned().collect(),
        b"SWAPDB" => {
            let [one, other] = databases(entry);
            let keys = state.keys().filter(|(db, _)| [one, other].contains(db));
            let both = keys.flat_map(|(_, key)| [(one, key.clone()), (other, key.clone())]);
            both.collect::<BTreeSet<_>>().into_iter().collect()
        }
        _ => vec![(entry.database, entry.args[1].clone())],
    }
}

/// Those that a SWAPDB names.
fn databases(entry: &Entry) -> [u16; 2] {
    let number = |arg: &[u8]| std::str::from_utf8(arg).ok().and_then(|text| text.parse().ok());
    [1, 2].map(|index| entry.args.get(index).and_then(|arg| number(arg)).expect("SWAPDB has two numbers"))
}

/// What an effect means for the keys that it touches. docs/data-files.md has the list.
fn apply(state: &mut Keys, entry: &Entry, keys: &[(u16, Vec<u8>)]) {
    if name(entry) != b"SWAPDB" {
        return keys.iter().for_each(|key| apply_to(state, entry, key));
    }
    let [one, other] = databases(entry);
    let values: Vec<_> = keys.iter().map(|key| state.remove(key)).collect();
    for ((db, key), value) in keys.iter().zip(values) {
        let db = if *db == one { other } else { one };
        value.map(|value| state.insert((db, key.clone()), value));
    }
}

fn apply_to(state: &mut Keys, entry: &Entry, key: &(u16, Vec<u8>)) {
    let number = |arg: &[u8]| std::str::from_utf8(arg).ok().and_then(|text| text.parse::<u64>().ok());
    match name(entry) {
        b"SET" => {
            let ends = entry.args.get(4).and_then(|at| number(at));
            state.insert(key.clone(), (entry.args[2].clone(), ends));
        }
        b"SETRANGE" => {
            let (value, bytes) = (&mut state.entry(key.clone()).or_default().0, &entry.args[3]);
            let start = number(&entry.args[2]).unwrap_or(0) as usize;
            value.resize(value.len().max(start + bytes.len()), 0);
            value[start..start + bytes.len()].copy_from_slice(bytes);
        }
        b"APPEND" => state.entry(key.clone()).or_default().0.extend_from_slice(&entry.args[2]),
        b"PEXPIREAT" => drop(state.get_mut(key).map(|held| held.1 = number(&entry.args[2]))),
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

/// A transaction that one shard has before its moment and another participant has not, or not as a whole: with the shard
/// that has it, and where it begins there.
fn split(shards: &[Shard<'_>]) -> Option<(Gsn, usize, usize)> {
    let has = |shard: &Shard<'_>, gsn: Gsn| {
        let mut before = shard.entries[..shard.last()].iter();
        before.any(|entry| ends_transaction(entry) && gsn_of(entry) == Some(gsn))
    };
    for (index, shard) in shards.iter().enumerate() {
        for (begin, entry) in shard.entries[..shard.last()].iter().enumerate() {
            let Some((gsn, participants)) = &entry.transaction else { continue };
            if !participants.iter().all(|other| has(&shards[usize::from(other.0)], *gsn)) {
                return Some((*gsn, index, begin));
            }
        }
    }
    None
}

fn gsn_of(entry: &Entry) -> Option<Gsn> {
    entry.transaction.as_ref().map(|(gsn, _)| *gsn)
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
        let keys = touched(&state, entry);
        apply(&mut state, entry, &keys);
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

    /// Of all effects.
    const TIME_MS: u64 = 5;

    /// Shard, number of the transaction over both shards (0: none), effect. Each effect is a command of its own.
    fn journal(lines: &[(u16, u64, &str)]) -> Vec<Entry> {
        let mut ends = [0; 4];
        let entry = |&(shard, gsn, command): &(u16, u64, &str)| {
            ends[usize::from(shard)] += 1;
            Entry {
                shard: ShardId(shard),
                end: Position(ends[usize::from(shard)]),
                database: 0,
                args: command.split_whitespace().map(|word| word.as_bytes().to_vec()).collect(),
                transaction: (gsn > 0).then(|| (Gsn(gsn), vec![ShardId(0), ShardId(1)])),
                ends_command: gsn == 0 || command.is_empty(),
                time_ms: TIME_MS,
            }
        };
        lines.iter().map(entry).collect()
    }

    const PLAIN: &[(u16, u64, &str)] = &[(0, 0, "SET a 1"), (0, 0, "APPEND a 2"), (0, 0, "DEL a")];
    const IN_PART: &[(u16, u64, &str)] = &[(0, 0, "SETRANGE a 2 xy"), (0, 0, "SETRANGE a 1 z")];
    const SPLIT: &[(u16, u64, &str)] =
        &[(0, 0, "SET a 1"), (0, 7, "SET a 2"), (0, 7, ""), (1, 7, "SET b 2"), (1, 7, ""), (1, 0, "SET b 3")];

    /// Keys that begin with `a` are on shard 0, others on shard 1; `released` is shard 0's.
    fn verdict(
        lines: &[(u16, u64, &str)],
        released: u64,
        kept_until_ms: u64,
        found: &[(&str, &str)],
    ) -> Result<u64, String> {
        let released = vec![Position(released), Position(0)];
        let before = Before { base: Keys::new(), journal: journal(lines), released, kept_until_ms };
        let key = |(key, value): &(&str, &str)| ((0, key.as_bytes().into()), (value.as_bytes().into(), None));
        check(&before, &found.iter().map(key).collect(), |key| usize::from(key[0] != b'a'))
    }

    #[test]
    fn only_prefixes_pass_and_none_before_what_was_released() {
        assert_eq!(verdict(PLAIN, 1, 0, &[("a", "1")]), Ok(2));
        assert_eq!(verdict(PLAIN, 2, 0, &[("a", "12")]), Ok(1));
        assert_eq!(verdict(PLAIN, 3, 0, &[]), Ok(0));
        assert_eq!(verdict(IN_PART, 0, 0, &[("a", "\0\0xy")]), Ok(1));
        assert_eq!(verdict(IN_PART, 2, 0, &[("a", "\0zxy")]), Ok(0));
        for (released, found) in [(2, ("a", "1")), (0, ("a", "2")), (0, ("x", "2"))] {
            assert!(verdict(PLAIN, released, 0, &[found]).is_err(), "{released} {found:?}");
        }
    }

    #[test]
    fn a_transaction_is_there_as_a_whole_or_not() {
        for whole in [&[("a", "2"), ("b", "2")][..], &[("a", "2"), ("b", "3")], &[("a", "1")]] {
            assert!(verdict(SPLIT, 0, 0, whole).is_ok(), "{whole:?}");
        }
        for half in [&[("a", "2")][..], &[("a", "1"), ("b", "2")]] {
            assert!(verdict(SPLIT, 0, 0, half).is_err(), "{half:?}");
        }
    }

    #[test]
    fn a_part_that_another_shard_never_appended_is_half_a_transaction() {
        let begun = &SPLIT[..3];
        assert!(verdict(begun, 0, 0, &[("a", "2")]).is_err());
        assert!(verdict(begun, 0, 0, &[("a", "1")]).is_ok());
    }

    #[test]
    fn nothing_ends_within_a_command() {
        let mut journal = journal(&[(0, 0, "SET a1 1"), (0, 0, "SET a2 1")]);
        journal[0].ends_command = false;
        let released = vec![Position(0)];
        let before = Before { base: Keys::new(), journal, released, kept_until_ms: 0 };
        let key = |key: &str| ((0, key.as_bytes().to_vec()), (b"1".to_vec(), None));
        assert!(check(&before, &[key("a1")].into(), |_| 0).is_err());
        assert!(check(&before, &[key("a1"), key("a2")].into(), |_| 0).is_ok());
    }

    #[test]
    fn databases_change_places() {
        let journal =
            journal(&[(0, 0, "SET a 1"), (0, 0, "SWAPDB 0 2"), (0, 0, "SET b 2"), (0, 0, "SWAPDB 2 0")]);
        let before = Before { base: Keys::new(), journal, released: vec![Position(0)], kept_until_ms: 0 };
        let holds = |found: &[(u16, &str, &str)]| {
            let key = |(db, key, value): &(u16, &str, &str)| {
                ((*db, key.as_bytes().to_vec()), (value.as_bytes().to_vec(), None))
            };
            check(&before, &found.iter().map(key).collect(), |_| 0)
        };
        assert_eq!(holds(&[(0, "a", "1")]), Ok(3));
        assert_eq!(holds(&[(2, "a", "1")]), Ok(2));
        assert_eq!(holds(&[(2, "a", "1"), (0, "b", "2")]), Ok(1));
        assert_eq!(holds(&[(0, "a", "1"), (2, "b", "2")]), Ok(0));
        assert!(holds(&[(0, "a", "1"), (0, "b", "2")]).is_err());
    }

    #[test]
    fn what_is_old_enough_must_be_there() {
        assert!(verdict(PLAIN, 0, TIME_MS - 1, &[("a", "1")]).is_ok());
        assert!(verdict(PLAIN, 0, TIME_MS, &[("a", "1")]).is_err());
        assert!(verdict(PLAIN, 0, TIME_MS, &[]).is_ok());
    }
}
