//! What looks into values and into the server's memory: OBJECT, MEMORY, DEBUG.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::harness::{Client, Server, compare, compare_with};
use formats::resp::Value;

#[test]
fn forms_of_values() {
    compare(&[
        "OBJECT",
        "OBJECT nosuch",
        "kind: OBJECT HELP",
        "OBJECT HELP x",
        "OBJECT ENCODING",
        "OBJECT ENCODING a b",
        "OBJECT ENCODING nothing",
        "OBJECT REFCOUNT nothing",
        "OBJECT FREQ nothing",
        "OBJECT IDLETIME nothing",
        "MSET a 1 b 9999 c 10000 d -1 e 007 f '' g text h 9223372036854775807 i 9223372036854775808",
        "OBJECT ENCODING a",
        "OBJECT ENCODING b",
        "OBJECT ENCODING c",
        "OBJECT ENCODING d",
        "OBJECT ENCODING e",
        "OBJECT ENCODING f",
        "OBJECT ENCODING g",
        "OBJECT ENCODING h",
        "OBJECT ENCODING i",
        "OBJECT REFCOUNT a",
        "OBJECT REFCOUNT b",
        "OBJECT REFCOUNT c",
        "OBJECT REFCOUNT d",
        "OBJECT REFCOUNT g",
        "OBJECT FREQ a",
        "SET long 'exactly forty four bytes are embedded, yes!!'",
        "OBJECT ENCODING long",
        "SET long 'and a value of forty five bytes no more is so'",
        "OBJECT ENCODING long",
        "INCR a",
        "OBJECT ENCODING a",
        "OBJECT REFCOUNT a",
        "COMMAND GETKEYS OBJECT ENCODING a",
        "COMMAND GETKEYS MEMORY USAGE a SAMPLES 5",
        "COMMAND GETKEYS OBJECT HELP",
        "COMMAND GETKEYS OBJECT a",
        "COMMAND GETKEYS OBJECT",
        "COMMAND GETKEYS OBJECT ENCODING",
        "COMMAND GETKEYSANDFLAGS OBJECT REFCOUNT a",
        "COMMAND INFO DUMP",
        "COMMAND INFO RESTORE",
        "COMMAND INFO MOVE",
        "COMMAND INFO SWAPDB",
        "COMMAND INFO OBJECT|ENCODING",
        "COMMAND INFO OBJECT|HELP",
        "COMMAND INFO MEMORY|USAGE",
        "COMMAND INFO MEMORY|STATS",
        "COMMAND INFO MEMORY|PURGE",
    ]);
}

#[test]
fn memory() {
    compare(&[
        "MEMORY",
        "MEMORY nosuch",
        "kind: MEMORY HELP",
        "MEMORY HELP x",
        "MEMORY USAGE",
        "MEMORY USAGE nothing",
        "SET a 1",
        "kind: MEMORY USAGE a",
        "kind: MEMORY USAGE a SAMPLES 5",
        "MEMORY USAGE a SAMPLES -1",
        "MEMORY USAGE a SAMPLES x",
        "MEMORY USAGE a SAMPLES",
        "MEMORY USAGE a nosuch",
        "kind: MEMORY STATS",
        "MEMORY STATS x",
        "kind: MEMORY DOCTOR",
        "kind: MEMORY MALLOC-STATS",
        "kind: MEMORY PURGE",
        "MEMORY PURGE x",
    ]);
}

#[test]
fn memory_figures_are_plausible() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    let usage = |client: &mut Client, key: &str| match client.call(&["MEMORY", "USAGE", key]) {
        Value::Integer(bytes) => bytes,
        other => panic!("MEMORY USAGE answered {other:?}"),
    };
    client.call(&[&b"SET"[..], b"short", &[b'x'; 10][..]]);
    client.call(&[&b"SET"[..], b"inside", &[b'x'; 900][..]]);
    client.call(&[&b"SET"[..], b"outside", &vec![b'x'; 100_000][..]]);
    assert!((20..400).contains(&usage(&mut client, "short")));
    assert!((900..2000).contains(&usage(&mut client, "inside")));
    assert!((100_000..140_000).contains(&usage(&mut client, "outside")));
    assert_eq!(client.call(&["DEBUG", "POPULATE", "10000", "key", "100"]), Value::Simple("OK".into()));
    client.raw(&["HELLO", "3"]);
    let Value::Map(stats) = client.call(&["MEMORY", "STATS"]) else { panic!("MEMORY STATS answers a map") };
    let of = |name: &str| {
        let found = stats.iter().find(|(field, _)| *field == Value::Bulk(name.as_bytes().to_vec()));
        found.unwrap_or_else(|| panic!("no field {name}")).1.clone()
    };
    let number = |name: &str| match of(name) {
        Value::Integer(number) => number,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(number("keys.count"), 10_003);
    assert!((1_000_000..4_000_000).contains(&number("dataset.bytes")), "{}", number("dataset.bytes"));
    assert!(number("total.allocated") > number("dataset.bytes"));
    assert!(number("peak.allocated") >= number("total.allocated"));
    assert!(matches!(of("fragmentation"), Value::Double(_)) && matches!(of("db.0"), Value::Map(_)));
}

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

#[test]
fn digests_are_those_of_redis() {
    compare_with(
        DEBUG,
        &[
            "DEBUG DIGEST",
            "DEBUG DIGEST x",
            "DEBUG DIGEST-VALUE",
            "MSET a 1 b hello c '' 'a b' 5 e 123456789012345678901234567890",
            "DEBUG DIGEST",
            "DEBUG DIGEST-VALUE a",
            "DEBUG DIGEST-VALUE a b c nothing 'a b' a",
            "SET b hello EX 100",
            "DEBUG DIGEST-VALUE b",
            "DEBUG DIGEST",
            "SELECT 3",
            "DEBUG DIGEST-VALUE a",
            "MSET a 1 z 2",
            "DEBUG DIGEST",
            "DEBUG RELOAD",
            "DEBUG DIGEST",
            "SELECT 9",
            "SET x y",
            "DEBUG DIGEST",
            "FLUSHDB",
            "DEBUG DIGEST",
            "SWAPDB 0 9",
            "DEBUG DIGEST",
        ],
    );
}

#[test]
fn debug_helps_to_test_clients() {
    compare_with(
        DEBUG,
        &[
            "DEBUG PROTOCOL string",
            "DEBUG PROTOCOL INTEGER",
            "DEBUG PROTOCOL double",
            "DEBUG PROTOCOL bignum",
            "DEBUG PROTOCOL null",
            "DEBUG PROTOCOL array",
            "DEBUG PROTOCOL set",
            "DEBUG PROTOCOL map",
            "DEBUG PROTOCOL verbatim",
            "DEBUG PROTOCOL true",
            "DEBUG PROTOCOL false",
            "DEBUG PROTOCOL nosuch",
            "DEBUG PROTOCOL",
            "DEBUG ERROR 'ERR of mine'",
            "DEBUG ERROR",
            "DEBUG LOG hello",
            "DEBUG LOG",
            "DEBUG OBJECT nothing",
            "SET a 10",
            "kind: DEBUG OBJECT a",
            "DEBUG POPULATE 10",
            "DEBUG POPULATE 5 other 20",
            "DEBUG POPULATE 700 many 3",
            "any-order: KEYS *",
            "GET key:9",
            "GET other:4",
            "GET many:699",
            "DEBUG DIGEST",
            "DEBUG POPULATE x",
            "DEBUG POPULATE -1",
            "DEBUG JMAP",
        ],
    );
}

/// What stands before a reply, or behind it, is read as a reply of its own.
#[test]
fn attributes_and_pushes_are_those_of_redis() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Server::redis_with(dir.path(), DEBUG);
    let ours = Server::everfast(&dir.path().join("data"), DEBUG);
    for version in ["2", "3"] {
        for kind in ["attrib", "push"] {
            let read = |server: &Server| {
                let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
                stream.write_all(format!("HELLO {version}\r\n").as_bytes()).unwrap();
                stream.write_all(format!("DEBUG PROTOCOL {kind}\r\nQUIT\r\n").as_bytes()).unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                // What HELLO answers is each server's own.
                text[text.find("key-popularity").or(text.find("server-cpu")).or(text.rfind("$")).unwrap()..]
                    .to_owned()
            };
            assert_eq!(read(&redis), read(&ours));
        }
    }
}

const LOGGED: &[&str] = &["--enable-debug-command", "yes", "--appendonly", "yes"];

#[test]
fn the_log_holds_the_keys() {
    compare_with(
        LOGGED,
        &[
            "DEBUG LOADAOF",
            "MSET a 1 b 2 c 3",
            "EXPIRE b 100",
            "SET gone 1 PX 20",
            "APPEND c more",
            "SELECT 3",
            "SET a other",
            "wait: 40",
            "DEBUG LOADAOF",
            "DEBUG LOADAOF x",
            "GET a",
            "SWAPDB 0 3",
            "DEBUG LOADAOF",
            "near: TTL b",
            "MGET a b c gone",
            "MOVE a 9",
            "BGREWRITEAOF",
            "wait: 500",
            "DEL c",
            "DEBUG DIGEST",
            "DEBUG LOADAOF",
            "DEBUG DIGEST",
            "FLUSHALL",
            "DEBUG LOADAOF",
            "DEBUG DIGEST",
        ],
    );
}

/// Writers go on while the log is loaded again and again: what they were answered stays true.
#[test]
fn nothing_is_lost_where_the_log_is_loaded_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &[LOGGED, &["--shards", "3"]].concat());
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let mut client = server.client();
            scope.spawn(move || {
                for count in 1..400 {
                    let (one, other) = (format!("one:{writer}"), format!("other:{writer}"));
                    assert_eq!(client.call(&["INCR", &one]), Value::Integer(count));
                    let value = count.to_string();
                    client.call(&["MSET", &other, &value, &format!("third:{writer}"), &value]);
                    let both = Value::Array(vec![Value::Bulk(value.clone().into()); 2]);
                    assert_eq!(client.call(&["MGET", &other, &format!("third:{writer}")]), both);
                }
            });
        }
        let mut client = server.client();
        for _ in 0..15 {
            assert_eq!(client.call(&["DEBUG", "LOADAOF"]), Value::Simple("OK".into()));
        }
    });
    assert_eq!(server.client().call(&["GET", "one:2"]), Value::Bulk(b"399".to_vec()));
}

#[test]
fn without_a_log_none_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--enable-debug-command", "yes", "--appendonly", "no"]);
    let answer = server.client().call(&["DEBUG", "LOADAOF"]);
    assert_eq!(answer, Value::Error("ERR DEBUG LOADAOF needs a log: appendonly is no".into()));
}
