//! DUMP and RESTORE, also from one server to the other; MOVE and SWAPDB.

use crate::harness::{Client, Server, compare, compare_with};
use formats::resp::Value;

#[test]
fn payloads_are_made_and_refused_as_by_redis() {
    compare_with(
        &["--rdbcompression", "no"],
        &[
            "DUMP nothing",
            "DUMP",
            "DUMP a b",
            "MSET a 10 b hello c -129 d 70000 e 2147483648 f '' g 007 h 'a value of more than twenty bytes'",
            "DUMP a",
            "DUMP b",
            "DUMP c",
            "DUMP d",
            "DUMP e",
            "DUMP f",
            "DUMP g",
            "DUMP h",
            "RESTORE",
            "RESTORE k 0",
            r#"RESTORE k 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb""#,
            "GET k",
            "TTL k",
            r#"RESTORE k 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb""#,
            r#"RESTORE k 5000 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" REPLACE"#,
            "near: PTTL k",
            "SET k old",
            r#"RESTORE k 9999999999999 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" replace absttl"#,
            "PEXPIRETIME k",
            r#"RESTORE k 1 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" REPLACE ABSTTL"#,
            "EXISTS k",
            r#"RESTORE k 1 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" REPLACE ABSTTL"#,
            r#"RESTORE new 1 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" ABSTTL"#,
            "EXISTS k new",
            r#"RESTORE k 9223372036854775807 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb""#,
            "EXISTS k",
            r#"RESTORE k 9223372036854775807 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" ABSTTL"#,
            "PEXPIRETIME k",
            "SET there 1",
            "RESTORE there x y",
            "RESTORE there x y FREQ",
            "RESTORE k -1 y REPLACE",
            "RESTORE new -1 y",
            "RESTORE new x y",
            "RESTORE new 0 y",
            "RESTORE new 0 ''",
            r#"RESTORE new 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbc""#,
            r#"RESTORE new 0 "\x00\xc0\n\x0b\x00n\x9fWE\x0e\xaec\xbb""#,
            "RESTORE new 0 y x",
            "RESTORE new 0 y IDLETIME",
            "RESTORE new 0 y IDLETIME x",
            "RESTORE new 0 y IDLETIME -1",
            "RESTORE new 0 y FREQ",
            "RESTORE new 0 y FREQ 256",
            "RESTORE new 0 y FREQ -1",
            "RESTORE new 0 y FREQ 1 IDLETIME 1",
            "RESTORE new 0 y IDLETIME 1 FREQ 1",
            r#"RESTORE idle 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" IDLETIME 1000"#,
            r#"RESTORE often 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb" FREQ 5"#,
            "MGET idle often",
        ],
    );
}

/// Values that are kept in each of the forms of a string.
fn values() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> =
        ["", "0", "-128", "32767", "-2147483648", "2147483648", "01", "text"].map(Vec::from).to_vec();
    values.push(vec![b'a'; 21]);
    values.push(b"abc".repeat(500));
    values.push((0..100_000u32).map(|index| (index.wrapping_mul(index) / 7) as u8).collect());
    values.push(vec![0; 3 << 20]);
    values
}

fn transfer(from: &mut Client, to: &mut Client) {
    for value in values() {
        assert_eq!(from.call(&[&b"SET"[..], b"k", &value[..]]), Value::Simple("OK".into()));
        let Value::Bulk(payload) = from.call(&["DUMP", "k"]) else { panic!("DUMP answers a payload") };
        let restored = to.call(&[&b"RESTORE"[..], b"k", b"0", &payload[..], b"REPLACE"]);
        assert_eq!(restored, Value::Simple("OK".into()), "{} bytes", value.len());
        assert_eq!(to.call(&["GET", "k"]), Value::Bulk(value));
    }
}

#[test]
fn payloads_pass_between_redis_and_us_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (redis, ours) =
        (Server::redis(dir.path()), Server::everfast(&dir.path().join("data"), &["--shards", "2"]));
    let (mut redis, mut ours, mut again) = (redis.client(), ours.client(), ours.client());
    for compression in ["yes", "no"] {
        for client in [&mut redis, &mut ours] {
            client.call(&["CONFIG", "SET", "rdbcompression", compression]);
        }
        transfer(&mut redis, &mut ours);
        transfer(&mut ours, &mut redis);
        transfer(&mut ours, &mut again);
    }
    ours.call(&["CONFIG", "SET", "rdbcompression", "yes"]);
    ours.call(&[&b"SET"[..], b"k", &vec![b'x'; 10_000][..]]);
    let Value::Bulk(payload) = ours.call(&["DUMP", "k"]) else { panic!("DUMP answers a payload") };
    assert!(payload.len() < 500, "{} bytes", payload.len());
}

#[test]
fn what_cannot_be_held_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (redis, ours) = (Server::redis(dir.path()), Server::everfast(&dir.path().join("data"), &[]));
    let (mut redis, mut ours) = (redis.client(), ours.client());
    redis.call(&["RPUSH", "list", "a", "b"]);
    let Value::Bulk(payload) = redis.call(&["DUMP", "list"]) else { panic!("DUMP answers a payload") };
    let Value::Error(text) = ours.call(&[&b"RESTORE"[..], b"k", b"0", &payload[..]]) else {
        panic!("an error")
    };
    assert_eq!(text, "ERR RESTORE of a list is not supported by this version");
}

#[test]
fn moves() {
    compare(&[
        "MOVE a 1",
        "SET a 1 EX 100",
        "SET b 1",
        "MOVE a 0",
        "MOVE a 16",
        "MOVE a -1",
        "MOVE a x",
        "MOVE a 99999999999",
        "MOVE a",
        "MOVE a 1 2",
        "MOVE a 1",
        "MOVE a 1",
        "EXISTS a",
        "MOVE b 15",
        "SELECT 1",
        "GET a",
        "near: TTL a",
        "MOVE b 0",
        "SELECT 0",
        "SET a new",
        "MOVE a 1",
        "GET a",
        "SELECT 1",
        "GET a",
        "SET ends 1 PX 20",
        "SELECT 0",
        "SET ends 2",
        "wait: 40",
        "MOVE ends 1",
        "SELECT 1",
        "GET ends",
    ]);
}

#[test]
fn databases_change_places() {
    compare(&[
        "MSET a 0 b 0 c 0 d 0",
        "EXPIRE a 100",
        "SELECT 3",
        "MSET a 3 e 3",
        "SWAPDB 0 3",
        "MGET a b c d e",
        "near: TTL a",
        "DBSIZE",
        "SELECT 0",
        "MGET a b c d e",
        "TTL a",
        "DBSIZE",
        "SWAPDB 0 0",
        "DBSIZE",
        "SWAPDB 0 9",
        "DBSIZE",
        "SELECT 9",
        "DBSIZE",
        "SWAPDB 0 16",
        "SWAPDB -1 0",
        "SWAPDB x y",
        "SWAPDB 0 y",
        "SWAPDB 99999999999 0",
        "SWAPDB 0 99999999999",
        "SWAPDB 0",
        "SWAPDB 0 1 2",
        "SET ends 1 PX 20",
        "SWAPDB 9 10",
        "wait: 150",
        "SELECT 10",
        "EXISTS ends",
        "any-order: KEYS *",
    ]);
}
