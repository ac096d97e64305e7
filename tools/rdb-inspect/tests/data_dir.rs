//! Data directories of Everfast as inputs: what a server that starts on them would serve.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Everfast, Run, inspect};

/// Milliseconds since 1970 in the year 2100.
const EXPIRES_AT_MS: u64 = 4_102_444_800_000;

/// Fills two databases: eight keys, one of which expires.
fn fill(server: &Everfast) {
    let mut connection = server.connect();
    for i in 0..5 {
        redis::cmd("SET").arg(format!("user:{i}")).arg(format!("value {i}")).exec(&mut connection).unwrap();
    }
    redis::cmd("SET").arg("counter").arg(42).exec(&mut connection).unwrap();
    redis::cmd("SET").arg("gone").arg("x").exec(&mut connection).unwrap();
    redis::cmd("DEL").arg("gone").exec(&mut connection).unwrap();
    redis::cmd("SELECT").arg(3).exec(&mut connection).unwrap();
    redis::cmd("SET").arg("user:1").arg(&b"\xff\0"[..]).exec(&mut connection).unwrap();
    redis::cmd("SET").arg("session").arg("x").arg("PXAT").arg(EXPIRES_AT_MS).exec(&mut connection).unwrap();
}

fn run(words: &[&str], dir: &Path) -> Run {
    inspect(words.iter().map(|word| word.as_ref()).chain([dir.as_os_str()]))
}

fn json(run: Run) -> Value {
    serde_json::from_slice(&run.good().stdout).expect("JSON")
}

/// Every file of the directory with its bytes and the time when it was changed.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let paths = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let facts = |path: &PathBuf| {
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).expect("a time");
        (std::fs::read(path).expect("a file"), changed)
    };
    paths.map(|path| (path.clone(), facts(&path))).collect()
}

#[test]
fn a_stopped_servers_keys_are_there_and_nothing_is_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let server = Everfast::start(dir);
    fill(&server);
    drop(server);
    let before = files(dir);
    assert!(before.len() > 1, "{:?}", before.keys());

    let summary = json(run(&["summary", "--json"], dir));
    assert_eq!((&summary["keys"], &summary["expiring"]), (&8.into(), &1.into()));
    assert_eq!((&summary["checksum"], &summary["damage"]), (&"good".into(), &Value::Null));
    let facts = |row: &Value| (row["db"].as_u64(), row["keys"].as_u64(), row["expiring"].as_u64());
    let databases: Vec<_> = summary["databases"].as_array().expect("rows").iter().map(facts).collect();
    assert_eq!(databases, [(Some(0), Some(6), Some(0)), (Some(3), Some(2), Some(1))]);

    let records = json(run(&["json"], dir));
    let facts = |row: &Value| json!([row["db"], row["key"], row["value"], row["expires_at"]]).to_string();
    let mut records: Vec<String> = records.as_array().expect("records").iter().map(facts).collect();
    records.sort();
    let mut expected: Vec<Value> =
        (0..5).map(|i| json!([0, format!("user:{i}"), format!("value {i}"), null])).collect();
    expected.push(json!([0, "counter", "42", null]));
    expected.push(json!([3, "session", "x", EXPIRES_AT_MS]));
    expected.push(json!([3, "user:1", "base64:/wA=", null]));
    let mut expected: Vec<String> = expected.iter().map(Value::to_string).collect();
    expected.sort();
    assert_eq!(records, expected);

    let verified = json(run(&["verify", "--duplicates", "--json"], dir));
    assert_eq!((&verified["verdict"], &verified["keys"]), (&"sound".into(), &8.into()));
    assert_eq!((&verified["databases"], &verified["duplicate_keys"]), (&2.into(), &0.into()));

    let keys = run(&["keys", "--db", "3"], dir).good();
    let mut names: Vec<&str> = keys.text().lines().collect();
    names.sort();
    assert_eq!(names, ["session", "user:1"]);
    let get = [dir.as_os_str(), "user:1".as_ref(), "--db".as_ref(), "3".as_ref(), "--raw".as_ref()];
    assert_eq!(inspect(["get".as_ref()].into_iter().chain(get)).good().stdout, b"\xff\0");

    let total = run(&["memory", "--total"], dir).good();
    let all: Vec<&str> = total.text().lines().last().expect("a line").split_whitespace().collect();
    assert_eq!(all[..3], ["all", "8", "8"], "{total:?}");

    assert_eq!(files(dir), before);
}

#[test]
fn a_directory_on_which_a_server_runs_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let server = Everfast::start(dir);
    fill(&server);
    let before: Vec<PathBuf> = files(dir).into_keys().collect();
    for words in [&["summary", "--json"][..], &["json"], &["verify"], &["keys"], &["memory", "--total"]] {
        let refused = run(words, dir);
        assert_eq!((refused.code, refused.text()), (2, ""), "{words:?}: {refused:?}");
        assert!(refused.stderr.contains("a server runs on this"), "{words:?}: {refused:?}");
    }
    let after: Vec<PathBuf> = files(dir).into_keys().collect();
    assert_eq!(after, before);
    let mut connection = server.connect();
    assert_eq!(redis::cmd("DBSIZE").query::<u64>(&mut connection).unwrap(), 6, "it still serves");
}
