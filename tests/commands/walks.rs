//! SCAN and RANDOMKEY: what they promise over many calls.

use std::collections::{BTreeMap, BTreeSet};

use formats::resp::Value;

use crate::harness::{Client, Server, compare};

#[test]
fn arguments_of_scan() {
    compare(&[
        "kind: SCAN 0",
        "SET a 1",
        "SCAN x",
        "SCAN 1x",
        "SCAN ' 1'",
        "SCAN 18446744073709551616",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT -1",
        "SCAN 0 COUNT x",
        "SCAN 0 COUNT",
        "SCAN 0 MATCH",
        "SCAN 0 foo",
        "SCAN 0 foo bar",
        "SCAN x COUNT x",
        "SCAN",
    ]);
}

fn scan_all(client: &mut Client, options: &[&str]) -> Vec<Vec<u8>> {
    let (mut cursor, mut keys) = (b"0".to_vec(), Vec::new());
    loop {
        let mut words: Vec<&[u8]> = vec![b"SCAN", &cursor];
        words.extend(options.iter().map(|word| word.as_bytes()));
        let Value::Array(mut reply) = client.call(&words) else { panic!("SCAN answers an array") };
        let (Some(Value::Array(page)), Some(Value::Bulk(next))) = (reply.pop(), reply.pop()) else {
            panic!("SCAN answers a cursor and keys");
        };
        keys.extend(page.into_iter().map(|key| match key {
            Value::Bulk(key) => key,
            other => panic!("a key is a string, not {other:?}"),
        }));
        cursor = next;
        if cursor == b"0" {
            return keys;
        }
    }
}

#[test]
fn a_scan_finds_every_key_once_while_nothing_changes() {
    for shards in ["1", "3"] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::everfast(dir.path(), &["--shards", shards]);
        let mut client = server.client();
        let expected: BTreeSet<Vec<u8>> =
            (0..2000).map(|index| format!("key:{index}").into_bytes()).collect();
        for key in &expected {
            client.raw(&[b"SET", &key[..], b"v"]);
        }
        client.raw(&["SET", "ended", "1", "PX", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(5));
        for options in
            [&[][..], &["COUNT", "1"], &["COUNT", "500"], &["COUNT", "100000"], &["TYPE", "STRING"]]
        {
            let keys = scan_all(&mut client, options);
            assert_eq!(keys.len(), expected.len(), "{options:?}");
            assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), expected, "{options:?}");
        }
        assert_eq!(scan_all(&mut client, &["MATCH", "key:1?"]).len(), 10);
        assert_eq!(scan_all(&mut client, &["TYPE", "list"]).len(), 0);
    }
}

#[test]
fn a_scan_finds_what_stays_while_other_keys_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    let mut client = server.client();
    for index in 0..1000 {
        client.raw(&["SET", &format!("stays:{index}"), "v"]);
    }
    let (mut cursor, mut seen, mut steps) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let Value::Array(reply) = client.call(&["SCAN", &cursor, "MATCH", "stays:*"]) else {
            panic!("an array")
        };
        let [Value::Bulk(next), Value::Array(keys)] = &reply[..] else { panic!("a cursor and keys") };
        seen.extend(keys.iter().map(|key| format!("{key:?}")));
        cursor = String::from_utf8(next.clone()).unwrap();
        if cursor == "0" {
            break;
        }
        for index in 0..20 {
            client.raw(&["SET", &format!("comes:{steps}:{index}"), "v"]);
            client.raw(&["DEL", &format!("comes:{}:{index}", steps / 2)]);
        }
        steps += 1;
    }
    assert_eq!(seen.len(), 1000);
}

#[test]
fn a_random_key_is_any_key_alike() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "3"]);
    let mut client = server.client();
    for index in 0..50 {
        client.raw(&["SET", &format!("k{index}"), "v"]);
    }
    let mut drawn: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for _ in 0..10_000 {
        let Value::Bulk(key) = client.call(&["RANDOMKEY"]) else { panic!("there are keys") };
        *drawn.entry(key).or_default() += 1;
    }
    assert_eq!(drawn.len(), 50, "every key is drawn");
    // Each is expected 200 times with a standard deviation of 14: 7 of them either way.
    for (key, count) in drawn {
        assert!((100..=300).contains(&count), "{} was drawn {count} times", key.escape_ascii());
    }
}
