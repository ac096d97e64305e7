//! What may be there: for each item all states that it went through, and which of them is the oldest that may be found.
//!
//! An *item* is one key, or several that commands change together. One client alone changes it, one command after the other,
//! so the state that each command meets is known when the command is issued. Any client may read it.

use formats::resp::Value;

/// A value with the time of its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub value: Vec<u8>,
    pub ends: Option<Ends>,
}

/// When a key ends, in Unix ms: not known exactly where a command gave a time from its own execution on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub earliest: u64,
    pub latest: u64,
}

impl Ends {
    pub fn at(time: u64) -> Ends {
        Ends { earliest: time, latest: time }
    }
}

/// What a key holds.
pub type Slot = Option<Held>;

/// A key as it was found: value, and when it ends.
pub type Found = Option<(Vec<u8>, Option<u64>)>;

/// What a key holds at a time that is not within the uncertainty of its end.
pub fn living(slot: &Slot, now: u64) -> Slot {
    slot.clone().filter(|held| held.ends.is_none_or(|ends| ends.latest > now))
}

fn fits(slot: &Slot, found: &Found, now: u64) -> bool {
    let found = found.as_ref().filter(|(_, ends)| ends.is_none_or(|at| at > now));
    match (slot, found) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(held), None) => held.ends.is_some_and(|ends| ends.earliest <= now),
        (Some(held), Some((value, ends))) => {
            held.value == *value
                && match (held.ends, ends) {
                    (None, None) => true,
                    (Some(range), Some(at)) => (range.earliest..=range.latest).contains(at),
                    _ => false,
                }
        }
    }
}

/// See the module.
pub struct Item {
    pub owner: usize,
    pub database: u16,
    pub keys: Vec<String>,
    /// States in order; the last one is what the next command meets.
    versions: Vec<Vec<Slot>>,
    /// The oldest version that may be found after a crash.
    floor: usize,
    /// The oldest one that may be read by whoever asks now.
    shown: usize,
    /// A command of its owner has not been answered.
    pub is_busy: bool,
}

impl Item {
    pub fn new(owner: usize, database: u16, keys: Vec<String>) -> Item {
        let versions = vec![vec![None; keys.len()]];
        Item { owner, database, keys, versions, floor: 0, shown: 0, is_busy: false }
    }

    pub fn latest(&self) -> &[Slot] {
        &self.versions[self.versions.len() - 1]
    }

    /// Number of the latest version.
    pub fn version(&self) -> usize {
        self.versions.len() - 1
    }

    /// The oldest version that may be found after a crash.
    pub fn floor(&self) -> usize {
        self.floor
    }

    pub fn shown(&self) -> usize {
        self.shown
    }

    /// A client was told of this version: whoever asks from now on sees it, or a later one.
    pub fn show(&mut self, version: usize) {
        self.shown = self.shown.max(version);
    }

    /// Nobody can say what a command would meet: a key is about to end.
    pub fn rests(&self, now: u64, horizon_ms: u64) -> bool {
        let mut ends = self.latest().iter().flatten().filter_map(|held| held.ends);
        ends.any(|ends| ends.latest > now && ends.earliest <= now + horizon_ms)
    }

    /// A command was issued that makes the state `next`.
    pub fn issue(&mut self, next: Vec<Slot>) {
        self.versions.push(next);
    }

    /// The last command issued was refused and changed nothing.
    pub fn retract(&mut self) {
        self.versions.pop();
    }

    /// Version `version` must outlive a crash.
    pub fn keep(&mut self, version: usize) {
        self.floor = self.floor.max(version);
    }

    /// A reader saw these keys like this, at one moment after `sent` and before `now`, when the oldest version that it may
    /// have seen was `oldest`. Answers the oldest one that fits.
    ///
    /// # Errors
    /// No version that was there meanwhile looks like this.
    pub fn seen(
        &self,
        keys: &[(usize, &Value)],
        oldest: usize,
        sent: u64,
        now: u64,
    ) -> Result<usize, String> {
        let looks = |slot: &Slot, value: &Value, time: u64| {
            let may_have_ended =
                slot.as_ref().is_some_and(|held| held.ends.is_some_and(|ends| ends.earliest <= time));
            match living(slot, time) {
                _ if may_have_ended && *value == Value::Null => true,
                None => *value == Value::Null,
                Some(held) => *value == Value::Bulk(held.value),
            }
        };
        let fits = |state: &[Slot]| {
            keys.iter()
                .all(|(key, value)| looks(&state[*key], value, sent) || looks(&state[*key], value, now))
        };
        let mut matching = self.versions.iter().enumerate().skip(oldest).filter(|(_, state)| fits(state));
        matching.next().map(|(version, _)| version).ok_or_else(|| {
            let read: Vec<String> =
                keys.iter().map(|(key, value)| format!("{} as {value:?}", self.keys[*key])).collect();
            let was: Vec<String> = self.versions[oldest..].iter().map(|state| describe(state)).collect();
            format!("read {}, and had been {}", read.join(", "), was.join(" | "))
        })
    }

    /// May the item be found like this? If so it goes on from there. `whole`: all keys are in the same state; else those
    /// of different shards may be in different ones, as after a crash under a policy that acknowledges before it syncs.
    ///
    /// # Errors
    /// It may not: something was lost that had to be kept, or something is there that never was.
    pub fn found(&mut self, found: &[Found], now: u64, whole: bool) -> Result<(), String> {
        let fits_key = |state: &[Slot], key: usize| fits(&state[key], &found[key], now);
        let is_allowed = |states: &[Vec<Slot>]| {
            if whole {
                states.iter().any(|state| (0..found.len()).all(|key| fits_key(state, key)))
            } else {
                (0..found.len()).all(|key| states.iter().any(|state| fits_key(state, key)))
            }
        };
        let (earlier, allowed) = self.versions.split_at(self.floor);
        if !is_allowed(allowed) {
            return Err(format!(
                "{:?} {}: found {}, allowed are {}",
                self.keys,
                if is_allowed(earlier) {
                    "lost what was acknowledged or seen"
                } else {
                    "has a state that never was"
                },
                text(found),
                allowed.iter().map(|state| describe(state)).collect::<Vec<_>>().join(" | ")
            ));
        }
        let slot =
            |found: &Found| found.clone().map(|(value, ends)| Held { value, ends: ends.map(Ends::at) });
        self.versions = vec![found.iter().map(slot).collect()];
        (self.floor, self.shown) = (0, 0);
        self.is_busy = false;
        Ok(())
    }
}

fn describe(state: &[Slot]) -> String {
    let found =
        |slot: &Slot| slot.as_ref().map(|held| (held.value.clone(), held.ends.map(|ends| ends.latest)));
    text(&state.iter().map(found).collect::<Vec<_>>())
}

/// A state for people; long values are cut.
pub fn text(found: &[Found]) -> String {
    let one = |found: &Found| match found {
        None => "nil".to_owned(),
        Some((value, ends)) => {
            let shown = value[..value.len().min(24)].escape_ascii();
            let ends = ends.map(|at| format!(" until {at}")).unwrap_or_default();
            format!("{shown}({}){ends}", value.len())
        }
    };
    format!("[{}]", found.iter().map(one).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Vec<Found> {
        vec![Some((value.into(), None))]
    }

    fn item(values: &[&str], floor: usize) -> Item {
        let mut item = Item::new(0, 0, vec!["k".into()]);
        values.iter().for_each(|value| item.issue(vec![Some(Held { value: (*value).into(), ends: None })]));
        item.keep(floor);
        item
    }

    #[test]
    fn what_was_kept_or_came_later_may_be_found_and_nothing_else() {
        for (value, floor, allowed) in
            [("a", 2, false), ("b", 2, true), ("c", 2, true), ("a", 0, true), ("d", 0, false)]
        {
            let verdict = item(&["a", "b", "c"], floor).found(&found(value), 0, true);
            assert_eq!(verdict.is_ok(), allowed, "{value} {floor}: {verdict:?}");
        }
    }

    #[test]
    fn a_key_ends_once_and_not_before() {
        let ending = || {
            let mut item = Item::new(0, 0, vec!["k".into()]);
            item.issue(vec![Some(Held { value: "v".into(), ends: Some(Ends { earliest: 10, latest: 12 }) })]);
            item.keep(1);
            item
        };
        for (now, at, allowed) in [
            (9, Some(11), true),
            (9, Some(13), false),
            (9, None, false),
            (11, None, true),
            (12, Some(12), true),
        ] {
            let found = vec![at.map(|at| ("v".into(), Some(at)))];
            assert_eq!(ending().found(&found, now, true).is_ok(), allowed, "{now} {at:?}");
        }
    }

    #[test]
    fn a_reader_sees_what_was_there_meanwhile() {
        let item = item(&["a", "b"], 0);
        let seen = |value: &str, oldest| item.seen(&[(0, &Value::Bulk(value.into()))], oldest, 0, 0);
        assert_eq!(seen("a", 0), Ok(1));
        assert!(seen("a", 2).is_err(), "it had been replaced before");
        assert!(seen("c", 0).is_err());
        assert_eq!(item.seen(&[(0, &Value::Null)], 0, 0, 0), Ok(0));
    }
}
