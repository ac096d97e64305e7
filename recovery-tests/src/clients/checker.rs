//! Compares what is there after a crash with what the model allows.
//!
//! Checked, by the letters of the suite's properties:
//! (a) nothing acknowledged is lost that the [`Promise`] covers; (b) of a shard what came first is there, without a hole:
//! a client's tagged keys share a shard, so one point of its stream must explain them all; (c) what one command wrote to
//! several keys is there in all or in none; (g) nothing comes back that was deleted, had expired or was lost before;
//! (i) what a reply showed to another client is there.

use std::io;

use crate::client::Client;
use crate::clients::model::{Promise, State, Steps, shown, shown_state};
use crate::clients::workload::layout::{Kind, Slot};
use crate::clients::workload::{Workload, unix_ms};

/// Most violations that are told, and most other items that one of them tells of.
const TOLD: usize = 5;

/// Compares, and goes on from what was found. Answers the first violations, each with its key.
pub fn check(workloads: &mut [Workload], client: &mut Client, promise: Promise) -> io::Result<Vec<String>> {
    let mut violations = Vec::new();
    note_sights(workloads, &mut violations);
    for workload in workloads {
        let states = workload.read_all(client)?;
        violations.extend(compare(workload, &states, promise));
        for (slot, state) in workload.slots.iter_mut().zip(states) {
            slot.item.settle(state);
        }
        workload.wide_steps.clear();
    }
    Ok(first(violations))
}

fn first(mut violations: Vec<String>) -> Vec<String> {
    let more = violations.len().saturating_sub(TOLD);
    if more > 0 {
        violations.truncate(TOLD);
        violations.push(format!("and {more} more"));
    }
    violations
}

fn note_sights(workloads: &mut [Workload], violations: &mut Vec<String>) {
    let sights: Vec<_> =
        workloads.iter_mut().flat_map(|workload| std::mem::take(&mut workload.sights)).collect();
    for sight in sights {
        let Some(owner) = workloads.iter_mut().find(|workload| workload.client == sight.client) else {
            continue;
        };
        let slot = &mut owner.slots[sight.slot];
        if !slot.item.show(sight.place, &sight.value) {
            violations.push(format!(
                "(i) {}: a reader was shown {}, which was never written",
                slot.keys[sight.place],
                shown(&sight.value)
            ));
        }
    }
}

fn compare(workload: &Workload, states: &[State], promise: Promise) -> Vec<String> {
    let mut violations = Vec::new();
    let mut found: Vec<Vec<Steps>> = Vec::new();
    let now_ms = unix_ms();
    for (place, (slot, state)) in workload.slots.iter().zip(states).enumerate() {
        let steps = slot.item.found(state, promise, now_ms);
        found.push(steps.unwrap_or_else(|what| {
            let letter = if is_torn(slot, state) { "(c) half of a command:" } else { "(a, b, g, i)" };
            violations.push(format!("{letter} {}: {what}{}", slot.keys[0], workload.recent_writes(place)));
            vec![(0, u64::MAX)]
        }));
    }
    let tagged: Vec<usize> = (0..found.len()).filter(|place| workload.slots[*place].is_tagged).collect();
    if let Err(place) = common_step(&found, &tagged) {
        violations.push(hole(workload, &tagged, place, &states[place], &found));
    }
    for (step, wrote) in &workload.wide_steps {
        let all_before = |place: &&usize| found[**place].iter().all(|(_, end)| end <= step);
        let all_after = |place: &&usize| found[**place].iter().all(|(start, _)| start >= step);
        if let (Some(lacks), Some(has)) = (wrote.iter().find(all_before), wrote.iter().find(all_after)) {
            violations.push(format!(
                "(c) step {step} of client {}, which wrote several keys, is at {} and not at {}",
                workload.client, workload.slots[*has].keys[0], workload.slots[*lacks].keys[0]
            ));
        }
    }
    violations
}

/// What is told of the item that excludes the rest: the items before it that leave the least room.
fn hole(workload: &Workload, tagged: &[usize], place: usize, state: &State, found: &[Vec<Steps>]) -> String {
    let mut others: Vec<usize> = tagged.iter().copied().take_while(|other| *other != place).collect();
    let room =
        |other: &usize| found[*other].iter().map(|(from, end)| end - from).fold(0, u64::saturating_add);
    others.sort_by_key(room);
    let told: Vec<String> = others
        .iter()
        .take(TOLD)
        .map(|other| format!("{} {}", workload.slots[*other].keys[0], steps(&found[*other])))
        .collect();
    format!(
        "(b) client {}: no point of its stream explains its keys on one shard; the first that does not fit: {}, \
         found {}: it was so at steps {}; others: {}{}",
        workload.client,
        workload.slots[place].keys[0],
        shown_state(state),
        steps(&found[place]),
        told.join(", "),
        workload.recent_writes(place)
    )
}

/// The last of some ranges of steps.
fn steps(ranges: &[Steps]) -> String {
    let range = |&(from, end): &Steps| match end {
        u64::MAX => format!("{from}.."),
        _ => format!("{from}..{end}"),
    };
    let last = &ranges[ranges.len().saturating_sub(TOLD)..];
    let dots = if last.len() < ranges.len() { "…, " } else { "" };
    format!("{dots}{}", last.iter().map(range).collect::<Vec<_>>().join(", "))
}

/// Whether the keys of a group do not agree.
fn is_torn(slot: &Slot, state: &State) -> bool {
    slot.kind == Kind::Group && state.iter().any(|stored| *stored != state[0])
}

/// Whether there is a step in whose wake all these items were as found; else the first item that excludes the rest.
fn common_step(found: &[Vec<Steps>], places: &[usize]) -> Result<(), usize> {
    let mut left: Vec<Steps> = vec![(0, u64::MAX)];
    for place in places {
        let both = |a: &Steps, b: &Steps| (a.0.max(b.0), a.1.min(b.1));
        let pairs = left.iter().flat_map(|a| found[*place].iter().map(move |b| both(a, b)));
        left = pairs.filter(|(start, end)| start < end).collect();
        if left.is_empty() {
            return Err(*place);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::model::Stored;

    fn state(value: &str) -> State {
        vec![Some(Stored { value: value.to_owned(), ends: None })]
    }

    /// A client whose first two plain keys were written in turn, without replies, and whose own database was flushed then.
    fn client() -> (Workload, Vec<State>) {
        let mut workload = Workload::new(0, 1);
        for (step, slot, value) in [(1, 0, "a1"), (2, 1, "b1"), (3, 0, "a2"), (4, 1, "b2")] {
            workload.slots[slot].item.issue(step, state(value));
        }
        let flushed: Vec<usize> =
            (0..workload.slots.len()).filter(|s| workload.slots[*s].kind == Kind::Flushed).collect();
        for slot in &flushed {
            workload.slots[*slot].item.issue(5 + *slot as u64, state("x"));
            workload.slots[*slot].item.acknowledge(5 + *slot as u64);
            workload.slots[*slot].item.issue(100, vec![None]);
        }
        workload.wide_steps.push((100, flushed));
        let states = workload.slots.iter().map(|slot| slot.item.latest().clone()).collect();
        (workload, states)
    }

    fn violations(change: impl FnOnce(&mut Vec<State>)) -> Vec<String> {
        let (workload, mut states) = client();
        change(&mut states);
        compare(&workload, &states, Promise::All)
    }

    #[test]
    fn a_prefix_passes_and_a_hole_does_not() {
        assert_eq!(violations(|_| ()), [""; 0]);
        assert_eq!(violations(|states| states[1] = state("b1")), [""; 0], "the last step is lost");
        let hole = violations(|states| states[0] = state("a1"));
        assert!(hole.len() == 1 && hole[0].starts_with("(b)"), "{hole:?}");
    }

    #[test]
    fn a_few_violations_are_told_and_the_rest_is_counted() {
        let workload = Workload::new(0, 1);
        let states: Vec<State> =
            workload.slots.iter().map(|slot| vec![state("ghost")[0].clone(); slot.keys.len()]).collect();
        let all = compare(&workload, &states, Promise::All);
        assert_eq!(all.len(), workload.slots.len());
        let told = first(all);
        assert_eq!((told.len(), told[TOLD].as_str()), (TOLD + 1, "and 43 more"));
    }

    #[test]
    fn half_of_a_flush_is_seen() {
        let (workload, _) = client();
        let last = workload.slots.len() - 1;
        let half = violations(|states| states[last] = state("x"));
        assert!(half.len() == 1 && half[0].starts_with("(c)"), "{half:?}");
    }

    #[test]
    fn what_was_never_written_is_seen() {
        let ghost = violations(|states| states[3] = state("ghost"));
        assert!(ghost.len() == 1 && ghost[0].starts_with("(a, b, g, i)"), "{ghost:?}");
    }
}
