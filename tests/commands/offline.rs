//! A data directory without a server: what is loaded from it is what the server served, and nothing in it changes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use everfast::persist::PersistError;
use everfast::persist::disk::RealDisk;
use everfast::server::ServerError;
use everfast::server::offline;
use everfast::store::ValueRef;
use formats::resp::Value;

use super::random::command;
use crate::harness::random::Random;
use crate::harness::{Client, Server};

const STEPS: usize = 3000;

/// Database and key, value and end.
type Keys = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<u64>)>;

fn served(client: &mut Client) -> Keys {
    let mut keys = Keys::new();
    for db in 0..2 {
        client.raw(&["SELECT", &db.to_string()]);
        let Value::Array(names) = client.call(&["KEYS", "*"]) else { panic!("KEYS answers an array") };
        for name in names {
            let Value::Bulk(name) = name else { panic!("a key is a string") };
            let Value::Integer(end) = client.call(&[b"PEXPIRETIME", &name[..]]) else { panic!("a number") };
            let Value::Bulk(value) = client.call(&[b"GET", &name[..]]) else { continue }; // just expired
            keys.insert((db, name), (value, u64::try_from(end).ok()));
        }
    }
    keys
}

fn loaded(dir: &Path, now_ms: u64) -> Keys {
    let data = offline::load(Arc::new(RealDisk), dir).unwrap();
    let mut keys = Keys::new();
    for (db, parts) in data.databases {
        for page in parts.into_iter().flatten() {
            for entry in page.entries().filter(|entry| !entry.is_expired(now_ms)) {
                let ValueRef::Str(value) = entry.value;
                keys.insert((db, entry.key.to_vec()), (value.to_vec(), entry.expire_at));
            }
        }
    }
    keys
}

/// Names, sizes and times of all files.
fn files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<String> = entries
        .map(|entry| {
            format!("{:?} {:?}", entry.file_name(), entry.metadata().map(|m| (m.len(), m.modified().ok())))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_killed_servers_keys_are_loaded_and_its_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(11);
    for shards in ["3", "2"] {
        let server = Server::everfast(dir.path(), &["--shards", shards, "--appendfsync", "always"]);
        let mut client = server.client();
        for _ in 0..STEPS {
            client.raw(&command(&mut random).0);
        }
        for number in 0..200 {
            client.raw(&["SELECT", if number % 3 == 0 { "1" } else { "0" }]);
            client.raw(&["SET", &format!("plain:{number}"), shards, "PXAT", "4102444800000"]);
        }
        let expected = served(&mut client);
        assert!(expected.len() > 200, "{} keys", expected.len());
        let locked = offline::load(Arc::new(RealDisk), dir.path());
        assert!(matches!(locked, Err(ServerError::Persist(PersistError::Locked { .. }))));
        drop(server); // which kills it
        let before = files(dir.path());
        let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        let expected: Keys =
            expected.into_iter().filter(|(_, (_, end))| end.is_none_or(|end| end > now_ms)).collect();
        assert_eq!(loaded(dir.path(), now_ms), expected);
        assert_eq!(files(dir.path()), before);
    }
}

#[test]
fn what_is_no_data_directory_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let error = offline::load(Arc::new(RealDisk), dir.path()).err().unwrap().to_string();
    assert!(error.contains("MANIFEST"), "{error}");
    assert_eq!(files(dir.path()), Vec::<String>::new());
}
