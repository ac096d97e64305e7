//! Makes a history that cannot be explained as short as can be, such that what is left still proves the fault.
//!
//! Every step leaves out what could only have made an explanation harder, or what the search has proved to be one state:
//! other keys, everything behind the first impossible reply, everything before a moment at which the state was certain,
//! operations that changed nothing.

use super::checker::{Verdict, Violation, check, last_certain_moment};
use super::history::{Event, History, Moment};

/// Most operations that are left out by way of trial: each trial is a search.
const MAX_TRIES: usize = 400;

/// A history with `violation`, shortened, and what is impossible in it.
pub fn shrink(history: &History, violation: &Violation) -> (History, Violation) {
    let mut short = cut(&history.restrict(violation.keys), violation);
    let mut why = still_wrong(&short).unwrap_or_else(|| violation.clone());
    for index in (0..short.operations.len()).rev().take(MAX_TRIES) {
        if !short.operations[index].changed_nothing() {
            continue;
        }
        let mut shorter = short.clone();
        shorter.operations.remove(index);
        if let Some(found) = still_wrong(&shorter) {
            (short, why) = (shorter, found);
        }
    }
    let shorter = cut(&short, &why);
    match still_wrong(&shorter) {
        Some(found) => (shorter, found),
        None => (short, why),
    }
}

/// Operations that are left before what is wrong, so that one can see what it contradicts.
const CONTEXT: usize = 8;

/// The part from a certain state to the impossible reply, with some operations of the time in question: after a crash, of
/// the time before it.
fn cut(history: &History, violation: &Violation) -> History {
    let until = history.until(violation.at);
    let question = until.crashes.iter().copied().max().unwrap_or(violation.at);
    let mut sent: Vec<Moment> = until.operations.iter().map(|operation| operation.invoked).collect();
    sent.retain(|invoked| *invoked < question);
    sent.sort_unstable();
    let Some(index) = sent.len().checked_sub(CONTEXT) else { return until };
    match last_certain_moment(&until, sent[index]) {
        Some((moment, state)) => until.after(moment, state),
        None => until,
    }
}

fn still_wrong(history: &History) -> Option<Violation> {
    match check(history) {
        Verdict::NotLinearizable(violation) => Some(violation),
        Verdict::Linearizable | Verdict::Undecided => None,
    }
}

/// What is wrong with a history, for people.
pub fn explain(history: &History, violation: &Violation) -> String {
    let (short, violation) = shrink(history, violation);
    let impossible = short.events().into_iter().find_map(|(at, event)| match event {
        Event::Answer(operation) if at == violation.at => Some(&short.operations[operation]),
        _ => None,
    });
    let what = impossible
        .map_or(String::new(), |operation| format!("client {}'s {}", operation.client, operation.command));
    let states: Vec<String> = violation.states.iter().take(8).map(ToString::to_string).collect();
    format!(
        "no order of the operations explains the reply at {} to {what}: \
         what was answered before leaves {} possible states ({}), and nothing under way leads to it\n{short}",
        violation.at,
        violation.states.len(),
        states.join(" | "),
    )
}

#[cfg(test)]
mod tests {
    use formats::resp::Value;

    use super::*;
    use crate::linear::command::{Command, Key};
    use crate::linear::history::{Operation, Outcome, Promise};
    use crate::linear::spec::State;

    #[test]
    fn little_is_left_of_a_long_history() {
        let mut history = History::new(State::empty(3), Promise::ALWAYS);
        let mut moment = 0;
        let mut run = |client, command: Command, reply: Value| {
            let invoked = moment;
            moment += 2;
            let outcome = Outcome::Answered { at: invoked + 1, reply };
            history.operations.push(Operation { client, command, invoked, outcome });
        };
        for number in 1..=20 {
            run(0, Command::Add(Key(0), 1), Value::Integer(number));
            run(1, Command::Append(Key(2), "1".into()), Value::Integer(number));
            run(2, Command::Get(Key(2)), Value::Bulk(vec![b'1'; number as usize]));
        }
        run(2, Command::Get(Key(0)), Value::Bulk(b"19".to_vec()));
        run(2, Command::Get(Key(0)), Value::Bulk(b"20".to_vec()));
        let Verdict::NotLinearizable(violation) = check(&history) else { panic!("a stale read") };
        let text = explain(&history, &violation);
        let (short, _) = shrink(&history, &violation);
        // The last additions and the stale read of 63 operations.
        assert_eq!(short.operations.len(), CONTEXT, "{text}");
        assert!(
            text.contains("at first: a=13\n") && text.contains("GET a  ") && !text.contains("APPEND"),
            "{text}"
        );
    }
}
