//! `verify`: what is said of damaged files.

use std::path::PathBuf;

use crate::harness::{Run, inspect, testdata};
use crate::program::{BROKEN_LZF, key, rdb, string};

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
    let many: Vec<u8> =
        (0..6000).flat_map(|number| key(format!("key:{}", number % 5000).as_bytes(), b"")).collect();
    for memory in ["16", "64m"] {
        let words = ["verify", "--duplicates", "--limit", "3", "--json", "--memory", memory];
        let report = inspect(words.iter().copied().chain([rdb(&[&many]).path.as_str()])).json();
        assert_eq!(report["duplicate_keys"], 1000, "{memory}");
        assert_eq!(report["duplicates"].as_array().expect("some").len(), 3);
    }
}

#[test]
fn what_a_server_refuses_is_found() {
    let id = [0; 16];
    let pending = [&id[..], &[0; 8], b"\x01"].concat();
    let stream =
        |group: &[&[u8]]| [b"\x0F\x01s\x00\x00\x01\x00\x01\x01g\x01\x00", &group.concat()[..]].concat();
    let descending = b"\x81f\x02\x81v\x02\xC0\xC8\x02\x81g\x02\x81v\x02\x64\x01\xFF";
    for (what, record) in [
        ("an element stands in it twice", b"\x02\x01s\x02\x01a\x01a".to_vec()),
        ("a score that is not a number", b"\x05\x01z\x01\x01a\0\0\0\0\0\0\xF8\x7F".to_vec()),
        ("unknown type", b"\x63\x01k\x01v".to_vec()),
        ("ascend", b"\x0B\x01s\x0C\x02\0\0\0\x02\0\0\0\x07\0\x07\0".to_vec()),
        ("a stream's length is not the number of its entries", b"\x0F\x01s\x00\x05\x01\x00\x00".to_vec()),
        ("pending entries are not those of its consumers", stream(&[b"\x01", &pending, b"\x00"])),
        (
            "pending entries do not ascend",
            stream(&[b"\x02", &pending, &pending, b"\x01\x01c", &[0; 8], b"\x02", &id, &id]),
        ),
        (
            "no time of expiry",
            [
                b"\x19\x01h",
                &[0; 8][..],
                b"\x17\x17\0\0\0\x03\0\x81f\x02\x81v\x02\xF4\0\0\0\0\0\0\x01\0\x09\xFF",
            ]
            .concat(),
        ),
        (
            "fields are not in the order in which they expire",
            [b"\x19\x01h", &[0; 8][..], b"\x18\x18\0\0\0\x06\0", descending].concat(),
        ),
        ("functions in a form that no release loads", b"\xF6\x01n\x03lua\x00\x01c".to_vec()),
    ] {
        let file = [b"REDIS0012\xFE\x00", &record[..], b"\xFF\0\0\0\0\0\0\0\0"].concat();
        let run = verify(&[], &file);
        assert!(run.code == 1 && run.text().contains(what), "{what}: {run:?}");
        assert!(verify(&["--quiet"], &file).text().contains("DAMAGED"), "{what}");
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

#[test]
fn broken_values_are_named_up_to_a_limit() {
    let broken = [b"\0".as_slice(), &string(b"k"), BROKEN_LZF].concat();
    let report = inspect(["verify", "--json", "-n", "1", &rdb(&[&broken, &broken]).path]).json();
    assert_eq!((&report["broken_values"], report["broken"].as_array().map(Vec::len)), (&2.into(), Some(1)));
}

#[test]
fn what_servers_skip_is_no_damage() {
    let file = rdb(&[b"\x02", &string(b"empty"), b"\x00", &key(b"k", b"v")]);
    let run = inspect(["verify", "--json", &file.path]).good().json();
    assert_eq!((&run["keys"], &run["empty_collections"]), (&2.into(), &1.into()));
    let run = inspect(["verify", &file.path]).good();
    assert!(run.text().contains("1 empty collections"), "{run:?}");
    assert_eq!(inspect(["verify", "--quiet", &file.path]).good().text(), "");
}
