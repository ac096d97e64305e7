//! RDB files of real servers hold exactly what these servers say they hold.

use std::collections::{BTreeMap, BTreeSet};

use formats::checksum::Crc64;
use formats::rdb::{Decoder, ValueKind};

use crate::contents::{self, Contents, Group, Holds, Key};
use crate::expected::{self, Expected};
use crate::testdata::{self, RdbFile, rdb_files};

/// Kinds that were only ever written by release candidates, or by modules of such.
const IN_NO_FILE: [ValueKind; 3] =
    [ValueKind::OpaqueModule, ValueKind::HashExpiringPreGa, ValueKind::HashListpackExPreGa];

fn decoded(file: &RdbFile) -> Contents {
    contents::decode(&file.bytes).unwrap_or_else(|error| panic!("{}: {error}", file.name))
}

#[test]
fn every_file_holds_what_its_server_says() {
    for file in rdb_files() {
        let (found, expected) = (decoded(&file), expected::read(&file.name));
        let version = Decoder::new(&file.bytes).unwrap().version();
        assert_eq!(Some(version.number), expected.rdb_version, "{}", file.name);
        assert_eq!(
            BTreeSet::from_iter(&found.libraries),
            BTreeSet::from_iter(&expected.libraries),
            "{}",
            file.name
        );
        compare_keys(&file.name, found, expected);
    }
}

fn compare_keys(file: &str, found: Contents, expected: Expected) {
    let by_name = |key: Key| ((key.db, key.name.clone()), key);
    let mut expected_keys: BTreeMap<_, _> = expected.keys.into_iter().map(by_name).collect();
    let mut expired = Vec::new();
    for (mut key, kind) in found.keys {
        let Some(mut expected) = expected_keys.remove(&(key.db, key.name.clone())) else {
            assert!(key.expires_at_ms.is_some(), "{file}: {key:?} is not expected");
            expired.push(key.name);
            continue;
        };
        forget_what_is_not_told(&mut key, &mut expected, kind);
        assert!(key == expected, "{file}: {kind:?}\nfound    {key:?}\nexpected {expected:?}");
    }
    assert!(expected_keys.is_empty(), "{file} lacks {:?}", expected_keys.keys());
    expired.sort();
    assert_eq!(expired, expected.expired_keys, "{file}: expired keys");
}

/// Times of deliveries and consumers, which servers before Redis 7.0 have but do not tell.
fn forget_what_is_not_told(found: &mut Key, expected: &mut Key, kind: ValueKind) {
    let (Holds::Stream(found), Holds::Stream(expected)) = (&mut found.value, &mut expected.value) else {
        return;
    };
    if kind != ValueKind::Stream1 {
        return;
    }
    for group in found.groups.iter_mut().chain(&mut expected.groups) {
        forget_times(group);
    }
}

fn forget_times(group: &mut Group) {
    group.pending.values_mut().for_each(|(delivered_at_ms, _)| *delivered_at_ms = None);
    group.consumers.iter_mut().for_each(|consumer| consumer.seen_at_ms = None);
}

#[test]
fn every_checksum_is_that_of_the_bytes() {
    let mut without = 0;
    for file in rdb_files() {
        let contents = decoded(&file);
        assert_eq!(contents.trailing_bytes, 0, "{}", file.name);
        let mut crc = Crc64::new();
        crc.update(&file.bytes[..contents.checked_bytes]);
        let expected = match file.name.as_str() {
            // Versions 1 and 3 have none.
            "handmade-rdb1" | "handmade-zipmap" => None,
            name if name.contains("nochecksum") => Some(0),
            _ => Some(crc.value()),
        };
        assert_eq!(contents.checksum, expected, "{}", file.name);
        without += usize::from(contents.checksum == Some(0));
    }
    assert_eq!(without, 9, "files without a checksum, one of each server");
}

#[test]
fn facts_about_a_file_are_read() {
    for file in rdb_files() {
        let contents = decoded(&file);
        let server = file.name.split('-').nth(1).unwrap();
        // Redis 3.2 brought them; Valkey names itself in another field.
        let field: &[u8] = if file.name.starts_with("valkey") { b"valkey-ver" } else { b"redis-ver" };
        let has_them = !matches!(server, "2.8" | "3.0") && !file.name.starts_with("handmade");
        let version = contents.aux.get(field).map(|version| String::from_utf8_lossy(version));
        assert_eq!(
            version.as_deref().is_some_and(|version| version.starts_with(server)),
            has_them,
            "{}",
            file.name
        );
        let has_slots = file.name == "redis-8.0-cluster";
        assert_eq!(!contents.slots.is_empty(), has_slots, "{}", file.name);
        let keys: u64 = contents.slots.iter().map(|(_, keys, _)| keys).sum();
        assert!(!has_slots || keys == contents.keys.len() as u64, "the slots' keys are all keys");
    }
}

/// The table in `testdata/README.md` that says in which file which type byte occurs.
#[test]
fn kinds_occur_where_the_table_says() {
    let readme = String::from_utf8(testdata::read("README.md")).unwrap();
    let mut rows = readme.lines().skip_while(|line| !line.starts_with("| byte |"));
    let columns = cells(rows.next().expect("the table of types"));
    let kinds: BTreeMap<String, BTreeSet<u8>> = rdb_files()
        .iter()
        .map(|file| (file.name.clone(), decoded(file).keys.iter().map(|(_, kind)| kind.byte()).collect()))
        .collect();
    let mut checked = 0;
    for row in rows.skip(1).take_while(|line| line.starts_with('|')).map(cells) {
        let byte: u8 = row[0].parse().expect("a type byte");
        for (column, cell) in columns.iter().zip(&row).skip(2) {
            for file in files_of(column) {
                assert_eq!(kinds[&file].contains(&byte), *cell == "×", "byte {byte} in {file}");
                checked += 1;
            }
        }
        for file in row[row.len() - 1].split('`').filter(|name| name.contains("-")) {
            assert!(kinds[file].contains(&byte), "byte {byte} in {file}");
        }
    }
    assert_eq!(checked, 23 * 9, "types times servers");
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// `2.8, 3.0` are two files of Redis, `valkey 8.1` one of Valkey.
fn files_of(column: &str) -> Vec<String> {
    let names = column.split(", ").filter(|name| name.ends_with(|last: char| last.is_ascii_digit()));
    names
        .map(|name| if name.contains(' ') { name.replace(' ', "-") } else { format!("redis-{name}") })
        .collect()
}

#[test]
fn every_kind_that_servers_write_is_there() {
    let seen: BTreeSet<ValueKind> =
        rdb_files().iter().flat_map(|file| decoded(file).keys).map(|(_, kind)| kind).collect();
    let missing: Vec<_> = ValueKind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    assert_eq!(missing, IN_NO_FILE.iter().collect::<Vec<_>>());
}
