//! Decides whether a history is linearizable: whether every operation can be given a moment between its sending and
//! its reply at which it happened at once, such that the replies are those of [`spec`](super::spec).
//!
//! The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) in the just-in-time order of
//! Lowe ("Testing for linearizability", 2017), with his memory of what was visited: walk through the events, keep every
//! *configuration* (state, operations under way that have happened) that the replies so far allow, and let operations
//! happen only when a reply demands it. If a reply leaves no configuration, the history is not linearizable.
//!
//! Crashes: an operation under way at a crash happened before it or never will (strict linearizability: Aguilera and
//! Frølund 2003), and what happened outlives the crash (durable linearizability: Izraelevitz, Mendes, Scott 2016).
//!
//! Without a sync before each reply, what outlives a crash is what was there at some moment before it (buffered durable
//! linearizability, also Izraelevitz and others): a configuration then also has the state that will be kept.
//!
//! Keys that no operation joins are searched apart (Herlihy and Wing 1990: linearizability is local; Horn and Kroening
//! 2015 on its use in checking).
//!
//! Invariants:
//! 1. Sound: `NotLinearizable` is never said of a history that has a linearization.
//! 2. Complete: `Linearizable` is never said of one that has none.
//! 3. Bounded: beyond a number of configurations the answer is `Undecided`, which proves nothing.

use std::collections::{BTreeSet, HashSet};

use super::command::{ALL_KEYS, KeySet};
use super::history::{Durability, Event, History, Moment};
use super::spec::State;

/// Most configurations that a search visits.
pub const MAX_VISITED: usize = 1 << 16;

/// Operations that may be under way at the same time: a configuration has a bit for each.
const MAX_UNDER_WAY: usize = 64;

/// A search's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    NotLinearizable(Violation),
    /// Too much to search.
    Undecided,
}

/// The first reply that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub at: Moment,
    /// What the database may have held before it, operations that were under way apart.
    pub states: Vec<State>,
    /// The keys that were searched.
    pub keys: KeySet,
}

/// Checks a history, each group of joined keys apart.
pub fn check(history: &History) -> Verdict {
    check_within(history, MAX_VISITED)
}

/// As [`check`], with at most `most` configurations for each group of keys.
pub fn check_within(history: &History, most: usize) -> Verdict {
    let mut answer = Verdict::Linearizable;
    for keys in groups(history) {
        match search(&history.restrict(keys), most) {
            Verdict::Linearizable => {}
            Verdict::Undecided => answer = Verdict::Undecided,
            Verdict::NotLinearizable(violation) => {
                return Verdict::NotLinearizable(Violation { keys, ..violation });
            }
        }
    }
    answer
}

/// The sets of keys that are joined by operations, or by the promised order of two of them.
fn groups(history: &History) -> Vec<KeySet> {
    let mut groups: Vec<KeySet> = Vec::new();
    let mut join = |keys: KeySet| {
        let (joined, apart) = groups.iter().partition::<Vec<_>, _>(|group| **group & keys != 0);
        groups = apart;
        groups.push(joined.into_iter().fold(keys, |all, group| all | group));
    };
    for (index, later) in history.operations.iter().enumerate() {
        join(later.command.keys());
        for earlier in &history.operations[..index] {
            let under_way = earlier.answered_at().is_none_or(|at| at > later.invoked);
            if under_way && history.stands_before(earlier, later) {
                join(earlier.command.keys() | later.command.keys());
            }
        }
    }
    groups
}

/// Searches a history as a whole.
fn search(history: &History, most: usize) -> Verdict {
    let mut search = Search::new(history, most);
    for (at, event) in history.events() {
        let step = match event {
            Event::Invoke(operation) => search.invoke(operation),
            Event::Answer(operation) => search.answer(operation),
            Event::Crash => search.crash(),
        };
        match step {
            Ok(()) => {}
            Err(Stop::Nothing(states)) => {
                return Verdict::NotLinearizable(Violation { at, states, keys: ALL_KEYS });
            }
            Err(Stop::TooMuch) => return Verdict::Undecided,
        }
    }
    Verdict::Linearizable
}

/// The last moment before `limit` at which nothing was under way and the replies leave one state only, and that state.
pub fn last_certain_moment(history: &History, limit: Moment) -> Option<(Moment, State)> {
    let mut search = Search::new(history, MAX_VISITED);
    let mut certain = None;
    for (at, event) in history.events().into_iter().take_while(|(at, _)| *at < limit) {
        match event {
            Event::Invoke(operation) => search.invoke(operation).ok()?,
            Event::Answer(operation) => search.answer(operation).ok()?,
            Event::Crash => search.crash().ok()?,
        }
        let mut states = search.configurations.iter().map(|configuration| &configuration.state);
        if search.under_way == 0
            && let (Some(state), None) = (states.next(), states.next())
        {
            certain = Some((at, state.clone()));
        }
    }
    certain
}

enum Stop {
    /// No configuration is left; these states were possible before.
    Nothing(Vec<State>),
    TooMuch,
}

/// A bit per operation under way.
type Slots = u64;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration {
    state: State,
    /// Operations under way that have happened.
    happened: Slots,
    /// The state that the next crash will leave, if it is not to be the last one.
    kept: Option<State>,
}

struct Search<'a> {
    history: &'a History,
    configurations: HashSet<Configuration>,
    /// Slots in use.
    under_way: Slots,
    /// The operation in each slot, and the slots of those that have to happen before it.
    slots: Vec<(usize, Slots)>,
    /// Configurations that may still be visited.
    left: usize,
}

impl<'a> Search<'a> {
    fn new(history: &'a History, most: usize) -> Self {
        let start = Configuration { state: history.initial.clone(), happened: 0, kept: None };
        Self {
            history,
            configurations: HashSet::from([start]),
            under_way: 0,
            slots: vec![(0, 0); MAX_UNDER_WAY],
            left: most,
        }
    }

    fn invoke(&mut self, operation: usize) -> Result<(), Stop> {
        let slot = self.under_way.trailing_ones() as usize;
        if slot == MAX_UNDER_WAY {
            return Err(Stop::TooMuch);
        }
        let later = &self.history.operations[operation];
        let before = bits(self.under_way)
            .filter(|&other| self.history.stands_before(&self.history.operations[self.slots[other].0], later))
            .fold(0, |before, other| before | 1 << other);
        self.slots[slot] = (operation, before);
        self.under_way |= 1 << slot;
        Ok(())
    }

    fn answer(&mut self, operation: usize) -> Result<(), Stop> {
        let slot = bits(self.under_way)
            .find(|&slot| self.slots[slot].0 == operation)
            .expect("what is answered was sent");
        let found = self.explore(Some(slot))?;
        if found.is_empty() {
            return Err(Stop::Nothing(self.states()));
        }
        self.under_way &= !(1 << slot);
        for (_, others) in &mut self.slots {
            *others &= !(1 << slot);
        }
        self.configurations = found;
        Ok(())
    }

    fn crash(&mut self) -> Result<(), Stop> {
        let found = self.explore(None)?;
        self.under_way = 0;
        let kept = |found: Configuration| found.kept.unwrap_or(found.state);
        self.configurations = found
            .into_iter()
            .map(|found| Configuration { state: kept(found), happened: 0, kept: None })
            .collect();
        Ok(())
    }

    /// The states that are possible, in order.
    fn states(&self) -> Vec<State> {
        let states: BTreeSet<&State> = self.configurations.iter().map(|found| &found.state).collect();
        states.into_iter().cloned().collect()
    }

    /// All configurations that can be reached by letting operations happen: up to `goal`, whose slot is given back, or
    /// any.
    fn explore(&mut self, goal: Option<usize>) -> Result<HashSet<Configuration>, Stop> {
        let mut found = HashSet::new();
        let mut seen = HashSet::new();
        let mut stack: Vec<Configuration> = self.configurations.iter().cloned().collect();
        while let Some(mut configuration) = stack.pop() {
            self.let_idle_happen(&mut configuration);
            match goal {
                Some(slot) if configuration.happened & 1 << slot != 0 => {
                    configuration.happened &= !(1 << slot);
                    found.insert(configuration);
                    continue;
                }
                Some(_) => {}
                None => drop(found.insert(configuration.clone())),
            }
            if !seen.insert(configuration.clone()) {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or(Stop::TooMuch)?;
            if configuration.kept.is_none() && self.history.promise.durability == Durability::Buffered {
                stack
                    .push(Configuration { kept: Some(configuration.state.clone()), ..configuration.clone() });
            }
            stack.extend(self.possible(&configuration).filter_map(|slot| self.happen(&configuration, slot)));
        }
        Ok(found)
    }

    /// Slots whose operation may happen next.
    fn possible(&self, configuration: &Configuration) -> impl Iterator<Item = usize> {
        let happened = configuration.happened;
        bits(self.under_way & !happened).filter(move |&slot| self.slots[slot].1 & !happened == 0)
    }

    /// The configuration after one more operation, if its reply allows that.
    fn happen(&self, configuration: &Configuration, slot: usize) -> Option<Configuration> {
        let operation = &self.history.operations[self.slots[slot].0];
        let mut state = configuration.state.clone();
        let reply = state.apply(&operation.command);
        let happened = configuration.happened | 1 << slot;
        operation.accepts(&reply).then(|| Configuration { state, happened, kept: configuration.kept.clone() })
    }

    /// Lets all answered operations happen whose reply is right and says that they changed nothing. That loses no
    /// linearization: wherever such an operation happens later, it changes nothing there either, and can be moved here.
    fn let_idle_happen(&self, configuration: &mut Configuration) {
        loop {
            let idle = self.possible(configuration).find(|&slot| {
                let operation = &self.history.operations[self.slots[slot].0];
                operation.is_answered()
                    && operation.changed_nothing()
                    && self.happen(configuration, slot).is_some()
            });
            let Some(slot) = idle else { return };
            configuration.happened |= 1 << slot;
        }
    }
}

/// The numbers of the bits that are set.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(bit)
    })
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
