//! What a run appended and what was acknowledged at which disk call, and so what may be there after a crash.
//!
//! Invariants:
//! 1. A key is appended once, on one shard; its name is never used again, so that nothing comes back unseen.
//! 2. What is known to be acknowledged may be noted late, never early.

use std::collections::BTreeMap;

use everfast::persist::{Gsn, Recovered, ShardId};

/// The keys of each shard, in the order of its log.
pub type Keys = BTreeMap<u16, Vec<String>>;

/// See the module.
#[derive(Clone, Default)]
pub struct History {
    pub keys: Keys,
    /// Per transaction: its participants, and the place of its key among the shard's keys.
    transactions: BTreeMap<u64, Vec<(u16, usize)>>,
    /// Disk calls so far, and how many keys of each shard were acknowledged then.
    acknowledged: Vec<(u64, BTreeMap<u16, usize>)>,
    epoch: EpochPositions,
}

/// Where the keys and transactions of the logs that run now stand in them.
#[derive(Clone, Default)]
struct EpochPositions {
    /// Per shard: each key's place among the shard's keys, with the position behind it.
    keys: BTreeMap<u16, Vec<(usize, u64)>>,
    /// Per transaction and participant: the positions before and behind its part.
    transactions: BTreeMap<u64, Vec<(u16, u64, u64)>>,
}

impl History {
    /// Begins with what a recovery brought: that must stay.
    pub fn from_recovered(keys: Keys) -> History {
        let all = keys.iter().map(|(shard, keys)| (*shard, keys.len())).collect();
        History { keys, acknowledged: vec![(0, all)], ..History::default() }
    }

    /// How many keys a shard has.
    pub fn count(&self, shard: u16) -> usize {
        self.keys.get(&shard).map_or(0, Vec::len)
    }

    /// New logs begin: positions count from 0.
    pub fn begin_epoch(&mut self) {
        self.epoch = EpochPositions::default();
    }

    /// A key was appended; `end` is the position behind it.
    pub fn append(&mut self, shard: u16, key: String, end: u64) {
        let place = self.count(shard);
        self.epoch.keys.entry(shard).or_default().push((place, end));
        self.keys.entry(shard).or_default().push(key);
    }

    /// The last key of `shard` is its part of a transaction, which takes the positions from `start` to `end`.
    pub fn note_part(&mut self, gsn: u64, shard: u16, start: u64, end: u64) {
        let place = self.count(shard) - 1;
        self.transactions.entry(gsn).or_default().push((shard, place));
        self.epoch.transactions.entry(gsn).or_default().push((shard, start, end));
        // The key stands before the end of its transaction: it counts when that does.
        if let Some((_, key_end)) = self.epoch.keys.get_mut(&shard).and_then(|keys| keys.last_mut()) {
            *key_end = end;
        }
    }

    /// Notes what is acknowledged when so much of each shard is durable; answers the highest number up to which all
    /// transactions of this epoch are durable on all their shards.
    pub fn acknowledge(&mut self, call: u64, durable: &BTreeMap<u16, u64>) -> Option<u64> {
        let reached = |shard: u16| durable.get(&shard).copied().unwrap_or(0);
        let is_whole = |parts: &[(u16, u64, u64)]| parts.iter().all(|&(shard, _, end)| reached(shard) >= end);
        let open = self.epoch.transactions.iter().find(|(_, parts)| !is_whole(parts)).map(|(gsn, _)| *gsn);
        let mut counts = self.acknowledged.last().map(|(_, counts)| counts.clone()).unwrap_or_default();
        for (&shard, keys) in &self.epoch.keys {
            // Behind a transaction that is not whole nothing is acknowledged.
            let beyond = self.epoch.transactions.range(open.unwrap_or(u64::MAX)..);
            let starts = beyond.flat_map(|(_, parts)| parts).filter(|(part, ..)| *part == shard);
            let bound = starts.map(|&(_, start, _)| start).min().unwrap_or(u64::MAX).min(reached(shard));
            let acknowledged = keys.iter().filter(|(_, end)| *end <= bound).map(|(place, _)| place + 1).max();
            let count = counts.entry(shard).or_default();
            *count = (*count).max(acknowledged.unwrap_or(0));
        }
        self.acknowledged.push((call, counts));
        let whole = self.epoch.transactions.keys().take_while(|gsn| open.is_none_or(|open| **gsn < open));
        whole.last().copied()
    }

    /// Everything appended is acknowledged: a clean stop vouches for it.
    pub fn acknowledge_all(&mut self, call: u64) {
        let all = self.keys.iter().map(|(shard, keys)| (*shard, keys.len())).collect();
        self.acknowledged.push((call, all));
    }

    /// How many keys of a shard were acknowledged before disk call `call`.
    fn acknowledged_before(&self, call: u64, shard: u16) -> usize {
        let noted = self.acknowledged.iter().take_while(|(noted, _)| *noted <= call);
        noted.filter_map(|(_, counts)| counts.get(&shard).copied()).max().unwrap_or(0)
    }

    /// Checks what a recovery brought after a crash before disk call `call`.
    ///
    /// # Errors
    /// Which promise was broken, and how.
    pub fn check(&self, call: u64, found: &Found) -> Result<(), String> {
        self.check_prefix(found)?;
        for shard in self.keys.keys().copied() {
            let (needed, kept) = (self.acknowledged_before(call, shard), found.count(shard));
            if kept < needed {
                return Err(format!(
                    "(a) nothing acknowledged is lost: of {needed} acknowledged keys of shard {shard} {kept} are there"
                ));
            }
        }
        Ok(())
    }

    /// As [`History::check`], whatever was acknowledged.
    pub fn check_prefix(&self, found: &Found) -> Result<(), String> {
        for (shard, keys) in &found.keys {
            let ours = self.keys.get(shard).map_or(&[][..], Vec::as_slice);
            let same = keys.iter().zip(ours).take_while(|(found, ours)| found == ours).count();
            if same < keys.len() {
                let next = ours.get(same).map_or("the end", String::as_str);
                return Err(format!(
                    "(b, g) a shard's state is a prefix of what it appended: shard {shard} has {} behind {same} keys, where \
                     {next} was expected",
                    keys[same]
                ));
            }
        }
        for (gsn, parts) in &self.transactions {
            let there = parts.iter().filter(|(shard, place)| found.count(*shard) > *place).count();
            if there != 0 && there != parts.len() {
                return Err(format!(
                    "(c) transactions are whole or absent: of transaction {gsn} {there} of {} parts are there",
                    parts.len()
                ));
            }
            if there != 0 && found.next_gsn <= *gsn {
                return Err(format!(
                    "(c) numbers of transactions are never given again: {gsn} is there, and the next is {}",
                    found.next_gsn
                ));
            }
        }
        Ok(())
    }

    /// The places of the transactions' keys, by number.
    pub fn transactions(&self) -> &BTreeMap<u64, Vec<(u16, usize)>> {
        &self.transactions
    }
}

/// What a recovery brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub keys: Keys,
    pub next_gsn: u64,
}

impl Found {
    pub fn count(&self, shard: u16) -> usize {
        self.keys.get(&shard).map_or(0, Vec::len)
    }

    /// Reads snapshots and logs.
    ///
    /// # Errors
    /// An effect that was never appended so, or a log that cannot be replayed though the recovery took it.
    pub fn read(recovered: &Recovered) -> Result<Found, String> {
        let mut found = Found { keys: Keys::new(), next_gsn: recovered.next_gsn.0 };
        for snapshot in &recovered.snapshots {
            let text = std::str::from_utf8(&snapshot.map[..snapshot.map.len() - 8]);
            let text = text.map_err(|error| format!("{}: {error}", snapshot.path.display()))?;
            found.add(snapshot.entry.shard, text.lines());
        }
        for log in recovered.epochs.iter().flat_map(|epoch| &epoch.logs) {
            let applied = log.for_each(|shard, _, args| {
                let [b"SET", key, value] = args else { return Err(format!("{args:?} was never appended")) };
                if value.first_chunk::<VALUE_HEAD>().is_none_or(|head| head[..] != value_head(key)[..]) {
                    return Err(format!(
                        "{} has a value that was never its own",
                        String::from_utf8_lossy(key)
                    ));
                }
                let key = String::from_utf8_lossy(key);
                found.add(shard, std::iter::once(&*key));
                Ok(())
            });
            applied.map_err(|error| format!("what a recovery took cannot be replayed: {error:?}"))?;
        }
        Ok(found)
    }

    fn add<'a>(&mut self, shard: ShardId, keys: impl Iterator<Item = &'a str>) {
        self.keys.entry(shard.0).or_default().extend(keys.map(str::to_owned));
    }
}

const VALUE_HEAD: usize = 8;

/// A value begins with this.
fn value_head(key: &[u8]) -> [u8; VALUE_HEAD] {
    key.iter().fold(0u64, |hash, byte| hash.wrapping_mul(131).wrapping_add(u64::from(*byte))).to_le_bytes()
}

/// A value of `bytes` bytes, at least 8, that no other key has.
pub fn value(key: &str, bytes: usize) -> Vec<u8> {
    let mut value = value_head(key.as_bytes()).to_vec();
    value.resize(bytes.max(VALUE_HEAD), b'v');
    value
}

/// The number behind the highest one given out so far.
pub fn next_gsn(history: &History) -> Gsn {
    Gsn(history.transactions.keys().last().map_or(1, |gsn| gsn + 1))
}
