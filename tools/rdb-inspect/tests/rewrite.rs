//! Commands that write RDB files: `redis-server` loads them, and has what belongs there.

use std::path::{Path, PathBuf};

use crate::harness::{RedisServer, Run, inspect, testdata};
use crate::program::{BROKEN_LZF, file, key, numbered, rdb, string};

/// A file of version 10 with all types, functions, four databases.
const SOURCE: &str = "redis-7.0.rdb";
/// Files of all versions.
const ALL: [&str; 9] = [
    "handmade-rdb1.rdb",
    "handmade-zipmap.rdb",
    "redis-2.8.rdb",
    "redis-3.2.rdb",
    "redis-5.0.rdb",
    "redis-7.0.rdb",
    "valkey-8.1.rdb",
    "redis-8.0.rdb",
    "valkey-9.1.rdb",
];

fn run(words: &[&str], paths: &[(&str, &Path)]) -> Run {
    let mut args: Vec<PathBuf> = words.iter().map(PathBuf::from).collect();
    for (option, path) in paths {
        args.extend((!option.is_empty()).then(|| PathBuf::from(option)));
        args.push(path.to_path_buf());
    }
    inspect(args)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The digest of a real server that loaded the file, which is sound.
#[track_caller]
fn digest(file: &Path) -> String {
    run(&["verify", "--duplicates"], &[("", file)]).good();
    let server = RedisServer::load(file);
    // A server may have the file without its keys: it skips those that have expired.
    server.digest()
}

/// The last line of `diff --summary-only`.
fn difference(a: &Path, b: &Path) -> String {
    run(&["diff", "--summary-only"], &[("", a), ("", b)]).text().trim().to_owned()
}

#[test]
fn a_filter_without_filters_copies_all() {
    let (source, folder) = (testdata(SOURCE), folder());
    let copy = folder.path().join("copy.rdb");
    run(&["filter"], &[("", &source), ("--output", &copy)]).good();
    assert_eq!(digest(&copy), digest(&source));
    assert_eq!(difference(&source, &copy), "0 keys added, 0 removed, 0 changed, 116 the same");
}

#[test]
fn a_filter_and_its_inverse_make_the_whole() {
    let (source, folder) = (testdata(SOURCE), folder());
    let [yes, no, all] = ["yes.rdb", "no.rdb", "all.rdb"].map(|name| folder.path().join(name));
    let filter = ["filter", "--type", "hash", "--type", "zset", "--match", "*:*"];
    run(&filter, &[("", &source), ("--output", &yes)]).good();
    run(&[&filter[..], &["--invert"]].concat(), &[("", &source), ("--output", &no)]).good();
    run(&["merge"], &[("", &yes), ("", &no), ("--output", &all)]).good();
    assert_ne!(digest(&yes), digest(&no));
    assert_eq!(digest(&all), digest(&source));
}

#[test]
fn databases_and_expiries_are_changed_on_request() {
    let (source, folder) = (testdata(SOURCE), folder());
    let changed = folder.path().join("changed.rdb");
    let words = ["filter", "--db", "0", "--to-db", "5", "--remove-ttl", "--drop-expired"];
    run(&words, &[("", &source), ("--output", &changed)]).good();
    let server = RedisServer::load(&changed);
    let keyspace: String = server.run("INFO keyspace");
    assert!(keyspace.contains("db5:keys=109,expires=0"), "{keyspace}");
    assert!(!keyspace.contains("db0:"), "{keyspace}");
}

#[test]
fn two_keys_are_not_made_one() {
    let (source, folder) = (testdata(SOURCE), folder());
    let changed = folder.path().join("changed.rdb");
    let refused = run(&["filter", "--to-db", "5"], &[("", &source), ("--output", &changed)]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("is in several databases"), "{refused:?}");
    assert!(!changed.exists());
}

#[test]
fn files_of_all_versions_become_one_that_redis_7_loads() {
    let folder = folder();
    for name in ALL {
        let (source, old) = (testdata(name), folder.path().join(name));
        let converted =
            run(&["convert", "--rdb-version", "10", "--lossy"], &[("", &source), ("--output", &old)]);
        assert_eq!(converted.code, 0, "{name}: {converted:?}");
        digest(&old);
        let compared = run(&["diff"], &[("", &source), ("", &old)]);
        let lossy = compared.text().lines().filter(|line| line.starts_with(['~', '+', '-']));
        assert!(lossy.clone().all(|line| line.contains("hash ttl:")), "{name}: {}", compared.text());
        let expected = if ["redis-8.0.rdb", "valkey-9.1.rdb"].contains(&name) { 4 } else { 0 };
        assert_eq!(lossy.count(), expected, "{name}");
    }
}

#[test]
fn fields_that_expire_are_not_lost_by_surprise() {
    let (source, folder) = (testdata("redis-8.0.rdb"), folder());
    let [old, valkey, back] = ["old.rdb", "valkey.rdb", "back.rdb"].map(|name| folder.path().join(name));
    let refused = run(&["convert", "--rdb-version", "11"], &[("", &source), ("--output", &old)]);
    assert_eq!((refused.code, old.exists()), (2, false), "{refused:?}");
    run(&["convert", "--rdb-version", "80"], &[("", &source), ("--output", &valkey)]).good();
    run(&["convert", "--rdb-version", "12"], &[("", &valkey), ("--output", &back)]).good();
    assert_eq!(difference(&source, &valkey), "0 keys added, 0 removed, 0 changed, 121 the same");
    assert_eq!(difference(&source, &back), "0 keys added, 0 removed, 0 changed, 121 the same");
}

#[test]
fn what_was_split_can_be_merged() {
    let source = testdata(SOURCE);
    let expected = digest(&source);
    for way in ["db", "slot", "prefix", "count=20", "size=4k", "shard=3"] {
        let folder = folder();
        let [parts, all] = ["parts", "all.rdb"].map(|name| folder.path().join(name));
        run(&["split", "--by", way], &[("", &source), ("--output-dir", &parts)]).good();
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&parts).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        assert!(files.len() > 2, "{way}: {files:?}");
        let named: Vec<(&str, &Path)> = files.iter().map(|file| ("", file.as_path())).collect();
        run(&["merge"], &[&named[..], &[("--output", &all)]].concat()).good();
        assert_eq!(digest(&all), expected, "{way}");
        let again = run(&["split", "--by", way], &[("", &source), ("--output-dir", &parts)]);
        assert_eq!(again.code, 2, "files are there: {again:?}");
    }
}

#[test]
fn of_a_key_in_two_files_one_is_kept() {
    let folder = folder();
    let file = |name: &str, line: &str| {
        let server = RedisServer::start();
        let _: () = server.run(line);
        let path = folder.path().join(name);
        std::fs::copy(server.save(), &path).expect("a copy");
        path
    };
    let (first, last) = (file("first.rdb", "MSET k first only1 1"), file("last.rdb", "MSET k last only2 2"));
    for which in ["first", "last"] {
        let merged = folder.path().join("merged.rdb");
        let words = ["merge", "--on-duplicate", which, "--memory", "16"];
        run(&words, &[("", &first), ("", &last), ("--output", &merged)]).good();
        let server = RedisServer::load(&merged);
        assert_eq!(server.run::<String>("GET k"), which);
        assert_eq!(server.run::<u64>("DBSIZE"), 3);
    }
    let refused =
        run(&["merge", "--on-duplicate", "error"], &[("", &first), ("", &last), ("--output", &last)]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("is an input"), "{refused:?}");
}

#[test]
fn keys_in_two_files_are_found_in_several_passes() {
    let folder = folder();
    let (first, last) = (numbered(0..3000, b"first"), numbered(2000..5000, b"last"));
    for (which, expected) in [("first", 3000), ("last", 2000)] {
        for memory in ["16", "64m"] {
            let merged = folder.path().join("merged.rdb");
            let words = ["merge", "--on-duplicate", which, "--memory", memory];
            let files = [("", first.path.as_ref()), ("", last.path.as_ref()), ("--output", merged.as_path())];
            let run = run(&words, &files).good();
            assert!(run.stderr.contains("1000 keys left out"), "{run:?}");
            let records = inspect(["json".as_ref(), merged.as_os_str()]).json();
            let records = records.as_array().expect("records");
            let of_first = records.iter().filter(|record| record["value"] == "first").count();
            assert_eq!((records.len(), of_first), (5000, expected), "{which} {memory}");
        }
    }
    let words = ["merge", "--on-duplicate", "error"];
    let out = folder.path().join("out.rdb");
    let refused =
        run(&words, &[("", first.path.as_ref()), ("", last.path.as_ref()), ("--output", out.as_path())]);
    assert_eq!((refused.code, out.exists()), (2, false));
    assert!(refused.stderr.contains("of database 0 is there twice"), "{refused:?}");
}

#[test]
fn where_no_checksum_vouches_values_are_checked() {
    let folder = folder();
    let out = folder.path().join("out.rdb");
    let list = [b"\x01".as_slice(), &string(b"l"), b"\x02", BROKEN_LZF, &string(b"two")].concat();
    let file = rdb(&[&list, &key(b"k", b"v")]);
    for command in [&["filter"][..], &["convert", "--rdb-version", "10"]] {
        let refused = run(command, &[("", file.path.as_ref()), ("--output", &out)]);
        assert_eq!((refused.code, out.exists()), (1, false), "{refused:?}");
        assert!(refused.stderr.contains("(key \"l\"); `rdb-inspect salvage`"), "{refused:?}");
    }
}

#[test]
fn what_is_no_key_is_written_once_and_hints_are_made_anew() {
    let folder = folder();
    let aux = |name: &[u8]| [b"\xFA", &string(name)[..], &string(b"x")].concat();
    let library =
        [b"\xF5", &string(b"#!lua name=one\nredis.register_function('f', function() return 1 end)")[..]]
            .concat();
    let body = [aux(b"redis-ver"), aux(b"repl-id"), library, b"\xFE\x02".to_vec()].concat();
    let sources = [&b"a"[..], b"b"]
        .map(|name| file(&[b"REDIS0010", &body[..], &key(name, b""), b"\xFF\0\0\0\0\0\0\0\0"].concat()));
    let merged = folder.path().join("merged.rdb");
    let [first, second] = sources.each_ref().map(|file| Path::new(&file.path));
    run(&["merge"], &[("", first), ("", second), ("--output", &merged)]).good();
    let bytes = std::fs::read(&merged).expect("it was written");
    let count = |part: &[u8]| bytes.windows(part.len()).filter(|window| *window == part).count();
    assert_eq!([count(b"redis-ver"), count(b"repl-id"), count(b"name=one")], [1, 0, 1]);
    // Two keys in database 2, of which none expires.
    assert_eq!(count(b"\xFE\x02\xFB\x02\x00"), 1);
    digest(&merged);
}

#[test]
fn a_hash_that_expired_field_by_field_is_left_out() {
    let folder = folder();
    let out = folder.path().join("out.rdb");
    let hash =
        [b"\x18", &string(b"h")[..], &1000u64.to_le_bytes(), b"\x01\x01", &string(b"f"), &string(b"v")];
    let file = file(&[b"REDIS0012", &hash.concat()[..], b"\xFF\0\0\0\0\0\0\0\0"].concat());
    let words = ["convert", "--rdb-version", "10", "--lossy"];
    let run = run(&words, &[("", file.path.as_ref()), ("--output", &out)]).good();
    assert!(run.stderr.contains("1 hashes left out of which all fields had expired"), "{run:?}");
    assert_eq!(inspect(["keys".as_ref(), "--count".as_ref(), out.as_os_str()]).good().text(), "0\n");
}

#[test]
fn numbers_keep_their_value_in_another_form() {
    let folder = folder();
    let out = folder.path().join("out.rdb");
    let value = |out: &Path| inspect(["json".as_ref(), out.as_os_str()]).good().json()[0]["value"].clone();
    let set = [b"\x14\x01s\x11\x11\0\0\0\x01\0\xF4", &(1i64 << 40).to_le_bytes()[..], b"\x09\xFF"].concat();
    let packed = file(&[b"REDIS0012", &set[..], b"\xFF\0\0\0\0\0\0\0\0"].concat());
    run(&["convert", "--rdb-version", "10"], &[("", packed.path.as_ref()), ("--output", &out)]).good();
    assert_eq!(value(&out), serde_json::json!(["1099511627776"]));
    // Scores were text once; the second member is broken.
    let zset = [b"\x03\x01z\x03\x01a\xFF", BROKEN_LZF, b"\x011\x01c\xFE"].concat();
    let old = file(&[b"REDIS0006", &zset[..], b"\xFF\0\0\0\0\0\0\0\0"].concat());
    let salvaged = run(&["salvage", "--partial"], &[("", old.path.as_ref()), ("--output", &out)]);
    assert_eq!(salvaged.code, 1, "{salvaged:?}");
    assert_eq!(value(&out), serde_json::json!([["a", "-inf"], ["c", "inf"]]));
}

#[test]
fn no_input_is_written_to_and_no_damaged_one_copied() {
    let folder = folder();
    let damaged = folder.path().join("damaged.rdb");
    let mut bytes = std::fs::read(testdata(SOURCE)).expect("it is there");
    bytes[5000] ^= 1;
    std::fs::write(&damaged, &bytes).expect("a file");
    let out = folder.path().join("out.rdb");
    for command in [&["filter"][..], &["convert", "--rdb-version", "10"], &["split", "--by", "db"]] {
        let option = if command[0] == "split" { "--output-dir" } else { "--output" };
        let refused = run(command, &[("", &damaged), (option, &out)]);
        assert_eq!(refused.code, 1, "{command:?}: {refused:?}");
        assert!(refused.stderr.contains("salvage"), "{refused:?}");
        assert!(!out.exists());
    }
    let refused = run(&["salvage"], &[("", &damaged), ("--output", &damaged)]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(std::fs::read(&damaged).expect("it is there"), bytes);
}

#[test]
fn what_is_salvaged_is_loaded() {
    let folder = folder();
    let [damaged, out] = ["damaged.rdb", "out.rdb"].map(|name| folder.path().join(name));
    let source = std::fs::read(testdata(SOURCE)).expect("it is there");
    for at in (100..source.len() - 512).step_by(2917) {
        let mut bytes = source.clone();
        bytes[at..at + 512].fill(0);
        std::fs::write(&damaged, &bytes).expect("a file");
        let salvaged = run(&["salvage", "--partial"], &[("", &damaged), ("--output", &out)]);
        assert_eq!(salvaged.code, 1, "{salvaged:?}");
        let server = RedisServer::load(&out);
        let keyspace: String = server.run("INFO keyspace");
        assert!(keyspace.contains("keys="), "{at}: {keyspace}");
    }
}
