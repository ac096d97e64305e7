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
        "COMMAND GETKEYS GET a b",
        "COMMAND GETKEYS PING a",
        "COMMAND GETKEYS nosuch a",
        "COMMAND GETKEYS GET",
        "COMMAND GETKEYSANDFLAGS COPY a b",
        "COMMAND GETKEYSANDFLAGS INCR a",
        "COMMAND GETKEYSANDFLAGS DEL a b",
        "kind: COMMAND LIST",
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
        "db0:keys=30,expires=1,avg_ttl=0",
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
        // How long commands took is left out.
        let is_there = info.lines().any(|known| match known.split_once(",usec=") {
            Some((calls, rest)) => rest
                .split_once(",rejected")
                .is_some_and(|(_, rest)| format!("{calls},rejected{rest}") == line),
            None => known == line,
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
