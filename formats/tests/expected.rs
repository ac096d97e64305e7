//! Reads the `.json` beside a file of a server: what the server itself says that the file holds.

use std::collections::BTreeMap;

use formats::rdb::StreamId;
use serde::Deserialize;

use crate::contents::{Bytes, Consumer, Group, Holds, Key, Stream};
use crate::testdata;

/// What a file must hold.
#[derive(Debug)]
pub struct Expected {
    pub rdb_version: Option<u16>,
    pub expired_keys: Vec<Bytes>,
    /// Code of the libraries of functions.
    pub libraries: Vec<Bytes>,
    pub keys: Vec<Key>,
}

/// Reads `name.json`.
pub fn read(name: &str) -> Expected {
    let text = testdata::read(&format!("{name}.json"));
    let file: JsonFile = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
    Expected {
        rdb_version: file.rdb_version,
        expired_keys: file.expired_keys.iter().map(|name| bytes(name)).collect(),
        libraries: file.functions.iter().map(|library| bytes(&library.code)).collect(),
        keys: file.keys.into_iter().map(key).collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonFile {
    #[serde(rename = "server")]
    _server: String,
    rdb_version: Option<u16>,
    expired_keys: Vec<String>,
    functions: Vec<JsonLibrary>,
    keys: Vec<JsonKey>,
}

#[derive(Deserialize)]
struct JsonLibrary {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonKey {
    db: u64,
    key: String,
    r#type: String,
    #[serde(rename = "encoding")]
    _encoding: Option<String>,
    expires_at_ms: Option<i64>,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
    #[serde(rename = "slot")]
    _slot: Option<u64>,
    value: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonStream {
    entries: Vec<(String, Vec<(String, String)>)>,
    length: u64,
    last_id: String,
    first_id: Option<String>,
    max_deleted_id: Option<String>,
    entries_added: Option<u64>,
    groups: Vec<JsonGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonGroup {
    name: String,
    last_id: String,
    entries_read: Option<u64>,
    pending: Vec<(String, String, Option<i64>, u64)>,
    consumers: Vec<JsonConsumer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonConsumer {
    name: String,
    seen_at_ms: Option<i64>,
    active_at_ms: Option<i64>,
    pending: Vec<String>,
}

fn key(key: JsonKey) -> Key {
    let modules = key.value.is_null();
    let type_name = if modules { "module".into() } else { key.r#type };
    Key {
        db: key.db,
        name: bytes(&key.key),
        expires_at_ms: key.expires_at_ms,
        idle_seconds: key.idle_seconds,
        frequency: key.frequency,
        value: holds(&type_name, key.value),
        type_name,
    }
}

fn holds(type_name: &str, value: serde_json::Value) -> Holds {
    fn parsed<T: for<'de> Deserialize<'de>>(value: serde_json::Value) -> T {
        serde_json::from_value(value).expect("a value of its type")
    }
    match type_name {
        "string" => Holds::String(bytes(&parsed::<String>(value))),
        "list" => Holds::List(parsed::<Vec<String>>(value).iter().map(|item| bytes(item)).collect()),
        "set" => Holds::Set(parsed::<Vec<String>>(value).iter().map(|member| bytes(member)).collect()),
        "hash" => {
            let fields: Vec<(String, String, Option<u64>)> = parsed(value);
            Holds::Hash(fields.iter().map(|(f, v, expiry)| (bytes(f), (bytes(v), *expiry))).collect())
        }
        "zset" => {
            let members: Vec<(String, String)> = parsed(value);
            let score = |digits: &str| digits.parse().expect("a score");
            Holds::SortedSet(members.iter().map(|(member, s)| (bytes(member), score(s))).collect())
        }
        "stream" => Holds::Stream(stream(parsed(value))),
        "module" => Holds::Module,
        other => panic!("type {other}"),
    }
}

fn stream(stream: JsonStream) -> Stream {
    let fields = |fields: Vec<(String, String)>| fields.iter().map(|(f, v)| (bytes(f), bytes(v))).collect();
    Stream {
        entries: stream.entries.into_iter().map(|(entry, all)| (id(&entry), fields(all))).collect(),
        length: stream.length,
        last_id: id(&stream.last_id),
        first_id: stream.first_id.as_deref().map(id),
        max_deleted_id: stream.max_deleted_id.as_deref().map(id),
        entries_added: stream.entries_added,
        groups: stream.groups.into_iter().map(group).collect(),
    }
}

/// Checks too that the group's and the consumers' lists of pending entries say the same.
fn group(group: JsonGroup) -> Group {
    let consumers: Vec<Consumer> = group.consumers.into_iter().map(consumer).collect();
    let mut pending = BTreeMap::new();
    for (entry, owner, delivered_at_ms, deliveries) in group.pending {
        let owner = consumers.iter().find(|consumer| consumer.name == bytes(&owner));
        assert!(owner.expect("an owner").pending.contains(&id(&entry)));
        pending.insert(id(&entry), (delivered_at_ms, deliveries));
    }
    Group {
        name: bytes(&group.name),
        last_id: id(&group.last_id),
        entries_read: group.entries_read,
        pending,
        consumers,
    }
}

fn consumer(consumer: JsonConsumer) -> Consumer {
    Consumer {
        name: bytes(&consumer.name),
        seen_at_ms: consumer.seen_at_ms,
        active_at_ms: consumer.active_at_ms.filter(|&at| at != -1),
        pending: consumer.pending.iter().map(|entry| id(entry)).collect(),
    }
}

fn id(text: &str) -> StreamId {
    let (ms, seq) = text.split_once('-').expect("an id");
    StreamId { ms: ms.parse().unwrap(), seq: seq.parse().unwrap() }
}

/// Hexadecimal; parts are joined by `+`, and `unit*count` repeats a unit.
pub fn bytes(text: &str) -> Bytes {
    let mut bytes = Bytes::new();
    for part in text.split('+').filter(|part| !part.is_empty()) {
        let (unit, count) = part.split_once('*').unwrap_or((part, "1"));
        for _ in 0..count.parse::<usize>().unwrap() {
            let pairs = unit.as_bytes().chunks(2);
            bytes.extend(pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()));
        }
    }
    bytes
}

#[test]
fn periodic_bytes_are_written_as_units() {
    assert_eq!(bytes("6162*3+61"), b"abababa");
    assert_eq!(bytes(""), b"");
}
