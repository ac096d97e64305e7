//! Append-only files that real servers wrote: see `testdata/README.md`.

use super::*;
use crate::rdb::{Decoder, Item};

macro_rules! testdata {
    ($($name:literal)*) => { [$(($name, include_bytes!(concat!("../../testdata/", $name)).as_slice())),*] };
}

/// Reads a file to its end; answers how many commands and timestamps it has.
fn read(name: &str, bytes: &[u8]) -> (usize, usize) {
    let preamble = match aof_kind(bytes) {
        AofKind::RdbPreamble => preamble_len(bytes),
        kind => {
            assert_eq!(kind, AofKind::Commands, "{name}");
            0
        }
    };
    let mut reader = AofReader::new(&bytes[preamble..], preamble as u64);
    let (mut commands, mut timestamps) = (0, 0);
    loop {
        match reader.next_record() {
            Ok(Some(AofRecord { item: AofItem::Command(args), .. })) => {
                assert!(args[0].iter().all(u8::is_ascii_alphabetic), "{name}: {}", args[0].escape_ascii());
                commands += 1;
            }
            Ok(Some(AofRecord { item: AofItem::Timestamp(seconds), .. })) => {
                assert!(seconds > 1_600_000_000, "{name}");
                timestamps += 1;
            }
            Ok(Some(AofRecord { item: AofItem::Annotation(text), .. })) => panic!("{name}: {text:?}"),
            Ok(None) => break,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert_eq!(reader.complete_until(), bytes.len() as u64, "{name}");
    (commands, timestamps)
}

fn preamble_len(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(bytes).unwrap();
    while !matches!(decoder.next_item().unwrap(), Some(Item::End { .. })) {}
    decoder.offset() as usize
}

#[test]
fn single_files_are_read_to_the_end() {
    let files = testdata!(
        "redis-2.8-aof/appendonly.aof" "redis-3.0-aof/appendonly.aof" "redis-3.2-aof/appendonly.aof"
        "redis-5.0-aof/appendonly.aof" "redis-6.2-aof/appendonly.aof"
        "redis-5.0-aof-preamble/appendonly.aof" "redis-6.2-aof-preamble/appendonly.aof"
    );
    for (name, bytes) in files {
        let (commands, timestamps) = read(name, bytes);
        assert!(commands > 20, "{name}: {commands}");
        assert_eq!(timestamps, 0, "{name}");
    }
}

#[test]
fn increments_are_read_to_the_end() {
    let files = testdata!(
        "redis-7.0-aof/appendonlydir/appendonly.aof.2.incr.aof"
        "redis-8.0-aof/appendonlydir/appendonly.aof.2.incr.aof"
        "valkey-8.1-aof/appendonlydir/appendonly.aof.2.incr.aof"
        "valkey-9.1-aof/appendonlydir/appendonly.aof.2.incr.aof"
        "redis-7.0-aof-preamble/appendonlydir/appendonly.aof.2.incr.aof"
        "valkey-9.1-aof-preamble/appendonlydir/appendonly.aof.2.incr.aof"
    );
    for (name, bytes) in files {
        let (commands, timestamps) = read(name, bytes);
        assert!(commands > 20 && timestamps > 0, "{name}: {commands}, {timestamps}");
    }
}

#[test]
fn bases_are_commands_or_rdb() {
    let files = testdata!(
        "redis-7.0-aof/appendonlydir/appendonly.aof.2.base.aof"
        "valkey-9.1-aof/appendonlydir/appendonly.aof.2.base.aof"
    );
    for (name, bytes) in files {
        assert!(read(name, bytes).0 > 5, "{name}");
    }
    let files = testdata!(
        "redis-7.0-aof-preamble/appendonlydir/appendonly.aof.2.base.rdb"
        "valkey-9.1-aof-preamble/appendonlydir/appendonly.aof.2.base.rdb"
    );
    for (name, bytes) in files {
        assert_eq!(read(name, bytes), (0, 0), "{name}");
    }
}

#[test]
fn manifests_name_base_and_increments() {
    let manifests = testdata!(
        "redis-7.0-aof/appendonlydir/appendonly.aof.manifest"
        "redis-8.0-aof/appendonlydir/appendonly.aof.manifest"
        "valkey-8.1-aof/appendonlydir/appendonly.aof.manifest"
        "valkey-9.1-aof/appendonlydir/appendonly.aof.manifest"
        "redis-7.0-aof-failed-rewrite/appendonlydir/appendonly.aof.manifest"
        "redis-8.0-aof-failed-rewrite/appendonlydir/appendonly.aof.manifest"
        "valkey-9.1-aof-failed-rewrite/appendonlydir/appendonly.aof.manifest"
    );
    for (name, bytes) in manifests {
        let manifest = Manifest::parse(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let failed = name.contains("failed");
        let increments: Vec<_> = manifest.increments.iter().map(|file| file.name.as_slice()).collect();
        let (first, second) = (&b"appendonly.aof.1.incr.aof"[..], &b"appendonly.aof.2.incr.aof"[..]);
        assert_eq!(increments, if failed { vec![first, second] } else { vec![second] }, "{name}");
        let base = manifest.base.unwrap_or_else(|| panic!("{name}: no base"));
        assert_eq!(base.seq, if failed { 1 } else { 2 }, "{name}");
    }
}
