//! Two Redis servers, one of which answers wrongly: that it is found, and made short.

use differential::client::Answer;
use differential::compare::How;
use differential::grammar::{Grammar, Line};
use differential::run::{Difference, Distortion, Pair, Side, words};
use differential::script::{Script, Step};
use differential::server::Server;
use differential::shrink::shrink;
use differential::state;
use formats::resp::decode;

const LENGTH: usize = 150;
const SCRIPTS: u64 = 200;

fn pair(dir: &std::path::Path, distortion: Option<Distortion>) -> Pair {
    let side = || Side::new(Server::redis(dir).unwrap()).unwrap();
    let ours = match distortion {
        Some(distortion) => side().distorted(distortion),
        None => side(),
    };
    Pair::new(side(), ours)
}

/// The first difference that random scripts show, made short.
fn find(distortion: Distortion) -> (Script, Difference) {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = pair(dir.path(), Some(distortion));
    let grammar = Grammar::new().unwrap();
    for number in 0..SCRIPTS {
        let script = Script::new(&grammar, 1, number, LENGTH);
        if let Some(difference) = pair.run(&script).unwrap() {
            return shrink(&mut pair, script, difference);
        }
    }
    panic!("not found in {SCRIPTS} scripts");
}

fn is(words: &[Vec<u8>], name: &str) -> bool {
    words[0].eq_ignore_ascii_case(name.as_bytes())
}

fn answer(text: &str) -> Answer {
    let (value, _) = decode(text.as_bytes()).unwrap().unwrap();
    Answer::Reply { bytes: text.into(), value }
}

fn script(lines: &[(&str, How)]) -> Script {
    let step = |(line, how): &(&str, How)| Step {
        connection: 0,
        joined: false,
        line: Line { words: words(line), how: *how },
    };
    Script { steps: lines.iter().map(step).collect() }
}

#[test]
fn two_servers_of_a_kind_do_not_differ() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = pair(dir.path(), None);
    let grammar = Grammar::new().unwrap();
    for number in 0..SCRIPTS {
        let difference = pair.run(&Script::new(&grammar, 2, number, LENGTH)).unwrap();
        assert!(difference.is_none(), "script {number}: {difference:?}");
    }
}

#[test]
fn a_wrong_error_text_is_found() {
    let (script, difference) = find(|words, reply| match &reply {
        Answer::Reply { bytes, .. } if is(words, "incrby") && bytes.starts_with(b"-ERR value") => {
            answer("-ERR a value\r\n")
        }
        _ => reply,
    });
    assert_eq!(script.steps.len(), 1, "{script}");
    assert!(is(&script.steps[0].line.words, "incrby") && difference.ours == "-ERR a value\\r\\n", "{script}");
}

#[test]
fn a_wrong_number_that_needs_a_key_is_found_with_the_line_that_makes_it() {
    let (script, _) = find(|words, reply| match &reply {
        Answer::Reply { bytes, .. } if is(words, "strlen") && bytes.starts_with(b":3") => answer(":4\r\n"),
        _ => reply,
    });
    assert_eq!(script.steps.len(), 2, "{script}");
    assert!(is(&script.steps[1].line.words, "strlen"), "{script}");
}

#[test]
fn keys_that_differ_are_told_wherever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = pair(dir.path(), None);
    for (theirs, own, told) in [
        ("SET a 1", "PING", "has no key \"a\""),
        ("SET a 1", "SET a 2", "string 2"),
        ("SET a 1", "RPUSH a 1", "list"),
        ("SET a 1", "SETEX a 1000 1", "ends at 1"),
        ("SETEX a 1000 1", "SETEX a 2000 1", "ends at 1"),
        ("SADD a 1 x", "SADD a 1 y", "set"),
    ] {
        for database in ["SELECT 0", "SELECT 7"] {
            let (redis, ours) = (&mut pair.redis.control, &mut pair.ours.control);
            for line in ["FLUSHALL", database] {
                redis.line(line);
                ours.line(line);
            }
            redis.line(theirs);
            ours.line(own);
            let difference = state::compare(redis, ours, false).unwrap().expect(own);
            assert!(difference.step.is_none() && difference.ours.contains(told), "{own}: {difference:?}");
            ours.line("FLUSHALL");
            ours.line(database);
            ours.line(theirs);
            assert!(state::compare(redis, ours, true).unwrap().is_none(), "{theirs}");
        }
    }
}

#[test]
fn walks_are_compared_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut pair = pair(dir.path(), None);
    let walk = How::Walk { cursor: 1, group: 1 };
    let fill: Vec<String> = (0..50).map(|key| format!("SET {key} 1")).collect();
    let mut lines: Vec<(&str, How)> = fill.iter().map(|line| (&line[..], How::Exact)).collect();
    lines.push(("SCAN 0 COUNT 3", walk));
    assert!(pair.run(&script(&lines)).unwrap().is_none()); // though each server has an order of its own
    assert!(pair.run(&script(&[("SCAN 0 COUNT 0", walk)])).unwrap().is_none());
}
