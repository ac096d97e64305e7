//! The fuzz targets on random bytes, on mutated real files and on the saved corpus: so each test run covers them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::fuzz;
use crate::testdata::{self, rdb_files};

/// Longest file that is mutated: many short runs find more than few long ones.
const MAX_SEED_BYTES: usize = 5000;

type Target = (&'static str, fn(&[u8]));
const TARGETS: [Target; 5] = [
    ("aof", fuzz::aof::decode),
    ("log", fuzz::log::decode),
    ("packed", fuzz::packed::decode),
    ("rdb", fuzz::rdb::decode),
    ("resp", fuzz::resp::decode),
];

/// A change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Set {
        at: usize,
        byte: u8,
    },
    Flip {
        at: usize,
        bit: u8,
    },
    Remove {
        at: usize,
        count: usize,
    },
    Insert {
        at: usize,
        bytes: Vec<u8>,
    },
    /// Copies a part of the file to another place.
    Repeat {
        from: usize,
        count: usize,
        at: usize,
    },
    Cut {
        at: usize,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let at = || any::<usize>();
    // Numbers at which encodings change.
    let byte = prop_oneof![
        any::<u8>(),
        proptest::sample::select(vec![0, 1, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0xC3, 0xFE, 0xFF])
    ];
    prop_oneof![
        4 => (at(), byte.clone()).prop_map(|(at, byte)| Change::Set { at, byte }),
        4 => (at(), 0_u8..8).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => (at(), 1_usize..40).prop_map(|(at, count)| Change::Remove { at, count }),
        1 => (at(), vec(byte, 1..12)).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => (at(), 1_usize..200, at()).prop_map(|(from, count, at)| Change::Repeat { from, count, at }),
        1 => at().prop_map(|at| Change::Cut { at }),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let within = |at: usize, len: usize| if len == 0 { 0 } else { at % len };
    let len = bytes.len();
    match change {
        Change::Set { at, byte } => bytes.iter_mut().skip(within(*at, len)).take(1).for_each(|b| *b = *byte),
        Change::Flip { at, bit } => {
            bytes.iter_mut().skip(within(*at, len)).take(1).for_each(|b| *b ^= 1 << bit)
        }
        Change::Remove { at, count } => {
            let at = within(*at, len);
            bytes.drain(at..(at + count).min(len));
        }
        Change::Insert { at, bytes: new } => {
            let at = within(*at, len);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Repeat { from, count, at } => {
            let (from, at) = (within(*from, len), within(*at, len));
            let part = bytes[from..(from + count).min(len)].to_vec();
            bytes.splice(at..at, part);
        }
        Change::Cut { at } => bytes.truncate(within(*at, len)),
    }
}

fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        rdb_files().into_iter().map(|file| file.bytes).filter(|bytes| bytes.len() <= MAX_SEED_BYTES).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn random_bytes_break_no_decoder(bytes in vec(any::<u8>(), 0..300)) {
        for (_, decode) in TARGETS {
            decode(&bytes);
        }
        for magic in [b"REDIS0006", b"REDIS0012", b"VALKEY080"] {
            fuzz::rdb::decode(&[magic, &bytes[..]].concat());
        }
    }

    #[test]
    fn changed_files_break_no_decoder(seed in any::<prop::sample::Index>(), changes in vec(change(), 1..6)) {
        let mut bytes = seed.get(seeds()).clone();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        fuzz::rdb::decode(&bytes);
    }

    #[test]
    fn changed_commands_break_no_decoder(start in any::<usize>(), changes in vec(change(), 1..6)) {
        let log = testdata::read("redis-6.2-aof/appendonly.aof");
        let start = start % log.len();
        let mut bytes = log[start..log.len().min(start + 2000)].to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        fuzz::aof::decode(&bytes);
        fuzz::resp::decode(&[&[0], &bytes[..]].concat());
    }
}

#[test]
fn the_saved_corpus_breaks_no_decoder() {
    for (target, decode) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let inputs = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for input in inputs {
            decode(&fs::read(input.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 20, "only {count} inputs for {target}");
    }
}

#[test]
fn real_files_pass_through_their_targets() {
    for file in rdb_files() {
        fuzz::rdb::decode(&file.bytes);
    }
}
