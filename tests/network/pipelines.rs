//! Pipelines whose commands run on several shards: replies come in order, and say what they should.

use crate::harness::{Server, random::Random};
use std::collections::HashMap;

/// A pipeline of random commands on keys of this client alone, with the replies that must come.
fn pipeline(
    name: usize,
    random: &mut Random,
    state: &mut HashMap<String, String>,
) -> Vec<(Vec<String>, String)> {
    let bulk = |value: Option<&String>| match value {
        Some(value) => format!("${}\r\n{value}\r\n", value.len()),
        None => "$-1\r\n".to_owned(),
    };
    let mut commands = Vec::new();
    for _ in 0..1 + random.below(40) {
        let key = |random: &mut Random| format!("{name}:{}", random.below(30));
        let (a, b) = (key(random), key(random));
        let value = random.next().to_string();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        commands.push(match random.below(8) {
            0..=2 => {
                state.insert(a.clone(), value.clone());
                (words(&["SET", &a, &value]), "+OK\r\n".to_owned())
            }
            3 => (words(&["GET", &a]), bulk(state.get(&a))),
            4 => (words(&["MGET", &a, &b]), format!("*2\r\n{}{}", bulk(state.get(&a)), bulk(state.get(&b)))),
            5 => {
                state.insert(a.clone(), value.clone());
                state.insert(b.clone(), value.clone());
                (words(&["MSET", &a, &value, &b, &value]), "+OK\r\n".to_owned())
            }
            6 => {
                let removed = i32::from(state.remove(&a).is_some()) + i32::from(state.remove(&b).is_some());
                (words(&["DEL", &a, &b]), format!(":{removed}\r\n"))
            }
            _ => match state.remove(&a) {
                Some(moved) => {
                    state.insert(b.clone(), moved);
                    (words(&["RENAME", &a, &b]), "+OK\r\n".to_owned())
                }
                None => (words(&["RENAME", &a, &b]), "-ERR no such key\r\n".to_owned()),
            },
        });
    }
    commands
}

#[test]
fn the_protocol_may_change_within_a_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let mut client = server.client();
    let keys: Vec<String> = (0..20).map(|key| key.to_string()).collect();
    let gets = || keys.iter().map(|key| vec!["GET", key]);
    for round in 0..50 {
        let mut pipeline = vec![vec!["HELLO", "3"]];
        pipeline.extend(gets());
        pipeline.push(vec!["RESET"]);
        pipeline.extend(gets());
        client.send_all(pipeline.iter().map(|words| &words[..]));
        for null in ["_\r\n", "$-1\r\n"] {
            client.receive(); // to HELLO, to RESET
            for key in &keys {
                assert_eq!(String::from_utf8_lossy(&client.receive().0), null, "round {round}, key {key}");
            }
        }
    }
}

fn run(server: &Server, name: usize, rounds: usize) {
    let mut random = Random::new(100 + name as u64);
    let mut client = server.client();
    let mut state = HashMap::new();
    for round in 0..rounds {
        let commands = pipeline(name, &mut random, &mut state);
        for (words, _) in &commands {
            client.send(words);
        }
        for (words, expected) in commands {
            let reply = client.receive().0;
            assert_eq!(String::from_utf8_lossy(&reply), expected, "{words:?}, round {round}");
        }
    }
}

#[test]
fn replies_keep_their_order() {
    for (appendfsync, rounds) in [("everysec", 150), ("always", 60)] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::everfast(dir.path(), &["--shards", "4", "--appendfsync", appendfsync]);
        std::thread::scope(|scope| {
            for name in 0..8 {
                let server = &server;
                scope.spawn(move || run(server, name, rounds));
            }
        });
    }
}

/// Two keys on different shards are always written together: whoever reads them together sees them equal, and
/// never goes back in time.
#[test]
fn nobody_sees_half_of_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let keys: Vec<String> = (0..6).map(|index| format!("together:{index}")).collect();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (server, keys) = (&server, &keys);
                scope.spawn(move || {
                    let mut client = server.client();
                    for serial in 0..2000 {
                        let value = format!("{writer}-{serial}");
                        let mut words = vec!["MSET"];
                        keys.iter().for_each(|key| words.extend([key.as_str(), &value]));
                        assert_eq!(client.raw(&words), b"+OK\r\n");
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let (server, keys, done) = (&server, &keys, &done);
            scope.spawn(move || read_together(server, keys, done));
        }
        for _ in 0..2 {
            let (server, done) = (&server, &done);
            // Two-step work beside it, so that one-shot writes take the way of locks too.
            scope.spawn(move || {
                let mut client = server.client();
                client.raw(&["SET", "here", "x"]);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    client.raw(&["RENAME", "here", "there"]);
                    client.raw(&["RENAME", "there", "here"]);
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// One writer raises two keys on different shards together: whoever has seen the one raised finds the other raised too.
#[test]
fn what_is_seen_on_one_shard_is_there_on_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4"]);
    let keys: Vec<String> = (0..8).map(|index| format!("raised:{index}")).collect();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (server, keys, done) = (&server, &keys, &done);
            scope.spawn(move || {
                let (mut client, mut random, mut seen) = (server.client(), Random::new(reader), 0);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let key = &keys[random.below(keys.len())];
                    if let formats::resp::Value::Bulk(value) = client.call(&["GET", key]) {
                        let value: u64 = String::from_utf8_lossy(&value).parse().unwrap();
                        assert!(value >= seen, "{key} is at {value}, another one was at {seen}");
                        seen = value;
                    }
                }
            });
        }
        let mut client = server.client();
        for serial in 0..6000u64 {
            let value = serial.to_string();
            let mut words = vec!["MSET"];
            keys.iter().for_each(|key| words.extend([key.as_str(), &value]));
            assert_eq!(client.raw(&words), b"+OK\r\n");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn read_together(server: &Server, keys: &[String], done: &std::sync::atomic::AtomicBool) {
    let mut client = server.client();
    let mut together = vec!["MGET"];
    together.extend(keys.iter().map(String::as_str));
    let mut latest = [-1, -1];
    while !done.load(std::sync::atomic::Ordering::Relaxed) {
        let formats::resp::Value::Array(values) = client.call(&together) else { panic!("no array") };
        assert!(values.iter().all(|value| *value == values[0]), "torn: {values:?}");
        if let formats::resp::Value::Bulk(value) = &values[0] {
            let text = String::from_utf8_lossy(value);
            let (writer, serial) = text.split_once('-').unwrap();
            let (writer, serial): (usize, i32) = (writer.parse().unwrap(), serial.parse().unwrap());
            assert!(serial >= latest[writer], "back in time: {serial} after {}", latest[writer]);
            latest[writer] = serial;
        }
    }
}

#[test]
fn what_follows_a_password_in_the_same_packet_has_the_limits_of_a_client_that_told_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &[]);
    server.client().raw(&["CONFIG", "SET", "requirepass", "secret"]);
    let many: Vec<String> =
        std::iter::once("MSET".to_owned()).chain((0..60).map(|word| word.to_string())).collect();
    let long = ["SET".to_owned(), "k".to_owned(), "x".repeat(20_000)];
    for login in [&["AUTH", "secret"][..], &["HELLO", "3", "AUTH", "default", "secret"]] {
        let login: Vec<String> = login.iter().map(|word| (*word).to_owned()).collect();
        let mut client = server.client();
        client.send_all([&login[..], &many, &long].into_iter());
        client.receive();
        assert_eq!((client.receive().0, client.receive().0), (b"+OK\r\n".to_vec(), b"+OK\r\n".to_vec()));
    }
    let mut client = server.client();
    client.send_all([&["RESET".to_owned()][..], &many].into_iter());
    assert_eq!(client.receive().0, b"+RESET\r\n");
    assert_eq!(client.receive().0, b"-ERR Protocol error: unauthenticated multibulk length\r\n");
}
