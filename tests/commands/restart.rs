//! What was there before a restart is there behind it, on as many shards as there are then.

use formats::resp::Value;

use super::random::command;
use crate::harness::random::Random;
use crate::harness::{Client, Server};

const STEPS: usize = 3000;

/// Everything that two databases hold: keys, values and when they end.
fn contents(client: &mut Client) -> Vec<(String, Vec<u8>, Value, Value)> {
    let mut contents = Vec::new();
    for db in ["0", "1"] {
        client.raw(&["SELECT", db]);
        let Value::Array(keys) = client.call(&["KEYS", "*"]) else { panic!("KEYS answers an array") };
        for key in keys {
            let Value::Bulk(key) = key else { panic!("a key is a string") };
            let value = client.call(&[b"GET", &key[..]]);
            let end = client.call(&[b"PEXPIRETIME", &key[..]]);
            contents.push((db.to_owned(), key, value, end));
        }
    }
    contents.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    contents
}

#[test]
fn a_restart_changes_nothing() {
    for appendfsync in ["everysec", "always"] {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random::new(7);
        let mut expected = Vec::new();
        for shards in ["3", "1", "4"] {
            let server = Server::everfast(dir.path(), &["--shards", shards, "--appendfsync", appendfsync]);
            let mut client = server.client();
            assert_eq!(contents(&mut client), expected, "{shards} shards, {appendfsync}");
            for _ in 0..STEPS {
                client.raw(&command(&mut random).0);
            }
            expected = contents(&mut client);
            assert!(!expected.is_empty());
            server.shut_down();
        }
    }
}

#[test]
fn a_flush_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    for shards in ["2", "3"] {
        let server = Server::everfast(dir.path(), &["--shards", shards]);
        let mut client = server.client();
        assert_eq!(client.call(&["DBSIZE"]), Value::Integer(if shards == "2" { 0 } else { 1 }));
        for index in 0..20 {
            client.raw(&["SET", &format!("k{index}"), "v"]);
        }
        client.raw(&["FLUSHALL"]);
        client.raw(&["SET", "after", "v"]);
        server.shut_down();
    }
}
