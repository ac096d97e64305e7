//! The server: its commands, its settings, its figures.

use formats::resp::Value;

use crate::harness::{Server, compare};

#[test]
fn about_commands() {
    compare(&[
        "COMMAND foo",
        "COMMAND COUNT x",
        "kind: COMMAND COUNT",
        "kind: COMMAND",
        "COMMAND INFO get mset del copy rename keys dbsize nosuch exists INCR",
        "COMMAND INFO config|get client|id config|set client|list command|count nosuch|x",
        "COMMAND INFO ping echo hello auth select quit reset time shutdown info expire ttl scan",
        "COMMAND DOCS nosuch",
        "kind: COMMAND DOCS get client",
        "kind: COMMAND DOCS",
        "COMMAND GETKEYS GET a",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS MSET a",
        "COMMAND GETKEYS MSET a 1 b",
        "COMMAND GETKEYS GET a b",
        "COMMAND GETKEYS OBJECT ENCODING a",
        "COMMAND GETKEYS OBJECT nosuch a",
        "COMMAND GETKEYS OBJECT",
        "OBJECT \"a\\x00b\"",
        "NOSUCH \"a\\x00b\" c",
        "kind: LOLWUT VERSION 4 x",
        "kind: LOLWUT VERSION 5 x",
        "kind: LOLWUT VERSION 6 x",
        "kind: LOLWUT VERSION x",
        "COMMAND GETKEYS PING a",
        "COMMAND GETKEYS nosuch a",
        "COMMAND GETKEYS GET",
        "COMMAND GETKEYSANDFLAGS COPY a b",
        "COMMAND GETKEYSANDFLAGS INCR a",
        "COMMAND GETKEYSANDFLAGS DEL a b",
        "COMMAND GETKEYSANDFLAGS SET a 1",
        "COMMAND GETKEYSANDFLAGS SET a 1 EX 5 get",
        "COMMAND GETKEYSANDFLAGS SET a GET",
        "COMMAND GETKEYSANDFLAGS BITFIELD a",
        "COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0 get u8 8",
        "COMMAND GETKEYSANDFLAGS BITFIELD a GET u8 0 OVERFLOW sat SET u8 0 1",
        "COMMAND GETKEYSANDFLAGS BITFIELD a incrby u8 0 1 GET u8 0",
        "COMMAND GETKEYSANDFLAGS BITFIELD a SET u8 0",
        "COMMAND GETKEYSANDFLAGS BITFIELD a x SET u8 0 1",
        "COMMAND GETKEYSANDFLAGS BITFIELD a GET u8",
        "COMMAND GETKEYSANDFLAGS BITFIELD a OVERFLOW",
        "COMMAND GETKEYS MEMORY USAGE a SAMPLES 5",
        "COMMAND GETKEYS OBJECT ENCODING a",
        "COMMAND GETKEYS OBJECT HELP x",
        "COMMAND GETKEYS MEMORY nosuch a",
        "COMMAND GETKEYS MEMORY USAGE",
        "kind: COMMAND LIST",
        "kind: LOLWUT",
        "kind: LOLWUT VERSION 5 10 3",
        "LOLWUT VERSION x",
        "LOLWUT VERSION 5 x",
        "kind: LOLWUT a b",
        "COMMAND INFO lolwut",
        "COMMAND LIST foo",
        "COMMAND LIST FILTERBY foo bar",
        "COMMAND LIST FILTERBY MODULE x",
        "COMMAND LIST FILTERBY ACLCAT nosuch",
        "COMMAND LIST FILTERBY PATTERN mget*",
        "any-order: COMMAND LIST FILTERBY PATTERN config|*",
        "kind: COMMAND HELP",
    ]);
}

#[test]
fn settings_and_figures() {
    compare(&[
        "CONFIG",
        "CONFIG foo",
        "CONFIG GET",
        "CONFIG GET maxclients",
        "CONFIG GET nosuch",
        "any-order: CONFIG GET max[c]lients timeout",
        "CONFIG SET timeout",
        "CONFIG SET timeout 5 maxclients",
        "CONFIG SET timeout 5",
        "CONFIG GET timeout",
        "CONFIG SET timeout 0 nosuch 1",
        "CONFIG SET timeout x",
        "CONFIG SET timeout 0",
        "CONFIG GET timeout",
        "CONFIG REWRITE",
        "CONFIG RESETSTAT",
        "CONFIG RESETSTAT x",
        "kind: CONFIG HELP",
        "CONFIG SET proto-max-bulk-len 1048576",
        "SET a 1",
        "kind: INFO",
        "kind: INFO server clients",
        "INFO nosuch",
        "INFO cluster",
        "kind: TIME",
        "TIME x",
        "SHUTDOWN foo",
        "SHUTDOWN SAVE NOSAVE",
        "SHUTDOWN ABORT NOW",
        "SHUTDOWN ABORT",
    ]);
}

fn text(value: Value) -> String {
    match value {
        Value::Bulk(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("text, not {other:?}"),
    }
}

#[test]
fn info_counts() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "3"]);
    let mut client = server.client();
    client.raw(&["CONFIG", "RESETSTAT"]);
    for index in 0..30 {
        client.raw(&["SET", &format!("k{index}"), "v"]);
        client.raw(&["GET", &format!("k{index}")]);
    }
    client.raw(&["EXPIRE", "k1", "1000"]);
    client.raw(&["GET", "nothing"]);
    client.raw(&["INCR", "k2"]);
    client.raw(&["DEL", "x1", "x2", "x3", "x4", "x5", "x6"]);
    client.raw(&["MSETNX", "k1", "v", "k3", "v", "k4", "v"]);
    client.raw(&["RANDOMKEY"]);
    client.raw(&["COPY", "x", "y"]);
    client.raw(&["DBSIZE"]);
    client.raw(&["nosuch"]);
    client.raw(&["AUTH", "other", "password"]);
    client.raw(&["CLIENT", "LIST", "foo"]);
    let info = text(client.call(&["INFO", "everything"]));
    for line in [
        "db0:keys=30,expires=1,",
        "keyspace_hits:30",
        "keyspace_misses:1",
        "cmdstat_get:calls=31,rejected_calls=0,failed_calls=0",
        "cmdstat_incr:calls=1,rejected_calls=0,failed_calls=1",
        "cmdstat_del:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_msetnx:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_randomkey:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_copy:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_dbsize:calls=1,rejected_calls=0,failed_calls=0",
        "cmdstat_client|list:calls=1,rejected_calls=0,failed_calls=1",
        "errorstat_ERR:count=3",
        "errorstat_WRONGPASS:count=1",
        "total_error_replies:4",
        "shards:3",
        "role:master",
    ] {
        // How long commands took is left out, and how long keys have to live.
        let is_there = info.lines().any(|known| match known.split_once(",usec=") {
            Some((calls, rest)) => rest
                .split_once(",rejected")
                .is_some_and(|(_, rest)| format!("{calls},rejected{rest}") == line),
            None => known == line || line.ends_with(',') && known.starts_with(line),
        });
        assert!(is_there, "{line} is not in\n{info}");
    }
    assert!(!text(client.call(&["INFO", "keyspace"])).contains("redis_version"));
}

#[test]
fn what_is_acknowledged_is_durable() {
    for appendfsync in ["everysec", "no", "always"] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::everfast(dir.path(), &["--shards", "3", "--appendfsync", appendfsync]);
        let mut client = server.client();
        for index in 0..20 {
            client.raw(&["SET", &format!("k{index}"), "v"]);
        }
        let one = Value::Array(vec![Value::Integer(1), Value::Integer(0)]);
        assert_eq!(client.call(&["WAITAOF", "1", "0", "0"]), one, "{appendfsync}");
        assert_eq!(
            client.call(&["WAITAOF", "1", "1", "20"]),
            one,
            "there are no replicas: the timeout ends it"
        );
        let error = Value::Error("ERR value is out of range, must be between 0 and 1".into());
        assert_eq!(client.call(&["WAITAOF", "2", "0", "0"]), error);
    }
}

#[test]
fn without_a_log_nothing_can_be_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--appendonly", "no"]);
    let mut client = server.client();
    let error = "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.";
    assert_eq!(client.call(&["WAITAOF", "1", "0", "0"]), Value::Error(error.into()));
    let none = Value::Array(vec![Value::Integer(0), Value::Integer(0)]);
    assert_eq!(client.call(&["WAITAOF", "0", "0", "0"]), none);
    assert!(text(client.call(&["INFO", "persistence"])).contains("aof_enabled:0\r\n"));
}

#[test]
fn settings_are_written_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("everfast.conf");
    std::fs::write(&file, "# mine\ntimeout 7\n").unwrap();
    let server = Server::everfast(&dir.path().join("data"), &[file.to_str().unwrap()]);
    let mut client = server.client();
    client.raw(&["CONFIG", "SET", "maxclients", "1234"]);
    assert_eq!(client.call(&["CONFIG", "REWRITE"]), Value::Simple("OK".into()));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\ntimeout 7\n") && text.contains("maxclients 1234\n"), "{text}");
    assert!(!text.contains("shards"), "their number follows the machine, until it is set: {text}");
}

#[test]
fn a_change_of_appendfsync_is_put_into_effect() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--appendfsync", "no"]);
    let mut client = server.client();
    for policy in ["always", "no", "everysec", "always"] {
        assert_eq!(client.call(&["CONFIG", "SET", "appendfsync", policy]), Value::Simple("OK".into()));
        for index in 0..10 {
            let key = format!("k{index}");
            assert_eq!(client.call(&["SET", &key, policy]), Value::Simple("OK".into()));
            assert_eq!(client.call(&["GET", &key]), Value::Bulk(policy.into()));
        }
        let info = text(client.call(&["INFO", "persistence"]));
        assert!(info.contains(&format!("aof_policy:{policy}\r\n")));
        if policy == "always" {
            assert!(info.contains("aof_effects_not_durable:0\r\n"), "{info}");
        }
    }
}

#[test]
fn strings_do_not_outgrow_their_limit() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    let mut client = server.client();
    client.raw(&["CONFIG", "SET", "proto-max-bulk-len", "1048576"]);
    let megabyte = "x".repeat(1 << 20);
    for key in ["a", "b", "c"] {
        assert_eq!(client.call(&["APPEND", key, &megabyte]), Value::Integer(1 << 20));
        let error = Value::Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
        assert_eq!(client.call(&["APPEND", key, "x"]), error);
    }
}

/// What is set on a server, by name.
fn settings(server: &Server) -> std::collections::BTreeMap<String, String> {
    let Value::Array(words) = server.client().call(&["CONFIG", "GET", "*"]) else {
        panic!("CONFIG GET failed")
    };
    let words: Vec<String> = words.into_iter().map(text).collect();
    words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[test]
fn every_setting_of_redis_has_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let redis = settings(&Server::redis(dir.path()));
    let server = Server::everfast(&dir.path().join("ours"), &[]);
    let ours = settings(&server);
    let missing: Vec<_> = redis.keys().filter(|name| !ours.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut client = server.client();
    for (name, value) in &ours {
        let reply = client.call(&["CONFIG", "SET", name, value]);
        let is_fixed = matches!(&reply, Value::Error(text) if text.ends_with("can't set immutable config"));
        assert!(reply == Value::Simple("OK".into()) || is_fixed, "{name} {value}: {reply:?}");
    }
}

#[test]
fn figures_tell_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--enable-debug-command", "yes"]);
    let mut client = server.client();
    let mut field = |name: &str| {
        let info = text(client.call(&["INFO", "everything"]));
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let number = |text: String| text.parse::<u64>().unwrap();
    let mut writer = server.client();
    for round in 0..40 {
        for key in 0..50 {
            writer.call(&["SET", &format!("k{key}"), &"x".repeat(20_000), "EX", "1000"]);
        }
        if round % 10 == 9 {
            std::thread::sleep(std::time::Duration::from_millis(110));
        }
    }
    assert!(number(field("instantaneous_ops_per_sec")) > 0);
    assert_ne!(field("instantaneous_input_kbps"), "0.00");
    // Few keys with an end among many without: the mean is that of those few, as soon as they have been walked over.
    writer.call(&["DEBUG", "POPULATE", "20000"]);
    let mean = |keyspace: String| keyspace.rsplit_once('=').unwrap().1.parse::<u64>().unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !(900_000..=1_000_000).contains(&mean(field("db0"))) {
        assert!(std::time::Instant::now() < deadline, "{}", field("db0"));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(number(field("used_memory_dataset")) > 1_000_000);
    assert!(number(field("used_memory_startup")) < number(field("used_memory")));
    let peak = number(field("used_memory_peak"));
    writer.call(&["FLUSHALL"]);
    assert!(
        number(field("used_memory_peak")) >= peak && peak > number(field("used_memory_startup")) + 900_000,
        "{peak}"
    );
    writer.call(&["CONFIG", "RESETSTAT"]);
    assert_eq!(field("instantaneous_ops_per_sec"), "0");
}
