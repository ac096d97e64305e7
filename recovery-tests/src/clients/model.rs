//! What may be there after a crash.
//!
//! An item is a key, or some keys that one command writes together. It belongs to one client, which issues its commands one
//! after the other, each with a number (its *step*). So the item has versions, one per step that wrote it, and a crash leaves
//! one of those that are not older than what was promised to stay.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Instant;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub value: String,
    /// When it expires, in ms since 1970: if set by a time to live, counted from when the command was issued.
    pub ends: Option<u64>,
}

/// What the keys of an item hold.
pub type State = Vec<Option<Stored>>;

/// A time of expiry may be found so much earlier than expected, in ms: the server reads its clock once per round.
const EARLIER_MS: u64 = 1_000;
/// And so much later: from when the command was issued until it ran.
const LATER_MS: u64 = 30_000;

/// Longest value that a violation repeats, in characters.
const SHOWN_CHARS: usize = 24;
/// Of a longer one so many from its beginning, where it says who wrote it, and from its end, where it was added to.
const HEAD_CHARS: usize = 14;
const TAIL_CHARS: usize = 8;

/// A value or word for a violation, cut if it is long.
pub fn shown(value: &str) -> String {
    let count = value.chars().count();
    if count <= SHOWN_CHARS {
        return value.to_owned();
    }
    let head: String = value.chars().take(HEAD_CHARS).collect();
    let tail: String = value.chars().skip(count - TAIL_CHARS).collect();
    format!("{head}…{tail}({count})")
}

/// A state for a violation.
pub fn shown_state(state: &State) -> String {
    let of_key = |stored: &Option<Stored>| match stored {
        None => "nothing".to_owned(),
        Some(Stored { value, ends: None }) => shown(value),
        Some(Stored { value, ends: Some(ends) }) => format!("{} until {ends}", shown(value)),
    };
    format!("[{}]", state.iter().map(of_key).collect::<Vec<_>>().join(", "))
}

/// Whether the end of a key is as expected.
pub fn ends_fit(expected: Option<u64>, found: Option<u64>) -> bool {
    match (expected, found) {
        (None, None) => true,
        (Some(expected), Some(found)) => {
            (expected.saturating_sub(EARLIER_MS)..=expected + LATER_MS).contains(&found)
        }
        _ => false,
    }
}

fn fits(expected: Option<&Stored>, found: Option<&Stored>, now_ms: u64) -> bool {
    match (expected, found) {
        (None, None) => true,
        (Some(expected), Some(found)) => expected.value == found.value && ends_fit(expected.ends, found.ends),
        (Some(expected), None) => expected.ends.is_some_and(|ends| ends <= now_ms),
        (None, Some(_)) => false,
    }
}

/// What was promised of acknowledged writes before a crash.
#[derive(Clone, Copy, Debug)]
pub enum Promise {
    /// All are there.
    All,
    /// Those that were acknowledged before this moment are there.
    Before(Instant),
    /// Of each shard what came first is there, however much that is.
    Prefix,
}

#[derive(Debug)]
struct Version {
    step: u64,
    state: State,
    acknowledged: Option<Instant>,
    /// A reply to another client showed it.
    seen: bool,
}

/// Steps from one on and before another.
pub type Steps = (u64, u64);

/// One item's versions, oldest first; never empty.
#[derive(Debug)]
pub struct Item {
    versions: VecDeque<Version>,
    /// What the server holds is not known: nothing is said about it until it is [settled](Item::settle).
    unknown: bool,
}

impl Item {
    pub fn new(state: State) -> Self {
        let first = Version { step: 0, state, acknowledged: Some(Instant::now()), seen: true };
        Self { versions: [first].into(), unknown: false }
    }

    /// The state that the next command meets.
    pub fn latest(&self) -> &State {
        &self.versions[self.versions.len() - 1].state
    }

    /// The command of a step, later than all before, was issued and makes the state `next`.
    pub fn issue(&mut self, step: u64, next: State) {
        self.versions.push_back(Version { step, state: next, acknowledged: None, seen: false });
    }

    fn version(&mut self, step: u64) -> Option<&mut Version> {
        self.versions.iter_mut().rev().find(|version| version.step == step)
    }

    /// The command of a step was acknowledged.
    pub fn acknowledge(&mut self, step: u64) {
        if let Some(version) = self.version(step) {
            version.acknowledged = Some(Instant::now());
        }
    }

    /// The command of a step was refused, and no other was issued since.
    pub fn refuse(&mut self, step: u64) {
        self.versions.retain(|version| version.step != step);
    }

    /// A command was refused behind which others had been issued: what they made is not known.
    pub fn confuse(&mut self) {
        self.unknown = true;
    }

    pub fn is_unknown(&self) -> bool {
        self.unknown
    }

    /// Another client was shown this value of the key at `place`. Answers whether it was ever issued.
    pub fn show(&mut self, place: usize, value: &str) -> bool {
        let is_it = |version: &&mut Version| {
            version.state[place].as_ref().is_some_and(|stored| stored.value == value)
        };
        let first = self.versions.iter_mut().find(is_it).map(|version| version.seen = true);
        first.is_some() || self.unknown
    }

    /// The oldest version that may be found.
    fn floor(&self, promise: Promise) -> usize {
        let is_promised = |version: &Version| match promise {
            Promise::All => version.acknowledged.is_some() || version.seen,
            Promise::Before(moment) => version.acknowledged.is_some_and(|at| at < moment),
            Promise::Prefix => false,
        };
        self.versions.iter().rposition(is_promised).unwrap_or(0)
    }

    /// At the end of which steps may the crash have been, if the item is found like this?
    ///
    /// # Errors
    /// At the end of none: something promised was lost, or something was never issued. The text tells.
    pub fn found(&self, state: &State, promise: Promise, now_ms: u64) -> Result<Vec<Steps>, String> {
        if self.unknown {
            return Ok(vec![(0, u64::MAX)]);
        }
        let floor = self.floor(promise);
        let fits = |place: &usize| {
            let pairs = self.versions[*place].state.iter().zip(state);
            pairs.into_iter().all(|(expected, found)| fits(expected.as_ref(), found.as_ref(), now_ms))
        };
        let from = |place: usize| self.versions.get(place).map_or(u64::MAX, |version| version.step);
        let all = floor..self.versions.len();
        let steps: Vec<Steps> = all.filter(fits).map(|place| (from(place), from(place + 1))).collect();
        if steps.is_empty() { Err(self.describe(state, floor)) } else { Ok(steps) }
    }

    fn describe(&self, found: &State, floor: usize) -> String {
        let mut text = format!("found {}", shown_state(found));
        let first = floor.saturating_sub(1);
        for (place, version) in self.versions.iter().enumerate().skip(first).take(8) {
            let word = match (version.acknowledged.is_some(), version.seen) {
                (_, true) => "shown",
                (true, _) => "acknowledged",
                (false, _) => "issued",
            };
            let bound = if place == floor { ", nothing older may be found" } else { "" };
            let state = shown_state(&version.state);
            let _ = write!(text, "\n    step {}, {word}{bound}: {state}", version.step); // a string takes it
        }
        text
    }

    /// From here on the item is known to be like this.
    pub fn settle(&mut self, state: State) {
        *self = Self::new(state);
    }

    /// The item was read, and was like this, at a step of its own.
    pub fn resync(&mut self, step: u64, state: State) {
        self.issue(step, state);
        self.acknowledge(step);
        self.unknown = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(value: &str) -> State {
        vec![Some(Stored { value: value.to_owned(), ends: None })]
    }

    #[test]
    fn long_values_are_cut_where_they_are_shown() {
        let mut long = state(&"x".repeat(200));
        long.push(Some(Stored { value: "short".into(), ends: Some(7) }));
        long.push(None);
        assert_eq!(shown_state(&long), "[xxxxxxxxxxxxxx…xxxxxxxx(200), short until 7, nothing]");
    }

    fn is_fine(item: &Item, value: &str, promise: Promise) -> bool {
        item.found(&state(value), promise, 0).is_ok()
    }

    #[test]
    fn only_acknowledged_or_later_issued_states_pass() {
        let mut item = Item::new(state("a"));
        item.issue(1, state("b"));
        item.issue(2, state("c"));
        item.acknowledge(1);
        assert!(!is_fine(&item, "a", Promise::All), "an acknowledged write was lost");
        assert!(!is_fine(&item, "d", Promise::All), "never issued");
        assert!(is_fine(&item, "b", Promise::All) && is_fine(&item, "c", Promise::All));
        assert!(is_fine(&item, "a", Promise::Prefix));
        item.settle(state("c"));
        assert!(!is_fine(&item, "b", Promise::Prefix), "it was lost and may not come back");
    }

    #[test]
    fn what_was_shown_to_others_stays() {
        let mut item = Item::new(state("a"));
        item.issue(1, state("b"));
        item.issue(2, state("c"));
        assert!(item.show(0, "b") && !item.show(0, "x"));
        assert!(!is_fine(&item, "a", Promise::All) && is_fine(&item, "b", Promise::All));
    }

    #[test]
    fn a_loss_is_bounded_by_time() {
        let mut item = Item::new(state("a"));
        item.issue(1, state("b"));
        item.acknowledge(1);
        let between = Instant::now() + std::time::Duration::from_millis(1);
        assert!(!is_fine(&item, "a", Promise::Before(between)));
        std::thread::sleep(std::time::Duration::from_millis(2));
        item.issue(2, state("c"));
        item.acknowledge(2);
        assert!(is_fine(&item, "b", Promise::Before(between)), "the next was acknowledged later");
    }

    #[test]
    fn a_key_may_be_gone_when_its_time_has_come() {
        let item = Item::new(vec![Some(Stored { value: "a".into(), ends: Some(5_000) })]);
        assert!(item.found(&vec![None], Promise::All, 4_999).is_err());
        assert!(item.found(&vec![None], Promise::All, 5_000).is_ok());
        assert!(!is_fine(&item, "a", Promise::All), "it does not end any more");
    }

    #[test]
    fn a_refused_write_is_not_there() {
        let mut item = Item::new(state("a"));
        item.issue(1, state("b"));
        item.refuse(1);
        assert!(!is_fine(&item, "b", Promise::All));
    }
}
