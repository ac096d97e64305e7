//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, DEBUG, what starts a save by itself, and what a failed one leads to.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use formats::resp::Value;

use crate::harness::{Client, Pair, Server, compare, compare_with};

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];
/// Longer than a save of a few keys takes, or the clock to start one.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn what_they_answer() {
    compare(&[
        "COMMAND INFO save bgsave bgrewriteaof lastsave debug",
        "SAVE x",
        "SAVE",
        "BGSAVE x",
        "BGSAVE SCHEDULE x",
        "BGREWRITEAOF x",
        "LASTSAVE x",
        "near: LASTSAVE",
        "BGSAVE",
        "wait: 500",
        "BGSAVE schedule",
        "wait: 500",
        "BGREWRITEAOF",
        "wait: 500",
        "near: LASTSAVE",
        "DEBUG",
        "DEBUG HELP",
        "DEBUG RELOAD",
        "CONFIG SET rdbcompression x",
        "CONFIG SET rdbcompression no",
        "CONFIG GET rdbcompression",
        "CONFIG SET rdbcompression yes",
        "CONFIG SET enable-debug-command yes",
        "CONFIG GET enable-debug-command",
        "CONFIG GET dbfilename",
    ]);
}

#[test]
fn debug_where_it_is_allowed() {
    compare_with(
        DEBUG,
        &[
            "kind: DEBUG HELP",
            "DEBUG HELP x",
            "DEBUG nosuch",
            "DEBUG SLEEP",
            "DEBUG SLEEP 0.01",
            "DEBUG SLEEP x",
            "DEBUG SLEEP -1",
            "DEBUG SLEEP 0 1",
            "DEBUG SET-ACTIVE-EXPIRE",
            "DEBUG SET-ACTIVE-EXPIRE 0",
            "SET gone x PX 1",
            "wait: 400",
            "DBSIZE",
            "DEBUG SET-ACTIVE-EXPIRE 1",
            "wait: 400",
            "DBSIZE",
            "SET a 1",
            "SET b text PX 1000000",
            "SELECT 3",
            "SET a other",
            "DEBUG RELOAD x",
            "DEBUG RELOAD",
            "debug reload merge",
            "GET a",
            "SELECT 0",
            "GET a",
            "GET b",
            "near: PTTL b",
            "DBSIZE",
        ],
    );
}

fn info(client: &mut Client, name: &str) -> String {
    let Value::Bulk(text) = client.call(&["INFO", "persistence"]) else { panic!("INFO answers text") };
    let text = String::from_utf8(text).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned));
    value.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
}

fn number(client: &mut Client, name: &str) -> u64 {
    info(client, name).parse().unwrap()
}

/// Waits until INFO tells this.
fn wait_for(client: &mut Client, name: &str, is: impl Fn(u64) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is(number(client, name)) {
        assert!(Instant::now() < deadline, "{name} is {} still", info(client, name));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn fill(client: &mut Client, keys: usize) {
    for index in 0..keys {
        assert_eq!(client.call(&["SET", &format!("k{index}"), &format!("value {index}")]), ok());
    }
}

/// A Redis server reads the file and has the keys.
fn redis_reads(file: &Path, keys: usize) {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(file, dir.path().join("dump.rdb")).unwrap();
    let redis = Server::redis(dir.path());
    let mut client = redis.client();
    assert_eq!(client.call(&["DBSIZE"]), Value::Integer(keys as i64));
    let last = format!("k{}", keys - 1);
    assert_eq!(client.call(&["GET", &last]), Value::Bulk(format!("value {}", keys - 1).into_bytes()));
}

#[test]
fn a_save_has_everything_and_redis_reads_it() {
    for args in [&["--appendonly", "yes"], &["--appendonly", "no"]] {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::everfast(dir.path(), &[&["--shards", "3", "--save", ""], &args[..]].concat());
        let mut client = server.client();
        let file = dir.path().join("dump.rdb");
        fill(&mut client, 100);
        client.raw(&["DEL", "k99", "k100"]);
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 101);
        assert_eq!(client.call(&["SAVE"]), ok());
        redis_reads(&file, 99);
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 0);
        assert_eq!(number(&mut client, "rdb_saves"), 1);
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");

        client.raw(&["SET", "k99", "value 99"]);
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 1);
        assert_eq!(client.call(&["BGSAVE"]), Value::Simple("Background saving started".into()));
        wait_for(&mut client, "rdb_bgsave_in_progress", |running| running == 0);
        wait_for(&mut client, "rdb_saves", |saves| saves == 2);
        redis_reads(&file, 100);
        client.raw(&["FLUSHALL"]);
        assert_eq!(number(&mut client, "rdb_changes_since_last_save"), 100);
        let Value::Integer(last) = client.call(&["LASTSAVE"]) else { panic!("LASTSAVE answers a time") };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(last as u64) < 30);
        assert_eq!(info(&mut client, "rdb_last_save_time"), last.to_string());
    }
}

#[test]
fn what_was_sent_before_in_a_pipeline_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "4", "--save", ""]);
    let mut client = server.client();
    let mut words: Vec<Vec<String>> =
        (0..200).map(|index| vec!["SET".to_owned(), format!("k{index}"), format!("value {index}")]).collect();
    words.push(vec!["BGSAVE".to_owned()]);
    client.send_all(words.iter().map(Vec::as_slice));
    words.iter().for_each(|_| drop(client.receive()));
    wait_for(&mut client, "rdb_saves", |saves| saves == 1);
    redis_reads(&dir.path().join("dump.rdb"), 200);
}

#[test]
fn without_a_name_no_file_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--dbfilename", "", "--save", ""]);
    let mut client = server.client();
    fill(&mut client, 10);
    assert_eq!(client.call(&["SAVE"]), ok());
    assert!(number(&mut client, "checkpoint_last_id") > 0);
    assert!(!dir.path().join("dump.rdb").exists());

    let server = Server::everfast(&dir.path().join("other"), &["--dbfilename", "", "--appendonly", "no"]);
    let nowhere = "ERR There is nothing to save to: appendonly is off and dbfilename is empty";
    for command in ["SAVE", "BGSAVE"] {
        assert_eq!(server.client().call(&[command]), Value::Error(nowhere.into()));
    }
}

#[test]
fn a_rewrite_releases_the_log_and_writes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--save", "", "--shards", "2"]);
    let mut client = server.client();
    for _ in 0..50 {
        fill(&mut client, 20);
    }
    client.raw(&["WAITAOF", "1", "0", "0"]);
    let before = number(&mut client, "aof_current_size");
    let started = Value::Simple("Background append only file rewriting started".into());
    assert_eq!(client.call(&["BGREWRITEAOF"]), started);
    wait_for(&mut client, "aof_rewrites", |rewrites| rewrites == 1);
    wait_for(&mut client, "aof_current_size", |size| size < before / 2);
    assert!(number(&mut client, "aof_base_size") > 0);
    assert!(number(&mut client, "checkpoint_last_id") > 0 && number(&mut client, "checkpoint_last_time") > 0);
    assert!(!dir.path().join("dump.rdb").exists());
    assert_eq!(info(&mut client, "aof_last_bgrewrite_status"), "ok");
}

#[test]
fn without_a_log_there_is_nothing_to_rewrite() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--appendonly", "no"]);
    let error = "ERR There is no log to rewrite: appendonly is off";
    assert_eq!(server.client().call(&["BGREWRITEAOF"]), Value::Error(error.into()));
}

#[test]
fn save_points_save_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    for (appendonly, has_file) in [("yes", false), ("no", true)] {
        let dir = dir.path().join(appendonly);
        let server = Server::everfast(&dir, &["--save", "1 5", "--appendonly", appendonly]);
        let mut client = server.client();
        fill(&mut client, 4);
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(number(&mut client, "rdb_saves"), 0, "too few changes");
        fill(&mut client, 1);
        wait_for(&mut client, "rdb_saves", |saves| saves == 1);
        wait_for(&mut client, "rdb_changes_since_last_save", |changes| changes == 0);
        assert_eq!(dir.join("dump.rdb").exists(), has_file, "appendonly {appendonly}");
    }
}

#[test]
fn a_log_that_has_grown_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--save", "", "--auto-aof-rewrite-min-size", "100kb"];
    let server = Server::everfast(dir.path(), &args);
    let mut client = server.client();
    let value = "x".repeat(10_000);
    for _ in 0..15 {
        client.raw(&["SET", "k", &value]);
    }
    wait_for(&mut client, "aof_rewrites", |rewrites| rewrites == 1);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(number(&mut client, "aof_rewrites"), 1, "one is enough");
}

/// A directory stands where the file should go: as `root` too, nothing can be written there.
fn block_dump(dir: &Path) {
    fs::create_dir_all(dir.join("dump.rdb/in the way")).unwrap();
}

#[test]
fn a_failed_save_refuses_writes_as_in_redis() {
    let dir = tempfile::tempdir().unwrap();
    let (theirs, ours) = (dir.path().join("redis"), dir.path().join("ours"));
    fs::create_dir(&theirs).unwrap();
    let redis = Server::redis_with(&theirs, &["--save", "3600 1"]);
    let server = Server::everfast(&ours, &["--save", "3600 1", "--shards", "2", "--appendonly", "no"]);
    block_dump(&theirs);
    block_dump(&ours);
    let mut pair = Pair::connect(&redis, &server);
    for line in [
        "SET a 1",
        "kind: SAVE",
        "SET a 2",
        "BGSAVE",
        "wait: 1000",
        "PING",
        "PING x",
        "SET a 3",
        "DEL a",
        "INCR nosuch",
        "FLUSHALL",
        "MSET a 1 b 2 c 3",
        "GET a",
        "EXISTS a",
        "ECHO x",
        "SHUTDOWN SAVE",
        "GET a",
        "CONFIG SET stop-writes-on-bgsave-error no",
        "PING",
        "SET a 4",
        "CONFIG SET stop-writes-on-bgsave-error yes",
        "PING",
        "CONFIG SET save \"\"",
        "PING",
        "SET a 5",
    ] {
        pair.run(line).unwrap_or_else(|difference| panic!("{difference}"));
    }
    assert_eq!(info(&mut pair.ours, "rdb_last_bgsave_status"), "err");
    assert!(!info(&mut pair.ours, "checkpoint_last_error").is_empty());
}

#[test]
fn a_file_that_cannot_be_written_stops_no_writes_while_checkpoints_count() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--save", "3600 1", "--shards", "2"]);
    block_dump(dir.path());
    let mut client = server.client();
    fill(&mut client, 10);
    client.call(&["BGSAVE"]);
    wait_for(&mut client, "checkpoint_last_id", |id| id == 1);
    wait_for(&mut client, "rdb_bgsave_in_progress", |running| running == 0);
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
    assert!(info(&mut client, "checkpoint_last_error").contains("dump.rdb"));
    fill(&mut client, 20);
    // What failed is tried again by itself, and without the file.
    wait_for(&mut client, "rdb_saves", |saves| saves == 1);
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
}

#[test]
fn a_file_that_holds_what_this_server_never_had_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let without_log = Server::everfast(dir.path(), &["--appendonly", "no"]);
    fill(&mut without_log.client(), 20);
    without_log.shut_down_with(&["SHUTDOWN", "SAVE"]);
    let file = dir.path().join("dump.rdb");
    let before = fs::read(&file).unwrap();

    let server = Server::everfast(dir.path(), &[]);
    let mut client = server.client();
    assert_eq!(client.call(&["DBSIZE"]), Value::Integer(0), "never by surprise");
    let Value::Error(error) = client.call(&["SAVE"]) else { panic!("it is not this server's") };
    assert!(error.contains("is left alone") && error.contains("--import"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    fill(&mut client, 5);
    fs::remove_file(&file).unwrap();
    assert_eq!(client.call(&["SAVE"]), ok());
    fill(&mut client, 6);
    assert_eq!(client.call(&["SAVE"]), ok(), "its own is replaced");
    redis_reads(&file, 6);
}

#[test]
fn a_shutdown_saves_where_that_is_owed() {
    let ends: [(&[&str], &[&str], bool); 6] = [
        (&["--appendonly", "yes"], &["SHUTDOWN"], false),
        (&["--appendonly", "yes"], &["SHUTDOWN", "SAVE"], true),
        (&["--appendonly", "no"], &["SHUTDOWN"], true),
        (&["--appendonly", "no"], &["SHUTDOWN", "NOSAVE"], false),
        (&["--appendonly", "no", "--save", ""], &["SHUTDOWN"], false),
        (&["--appendonly", "no", "--save", ""], &["SHUTDOWN", "SAVE"], true),
    ];
    for (args, call, saves) in ends {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::everfast(dir.path(), args);
        fill(&mut server.client(), 20);
        server.shut_down_with(call);
        let file = dir.path().join("dump.rdb");
        assert_eq!(file.exists(), saves, "{args:?} {call:?}");
        if saves {
            redis_reads(&file, 20);
        }
    }
}

#[test]
fn what_the_last_save_has_is_there_after_a_start_without_a_log() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..4 {
        let server = Server::everfast(dir.path(), &["--appendonly", "no", "--shards", &round.to_string()]);
        let mut client = server.client();
        assert_eq!(client.call(&["DBSIZE"]), Value::Integer((round - 1) * 10));
        assert_eq!(number(&mut client, "rdb_last_load_keys_loaded") as i64, (round - 1) * 10);
        fill(&mut client, round as usize * 10);
        server.shut_down();
    }
}

#[test]
fn a_shutdown_that_cannot_save_is_refused_unless_forced() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--appendonly", "no", "--save", "", "--shards", "2"]);
    block_dump(dir.path());
    let mut client = server.client();
    fill(&mut client, 10);
    let refused = Value::Error("ERR Errors trying to SHUTDOWN. Check logs.".into());
    assert_eq!(client.call(&["SHUTDOWN", "SAVE"]), refused);
    fill(&mut client, 10);
    assert_eq!(server.client().call(&["DBSIZE"]), Value::Integer(10), "it serves on");
    server.shut_down_with(&["SHUTDOWN", "SAVE", "FORCE"]);
}
