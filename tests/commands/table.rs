//! What COMMAND tells of each command, beside what Redis tells.

use std::collections::BTreeSet;

use everfast::command::table::reference;
use formats::resp::Value;

use crate::harness::{Client, Server};

/// What is told otherwise, and why: the command, the field, the reason.
const OTHERWISE: &[(&str, &str, &str)] = &[];

/// Fields that are texts of our own, or not told here: see `deviations`.
const OWN_TEXTS: [&str; 4] = ["summary", "complexity", "replaced_by", "history"];

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Simple(text) => text.clone(),
        other => panic!("no text: {other:?}"),
    }
}

/// The same for equal values, whatever the order of maps and sets, and whether a text is simple or not. Notes on keys are
/// texts of Redis' own.
fn canonical(value: &Value) -> String {
    let joined = |parts: &mut dyn Iterator<Item = String>| parts.collect::<Vec<_>>().join(", ");
    let in_order =
        |parts: &mut dyn Iterator<Item = String>| joined(&mut parts.collect::<BTreeSet<_>>().into_iter());
    match value {
        Value::Bulk(_) | Value::Simple(_) => text(value),
        Value::Array(elements) => format!("[{}]", joined(&mut elements.iter().map(canonical))),
        Value::Set(elements) => format!("{{{}}}", in_order(&mut elements.iter().map(canonical))),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| (canonical(key), canonical(value)));
            let told = pairs.filter(|(key, _)| key != "notes");
            format!("{{{}}}", in_order(&mut told.map(|(key, value)| format!("{key}: {value}"))))
        }
        other => format!("{other:?}"),
    }
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) | Value::Set(elements) => elements,
        other => panic!("no elements: {other:?}"),
    }
}

fn pairs(value: &Value) -> &[(Value, Value)] {
    match value {
        Value::Map(pairs) => pairs,
        other => panic!("no map: {other:?}"),
    }
}

fn connect(server: &Server) -> Client {
    let mut client = server.client();
    client.raw(&["HELLO", "3"]);
    client
}

/// The rows that Redis 7.0 has too.
fn shared_rows() -> impl Iterator<Item = &'static str> {
    everfast::command::table().iter().map(|row| row.name).filter(|name| reference::find(name).is_some())
}

/// Fields of COMMAND INFO, and of one subcommand of it, in the order of the reply.
const INFO: [&str; 10] = [
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "categories",
    "tips",
    "key specs",
    "subcommands",
];

fn compare_field(name: &str, field: &str, redis: String, ours: String, differences: &mut Vec<String>) {
    if redis != ours && !OTHERWISE.iter().any(|(of, what, _)| *of == name && *what == field) {
        differences.push(format!("{name}, {field}:\n    redis: {redis}\n    ours:  {ours}"));
    }
}

#[test]
fn the_reference_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::redis(dir.path());
    let mut redis = connect(&server);
    let mut listed = BTreeSet::new();
    for info in elements(&redis.call(&["COMMAND"])) {
        listed.insert(text(&elements(info)[0]));
        listed.extend(elements(&elements(info)[9]).iter().map(|sub| text(&elements(sub)[0])));
    }
    let mut told = BTreeSet::new();
    for (group, commands) in reference::GROUPS {
        for command in *commands {
            assert!(told.insert(command.name.to_owned()), "{} is there twice", command.name);
            let docs = redis.call(&["COMMAND", "DOCS", command.name]);
            let field = |wanted: &str| {
                let fields = pairs(&pairs(&docs)[0].1);
                fields.iter().find(|(field, _)| text(field) == wanted).map(|(_, value)| text(value))
            };
            assert_eq!(field("group").as_deref(), Some(*group), "{}", command.name);
            assert_eq!(field("since").as_deref(), Some(command.since), "{}", command.name);
        }
    }
    assert_eq!(told, listed);
}

#[test]
fn command_info_tells_of_every_row_what_redis_tells() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Server::redis(dir.path());
    let ours = Server::everfast(&dir.path().join("ours"), &[]);
    let (mut redis, mut ours) = (connect(&redis), connect(&ours));
    let mut differences = Vec::new();
    for name in shared_rows() {
        let (theirs, own) = (redis.call(&["COMMAND", "INFO", name]), ours.call(&["COMMAND", "INFO", name]));
        let (theirs, own) = (elements(&elements(&theirs)[0]), elements(&elements(&own)[0]));
        for (index, field) in INFO.iter().enumerate() {
            // Subcommands are rows of their own; those that are not there yet are missing in the list.
            if *field != "subcommands" {
                let (redis, ours) = (canonical(&theirs[index]), canonical(&own[index]));
                compare_field(name, field, redis, ours, &mut differences);
            }
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn command_docs_tells_of_every_row_what_redis_tells() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Server::redis(dir.path());
    let ours = Server::everfast(&dir.path().join("ours"), &[]);
    let (mut redis, mut ours) = (connect(&redis), connect(&ours));
    let mut differences = Vec::new();
    for name in shared_rows() {
        let (theirs, own) = (redis.call(&["COMMAND", "DOCS", name]), ours.call(&["COMMAND", "DOCS", name]));
        let (theirs, own) = (pairs(&pairs(&theirs)[0].1), pairs(&pairs(&own)[0].1));
        let fields: BTreeSet<String> = theirs.iter().chain(own).map(|(field, _)| text(field)).collect();
        for field in fields {
            if field == "subcommands" || OWN_TEXTS.contains(&&field[..]) {
                continue;
            }
            let find = |docs: &[(Value, Value)]| {
                let found = docs.iter().find(|(of, _)| text(of) == field);
                found.map_or("(not told)".to_owned(), |(_, value)| canonical(value))
            };
            compare_field(name, &field, find(theirs), find(own), &mut differences);
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn exceptions_are_needed_and_have_a_reason() {
    for (name, _, reason) in OTHERWISE {
        assert!(shared_rows().any(|row| row == *name) && reason.len() > 10, "{name}");
    }
}
