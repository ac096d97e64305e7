//! Many clients at once on keys of several shards: each command is all or nothing, and nobody sees half of one.

use formats::resp::Value;

use crate::harness::random::Random;
use crate::harness::{Client, Server};

const CLIENTS: u64 = 8;
const STEPS: usize = 400;
const KEYS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// Runs `work` in as many threads as there are clients, each with a connection and random numbers of its own.
fn together(server: &Server, work: impl Fn(Client, Random) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (client, work) = (server.client(), &work);
            scope.spawn(move || work(client, Random::new(number + 1)));
        }
    });
}

fn started(appendfsync: &str) -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4", "--appendfsync", appendfsync]);
    (dir, server)
}

/// How many of all keys one MGET sees.
fn seen(client: &mut Client) -> usize {
    let Value::Array(values) = client.call(&[&["MGET"][..], &KEYS].concat()) else {
        panic!("MGET answers an array")
    };
    values.iter().filter(|value| **value != Value::Null).count()
}

#[test]
fn a_renamed_key_is_never_lost_or_doubled() {
    for appendfsync in ["no", "always"] {
        let (_dir, server) = started(appendfsync);
        let mut client = server.client();
        client.raw(&["MSET", "k0", "a", "k1", "b", "k2", "c"]);
        together(&server, |mut client, mut random| {
            for _ in 0..STEPS {
                let (from, to) = (random.pick(&KEYS), random.pick(&KEYS));
                match client.call(&["RENAMENX", from, to]) {
                    Value::Integer(_) => {}
                    Value::Error(text) => assert_eq!(text, "ERR no such key"),
                    other => panic!("RENAMENX answers {other:?}"),
                }
            }
        });
        assert_eq!(seen(&mut client), 3);
        let mut values: Vec<Value> = KEYS.iter().map(|key| client.call(&["GET", key])).collect();
        values.retain(|value| *value != Value::Null);
        values.sort_by_key(|value| format!("{value:?}"));
        assert_eq!(values, ["a", "b", "c"].map(|text| Value::Bulk(text.into())));
    }
}

#[test]
fn all_keys_or_none_are_seen() {
    for appendfsync in ["no", "always"] {
        let (_dir, server) = started(appendfsync);
        together(&server, |mut client, mut random| {
            for step in 0..STEPS {
                let value = format!("{}-{step}", random.next());
                let pairs: Vec<&str> = KEYS.iter().flat_map(|key| [key, value.as_str()]).collect();
                match random.below(4) {
                    0 => drop(client.raw(&[&["MSET"][..], &pairs].concat())),
                    1 => drop(client.raw(&[&["MSETNX"][..], &pairs].concat())),
                    2 => {
                        let Value::Integer(deleted) = client.call(&[&["DEL"][..], &KEYS].concat()) else {
                            panic!("DEL answers a number")
                        };
                        assert!([0, 6].contains(&deleted), "{deleted} of 6 keys were there");
                    }
                    _ => {
                        let Value::Array(values) = client.call(&[&["MGET"][..], &KEYS].concat()) else {
                            panic!("MGET answers an array")
                        };
                        assert!(values.iter().all(|value| *value == values[0]), "{values:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn counters_lose_nothing() {
    let (_dir, server) = started("everysec");
    together(&server, |mut client, mut random| {
        for _ in 0..STEPS {
            client.raw(&["INCR", random.pick(&KEYS)]);
        }
    });
    let mut client = server.client();
    let Value::Array(values) = client.call(&[&["MGET"][..], &KEYS].concat()) else { panic!("an array") };
    let sum: usize = values
        .iter()
        .map(|value| match value {
            Value::Bulk(digits) => std::str::from_utf8(digits).unwrap().parse::<usize>().unwrap(),
            other => panic!("a counter is not {other:?}"),
        })
        .sum();
    assert_eq!(sum, STEPS * CLIENTS as usize);
}

#[test]
fn everything_at_once_ends() {
    let (_dir, server) = started("no");
    together(&server, |mut client, mut random| {
        for _ in 0..STEPS / 2 {
            let (a, b) = (random.pick(&KEYS), random.pick(&KEYS));
            let commands: &[&[&str]] = &[
                &["RENAME", a, b],
                &["COPY", a, b, "REPLACE"],
                &["COPY", a, b, "DB", "1", "REPLACE"],
                &["MSETNX", a, "1", b, "2"],
                &["MSET", a, "1", b, "2"],
                &["FLUSHALL"],
                &["DEL", a, b],
                &["RANDOMKEY"],
                &["KEYS", "*"],
                &["DBSIZE"],
                &["INFO"],
                &["CLIENT", "LIST"],
                &["SET", a, "v"],
                &["EXPIRE", a, "100"],
            ];
            let pipeline: Vec<&[&str]> = (0..8).map(|_| commands[random.below(commands.len())]).collect();
            client.send_all(pipeline.iter().copied());
            for _ in &pipeline {
                client.receive();
            }
        }
    });
    let mut client = server.client();
    client.raw(&["FLUSHALL"]);
    assert_eq!(client.call(&["DBSIZE"]), Value::Integer(0));
}
