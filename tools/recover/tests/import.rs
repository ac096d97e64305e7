//! `import`: files of real servers, key by key; what cannot be taken in is named and leaves nothing behind.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    RedisServer, Run, change, checkpointed, cmd, contents, folder, keys_of, names, recover, served, value_of,
};
use crate::run;

/// Imports and starts a server on the result.
fn imported(from: &Path, code: i32, more: &[&str]) -> (Value, crate::harness::Keys) {
    let outer = folder();
    let new = outer.path().join("new");
    let json = import_to(from, &new, more).ends(code).json();
    run!("check", &new).ends(0);
    (json, served(&new))
}

fn import_to(from: &Path, new: &Path, more: &[&str]) -> Run {
    let mut args =
        vec!["import".as_ref(), from.as_os_str(), "--into".as_ref(), new.as_os_str(), "--json".as_ref()];
    args.extend(more.iter().map(std::ffi::OsStr::new));
    recover(args)
}

/// Fails with this in its message, and leaves nothing.
#[track_caller]
fn refused(from: &Path, what: &str, more: &[&str]) {
    let before = if from.is_dir() { contents(from) } else { Default::default() };
    let outer = folder();
    let run = import_to(from, &outer.path().join("new"), more).ends(1);
    assert!(run.stderr.contains(what), "{what}: {run:?}");
    assert!(names(outer.path()).is_empty(), "{:?}", names(outer.path()));
    if from.is_dir() {
        assert_eq!(contents(from), before);
    }
}

/// A Redis that appends, with no automatic rewrite.
fn appending(more: &[&str]) -> RedisServer {
    let mut settings =
        vec!["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--appendfsync", "always"];
    settings.extend(more);
    RedisServer::start_with(folder(), &settings)
}

fn fill(server: &RedisServer) {
    let mut connection = server.connect();
    (0..300).for_each(|i| cmd(&mut connection, &format!("SET k:{i} value-{i}")));
    cmd(&mut connection, "SET number 12345");
    cmd(&mut connection, &format!("SET long {}", "abcdefgh".repeat(3000)));
    cmd(&mut connection, "SET ends v PXAT 4102444800000");
    cmd(&mut connection, "SELECT 3");
    cmd(&mut connection, "SET other 3");
}

/// The directory of append-only files, once its server has gone.
fn append_dir(server: RedisServer) -> (TempDir, PathBuf) {
    let copy = folder();
    let from = server.dir.path().join("appendonlydir");
    for (name, bytes) in contents(&from) {
        std::fs::write(copy.path().join(name), bytes).unwrap();
    }
    let path = copy.path().to_path_buf();
    (copy, path)
}

/// The file that commands are appended to.
fn increment(dir: &Path) -> PathBuf {
    dir.join(names(dir).into_iter().rfind(|name| name.ends_with(".incr.aof")).expect("an increment"))
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    words.iter().for_each(|word| bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes()));
    bytes
}

/// A single append-only file of these commands.
fn file_of(commands: &[&[&str]]) -> (TempDir, PathBuf) {
    let dir = folder();
    let path = dir.path().join("appendonly.aof");
    let bytes: Vec<u8> = commands.iter().flat_map(|words| command(words)).collect();
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn an_rdb_file_of_redis_key_by_key_on_any_number_of_shards() {
    let server = RedisServer::start();
    fill(&server);
    let keys = keys_of(&mut server.connect());
    let dump = server.save();
    for shards in ["1", "4"] {
        let (json, found) = imported(&dump, 0, &["--shards", shards]);
        assert_eq!((&json["keys"], &json["highest_database"]), (&keys.len().into(), &3.into()));
        assert_eq!(found, keys);
    }
}

#[test]
fn append_only_files_of_redis_key_by_key() {
    let server = appending(&[]);
    fill(&server);
    let mut connection = server.connect();
    cmd(&mut connection, "BGREWRITEAOF");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for line in [
        "INCR number",
        "APPEND k:1 more",
        "DEL k:2 k:3",
        "RENAME k:4 renamed",
        "MSET m:1 1 m:2 2",
        "SET short v EX 1000",
        "GETDEL k:5",
        "COPY k:6 copied",
        "PERSIST ends",
        "PEXPIREAT k:8 4102444800000",
        "MOVE k:9 3",
        "SET moved 1",
        "SWAPDB 0 5",
        "SET back 1",
        "SWAPDB 5 0",
        "SWAPDB 5 1",
        "SWAPDB 3 2",
    ] {
        cmd(&mut connection, line);
    }
    let payload: Vec<u8> = redis::cmd("DUMP").arg("long").query(&mut connection).unwrap();
    for (key, ttl) in [("restored", 0), ("restored:ends", 10_000_000)] {
        let _: () = redis::cmd("RESTORE").arg(key).arg(ttl).arg(&payload).query(&mut connection).unwrap();
    }
    let _: () = redis::pipe().atomic().set("in", 1).set("one", 2).query(&mut connection).unwrap();
    let keys = keys_of(&mut connection);
    let top = server.dir.path().to_path_buf();
    for shards in ["1", "3"] {
        // The directory above, the directory, and its manifest mean the same.
        let manifest = top.join("appendonlydir/appendonly.aof.manifest");
        for from in [&top, &top.join("appendonlydir"), &manifest] {
            let (json, found) = imported(from, 0, &["--shards", shards]);
            assert_eq!(found, keys, "{from:?}");
            assert!(json["commands"].as_u64().unwrap() >= 13, "{json}");
        }
    }
}

#[test]
fn an_append_only_file_behind_an_rdb_file() {
    let server = RedisServer::start();
    fill(&server);
    let mut bytes = std::fs::read(server.save()).unwrap();
    bytes.extend(command(&["SELECT", "0"]));
    bytes.extend(command(&["INCR", "number"]));
    let dir = folder();
    let path = dir.path().join("appendonly.aof");
    std::fs::write(&path, bytes).unwrap();
    cmd(&mut server.connect(), "INCR number");
    assert_eq!(imported(&path, 0, &[]).1, keys_of(&mut server.connect()));
}

#[test]
fn a_flushall_is_undone_by_the_times_in_append_only_files() {
    let server = appending(&["--aof-timestamp-enabled", "yes"]);
    fill(&server);
    let mut connection = server.connect();
    let keys = keys_of(&mut connection);
    let (now, _): (u64, u64) = redis::cmd("TIME").query(&mut connection).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    cmd(&mut connection, "FLUSHALL");
    let (_held, dir) = append_dir(server);
    let (json, found) = imported(&dir, 0, &["--until", &format!("@{}", now + 1)]);
    assert_eq!(found, keys);
    assert_eq!(json["left_out"]["is_torn"], false);
    assert!(imported(&dir, 0, &[]).1.is_empty());
    refused(&dir, "was made later", &["--until", "@1"]);
}

#[test]
fn times_are_asked_of_a_file_that_has_none() {
    let (_held, file) = file_of(&[&["SET", "a", "1"]]);
    refused(&file, "no times stand in it", &["--until", "2026-01-01"]);
}

#[test]
fn a_torn_end_and_an_open_transaction_are_left_out_and_told() {
    let server = appending(&[]);
    fill(&server);
    let keys = keys_of(&mut server.connect());
    let (_held, dir) = append_dir(server);
    let last = increment(&dir);
    let end = std::fs::metadata(&last).unwrap().len();
    change(&last, |bytes| bytes.extend(&command(&["SET", "torn", "value"])[..20]));
    let (json, found) = imported(&dir, 1, &[]);
    assert_eq!((&json["left_out"]["offset"], &json["left_out"]["bytes"]), (&end.into(), &20.into()));
    assert_eq!(found, keys);
    change(&last, |bytes| {
        bytes.truncate(end as usize);
        bytes.extend(command(&["MULTI"]));
        bytes.extend(command(&["SET", "half", "done"]));
    });
    let (json, found) = imported(&dir, 1, &[]);
    assert_eq!(json["left_out"]["offset"], end);
    assert_eq!(found, keys);
}

#[test]
fn damage_in_the_middle_is_refused_with_its_place() {
    let server = appending(&[]);
    fill(&server);
    let dump = server.save();
    let copy = folder();
    let damaged = copy.path().join("dump.rdb");
    std::fs::copy(dump, &damaged).unwrap();
    let (_held, dir) = append_dir(server);
    change(&damaged, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    refused(&damaged, "at byte", &[]);
    let last = increment(&dir);
    let at = 23 + 40; // behind the first commands
    change(&last, |bytes| {
        let next = bytes[at..].iter().position(|&byte| byte == b'*').unwrap() + at;
        bytes[next] = b'!';
    });
    refused(&dir, &format!("{} at byte", last.display()), &[]);
    // A file that others follow may not be torn either.
    let manifest = dir.join("appendonly.aof.manifest");
    std::fs::write(dir.join("appendonly.aof.1.incr.aof"), &command(&["SET", "a", "1"])[..9]).unwrap();
    std::fs::write(dir.join("next.aof"), command(&["SET", "b", "1"])).unwrap();
    std::fs::write(&manifest, "file appendonly.aof.1.incr.aof seq 1 type i\nfile next.aof seq 2 type i\n")
        .unwrap();
    refused(&dir, "other files follow", &[]);
}

#[test]
fn types_that_cannot_be_held_are_named() {
    let server = RedisServer::start();
    cmd(&mut server.connect(), "SET a 1");
    cmd(&mut server.connect(), "XADD things 1-1 f v");
    let dump = server.save();
    refused(&dump, "key 'things' in database 0 holds a stream", &[]);
}

#[test]
fn commands_that_cannot_be_applied_are_named() {
    let unknown: &[&[&str]] = &[&["SET", "a", "1"], &["XADD", "l", "1-1", "f", "v"]];
    let (_held, file) = file_of(unknown);
    refused(&file, "at byte 27: command 'XADD'", &[]);
    let (_held, file) = file_of(&[&["SET", "a", "text"], &["INCR", "a"]]);
    refused(&file, "at byte 30: command 'INCR a': -ERR value is not an integer", &[]);
    for relative in [
        &["SETEX", "a", "10", "v"][..],
        &["EXPIRE", "a", "10"],
        &["SET", "a", "v", "EX", "10"],
        &["RESTORE", "a", "10", "v"],
    ] {
        let (_held, file) = file_of(&[relative]);
        refused(&file, "which depends on when it ran", &[]);
    }
    let (_held, file) = file_of(&[&["SHUTDOWN"]]);
    refused(&file, "command 'SHUTDOWN'", &[]);
}

#[test]
fn functions_are_refused_by_name_or_left_out_when_asked() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let code = "#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    let _: String = redis::cmd("FUNCTION").arg("LOAD").arg(code).query(&mut connection).unwrap();
    cmd(&mut connection, "SET a 1");
    let dump = server.save();
    refused(&dump, "a library of functions", &[]);
    refused(&dump, "--skip-functions", &[]);
    let (json, found) = imported(&dump, 1, &["--skip-functions"]);
    assert_eq!((&json["skipped_functions"], &json["keys"]), (&1.into(), &1.into()));
    assert_eq!(value_of(&found, "a").as_deref(), Some("1"));
}

#[test]
fn keys_that_have_expired_keep_their_expiry() {
    let (_held, file) = file_of(&[&["SET", "old", "v", "PXAT", "1000"], &["SET", "new", "v"]]);
    let outer = folder();
    let new = outer.path().join("new");
    let json = import_to(&file, &new, &["--shards", "2"]).ends(0).json();
    assert_eq!(json["keys"], 2);
    assert_eq!(served(&new).len(), 1);
}

#[test]
fn what_is_no_such_file_is_an_error_of_usage() {
    let dir = folder();
    let outer = folder();
    let new = outer.path().join("new");
    import_to(&dir.path().join("nowhere"), &new, &[]).ends(2);
    import_to(dir.path(), &new, &[]).ends(2);
    let text = dir.path().join("text");
    std::fs::write(&text, b"hello").unwrap();
    import_to(&text, &new, &[]).ends(2);
    std::fs::create_dir(&new).unwrap();
    std::fs::write(new.join("mine"), b"precious").unwrap();
    let (_held, file) = file_of(&[&["SET", "a", "1"]]);
    import_to(&file, &new, &[]).ends(2);
    assert_eq!(names(&new), ["mine"]);
}

#[test]
fn an_empty_file_is_no_data() {
    let dir = folder();
    for name in ["empty.rdb", "empty.aof"] {
        let file = dir.path().join(name);
        std::fs::write(&file, b"").unwrap();
        let outer = folder();
        let run = import_to(&file, &outer.path().join("new"), &[]).ends(2);
        assert!(run.stderr.contains("it is empty"), "{run:?}");
        assert!(names(outer.path()).is_empty());
    }
    // But for an increment into which nothing was written yet.
    let manifest = dir.path().join("appendonly.aof.manifest");
    std::fs::write(&manifest, "file empty.aof seq 1 type i\n").unwrap();
    assert_eq!(imported(&manifest, 0, &[]).0["keys"], 0);
    std::fs::write(&manifest, "file empty.rdb seq 1 type b\nfile empty.aof seq 1 type i\n").unwrap();
    import_to(&manifest, &dir.path().join("new"), &[]).ends(2);
}

#[test]
fn one_of_several_snapshots_is_not_taken_for_all_keys() {
    let (dir, _) = checkpointed();
    for from in [dir.path().join("checkpoint-1-shard-0.rdb"), dir.path().to_path_buf()] {
        let outer = folder();
        let run = import_to(&from, &outer.path().join("new"), &[]).ends(2);
        assert!(run.stderr.contains("everfast-recover replay"), "{run:?}");
        assert!(names(outer.path()).is_empty());
    }
}
