//! `summary`: what is in a file, for people and for programs.

use crate::program::{file, key, rdb, run, server_file, string};

#[test]
fn numbers_are_those_of_the_file() {
    let path = server_file("redis-7.0.rdb");
    let records = run(&["json", "--no-value", &path]).json();
    let records = records.as_array().unwrap();
    let summary = run(&["--json", &path]).json();
    let bytes = |of: &str| -> u64 {
        records
            .iter()
            .filter(|r| of.is_empty() || r["type"] == of)
            .map(|r| r["bytes"].as_u64().unwrap())
            .sum()
    };
    assert_eq!(summary["keys"], records.len());
    assert_eq!(summary["bytes"], bytes(""));
    for group in summary["types"].as_array().unwrap() {
        let name = group["type"].as_str().unwrap();
        assert_eq!(group["bytes"], bytes(name), "{name}");
        let keys = || records.iter().filter(|r| r["type"] == name);
        assert_eq!(group["keys"], keys().count(), "{name}");
        assert_eq!(group["largest"], keys().map(|r| r["bytes"].as_u64().unwrap()).max().unwrap(), "{name}");
    }
    assert_eq!(summary["databases"].as_array().unwrap().len(), 4);
    for database in summary["databases"].as_array().unwrap() {
        let keys = || records.iter().filter(|r| r["db"] == database["db"]);
        assert_eq!(database["keys"], keys().count());
        assert_eq!(database["expiring"], keys().filter(|r| !r["expires_at"].is_null()).count());
        assert_eq!(database["bytes"], keys().map(|r| r["bytes"].as_u64().unwrap()).sum::<u64>());
    }
    let hash = summary["types"].as_array().unwrap().iter().find(|group| group["type"] == "hash").unwrap();
    assert_eq!((&hash["elements"], hash["encodings"].as_array().unwrap().len()), (&584.into(), 2));
    assert_eq!(summary["expiring"], records.iter().filter(|r| !r["expires_at"].is_null()).count());
    assert_eq!(
        summary["largest"][0]["bytes"],
        records.iter().map(|r| r["bytes"].as_u64()).max().unwrap().unwrap()
    );
    let sizes: u64 =
        summary["sizes"].as_array().unwrap().iter().map(|size| size["keys"].as_u64().unwrap()).sum();
    assert_eq!(sizes, records.len() as u64);
    assert_eq!((&summary["checksum"], &summary["damage"]), (&"good".into(), &serde_json::Value::Null));
    assert_eq!(summary["functions"], serde_json::json!({ "count": 2, "names": ["alib", "zlib"] }));
}

#[test]
fn idle_times_and_frequencies_are_counted() {
    let sum = |summary: &serde_json::Value, name: &str| -> u64 {
        summary[name]
            .as_object()
            .map_or(0, |classes| classes.values().map(|keys| keys.as_u64().unwrap()).sum())
    };
    let lru = run(&["summary", "--json", &server_file("redis-7.0-lru.rdb")]).json();
    assert_eq!((sum(&lru, "idle"), sum(&lru, "frequency")), (lru["keys"].as_u64().unwrap(), 0));
    let lfu = run(&["summary", "--json", &server_file("redis-7.0-lfu.rdb")]).json();
    assert_eq!((sum(&lfu, "idle"), sum(&lfu, "frequency")), (0, lfu["keys"].as_u64().unwrap()));
}

#[test]
fn a_table_fits_the_width_and_has_no_colours() {
    for name in ["redis-7.0.rdb", "redis-2.8.rdb", "redis-8.0.rdb", "valkey-9.1.rdb", "redis-7.0-lfu.rdb"] {
        let result = run(&[&server_file(name)]);
        assert_eq!((result.code, result.stderr.as_str()), (0, ""), "{name}");
        for line in result.text().lines().skip(1) {
            assert!(line.chars().count() <= 92, "{name}: {line}");
        }
        assert!(!result.text().contains('\x1b'));
        assert!(result.text().contains("checksum good"));
    }
}

#[test]
fn prefixes_end_with_the_separator() {
    let input = rdb(&[&key(b"a:1", b""), &key(b"a:2:3", b""), &key(b"b/4", b""), &key(b"c", b"")]);
    let prefixes = run(&["--json", &input.path]).json()["prefixes"].clone();
    assert_eq!((&prefixes["top"][0]["prefix"], &prefixes["top"][0]["keys"]), (&"a:".into(), &2.into()));
    assert_eq!((&prefixes["none"]["keys"], &prefixes["exact"]), (&2.into(), &true.into()));
    let other = run(&["--json", "--separator", "/", &input.path]).json();
    assert_eq!(other["prefixes"]["top"][0]["prefix"], "b/");
}

#[test]
fn several_files_have_a_total() {
    let (first, second) = (rdb(&[&key(b"a", b"1")]), rdb(&[&key(b"b", b"2"), &key(b"c", b"3")]));
    let table = run(&[&first.path, &second.path]);
    assert!(table.text().ends_with("in 2 files: 3 keys, of which 0 expire\n"), "{}", table.text());
    let lines = run(&["--json", &first.path, &second.path]);
    assert_eq!(lines.text().lines().count(), 2);
}

#[test]
fn damage_is_told_with_what_was_there_before() {
    let mut bytes = std::fs::read(server_file("redis-7.0.rdb")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let wrong = run(&[&file(&bytes).path]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.text().contains("checksum wrong") && wrong.text().contains("the file says"));
    *bytes.last_mut().unwrap() ^= 1;
    let trailing = run(&["--json", &file(&[&bytes[..], b"garbage"].concat()).path]);
    assert_eq!((trailing.code, &trailing.json()["trailing_bytes"]), (1, &7.into()));
    assert_eq!(trailing.json()["checksum"], "good");
    bytes.truncate(bytes.len() - 1000);
    let cut = run(&["--json", &file(&bytes).path]);
    assert_eq!(cut.code, 1);
    assert!(cut.json()["keys"].as_u64().unwrap() > 50);
    assert!(cut.json()["damage"]["what"].as_str().unwrap().contains("the file ends"));
    assert_eq!(run(&[&file(b"no RDB file at all").path]).code, 1);
    assert_eq!(run(&["/no/such/file"]).code, 2);
    let set = [b"\x0b".as_slice(), &string(b"set"), &string(b"not an intset")].concat();
    let inside = run(&[&rdb(&[&set, &key(b"k", b"v")]).path]);
    assert_eq!(inside.code, 1);
    assert!(inside.text().contains("2 keys") && inside.text().contains("1 values are damaged inside"));
}
