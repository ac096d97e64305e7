//! `diff`: what is said of two files.

use std::path::{Path, PathBuf};

use crate::harness::{RedisServer, Run, inspect, testdata};
use crate::program::numbered;

fn diff(words: &[&str], a: &Path, b: &Path) -> Run {
    let mut args: Vec<PathBuf> = [&["diff"], words].concat().iter().map(PathBuf::from).collect();
    args.extend([a.to_path_buf(), b.to_path_buf()]);
    inspect(args)
}

/// Files of a server before and after some commands.
fn files(before: &[&str], after: &[&str]) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = RedisServer::start();
    let paths = ["a.rdb", "b.rdb"].map(|name| folder.path().join(name));
    for (lines, path) in [before, after].into_iter().zip(&paths) {
        for line in lines {
            let _: redis::Value = server.run(line);
        }
        std::fs::copy(server.save(), path).expect("a copy");
    }
    let [a, b] = paths;
    (folder, a, b)
}

#[test]
fn every_kind_of_change_is_named() {
    let before = [
        "SET same 1",
        "SET string old",
        "SET gone x",
        "RPUSH list a b c d",
        "SADD set a b",
        "HSET hash f 1 g 2",
        "ZADD zset 1 a 2 b",
        "XADD stream 1-1 f v",
        "SET type x",
    ];
    let after = [
        "SET string new",
        "DEL gone",
        "SET fresh x",
        "LINSERT list AFTER b between",
        "SADD set c",
        "HSET hash f 3",
        "ZADD zset 5 b",
        "XADD stream 2-1 f w",
        "DEL type",
        "RPUSH type x",
        "PEXPIREAT same 4102444800000",
    ];
    let (_folder, a, b) = files(&before, &after);
    let run = diff(&[], &a, &b);
    assert_eq!(run.code, 1);
    let mut lines: Vec<&str> = run.text().lines().collect();
    let counts = lines.pop();
    assert_eq!(counts, Some("1 keys added, 1 removed, 8 changed, 0 the same"));
    for expected in [
        "+ \"fresh\" (string)",
        "- \"gone\" (string)",
        "~ \"string\" (string)",
        "    ~ \"old\" → \"new\"",
        "    + [2]: \"between\"",
        "    + \"c\"",
        "    ~ \"f\": \"1\" → \"3\"",
        "    ~ \"b\": 2 → 5",
        "    + entry 2-1: \"f\": \"w\"",
        "    ~ last id: 1-1 → 2-1",
        "~ \"type\" (string → list)",
        "~ \"same\" (string, expires never → 2100-01-01T00:00:00Z)",
    ] {
        assert!(lines.contains(&expected), "{expected} is not in {}", run.text());
    }
}

#[test]
fn other_encodings_are_no_difference() {
    let settings = ["hash-max-listpack-entries", "set-max-intset-entries", "zset-max-listpack-entries"];
    let small = ["HSET h a 1 b 2", "SADD s 1 2 3", "ZADD z 1 a 2 b", "RPUSH l 1 2 3"];
    let large: Vec<String> = settings.iter().map(|name| format!("CONFIG SET {name} 0")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).chain(["HSET h a 1", "DEBUG RELOAD"]).collect();
    let (_folder, a, b) = files(&small, &large);
    assert_eq!(diff(&[], &a, &b).good().text(), "0 keys added, 0 removed, 0 changed, 4 the same\n");
    assert_eq!(diff(&["--encoding"], &a, &b).code, 1);
}

#[test]
fn little_memory_changes_nothing_but_the_order() {
    let (a, b) = (testdata("redis-2.8.rdb"), testdata("redis-8.0.rdb"));
    let sorted = |words: &[&str]| {
        let run = diff(words, &a, &b);
        let mut lines: Vec<String> = run.text().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let lines = sorted(&["--json"]);
    assert!(lines.len() > 10, "{lines:?}");
    assert_eq!(sorted(&["--json", "--memory", "16"]), lines);
    let (a, b) = (numbered(0..5000, b"x"), numbered(1000..6000, b"x"));
    for memory in ["16", "64m"] {
        let run = diff(&["--memory", memory], a.path.as_ref(), b.path.as_ref());
        let lines: Vec<&str> = run.text().lines().collect();
        assert_eq!(
            lines.last(),
            Some(&"1000 keys added, 1000 removed, 0 changed, 4000 the same"),
            "{memory}"
        );
        assert!(lines.len() == 2001 && lines.contains(&"+ \"key:5999\" (string)"), "{memory}");
        // Within a pass what was added comes before what was removed.
        let groups =
            lines.windows(2).filter(|two| two[0].starts_with('-') && two[1].starts_with('+')).count();
        assert_eq!(groups, if memory == "16" { 4 } else { 0 });
    }
}

#[test]
fn json_lines_are_json() {
    let run = diff(&["--json"], &testdata("redis-2.8.rdb"), &testdata("valkey-9.1.rdb"));
    let lines: Vec<serde_json::Value> =
        run.text().lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let counts = lines.last().expect("a last line");
    let sum = ["added", "removed", "changed"].map(|name| counts[name].as_u64().expect("a number"));
    assert_eq!(sum.iter().sum::<u64>(), lines.len() as u64 - 1);
}
