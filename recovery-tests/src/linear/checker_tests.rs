//! Known histories, and random ones against all permutations.

use formats::resp::Value;

use super::*;
use crate::linear::command::{Command, Condition, Expiry, Key};
use crate::linear::history::{Operation, Outcome, PipelineOrder, Promise};
use crate::random::Random;

const A: Key = Key(0);
const B: Key = Key(1);

fn set(key: Key, value: &str) -> Command {
    let value = value.to_owned();
    Command::Set { key, value, condition: Condition::Always, get: false, expiry: Expiry::Clear }
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.into())
}

/// `client, sent, answered (0: never), command, reply`.
type Line = (usize, Moment, Moment, Command, Value);

fn history(crashes: &[Moment], lines: Vec<Line>) -> History {
    let operation = |(client, invoked, at, command, reply)| Operation {
        client,
        command,
        invoked,
        outcome: if at == 0 { Outcome::Unknown } else { Outcome::Answered { at, reply } },
    };
    History {
        initial: State::empty(2),
        promise: Promise::ALWAYS,
        operations: lines.into_iter().map(operation).collect(),
        crashes: crashes.to_vec(),
    }
}

#[track_caller]
fn passes(history: &History) {
    assert_eq!(check(history), Verdict::Linearizable, "{history}");
    assert!(explained_by_permutations(history), "{history}");
}

#[track_caller]
fn fails(history: &History, at: Moment) {
    match check(history) {
        Verdict::NotLinearizable(violation) => assert_eq!(violation.at, at, "{history}"),
        other => panic!("{other:?}: {history}"),
    }
    assert!(!explained_by_permutations(history), "{history}");
}

#[test]
fn reads_during_a_write_see_either() {
    for (first, second) in [(Value::Null, bulk("1")), (bulk("1"), bulk("1")), (Value::Null, Value::Null)] {
        passes(&history(
            &[],
            vec![
                (0, 1, 8, set(A, "1"), ok()),
                (1, 2, 3, Command::Get(A), first),
                (1, 4, 5, Command::Get(A), second),
            ],
        ));
    }
}

#[test]
fn stale_read() {
    fails(&history(&[], vec![(0, 1, 2, set(A, "1"), ok()), (1, 3, 4, Command::Get(A), Value::Null)]), 4);
    // The new value and then the old one, while the write is under way.
    fails(
        &history(
            &[],
            vec![
                (0, 1, 8, set(A, "1"), ok()),
                (1, 2, 3, Command::Get(A), bulk("1")),
                (2, 4, 5, Command::Get(A), Value::Null),
            ],
        ),
        5,
    );
}

#[test]
fn lost_update() {
    let one = Value::Integer(1);
    fails(
        &history(&[], vec![(0, 1, 4, Command::Add(A, 1), one.clone()), (1, 2, 3, Command::Add(A, 1), one)]),
        4,
    );
}

#[test]
fn split_transaction() {
    let mset = Command::MSet(vec![(A, "1".into()), (B, "2".into())]);
    let mget = Command::MGet(vec![A, B]);
    fails(
        &history(
            &[],
            vec![
                (0, 1, 5, mset.clone(), ok()),
                (1, 2, 3, mget.clone(), Value::Array(vec![bulk("1"), Value::Null])),
            ],
        ),
        3,
    );
    fails(
        &history(
            &[5],
            vec![(0, 1, 0, mset, ok()), (1, 6, 7, mget, Value::Array(vec![Value::Null, bulk("2")]))],
        ),
        7,
    );
}

#[test]
fn value_from_nowhere() {
    fails(&history(&[], vec![(0, 1, 2, Command::Get(A), bulk("9"))]), 2);
}

#[test]
fn two_keys_seen_in_two_orders() {
    let mget = Command::MGet(vec![A, B]);
    fails(
        &history(
            &[],
            vec![
                (0, 1, 10, set(A, "1"), ok()),
                (1, 2, 11, set(B, "1"), ok()),
                (2, 3, 5, mget.clone(), Value::Array(vec![bulk("1"), Value::Null])),
                (3, 4, 6, mget, Value::Array(vec![Value::Null, bulk("1")])),
            ],
        ),
        6,
    );
}

#[test]
fn what_was_under_way_at_a_crash_is_there_or_never_will_be() {
    let get = |at: Moment, reply| (1, at, at + 1, Command::Get(A), reply);
    let write = (0, 1, 0, set(A, "1"), ok());
    passes(&history(&[5], vec![write.clone(), get(6, bulk("1"))]));
    passes(&history(&[5], vec![write.clone(), get(6, Value::Null)]));
    // Read before the crash, and lost by it.
    fails(&history(&[5], vec![write.clone(), get(2, bulk("1")), get(6, Value::Null)]), 7);
    // Lost by the crash, and there again.
    fails(&history(&[5], vec![write.clone(), get(6, Value::Null), get(8, bulk("1"))]), 9);
    // Without a crash it may happen at any time.
    passes(&history(&[], vec![write, get(6, Value::Null), get(8, bulk("1"))]));
}

#[test]
fn what_was_acknowledged_outlives_a_crash() {
    fails(&history(&[3], vec![(0, 1, 2, set(A, "1"), ok()), (1, 4, 5, Command::Get(A), Value::Null)]), 5);
}

/// The same history, of a server that does not sync before it answers.
fn buffered(history: History) -> History {
    History { promise: Promise { durability: Durability::Buffered, ..history.promise }, ..history }
}

#[test]
fn without_syncs_a_crash_leaves_what_was_there_at_some_moment_since_the_last_one() {
    let two_eras = |first: Value, second: Value| {
        buffered(history(
            &[5, 8],
            vec![
                (0, 1, 2, set(A, "1"), ok()),
                (0, 3, 4, set(A, "2"), ok()),
                (1, 6, 7, Command::Get(A), first),
                (1, 9, 10, Command::Get(A), second),
            ],
        ))
    };
    for value in [Value::Null, bulk("1"), bulk("2")] {
        assert_eq!(check(&two_eras(value.clone(), value)), Verdict::Linearizable);
    }
    // What a crash took away does not come back, and what outlived one is not lost to the next.
    for (first, second) in [(Value::Null, bulk("1")), (bulk("1"), bulk("2")), (bulk("1"), Value::Null)] {
        assert!(matches!(check(&two_eras(first, second)), Verdict::NotLinearizable(_)));
    }
    // Before the crash nothing may be lost.
    let stale =
        buffered(history(&[5], vec![(0, 1, 2, set(A, "1"), ok()), (1, 3, 4, Command::Get(A), Value::Null)]));
    assert!(matches!(check(&stale), Verdict::NotLinearizable(_)));
}

/// The same history, of a server with one shard.
fn on_one_shard(history: History) -> History {
    History { promise: Promise { pipelines: PipelineOrder::Always, ..history.promise }, ..history }
}

#[test]
fn a_pipeline_runs_in_order_on_each_key() {
    let two = |last: &str| {
        history(
            &[],
            vec![
                (0, 1, 5, set(A, "1"), ok()),
                (0, 1, 6, set(A, "2"), ok()),
                (1, 7, 8, Command::Get(A), bulk(last)),
            ],
        )
    };
    passes(&two("2"));
    fails(&two("1"), 8);
}

#[test]
fn a_pipeline_on_two_keys_may_show_in_either_order_unless_there_is_one_shard() {
    let second_first = history(
        &[],
        vec![
            (0, 1, 7, set(A, "1"), ok()),
            (0, 1, 8, set(B, "1"), ok()),
            (1, 2, 3, Command::Get(B), bulk("1")),
            (1, 4, 5, Command::Get(A), Value::Null),
        ],
    );
    passes(&second_first);
    fails(&on_one_shard(second_first), 5);
    let second_kept = history(
        &[2],
        vec![
            (0, 1, 0, set(A, "1"), ok()),
            (0, 1, 0, set(B, "1"), ok()),
            (1, 3, 4, Command::MGet(vec![A, B]), Value::Array(vec![Value::Null, bulk("1")])),
        ],
    );
    passes(&second_kept);
    fails(&on_one_shard(second_kept), 4);
}

#[test]
fn keys_that_nothing_joins_are_searched_apart() {
    let line = |client, key, at: Moment| (client, 1, at, set(key, "1"), ok());
    assert_eq!(groups(&history(&[], vec![line(0, A, 2), line(1, B, 3)])), [0b01, 0b10]);
    let pipeline = history(&[], vec![line(0, A, 3), line(0, B, 4)]);
    assert_eq!(groups(&pipeline), [0b01, 0b10]);
    assert_eq!(groups(&on_one_shard(pipeline)), [0b11]);
    assert_eq!(groups(&history(&[], vec![line(0, A, 2), (1, 1, 3, Command::FlushAll, ok())])), [ALL_KEYS]);
}

#[test]
fn too_much_to_search_is_said() {
    let writes = (0..40).map(|client| (client, 1, 0, Command::Append(A, client.to_string()), ok()));
    let mut lines: Vec<Line> = writes.collect();
    lines.push((50, 2, 3, Command::Get(A), bulk("x")));
    assert_eq!(check_within(&history(&[], lines), 1000), Verdict::Undecided);
    let many = (0..65).map(|client| (client, 1, 0, Command::Append(A, "1".into()), ok()));
    assert_eq!(check(&history(&[], many.collect())), Verdict::Undecided);
}

/// Linearizability as it is defined: some order of all answered operations and some of the others gives the replies and
/// respects time, crashes and pipelines.
fn explained_by_permutations(history: &History) -> bool {
    let all: Vec<&Operation> = history.operations.iter().collect();
    (0..1u64 << all.len()).any(|chosen| {
        let is_chosen = |index: usize| chosen & 1 << index != 0;
        let complete =
            all.iter().enumerate().all(|(index, operation)| is_chosen(index) || !operation.is_answered());
        // On one key nothing of a pipeline happens without what stands before it.
        let no_hole = (0..all.len()).all(|later| {
            !is_chosen(later)
                || (0..later).all(|earlier| {
                    is_chosen(earlier)
                        || all[earlier].command.only_reads()
                        || era(history, earlier) != era(history, later)
                        || !history.stands_before(all[earlier], all[later])
                })
        });
        let left: Vec<usize> = (0..all.len()).filter(|index| is_chosen(*index)).collect();
        complete && no_hole && permute(history, &history.initial, &left)
    })
}

fn permute(history: &History, state: &State, left: &[usize]) -> bool {
    left.is_empty()
        || left.iter().any(|&next| {
            let rest: Vec<usize> = left.iter().copied().filter(|&other| other != next).collect();
            let mut after = state.clone();
            let reply = after.apply(&history.operations[next].command);
            rest.iter().all(|&other| !must_precede(history, other, next))
                && history.operations[next].accepts(&reply)
                && permute(history, &after, &rest)
        })
}

fn must_precede(history: &History, first: usize, second: usize) -> bool {
    let (a, b) = (&history.operations[first], &history.operations[second]);
    a.answered_at().is_some_and(|at| at < b.invoked)
        || era(history, first) < era(history, second)
        || (first < second && era(history, first) == era(history, second) && history.stands_before(a, b))
}

/// Crashes before an operation.
fn era(history: &History, operation: usize) -> usize {
    let invoked = history.operations[operation].invoked;
    history.crashes.iter().filter(|crash| **crash < invoked).count()
}

/// A random run of a database, one operation after the other, each stretched so that it overlaps with others: with its
/// sending before the moment at which it happened, and its reply behind it. Without a reply it happened or not.
fn stretched(random: &mut Random, most: u64) -> History {
    let pipelines = [PipelineOrder::OnEachKey, PipelineOrder::Always][random.below(2) as usize];
    let mut history = History::new(State::empty(2), Promise { pipelines, ..Promise::ALWAYS });
    let mut state = history.initial.clone();
    let (clients, eras) = (1 + random.below(4), 1 + random.below(3));
    let mut now: Moment = 0;
    for era in 0..eras {
        let start = now;
        // Per client: when it last sent something, when its last reply came, and whether the connection has ended.
        let mut last = [(start, start, false); 4];
        for _ in 0..1 + random.below(most / eras) {
            now += 10;
            let client = random.below(clients) as usize;
            let (sent, replied, ended) = last[client];
            if ended {
                continue;
            }
            let earliest = if random.below(4) == 0 { sent } else { replied };
            let invoked = now.saturating_sub(random.below(25)).max(earliest).min(now.max(earliest));
            now = now.max(invoked);
            let command = any_command(random);
            let at = (now + random.below(25)).max(replied);
            let outcome = match random.below(10) > 0 {
                true => Outcome::Answered { at: 4 * at + 1, reply: state.apply(&command) },
                false => Outcome::Unknown,
            };
            last[client] = (invoked, at + 1, outcome == Outcome::Unknown);
            // Sending, replying and crashing never fall on one moment.
            history.operations.push(Operation { client, command, invoked: 4 * invoked, outcome });
        }
        if era + 1 < eras {
            crash(&mut history, 4 * now + 2);
            now += 1;
        }
    }
    history.operations.sort_by_key(|operation| operation.invoked);
    history
}

/// The replies that would come after the crash do not come.
fn crash(history: &mut History, now: Moment) {
    for operation in &mut history.operations {
        if operation.answered_at().is_some_and(|at| at > now) {
            operation.outcome = Outcome::Unknown;
        }
    }
    history.crashes.push(now);
}

fn any_command(random: &mut Random) -> Command {
    let key = Key(random.below(2) as u8);
    let other = Key(1 - key.0);
    let value = random.below(3).to_string();
    match random.below(12) {
        0 | 1 => Command::Get(key),
        2 => set(key, &value),
        3 => Command::SetNx(key, value),
        4 => Command::Add(key, 1),
        5 => Command::Append(key, value),
        6 => Command::Del(vec![key, other]),
        7 => Command::MGet(vec![key, other]),
        8 => Command::MSet(vec![(key, value.clone()), (other, value)]),
        9 => Command::RenameNx(key, other),
        10 => Command::Copy { from: key, to: other, replace: true },
        _ => Command::GetDel(key),
    }
}

/// Gives one operation another one's reply, or none, or a made up one.
fn spoil(history: &mut History, random: &mut Random) {
    let replies: Vec<Value> = history
        .operations
        .iter()
        .filter_map(|operation| match &operation.outcome {
            Outcome::Answered { reply, .. } => Some(reply.clone()),
            Outcome::Unknown => None,
        })
        .chain([Value::Null, bulk("1"), Value::Integer(1), Value::Integer(0), ok()])
        .collect();
    let count = history.operations.len() as u64;
    let spoiled = &mut history.operations[random.below(count) as usize];
    if let Outcome::Answered { reply, .. } = &mut spoiled.outcome {
        *reply = replies[random.below(replies.len() as u64) as usize].clone();
    }
}

#[test]
fn what_ran_one_after_the_other_is_linearizable() {
    for seed in 0..1000 {
        let history = stretched(&mut Random::new(seed), 60);
        assert_eq!(check(&history), Verdict::Linearizable, "seed {seed}: {history}");
    }
}

#[test]
fn small_histories_are_judged_as_by_all_permutations() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..6_000 {
        let mut random = Random::new(seed);
        let mut history = stretched(&mut random, 7);
        for _ in 0..random.below(3) {
            spoil(&mut history, &mut random);
        }
        let expected = explained_by_permutations(&history);
        let verdict = check(&history);
        assert_eq!(verdict == Verdict::Linearizable, expected, "seed {seed}: {verdict:?}: {history}");
        if expected { right += 1 } else { wrong += 1 }
    }
    assert!(right > 1000 && wrong > 1000, "{right} right, {wrong} wrong");
}
