//! Every truncation and every flipped bit of small files: it is found, and what is salvaged is sound.

use std::path::{Path, PathBuf};

use super::*;
use crate::commands::verify;

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

fn testdata(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../formats/testdata").join(name);
    std::fs::read(path).expect("the file comes with the repository")
}

fn args(partial: bool) -> Args {
    Args {
        files: FromTo { file: PathBuf::new(), output: PathBuf::new() },
        partial,
        assume_version: None,
        limit: 10,
        memory: TableMemory::default(),
        json: false,
    }
}

/// Gives bytes to what reads files.
struct Bench {
    folder: tempfile::TempDir,
    count: u32,
}

impl Bench {
    fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a folder"), count: 0 }
    }

    fn input(&mut self, bytes: &[u8]) -> Input {
        self.count += 1;
        let path = self.folder.path().join(self.count.to_string());
        std::fs::write(&path, bytes).expect("a file");
        let input = Input::open(&path).expect("it opens");
        std::fs::remove_file(path).expect("it was there");
        input
    }

    fn is_sound(&mut self, bytes: &[u8]) -> bool {
        verify::is_sound(&self.input(bytes)).expect("no failure")
    }

    /// Salvages in both ways; keys that were written with `--partial`.
    #[track_caller]
    fn salvage(&mut self, bytes: &[u8], what: &str) -> (Report, Vec<u8>) {
        let input = self.input(bytes);
        let mut last = None;
        for partial in [false, true] {
            let (report, salvaged) = salvage(&input, &args(partial), Vec::new()).expect("no failure");
            assert!(self.is_sound(&salvaged), "{what}, partial {partial}: {:?}", salvaged.escape_ascii());
            let mut text = Vec::new();
            report.write(false, &mut text);
            report.write(true, &mut text);
            last = Some((report, salvaged));
        }
        last.expect("two rounds")
    }

    /// `bytes` is damaged: that is found, and what is left of it is sound.
    #[track_caller]
    fn damaged(&mut self, bytes: &[u8], what: &str) -> u64 {
        assert!(!self.is_sound(bytes), "{what} is not noticed");
        let (report, _) = self.salvage(bytes, what);
        assert!(!report.is_sound(), "{what} is not told");
        report.keys_written
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// All types that a version has, in some hundred bytes.
const SMALL: [&str; 6] = [
    "redis-7.0-lfu.rdb",
    "redis-5.0-lru.rdb",
    "redis-8.0-module.rdb",
    "valkey-9.1-cluster.rdb",
    "redis-3.0-cluster.rdb",
    "handmade-wide-lengths.rdb",
];

#[test]
fn every_truncation_is_found_and_leaves_what_came_before() {
    let mut bench = Bench::new();
    for name in SMALL {
        let file = testdata(name);
        let mut before = 0;
        for end in 0..file.len() {
            let keys = bench.damaged(&file[..end], &format!("{name} cut at {end}"));
            assert!(keys >= before, "{name} cut at {end}: {keys} keys, fewer than with less of the file");
            before = keys;
        }
    }
}

#[test]
fn every_flipped_bit_is_found_and_costs_little() {
    let mut bench = Bench::new();
    for name in SMALL {
        let file = testdata(name);
        let all = bench.salvage(&file, name).0.keys_written;
        assert!(all > 0);
        let mut kept = 0;
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            kept += bench.damaged(&flipped, &format!("{name} with bit {bit} flipped"));
        }
        let possible = all * file.len() as u64 * 8;
        assert!(kept * 10 >= possible * 8, "{name}: {kept} of {possible} keys kept");
    }
}

#[test]
fn what_is_sound_is_copied_whole() {
    let mut bench = Bench::new();
    for name in ["redis-7.0.rdb", "redis-8.0.rdb", "valkey-9.1.rdb", "redis-2.8.rdb", "handmade-zipmap.rdb"] {
        let file = testdata(name);
        let (report, salvaged) = bench.salvage(&file, name);
        assert!(report.is_sound(), "{name}");
        assert_eq!(bench.salvage(&salvaged, name).0.keys_written, report.keys_written);
    }
}

#[test]
fn records_are_found_again_behind_damage() {
    let mut bench = Bench::new();
    let file = testdata("redis-7.0-uncompressed.rdb");
    let all = bench.salvage(&file, "all").0.keys_written;
    for (name, damage) in [
        ("zeros", &[0; 64][..]),
        ("ones", &[0xFF; 64]),
        ("text", b"not what belongs here, but words that go on for quite some time."),
    ] {
        let mut sum = 0;
        let mut rounds = 0;
        for at in (0..file.len() - damage.len()).step_by(61) {
            let mut bytes = file.clone();
            bytes[at..at + damage.len()].copy_from_slice(damage);
            sum += bench.damaged(&bytes, &format!("{name} at {at}"));
            rounds += 1;
        }
        assert!(sum * 10 >= all * rounds * 8, "{name}: {sum} keys in {rounds} rounds of {all}");
    }
}

#[test]
fn elements_of_broken_collections_are_kept_on_request() {
    let mut bench = Bench::new();
    // A set of three members, the second compressed so that it cannot be unpacked.
    let mut file = b"REDIS0010\xFE\x00".to_vec();
    file.extend_from_slice(b"\x02\x03set\x03\x03one\xC3\x03\x09\x00x\xFF\x05three");
    file.extend_from_slice(b"\x00\x05other\x05value\xFF\0\0\0\0\0\0\0\0");
    let input = bench.input(&file);
    let (whole, _) = salvage(&input, &args(false), Vec::new()).expect("no failure");
    assert_eq!((whole.keys_written, whole.is_sound()), (1, false));
    let (report, salvaged) = salvage(&input, &args(true), Vec::new()).expect("no failure");
    assert_eq!(report.keys_written, 2);
    assert!(contains(&salvaged, b"\x02\x03set\x02\x03one\x05three"));
}

#[test]
fn a_key_that_comes_twice_is_written_once() {
    let mut bench = Bench::new();
    let file = b"REDIS0010\xFE\x00\x00\x01k\x01a\x00\x01l\x01b\x00\x01k\x01c\xFF\0\0\0\0\0\0\0\0";
    let (report, salvaged) = bench.salvage(file, "twice");
    assert_eq!(report.keys_written, 2);
    assert!(contains(&salvaged, b"\x00\x01k\x01a"));
    assert!(!contains(&salvaged, b"\x00\x01k\x01c"));
}

#[test]
fn a_search_takes_time_in_proportion() {
    let mut bench = Bench::new();
    // Every place looks like a set with a million members, none of which is there.
    let mut file = b"REDIS0010\xFE\x00\x00\x01k\x01a".to_vec();
    file.extend(std::iter::repeat_n(*b"\x02\x01\x80\x00\x10\x00\x00\x00", 100_000).flatten());
    // A search whose work grew with the square would read 80 GB here.
    // What is kept is the key, and of the first set a part.
    assert_eq!(bench.damaged(&file, "hostile"), 2);
}
