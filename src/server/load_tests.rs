//! Keys from files into shards: as many files and shards as one likes, and nothing half.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use super::*;
use crate::config::Config;
use crate::persist::disk::SimDisk;
use crate::snapshot::{Aux, Options, Progress, Written};
use crate::store::Frozen;

type Keys = BTreeMap<(u16, Vec<u8>), (Vec<u8>, Option<u64>)>;

const SEED: u64 = 99;

/// Shards that serve nobody.
struct Shards {
    shared: Arc<Shared>,
    threads: Vec<super::super::ShardThread>,
}

impl Shards {
    fn start(shards: u16, databases: u32) -> Shards {
        let config = Config { bind: Vec::new(), databases, shards, ..Config::default() };
        let shared = Shared::new(shards, config.clone(), "test".to_owned());
        shared.loading.active.store(true, Ordering::Release);
        let threads = super::super::start_shards(&shared, &config, KeyHasher::new(SEED)).unwrap();
        Shards { shared, threads }
    }

    fn load(&self, files: Vec<LoadFile>) -> Result<LoadSummary, LoadFailure> {
        load(&self.shared, KeyHasher::new(SEED), files)
    }

    /// All keys, each on the shard where it belongs.
    fn keys(&self) -> Keys {
        let hasher = KeyHasher::new(SEED);
        let mut keys = Keys::new();
        for (shard, mailbox) in (0..).zip(&self.shared.mailboxes) {
            let (answer, answered) = mpsc::channel();
            mailbox.send(Message::Call(Box::new(move |shard| {
                let mut engine = shard.engine.borrow_mut();
                let views = engine.dbs.iter_mut().zip(0u16..).map(|(keys, db)| (db, keys.freeze()));
                answer.send(views.collect::<Vec<(u16, Frozen)>>()).unwrap();
            })));
            for (db, view) in answered.recv().unwrap() {
                for page in view {
                    for entry in page.entries() {
                        assert_eq!(
                            hasher.shard(entry.key, hasher.hash(entry.key), self.shared.shards()),
                            shard
                        );
                        let value = (entry.value.as_str().unwrap().to_vec(), entry.expire_at);
                        assert!(keys.insert((db, entry.key.to_vec()), value).is_none());
                    }
                }
            }
        }
        keys
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.stop.send(());
            thread.thread.join().unwrap();
        }
    }
}

/// Files as `shards` shards would write them.
fn files(shards: u16, databases: u16, keys: u64) -> (SimDisk, Keys, Vec<(String, Written)>) {
    let hasher = KeyHasher::new(SEED);
    let empty = || (0..databases).map(|db| (db, Keyspace::new(hasher))).collect();
    let mut parts: Vec<Vec<(u16, Keyspace)>> = (0..shards).map(|_| empty()).collect();
    let mut expected = Keys::new();
    for number in 0..keys {
        let key = if number % 7 == 0 { format!("{{tag{number}}}.x") } else { format!("key:{number}") };
        let value = vec![number as u8; if number % 1000 == 1 { 400_000 } else { number as usize % 1500 }];
        let (db, expire_at) =
            ((number % u64::from(databases)) as u16, (number % 3 == 0).then_some(1 + number));
        let hash = hasher.hash(key.as_bytes());
        let part = &mut parts[usize::from(hasher.shard(key.as_bytes(), hash, shards))];
        part[usize::from(db)].1.set_str(hash, key.as_bytes(), &value, expire_at);
        expected.insert((db, key.into_bytes()), (value, expire_at));
    }
    let disk = SimDisk::new();
    let written = parts.into_iter().enumerate().map(|(index, mut part)| {
        let name = format!("/d/{index}.rdb");
        let mut file = disk.mount().create(Path::new(&name)).unwrap();
        let views = part.iter_mut().map(|(db, keys)| (*db, keys.freeze())).collect();
        let (aux, options) = (Aux::default(), Options { compress: false, ..Options::default() });
        (name, snapshot::write(views, &aux, &mut *file, &options, &Progress::default()).unwrap())
    });
    let written = written.collect();
    (disk, expected, written)
}

fn open(disk: &SimDisk, files: &[(String, Written)]) -> Vec<LoadFile> {
    let open = |(name, written): &(String, Written)| LoadFile {
        path: name.into(),
        map: disk.mount().map(Path::new(name)).unwrap(),
        checksum: Checksum::Is(written.crc64),
    };
    files.iter().map(open).collect()
}

#[test]
fn any_number_of_files_goes_into_any_number_of_shards() {
    for (from, to) in [(1, 1), (1, 3), (4, 1), (3, 3), (5, 2)] {
        let (disk, expected, written) = files(from, 3, 6000);
        let shards = Shards::start(to, 16);
        let summary = shards.load(open(&disk, &written)).unwrap();
        let bytes = written.iter().map(|(_, written)| written.bytes).sum();
        assert_eq!(summary, LoadSummary { keys: expected.len() as u64, bytes });
        assert_eq!(shards.shared.loading.loaded_bytes.load(Ordering::Relaxed), bytes);
        assert!(shards.keys() == expected, "{from} files into {to} shards");
    }
}

#[test]
fn no_files_are_no_keys() {
    let shards = Shards::start(2, 1);
    assert_eq!(shards.load(Vec::new()).unwrap(), LoadSummary::default());
    assert!(shards.keys().is_empty());
}

#[test]
fn a_failure_names_the_file_and_the_place() {
    let (disk, _, written) = files(3, 2, 3000);
    let shards = Shards::start(2, 1);
    let failure = shards.load(open(&disk, &written)).unwrap_err().to_string();
    assert!(
        failure.ends_with(": offset 11: a key of database 1, and `databases` is 1 now") || {
            failure.starts_with("/d/") && failure.contains("a key of database 1, and `databases` is 1 now")
        }
    );
    disk.damage(Path::new("/d/1.rdb"), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let shards = Shards::start(2, 16);
    let failure = shards.load(open(&disk, &written)).unwrap_err();
    assert_eq!(failure.file, Path::new("/d/1.rdb"), "{failure}");
    let mut other = open(&disk, &written[..1]);
    other[0].checksum = Checksum::Is(written[0].1.crc64 ^ 1);
    let failure = Shards::start(1, 16).load(other).unwrap_err();
    assert!(matches!(failure.error, ReadError::OtherFile { .. }), "{failure}");
}
