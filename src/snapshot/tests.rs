//! What is written is what is read, on a disk that can fail; damage and what cannot be held are named.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use formats::rdb::encode::{EncodeVersion, Encoder, KeyMeta};

use super::*;
use crate::persist::disk::{CrashMode, DiskFile, Fault, Mapping, SimDisk};
use crate::store::{Frozen, KeyHasher, Keyspace};

type Keys = BTreeMap<(u64, Vec<u8>), (Vec<u8>, Option<u64>)>;

const DIR: &str = "/d";

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

/// Keys and values of every form that a file has, in databases 0 and 7; 3 stays empty.
fn sample(keys: u64) -> (Keys, Vec<(u16, Keyspace)>) {
    let hasher = KeyHasher::new(5);
    let mut databases =
        vec![(0, Keyspace::new(hasher)), (3, Keyspace::new(hasher)), (7, Keyspace::new(hasher))];
    let mut expected = Keys::new();
    for number in 0..keys {
        let key = match number % 97 {
            0 => number.to_string().into_bytes(),
            1 => format!("{number}{}", "long".repeat(100)).into_bytes(),
            _ => format!("key:{number}").into_bytes(),
        };
        let value = match number % 10 {
            0 => number.to_string().into_bytes(),
            1 => b"-2147483648".to_vec(),
            2 => vec![b'z'; number as usize % 3000],
            3 => Vec::new(),
            _ => (0..number % 90).map(|i| (i * number) as u8).collect(),
        };
        let expire_at = (number % 3 == 0).then_some(number * 1000);
        let which = if number % 4 == 0 { 2 } else { 0 };
        put(&mut databases[which], &mut expected, hasher, &key, value, expire_at);
    }
    (expected, databases)
}

fn put(
    (db, keyspace): &mut (u16, Keyspace),
    expected: &mut Keys,
    hasher: KeyHasher,
    key: &[u8],
    value: Vec<u8>,
    expire_at: Option<u64>,
) {
    keyspace.set_str(hasher.hash(key), key, &value, expire_at);
    expected.insert((u64::from(*db), key.to_vec()), (value, expire_at));
}

fn freeze(databases: &mut [(u16, Keyspace)]) -> Vec<(u16, Frozen)> {
    databases.iter_mut().map(|(db, keyspace)| (*db, keyspace.freeze())).collect()
}

fn options() -> Options {
    Options { sync_every_bytes: 256 * 1024, ..Options::default() }
}

fn aux() -> Aux {
    Aux(vec![("redis-ver", "7.0.15".to_owned()), ("everfast-checkpoint", "3".to_owned())])
}

/// Writes onto a simulated disk and lets the power go: only what is durable is left.
fn written(disk: &SimDisk, name: &str, databases: &mut [(u16, Keyspace)], options: &Options) -> Written {
    let mut file = disk.mount().create(&path(name)).unwrap();
    let progress = Progress::default();
    let written = write(freeze(databases), &aux(), &mut *file, options, &progress).unwrap();
    assert_eq!((progress.keys(), progress.bytes()), (written.keys, written.bytes));
    disk.mount().sync_dir(Path::new(DIR)).unwrap();
    disk.crash(CrashMode::DropUnsynced);
    written
}

fn map(disk: &SimDisk, name: &str) -> Mapping {
    disk.mount().map(&path(name)).unwrap()
}

fn keys_of(bytes: &[u8], checksum: Checksum) -> Result<Keys, ReadError> {
    let mut keys = Keys::new();
    let summary = read(bytes, checksum, |key| {
        let value = (key.value.as_str().unwrap().to_vec(), key.expire_at);
        assert!(key.done_bytes <= key.offset && key.announced > 0);
        assert!(keys.insert((key.db, key.key.to_vec()), value).is_none(), "a key comes once");
        Ok(())
    })?;
    assert_eq!(summary.keys, keys.len() as u64);
    Ok(keys)
}

#[test]
fn what_was_written_is_durable_and_is_read_again() {
    for (version, compress) in [(EncodeVersion::V10, true), (EncodeVersion::V11, false)] {
        let (mut expected, mut databases) = sample(20_000);
        let hasher = KeyHasher::new(5);
        let huge: Vec<u8> = (0..3_500_000u32).map(|i| (i / 3) as u8).collect();
        put(&mut databases[0], &mut expected, hasher, b"huge", huge, Some(9));
        let disk = SimDisk::new();
        let done = written(&disk, "a", &mut databases, &Options { version, compress, ..options() });
        let file = map(&disk, "a");
        assert_eq!((done.bytes, done.keys), (file.len() as u64, expected.len() as u64));
        assert_eq!(verify(&file, Checksum::Is(done.crc64)).unwrap(), Some(done.crc64));
        let head = head(&file).unwrap();
        assert_eq!((&head.body, head.version), (&done.body, version.version()));
        assert_eq!(head.aux[1], ("everfast-checkpoint".to_owned(), "3".to_owned()));
        assert!(keys_of(&file, Checksum::Is(done.crc64)).unwrap() == expected);
    }
}

#[test]
fn an_empty_snapshot_is_a_file_too() {
    let disk = SimDisk::new();
    let done = written(&disk, "a", &mut [(0, Keyspace::new(KeyHasher::new(1)))], &options());
    assert_eq!((done.keys, done.body.is_empty()), (0, true));
    assert!(keys_of(&map(&disk, "a"), Checksum::Is(done.crc64)).unwrap().is_empty());
}

#[test]
fn joined_files_hold_the_keys_of_all() {
    let disk = SimDisk::new();
    let (mut expected, mut first) = sample(5000);
    let one = written(&disk, "a", &mut first, &options());
    let hasher = KeyHasher::new(6);
    let mut second = vec![(0, Keyspace::new(hasher)), (1, Keyspace::new(hasher))];
    for number in 0..30_000 {
        let key = format!("second:{number}").into_bytes();
        put(&mut second[number % 2], &mut expected, hasher, &key, vec![7; number % 200], None);
    }
    let two = written(&disk, "b", &mut second, &options());
    let empty = written(&disk, "c", &mut [], &options());
    let files = ["a", "b", "c"].map(|name| map(&disk, name));
    let parts: Vec<Part<'_>> = files
        .iter()
        .zip([one, two, empty])
        .map(|(file, written)| Part { file, body: written.body, keys: written.keys })
        .collect();
    let mut file = disk.mount().create(&path("joined")).unwrap();
    let done = join(&parts, &aux(), &mut *file, &options(), &Progress::default()).unwrap();
    disk.mount().sync_dir(Path::new(DIR)).unwrap();
    disk.crash(CrashMode::DropUnsynced);
    let joined = map(&disk, "joined");
    assert_eq!((done.bytes, done.keys), (joined.len() as u64, expected.len() as u64));
    assert_eq!(head(&joined).unwrap().body, done.body);
    assert!(keys_of(&joined, Checksum::Is(done.crc64)).unwrap() == expected);
}

#[test]
fn a_damaged_or_newer_part_is_not_joined() {
    let disk = SimDisk::new();
    let (_, mut databases) = sample(3000);
    let newer = Options { version: EncodeVersion::V11, ..options() };
    let done = written(&disk, "a", &mut databases, &newer);
    let joined = |options: &Options, body: Range<u64>| {
        let file = map(&disk, "a");
        let part = Part { file: &file, body, keys: done.keys };
        let mut target = disk.mount().create(&path("joined")).unwrap();
        join(&[part.clone(), part], &aux(), &mut *target, options, &Progress::default())
    };
    assert!(joined(&newer, done.body.clone()).is_ok());
    let refused = |result| match result {
        Err(WriteError::Part { index: 0, source }) => source,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(joined(&options(), done.body.clone())), ReadError::Shape { offset: 0, .. }));
    let moved = done.body.start + 1..done.body.end;
    assert!(matches!(refused(joined(&newer, moved)), ReadError::Shape { .. }));
    // In the middle of a value: the framing stays whole.
    disk.damage(&path("a"), |bytes| {
        let at = bytes.windows(4).position(|four| four == b"zzzz").unwrap_or(bytes.len() / 2);
        bytes[at] ^= 1;
    });
    assert!(matches!(refused(joined(&newer, done.body.clone())), ReadError::Checksum { .. }));
}

#[test]
fn no_damage_passes() {
    let disk = SimDisk::new();
    let (_, mut databases) = sample(40);
    let done = written(&disk, "a", &mut databases, &options());
    let file = map(&disk, "a").to_vec();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        for checksum in [Checksum::Is(done.crc64), Checksum::Fits, Checksum::MayBeOff] {
            let result = read(&damaged, checksum, |_| Ok::<(), io::Error>(()));
            assert!(result.is_err(), "byte {at} is not missed");
            assert!(verify(&damaged, checksum).is_err(), "byte {at}");
        }
        assert!(keys_of_any(&file[..at]).is_err(), "cut at {at}");
    }
    let mut longer = file.clone();
    longer.push(0);
    assert!(matches!(keys_of_any(&longer), Err(ReadError::Shape { .. })));
    assert!(matches!(
        verify(&file, Checksum::Is(done.crc64 ^ 1)),
        Err(ReadError::OtherFile { found, .. }) if found == done.crc64
    ));
}

fn keys_of_any(bytes: &[u8]) -> Result<Summary, ReadError> {
    read(bytes, Checksum::Fits, |_| Ok(()))
}

#[test]
fn a_checksum_that_is_off_passes_for_foreign_files_alone() {
    let disk = SimDisk::new();
    let (expected, mut databases) = sample(100);
    let done = written(&disk, "a", &mut databases, &options());
    let mut off = map(&disk, "a").to_vec();
    let end = off.len() - 8;
    off[end..].fill(0);
    assert!(keys_of(&off, Checksum::MayBeOff).unwrap() == expected);
    assert_eq!(verify(&off, Checksum::MayBeOff).unwrap(), None);
    for checksum in [Checksum::Fits, Checksum::Is(done.crc64), Checksum::Is(0)] {
        assert!(keys_of(&off, checksum).is_err() && verify(&off, checksum).is_err(), "{checksum:?}");
    }
}

#[test]
fn what_cannot_be_held_is_named() {
    let error = |fill: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new(EncodeVersion::V10, true);
        encoder.select_db(2).unwrap();
        encoder.key(b"before", KeyMeta::default()).unwrap().string(b"v").unwrap();
        fill(&mut encoder);
        encoder.finish().unwrap();
        keys_of_any(encoder.pending()).unwrap_err().to_string()
    };
    let list = error(&|encoder| {
        encoder.key(b"li\nst", KeyMeta::default()).unwrap().begin_list(1).unwrap();
        encoder.list_item(b"x").unwrap();
    });
    assert_eq!(
        list,
        r"offset 21: key 'li\nst' in database 2 holds a list, which this version cannot hold yet"
    );
    let function = error(&|encoder| encoder.function(b"#!lua name=l\n").unwrap());
    assert_eq!(function, "offset 21: the file holds a library of functions, which this version cannot hold");
}

#[test]
fn a_visitor_ends_the_reading() {
    let disk = SimDisk::new();
    let (_, mut databases) = sample(10);
    written(&disk, "a", &mut databases, &options());
    let mut seen = 0;
    let result = read(&map(&disk, "a"), Checksum::Fits, |_| {
        seen += 1;
        if seen == 3 { Err("enough") } else { Ok(()) }
    });
    assert!(matches!(result, Err(ReadError::Visit("enough"))) && seen == 3);
}

#[test]
fn a_failing_disk_fails_the_snapshot_whatever_the_call() {
    for fault in [Fault::Eio, Fault::Enospc, Fault::SyncError] {
        let mut failed = 0;
        for call in 0.. {
            let disk = SimDisk::new();
            let (_, mut databases) = sample(2000);
            let mut file = disk.mount().create(&path("a")).unwrap();
            let before = disk.calls();
            disk.fail_at(before + call, fault);
            let options = Options { sync_every_bytes: 1, ..options() };
            let result = write(freeze(&mut databases), &aux(), &mut *file, &options, &Progress::default());
            if disk.calls() - before <= call {
                assert!(result.is_ok());
                break;
            }
            failed += u32::from(matches!(result, Err(WriteError::Io(_))));
        }
        assert!(failed >= 1, "{fault:?} was never met");
    }
}

#[test]
fn a_cancelled_snapshot_ends_and_gives_its_pages_back() {
    let disk = SimDisk::new();
    let (_, mut databases) = sample(2000);
    let progress = Arc::new(Progress::default());
    progress.cancel();
    let mut file = disk.mount().create(&path("a")).unwrap();
    let views = freeze(&mut databases);
    let gauge = views[0].1.gauge();
    databases[0].1.clear();
    assert!(gauge.held_bytes() > 0);
    let result = write(views, &aux(), &mut *file, &options(), &progress);
    assert!(matches!(result, Err(WriteError::Cancelled)));
    assert_eq!(gauge.held_bytes(), 0);
    assert_eq!((progress.keys(), disk.contents(&path("a")).unwrap().len()), (0, 0));
}

/// Counts syncs and what was written between them.
struct Watched {
    unsynced: u64,
    most_unsynced: u64,
}

impl DiskFile for Watched {
    fn write_at(&mut self, _offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.unsynced += bytes.len() as u64;
        self.most_unsynced = self.most_unsynced.max(self.unsynced);
        Ok(bytes.len())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        Ok(())
    }

    fn set_len(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_not_synced_stays_bounded_even_for_one_huge_value() {
    let hasher = KeyHasher::new(1);
    let mut keyspace = Keyspace::new(hasher);
    keyspace.set_str(hasher.hash(b"huge"), b"huge", &vec![b'x'; 20 << 20], None);
    let mut file = Watched { unsynced: 0, most_unsynced: 0 };
    let options = Options { sync_every_bytes: 4 << 20, ..Options::default() };
    let view = vec![(0, keyspace.freeze())];
    let written = write(view, &aux(), &mut file, &options, &Progress::default()).unwrap();
    assert!(written.bytes > 20 << 20, "a huge value is not compressed");
    assert_eq!(file.unsynced, 0);
    assert!((4 << 20..6 << 20).contains(&file.most_unsynced), "{}", file.most_unsynced);
}
