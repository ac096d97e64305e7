//! Snapshots and Redis: what we write it loads, key by key, and what it writes we read.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use everfast::persist::disk::{Disk, RealDisk};
use everfast::snapshot::{self, Aux, Checksum, Options, Part, Progress, Written};
use everfast::store::{Frozen, KeyHasher, Keyspace};
use formats::resp::Value;

use crate::harness::{Client, Server};

/// Database and key, value and end.
type Keys = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<u64>)>;

/// Far enough away that no test meets it.
const LATER_MS: u64 = 4_000_000_000_000;

/// Two shards' parts of databases 0 and 9, and all keys.
fn shards() -> (Keys, Vec<Vec<(u16, Keyspace)>>) {
    let hasher = KeyHasher::new(1);
    let mut keys = Keys::new();
    let empty = || vec![(0, Keyspace::new(hasher)), (9, Keyspace::new(hasher))];
    let mut shards = vec![empty(), empty()];
    let mut add = |db: usize, key: Vec<u8>, value: Vec<u8>, end: Option<u64>| {
        let hash = hasher.hash(&key);
        let (name, keyspace) = &mut shards[usize::from(hasher.shard(&key, hash, 2))][db];
        keyspace.set_str(hash, &key, &value, end);
        keys.insert((*name, key), (value, end));
    };
    for number in 0..4000u64 {
        let key = if number % 50 == 0 { number.to_string() } else { format!("key \r\n\0 {number}") };
        let value = match number % 7 {
            0 => (number as i64 * 1_000_003 - 2_000_000_000).to_string().into_bytes(),
            1 => vec![b'a'; number as usize],
            2 => Vec::new(),
            _ => (0..number % 300).map(|i| ((i * number) >> 3) as u8).collect(),
        };
        let end = (number % 5 == 0).then_some(LATER_MS + number);
        add((number % 3 == 0).into(), key.into_bytes(), value, end);
    }
    for megabytes in [1, 5, 40] {
        let value: Vec<u8> = (0..megabytes << 20).map(|i: u32| (i / 7) as u8).collect();
        add(0, format!("huge {megabytes}").into_bytes(), value, Some(LATER_MS));
    }
    (keys, shards)
}

fn aux() -> Aux {
    let fact = |name, value: &str| (name, value.to_owned());
    Aux(vec![fact("redis-ver", "7.0.15"), fact("everfast-ver", "0.1.0"), fact("everfast-checkpoint", "12")])
}

fn write(shard: &mut [(u16, Keyspace)], path: &Path) -> Written {
    let views: Vec<(u16, Frozen)> = shard.iter_mut().map(|(db, keys)| (*db, keys.freeze())).collect();
    let mut file = RealDisk.create(path).unwrap();
    snapshot::write(views, &aux(), &mut *file, &Options::default(), &Progress::default()).unwrap()
}

/// The files of the shards, and one of all their keys as `dump.rdb`.
fn write_all(shards: &mut [Vec<(u16, Keyspace)>], dir: &Path) {
    let name = |index: usize| dir.join(format!("shard-{index}.rdb"));
    let written: Vec<Written> =
        shards.iter_mut().enumerate().map(|(index, shard)| write(shard, &name(index))).collect();
    let files: Vec<_> = (0..shards.len()).map(|index| RealDisk.map(&name(index)).unwrap()).collect();
    let parts: Vec<Part<'_>> = files
        .iter()
        .zip(written)
        .map(|(file, written)| Part { file, body: written.body, keys: written.keys })
        .collect();
    let mut file = RealDisk.create(&dir.join("dump.rdb")).unwrap();
    snapshot::join(&parts, &aux(), &mut *file, &Options::default(), &Progress::default()).unwrap();
}

fn served(client: &mut Client) -> Keys {
    let mut keys = Keys::new();
    for db in [0, 1, 9] {
        client.raw(&["SELECT", &db.to_string()]);
        let Value::Array(names) = client.call(&["KEYS", "*"]) else { panic!("KEYS answers an array") };
        for name in names {
            let Value::Bulk(name) = name else { panic!("a key is a string") };
            let Value::Integer(end) = client.call(&[b"PEXPIRETIME", &name[..]]) else { panic!("a number") };
            let Value::Bulk(value) = client.call(&[b"GET", &name[..]]) else { panic!("a string") };
            keys.insert((db, name), (value, u64::try_from(end).ok()));
        }
    }
    keys
}

fn read(path: &Path, checksum: Checksum) -> Keys {
    let mut keys = Keys::new();
    snapshot::read(&RealDisk.map(path).unwrap(), checksum, |key| {
        let value = key.value.as_str().expect("a string").to_vec();
        keys.insert((key.db as u16, key.key.to_vec()), (value, key.expire_at));
        Ok::<(), std::convert::Infallible>(())
    })
    .unwrap();
    keys
}

fn assert_redis_checks(path: &Path) {
    let output = Command::new("redis-check-rdb").arg(path).output().expect("redis-check-rdb is there");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("RDB looks OK"), "{}: {text}", path.display());
}

#[test]
fn redis_loads_what_was_joined_and_every_part_of_it() {
    let (expected, mut shards) = shards();
    let dir = tempfile::tempdir().unwrap();
    write_all(&mut shards, dir.path());
    let mut parts = Keys::new();
    for index in 0..shards.len() {
        let path = dir.path().join(format!("shard-{index}.rdb"));
        assert_redis_checks(&path);
        let part = tempfile::tempdir().unwrap();
        std::fs::copy(&path, part.path().join("dump.rdb")).unwrap();
        parts.extend(served(&mut Server::redis(part.path()).client()));
    }
    assert!(parts == expected, "the parts differ");
    assert_redis_checks(&dir.path().join("dump.rdb"));
    assert!(served(&mut Server::redis(dir.path()).client()) == expected, "the joined file differs");
}

#[test]
fn what_redis_saved_is_read() {
    let (expected, mut shards) = shards();
    let dir = tempfile::tempdir().unwrap();
    write_all(&mut shards, dir.path());
    let server = Server::redis(dir.path());
    let mut client = server.client();
    let path = dir.path().join("dump.rdb");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(client.raw(&["SAVE"]), b"+OK\r\n");
    assert!(read(&path, Checksum::Fits) == expected);
    client.raw(&["CONFIG", "SET", "rdbcompression", "no"]);
    assert_eq!(client.raw(&["SAVE"]), b"+OK\r\n");
    assert!(read(&path, Checksum::MayBeOff) == expected);
}
