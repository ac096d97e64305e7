//! What is told apart: true records from chance, lost databases from known ones, damage from what is only large or new.

use std::collections::BTreeSet;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item};
use serde_json::Value;

use super::*;

/// A file of version 10 with these records and no checksum.
fn file(records: &[u8]) -> Vec<u8> {
    [b"REDIS0010", records, b"\xFF\0\0\0\0\0\0\0\0"].concat()
}

/// A length of up to 14 bits.
fn length(length: usize) -> Vec<u8> {
    match length {
        0..64 => vec![length as u8],
        _ => vec![0x40 | (length >> 8) as u8, length as u8],
    }
}

fn string(key: &str, value: &[u8]) -> Vec<u8> {
    [b"\0", &length(key.len())[..], key.as_bytes(), &length(value.len()), value].concat()
}

/// A set of packed numbers: bytes that look like anything.
fn intset(key: &str, numbers: impl Iterator<Item = u16>) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.flat_map(u16::to_le_bytes).collect();
    let packed = [&2u32.to_le_bytes()[..], &(numbers.len() as u32 / 2).to_le_bytes(), &numbers].concat();
    [b"\x0B", &length(key.len())[..], key.as_bytes(), &length(packed.len()), &packed].concat()
}

/// All keys: database, name, record without the name.
fn keys(file: &[u8]) -> Vec<(u64, String, Vec<u8>)> {
    let mut decoder = Decoder::new(file).expect("a header");
    let mut keys = Vec::new();
    while let Some(item) = decoder.next_item().expect("sound") {
        let Item::Key(record) = item else { continue };
        let mut buffer = StringBuffer::default();
        let name = String::from_utf8_lossy(record.key.bytes(&mut buffer).expect("sound")).into_owned();
        keys.push((record.db, name, record.value.bytes.to_vec()));
    }
    keys
}

fn json(report: &Report) -> Value {
    let mut text = Vec::new();
    report.write(true, &mut text);
    serde_json::from_slice(&text).expect("it is JSON")
}

#[test]
fn no_value_is_dropped_where_a_database_is_lost() {
    let mut bench = Bench::new();
    let database = |db: u8| -> Vec<u8> {
        let keys =
            (0..50).flat_map(|i| string(&format!("customer:{i}"), format!("value {i} of {db}").as_bytes()));
        [0xFE, db].into_iter().chain(keys).collect()
    };
    let (first, second) = (database(0), database(1));
    let mut bytes = file(&[&first[..], &second].concat());
    bytes[9 + first.len() - 8..][..16].fill(0);
    let (report, salvaged) = bench.salvage(&bytes, "a lost SELECTDB");
    let found: BTreeSet<_> = keys(&salvaged).into_iter().map(|(_, name, value)| (name, value)).collect();
    for i in 2..48 {
        for db in 0..2 {
            let value = format!("value {i} of {db}");
            let value = [&length(value.len())[..], value.as_bytes()].concat();
            assert!(found.contains(&(format!("customer:{i}"), value)), "{i} of {db}");
        }
    }
    let report = json(&report);
    assert_eq!(report["repeated_keys"], 0, "{report}");
    assert_eq!(
        (&report["assumed_db"][0]["db"], &report["assumed_db"][0]["spare"]),
        (&1.into(), &true.into())
    );

    let input = bench.input(&bytes);
    for (assume_db, db) in [(AssumeDb::Spare, 1), (AssumeDb::Number(7), 7)] {
        let args = Args { assume_db: Some(assume_db), ..args(false) };
        let (report, salvaged) = salvage(&input, &args, Vec::new()).expect("no failure");
        assert_eq!(json(&report)["assumed_db"][0]["db"], db);
        assert!(keys(&salvaged).iter().any(|(of, name, _)| (*of, &name[..]) == (db, "customer:20")));
    }
}

#[test]
fn what_is_dropped_is_named() {
    let mut bench = Bench::new();
    let records = [&string("twin", b"one")[..], &string("twin", b"one"), &string("other", b"two")].concat();
    let again = string("other", b"another");
    let (report, _) = bench.salvage(&file(&[&records[..], &again].concat()), "repeats");
    let report = json(&report);
    assert_eq!((&report["keys_lost"], &report["repeated_keys"]), (&1.into(), &2.into()));
    let told = |i: usize| (report["repeated"][i]["key"].clone(), report["repeated"][i]["identical"].clone());
    assert_eq!([told(0), told(1)], [("twin".into(), true.into()), ("other".into(), false.into())]);
}

#[test]
fn a_file_in_a_value_is_no_source_of_keys() {
    let mut bench = Bench::new();
    let inner: Vec<u8> = (0..50).flat_map(|i| string(&format!("stale:{i:04}"), b"an old value")).collect();
    let before = string("first:key", b"value");
    let after: Vec<u8> = (0..20).flat_map(|i| string(&format!("live:{i:04}"), b"a value")).collect();
    for inner in [file(&inner), inner.clone()] {
        let backup = string("backup", &inner);
        let good = file(&[&before[..], &backup, &after].concat());
        // The type of the record behind it; the type of its own.
        for (at, keeps_backup) in [(before.len() + backup.len(), true), (before.len(), false)] {
            let mut bytes = good.clone();
            bytes[9 + at] ^= 0x20;
            let (report, salvaged) = bench.salvage(&bytes, "a file in a value");
            let keys = keys(&salvaged);
            let has = |name: &str| keys.iter().any(|(_, key, _)| key == name);
            assert_eq!(has("backup"), keeps_backup, "{}", json(&report));
            assert!(has("first:key") && has("live:0019"));
            // Records in a value that is lost, without a file around them, are like any others.
            if keeps_backup || inner.starts_with(b"REDIS") {
                assert!(!keys.iter().any(|(_, key, _)| key.starts_with("stale:")), "{keys:?}");
            }
        }
    }
}

#[test]
fn records_under_a_damaged_length_are_found() {
    let mut bench = Bench::new();
    let records: Vec<Vec<u8>> = (0..40).map(|i| string(&format!("item:{i:04}"), b"some value")).collect();
    let at = records[..20].concat().len() + 11;
    for added in [3, 25, 50] {
        let mut bytes = file(&records.concat());
        bytes[9 + at] += added;
        let (report, salvaged) = bench.salvage(&bytes, "a longer length");
        let keys = keys(&salvaged);
        assert!(keys.len() >= 39, "{added}: {keys:?}, {}", json(&report));
        assert!(keys.iter().all(|(_, name, _)| name.starts_with("item:")), "{added}: {keys:?}");
    }
}

#[test]
fn chance_before_damage_becomes_no_key() {
    let mut bench = Bench::new();
    let numbers = |i: u16| (0..20 + i % 37).map(move |n| n * (i % 9 + 1) + i % 3);
    let name = |i: u16| format!("numbers:{i:04}");
    let records: Vec<u8> = (0..300).flat_map(|i| intset(&name(i), numbers(i))).collect();
    let good = file(&records);
    let names: BTreeSet<String> = (0..300).map(name).collect();
    let (mut invented, mut missing, mut rounds) = (Vec::new(), 0, 0);
    for at in (512..good.len() - 1024).step_by(512) {
        let mut bytes = good.clone();
        bytes.drain(at..at + 512);
        let (_, salvaged) = bench.salvage(&bytes, "a lost sector");
        let found: BTreeSet<String> = keys(&salvaged).into_iter().map(|(_, name, _)| name).collect();
        invented.extend(found.difference(&names).map(|name| (at, name.clone())));
        missing += names.difference(&found).count();
        rounds += 1;
    }
    // A sector of 512 bytes touches eight records.
    // Chance that ends where true records start cannot be told from a damaged name.
    assert!(invented.len() <= rounds / 16, "made up in {rounds} rounds: {invented:?}");
    assert!(missing <= rounds * 9, "{missing} keys lost in {rounds} rounds");
}

#[test]
fn doubtful_keys_are_named() {
    let mut bench = Bench::new();
    let records: Vec<u8> = (0..20).flat_map(|i| string(&format!("item:{i:04}"), b"some value")).collect();
    let mut bytes = file(&records);
    let record = records.len() / 20;
    bytes[9 + 10 * record..][..2 * record].fill(0xFF);
    let (report, _) = bench.salvage(&bytes, "ones");
    let report = json(&report);
    let named: Vec<_> =
        (0..2).map(|i| (&report["doubtful"][i]["key"], &report["doubtful"][i]["offset"])).collect();
    let (before, behind) = ((9 + 9 * record).into(), (9 + 12 * record).into());
    assert_eq!(report["doubtful_keys"], 2, "{report}");
    assert_eq!(named, [(&"item:0009".into(), &before), (&"item:0012".into(), &behind)]);
}

#[test]
fn a_database_by_chance_is_not_believed() {
    let mut bench = Bench::new();
    let records: Vec<u8> = (0..20).flat_map(|i| string(&format!("item:{i:04}"), b"some value")).collect();
    let mut bytes = file(&records);
    let record = records.len() / 20;
    let damage = &mut bytes[9 + 10 * record..][..2 * record];
    damage.fill(0xFF);
    // The choice of database 4095, were it not for what lies before it.
    damage[2 * record - 3..].copy_from_slice(&[0xFE, 0x4F, 0xFF]);
    let (report, salvaged) = bench.salvage(&bytes, "a database");
    assert!(keys(&salvaged).iter().all(|(db, ..)| *db == 0), "{:?}", json(&report));
    assert_eq!(json(&report)["keys_of_assumed_db"], 8);
}

#[test]
fn any_database_is_kept_in_a_sound_file() {
    let mut bench = Bench::new();
    let databases: [(&[u8], u64); 3] = [
        (b"\xFE\x03", 3),
        (b"\xFE\x80\x00\x01\x11\x70", 70_000),
        (b"\xFE\x81\x01\x00\x00\x00\x00\x00\x00\x00", 1 << 56),
    ];
    let records: Vec<u8> =
        databases.iter().flat_map(|(select, _)| [select, &string("key", select)[..]].concat()).collect();
    let (report, salvaged) = bench.salvage(&file(&records), "large databases");
    assert!(report.is_sound(), "{}", json(&report));
    let found: Vec<u64> = keys(&salvaged).into_iter().map(|(db, _, _)| db).collect();
    assert_eq!(found, databases.map(|(_, db)| db));
}

#[test]
fn commands_behind_the_end_are_no_damage() {
    let mut bench = Bench::new();
    let commands = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
    let bytes = [&file(&string("key", b"value"))[..], commands].concat();
    let (report, _) = bench.salvage(&bytes, "an append-only file");
    assert!(report.is_sound());
    let mut text = Vec::new();
    report.write(false, &mut text);
    assert!(contains(&text, b"23 bytes of commands follow"), "{}", text.escape_ascii());
    assert_eq!(json(&report)["command_bytes"], 23);
}

#[test]
fn what_is_newer_is_read_only_when_told_so() {
    let mut bench = Bench::new();
    for header in [b"REDIS0013", b"VALKEY081"] {
        let mut bytes = file(&string("key", b"value"));
        bytes[..9].copy_from_slice(header);
        let input = bench.input(&bytes);
        let refused = salvage(&input, &args(false), Vec::new()).map(drop).expect_err("it is refused");
        assert!(
            matches!(&refused, Failure::Usage(what) if what.contains("newer than this program")),
            "{refused}"
        );
        let args = Args { assume_version: Some(Version::redis(12)), ..args(false) };
        let (report, _) = salvage(&input, &args, Vec::new()).expect("no failure");
        assert_eq!((report.keys_written, report.is_sound()), (1, false));
    }
}

#[test]
fn no_more_is_named_than_was_asked_for() {
    let mut bench = Bench::new();
    let group = |i: usize| -> Vec<u8> {
        let keys = (0..4).flat_map(|j| string(&format!("item:{i:04}:{j}"), b"some value"));
        keys.chain([0xE0; 8]).collect()
    };
    let mut records: Vec<u8> = (0..100).flat_map(group).collect();
    records.extend(string("last", b"value"));
    let bytes = file(&records);
    let (report, _) = bench.salvage(&bytes, "many places");
    let report = json(&report);
    assert_eq!(report["bytes_lost"], 800);
    for list in ["ranges", "assumed_db", "doubtful"] {
        assert_eq!(report[list].as_array().map(Vec::len), Some(10), "{list}");
    }
    assert_eq!(report["keys_written"], 401);
}
