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
fn what_is_asked_for_is_compared_and_shown() {
    let before = ["SET a 1", "SET b 1", "SADD set x", "RPUSH list a b c d"];
    let after = ["PEXPIREAT a 4102444800000", "SET b 2", "SADD set p q r", "LSET list 1 x"];
    let (_folder, a, b) = files(&before, &after);
    let lines = |words: &[&str]| {
        let run = diff(words, &a, &b);
        run.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&["--summary-only"]), ["0 keys added, 0 removed, 4 changed, 0 the same"]);
    let without_ttl = "0 keys added, 0 removed, 3 changed, 1 the same";
    assert_eq!(lines(&["--summary-only", "--ignore-ttl"]), [without_ttl]);
    let expected = [
        "~ \"list\" (list)",
        "    - [1]: \"b\"",
        "    + [1]: \"x\"",
        "0 keys added, 0 removed, 1 changed, 0 the same",
    ];
    assert_eq!(lines(&["--match", "l*"]), expected);
    let set = lines(&["--type", "set", "--elements", "1"]);
    assert_eq!(set[2], "    and 2 more: 3 elements added, 0 removed, 0 changed in all");
    let limited = lines(&["--ignore-ttl", "-n", "1", "--type", "string", "--type", "list"]);
    assert!(limited.contains(&"  1 keys more are not shown".to_owned()), "{limited:?}");
    assert_eq!(limited.iter().filter(|line| line.starts_with('~')).count(), 1);
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

#[test]
fn a_filter_by_facts_chooses_pairs() {
    let (before, after) = (
        ["SET a 1", "SET b 1 EX 100000", "SET c 1", "SET d 1"],
        ["PERSIST b", "DEL a", "RPUSH a x", "DEL c"],
    );
    let (_folder, a, b) = files(&before, &after);
    let last = |words: &[&str]| diff(words, &a, &b).text().lines().last().map(str::to_owned);
    assert_eq!(
        last(&["--type", "string"]).as_deref(),
        Some("0 keys added, 1 removed, 2 changed, 1 the same")
    );
    assert_eq!(last(&["--type", "list"]).as_deref(), Some("0 keys added, 0 removed, 1 changed, 0 the same"));
    assert_eq!(last(&["--no-ttl"]).as_deref(), Some("0 keys added, 1 removed, 2 changed, 1 the same"));
    assert_eq!(
        last(&["--expires-within", "2d"]).as_deref(),
        Some("0 keys added, 0 removed, 1 changed, 0 the same")
    );
    assert_eq!(last(&["--type", "hash"]).as_deref(), Some("0 keys added, 0 removed, 0 changed, 0 the same"));
}

#[test]
fn large_numbers_of_databases_are_told_right() {
    use crate::program::{key, rdb};
    let select = |db: u32| [b"\xfe\x80".as_slice(), &db.to_be_bytes()].concat();
    let a = rdb(&[&select(1 << 19), &key(b"k", b"1"), &select((1 << 19) + 7), &key(b"k", b"1")]);
    let b = rdb(&[&select(7), &key(b"k", b"1")]);
    let run = diff(&[], Path::new(&a.path), Path::new(&b.path));
    let text = "+ [7] \"k\" (string)\n- [524288] \"k\" (string)\n- [524295] \"k\" (string)\n";
    assert_eq!(run.text(), format!("{text}1 keys added, 2 removed, 0 changed, 0 the same\n"));
}

/// A hash whose fields have numbers, some with another value.
fn hash(fields: u32, changed: impl Fn(u32) -> Option<&'static str>) -> Vec<u8> {
    use crate::program::string;
    let numbers: Vec<u32> = (0..fields).filter(|number| changed(*number) != Some("gone")).collect();
    let mut record = [b"\x04\x01h\x80".as_slice(), &(numbers.len() as u32).to_be_bytes()].concat();
    for number in numbers {
        record.extend(string(format!("field {number}").as_bytes()));
        record.extend(string(changed(number).unwrap_or("same").as_bytes()));
    }
    record
}

#[test]
fn changes_in_a_large_hash_are_all_found() {
    use crate::program::rdb;
    const FIELDS: u32 = 600_000;
    let a = rdb(&[&hash(FIELDS, |_| None)]);
    let few = rdb(&[&hash(FIELDS + 2, |number| match number {
        5 => Some("gone"),
        100 | 500_000 => Some("other"),
        _ => None,
    })]);
    let many = rdb(&[&hash(FIELDS, |number| (number > 0).then_some("other"))]);
    let counts = |b: &str| {
        let run = diff(&["--json", "--elements", "100"], Path::new(&a.path), Path::new(b));
        let first = run.text().lines().next().expect("a key");
        let elements =
            serde_json::from_str::<serde_json::Value>(first).expect("an object")["elements"].clone();
        let counts = ["added", "removed", "changed"].map(|name| elements[name].as_u64());
        (counts, elements["first"].as_array().expect("an array").clone())
    };
    let (few, mut shown) = counts(&few.path);
    assert_eq!(few, [Some(2), Some(1), Some(2)]);
    shown.retain(|part| part["name"] == "\"field 500000\"");
    let part = serde_json::json!({
        "change": "changed", "name": "\"field 500000\"", "before": "\"same\"", "after": "\"other\"",
    });
    assert_eq!(shown, [part]);
    assert_eq!(counts(&many.path).0, [Some(0), Some(0), Some(u64::from(FIELDS) - 1)]);
}
