//! `verify`: what is said of damaged files.

use std::path::PathBuf;

use crate::harness::{Run, inspect, testdata};

fn verify(words: &[&str], bytes: &[u8]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file.rdb");
    std::fs::write(&file, bytes).expect("a file");
    let mut args: Vec<PathBuf> = [&["verify"], words].concat().iter().map(PathBuf::from).collect();
    args.push(file);
    inspect(args)
}

fn json(run: &Run) -> serde_json::Value {
    serde_json::from_str(run.text()).expect("an object")
}

#[test]
fn files_of_real_servers_are_sound() {
    for entry in std::fs::read_dir(testdata("")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rdb") {
            let run = inspect(["verify".into(), "--duplicates".into(), path.clone()]);
            assert_eq!(run.code, 0, "{}: {run:?}", path.display());
        }
    }
}

#[test]
fn a_broken_value_costs_no_other() {
    let mut file = b"REDIS0010\xFE\x00\x00\x03bad\xC3\x03\x09\x00x\xFF".to_vec();
    file.extend_from_slice(b"\x0B\x03int\x0A\x02\0\0\0\x01\0\0\0\x07\0\x00\x04good\x01v\xFF\0\0\0\0\0\0\0\0");
    let run = verify(&["--json"], &file);
    assert_eq!(run.code, 1);
    let report = json(&run);
    assert_eq!(report["verdict"], "damaged");
    assert_eq!((&report["keys"], &report["broken_values"]), (&3.into(), &1.into()));
    let broken = &report["broken"][0];
    assert_eq!(
        (&broken["key"], &broken["offset"], &broken["type"]),
        (&"bad".into(), &16.into(), &"string".into())
    );
    assert_eq!(report["damage"], serde_json::Value::Null);
}

#[test]
fn where_the_framing_breaks_is_told() {
    let file = b"REDIS0010\xFE\x00\x00\x01a\x01v\x04\x04hash\x02\x01f\x01v\x01g\xC9garbage";
    let report = json(&verify(&["--json"], file));
    let damage = &report["damage"];
    assert_eq!((&damage["key"], &damage["reading"]), (&"hash".into(), &"hash value".into()));
    assert_eq!((&damage["offset"], &damage["bytes_not_verified"]), (&29.into(), &8.into()));
    assert_eq!(report["keys"], 1);
    let text = verify(&[], file);
    assert!(text.text().contains("salvage"), "{text:?}");
}

#[test]
fn keys_that_come_twice_are_found_on_request() {
    let file = b"REDIS0010\xFE\x00\x00\x01k\x01a\xFE\x01\x00\x01k\x01b\xFE\x00\x00\xC0\x05\x01c\x00\x015\x01d\xFF\0\0\0\0\0\0\0\0";
    verify(&[], file).good();
    let run = verify(&["--duplicates", "--json"], file);
    let report = json(&run);
    // The number 5 and the text "5" are one key; "k" is in two databases.
    assert_eq!((run.code, &report["duplicate_keys"]), (1, &1.into()));
    assert_eq!(report["duplicates"][0]["key"], "5");
}

#[test]
fn what_a_server_refuses_is_found() {
    let tail = b"\xFF\0\0\0\0\0\0\0\0";
    for (what, record) in [
        ("a member twice", &b"\x02\x01s\x02\x01a\x01a"[..]),
        ("a score that is no number", b"\x05\x01z\x01\x01a\0\0\0\0\0\0\xF8\x7F"),
        ("an unknown type", b"\x63\x01k\x01v"),
        ("an intset that does not ascend", b"\x0B\x01s\x0C\x02\0\0\0\x02\0\0\0\x07\0\x07\0"),
        ("a pending entry of no consumer", b"\x0F\x01s\x00\x00\x01\x00\x01\x01g\x01\x00\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01\x00"),
    ] {
        let file = [b"REDIS0010\xFE\x00", record, tail].concat();
        let run = verify(&[], &file);
        assert_eq!(run.code, 1, "{what}: {run:?}");
    }
}

#[test]
fn members_that_were_made_to_collide_are_two() {
    // Eight bytes of the hash's constants: without a seed their product with the next eight, whatever these are, is zero.
    const CONSTANTS: [u8; 8] = [0xB8, 0xFE, 0x6C, 0x39, 0x23, 0xA4, 0x4B, 0xBE];
    let member = |letter: u8| [b" ".as_slice(), &CONSTANTS, &[letter; 8], &[b'x'; 16]].concat();
    let set = [b"REDIS0010\xFE\x00\x02\x01s\x02".as_slice(), &member(b'a'), &member(b'b')].concat();
    let file = [&set[..], b"\xFF\0\0\0\0\0\0\0\0"].concat();
    verify(&[], &file).good();
}
