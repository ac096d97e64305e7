//! Small files that unpack to much: the memory that is used stays small.

use std::process::Stdio;

use crate::harness::{Run, program};
use crate::program::{TempFile, file, key, rdb, string};

/// Bytes of the strings here when they are unpacked.
const UNPACKED: usize = 96 << 20;
/// Address space that a run may take, which is more than it uses: KiB.
const LIMIT_KIB: u32 = 110 << 10;

/// A compressed string of [`UNPACKED`] letters behind `head`.
fn bomb(head: &[u8]) -> Vec<u8> {
    const COPIED: usize = 264;
    assert!(head.len() < 32);
    let mut compressed = [&[head.len() as u8 - 1], head].concat();
    let mut length = head.len();
    while length + COPIED <= UNPACKED {
        compressed.extend_from_slice(b"\xe0\xff\x00"); // as many bytes as a copy can have, one back
        length += COPIED;
    }
    let lengths = [compressed.len(), length].map(|length| u32::try_from(length).unwrap().to_be_bytes());
    [b"\xc3\x80".as_slice(), &lengths[0], b"\x80", &lengths[1], &compressed].concat()
}

/// A key with a name from the file's point of view.
fn named(name: &[u8], value: &[u8]) -> Vec<u8> {
    [b"\x00", name, &string(value)].concat()
}

fn run(arguments: &[&str]) -> Run {
    run_within(LIMIT_KIB, arguments)
}

/// Runs with so much address space.
fn run_within(kib: u32, arguments: &[&str]) -> Run {
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {kib} && exec \"$0\" \"$@\"")]);
    limited.arg(program().get_program()).args(arguments);
    // Every thread's arena would reserve 64 MiB that it does not use.
    limited.env("MALLOC_ARENA_MAX", "1");
    limited.stdin(Stdio::null()).output().expect("it runs").into()
}

fn output(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().into()
}

#[test]
fn names_are_looked_at_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let name = bomb(b"user:x");
    let input = rdb(&[b"\xfe\x00", &named(&name, b"1"), &key(b"user:1", b"v")]);
    let other = rdb(&[b"\xfe\x00", &named(&name, b"2"), &named(&bomb(b"user:y"), b"1")]);
    let difference = run(&["diff", "--summary-only", &input.path, &other.path]);
    assert_eq!(difference.text(), "1 keys added, 1 removed, 1 changed, 0 the same\n", "{difference:?}");
    let merged = output(&folder, "merged.rdb");
    run(&["merge", &input.path, &other.path, "--output", &merged]).good();
    assert_eq!(run(&["verify", "--duplicates", "--json", &merged]).good().json()["keys"], 3);
    let doubled = rdb(&[b"\xfe\x00", &named(&name, b"1"), &named(&name, b"2")]);
    assert_eq!(run(&["verify", "--duplicates", &doubled.path]).code, 1);
    for way in ["prefix", "slot"] {
        let parts = output(&folder, way);
        run(&["split", "--by", way, &input.path, "--output-dir", &parts]).good();
        if way == "prefix" {
            let names: Vec<_> =
                std::fs::read_dir(&parts).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["prefix-user.rdb"]);
        }
    }
    let filtered = output(&folder, "filtered.rdb");
    let done =
        run(&["filter", "--match", "user:*", "--sample", "1", &input.path, "--output", &filtered]).good();
    // No pattern is tried on a name that would take more than 16 MiB.
    assert!(done.stderr.contains("1 keys written"), "{done:?}");
}

#[test]
fn facts_and_functions_are_copied_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let (aux, function) = (bomb(b"aux"), bomb(b"#!lua name=one\n"));
    let records = [b"\xfa".as_slice(), &aux, &aux, b"\xf5", &function].concat();
    let input: TempFile = file(&[b"REDIS0010", &records[..], b"\xff\0\0\0\0\0\0\0\0"].concat());
    let copy = output(&folder, "copy.rdb");
    run(&["filter", &input.path, "--output", &copy]).good();
    assert_eq!(std::fs::metadata(&copy).unwrap().len(), std::fs::metadata(&input.path).unwrap().len());
}

#[test]
fn many_files_take_as_little_as_one() {
    const FILES: u32 = 800;
    const KEYS: u32 = 16;
    let mut keys = Vec::new();
    // One file after the other grows and is left alone: none may keep its room.
    for number in 0..FILES * KEYS {
        keys.extend(key(format!("{}:{number}", number / KEYS).as_bytes(), &[b'v'; 8192]));
    }
    let input = rdb(&[b"\xfe\x00", &keys]);
    let folder = tempfile::tempdir().unwrap();
    let limit = (keys.len() >> 10) as u32 + LIMIT_KIB;
    let parts = output(&folder, "parts");
    run_within(limit, &["split", "--by", "prefix", &input.path, "--output-dir", &parts]).good();
}
