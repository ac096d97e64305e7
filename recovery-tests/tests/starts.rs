//! What a start finds, through a whole server: on another number of shards, over leftovers, beside another server, over
//! damage. The rows of the table in docs/recovery.md that concern files alone are tested in `src/persist/tests`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use everfast::config::{AppendFsync, Config};
use everfast::persist::disk::{CrashMode, SimDisk};
use everfast::persist::{DataDir, LogOptions, PersistError};
use everfast::server::ServerError;
use everfast::shard::shared::ShutdownRequest;
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::in_process::{DIR, InProcess, config};
use recovery_tests::random::Random;
use recovery_tests::server_process::free_port;
use recovery_tests::switch_disk::{Call, Effect, Switches};

use crate::replies::{bulk, call, get, log_field, ok, set};

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn start(sim: &SimDisk, shards: u16) -> InProcess {
    InProcess::start(&sim.mount(), config(shards, AppendFsync::Always)).expect("it starts")
}

fn refusal(sim: &SimDisk) -> ServerError {
    match InProcess::start(&sim.mount(), config(2, AppendFsync::Always)) {
        Err(error) => error,
        Ok(server) => panic!("it starts, with {:?} keys", call(&mut server.client(), &["DBSIZE"])),
    }
}

fn stop(server: InProcess) {
    server.stop(ShutdownRequest::default()).expect("it ends well");
}

/// Everything in the directory.
fn files(sim: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let names = sim.mount().list(Path::new(DIR)).expect("names");
    names.into_iter().filter_map(|name| Some((name.clone(), sim.contents(&path(&name))?))).collect()
}

fn write_file(sim: &SimDisk, name: &str, bytes: &[u8]) {
    let disk = sim.mount();
    let mut file = disk.create(&path(name)).expect("a file");
    file.write_all_at(0, bytes).expect("it is written");
    file.sync_data().expect("it is synced");
    disk.sync_dir(Path::new(DIR)).expect("it is named");
}

type Model = BTreeMap<(u16, String), String>;

/// Writes to three databases, flushes some of them, now one, now all, and lets some change places.
fn change(client: &mut Client, model: &mut Model, random: &mut Random) {
    for step in 0..120 {
        let db = random.below(3) as u16;
        let index = random.below(40);
        let (key, other) = (format!("k{index}"), format!("k{}", (index + 7) % 40));
        assert_eq!(call(client, &["SELECT", &db.to_string()]), ok());
        match random.below(40) {
            0 => {
                assert_eq!(call(client, &["FLUSHDB"]), ok());
                model.retain(|(other, _), _| *other != db);
            }
            1 if step < 60 => {
                assert_eq!(call(client, &["FLUSHALL"]), ok());
                model.clear();
            }
            2 => {
                let to = random.below(3) as u16;
                assert_eq!(call(client, &["SWAPDB", &db.to_string(), &to.to_string()]), ok());
                let places = |at| {
                    if at == db {
                        to
                    } else if at == to {
                        db
                    } else {
                        at
                    }
                };
                *model = std::mem::take(model)
                    .into_iter()
                    .map(|((at, key), value)| ((places(at), key), value))
                    .collect();
            }
            3 => {
                let to = (db + 1) % 3;
                let is_moved =
                    model.contains_key(&(db, key.clone())) && !model.contains_key(&(to, key.clone()));
                let moved = call(client, &["MOVE", &key, &to.to_string()]);
                assert_eq!(moved, Value::Integer(i64::from(is_moved)));
                if is_moved && let Some(value) = model.remove(&(db, key.clone())) {
                    model.insert((to, key), value);
                }
            }
            4..10 => {
                let there = i64::from(model.remove(&(db, key.clone())).is_some());
                assert_eq!(call(client, &["DEL", &key]), Value::Integer(there));
            }
            10..20 => {
                let value = random.draw().to_string();
                assert_eq!(call(client, &["MSET", &key, &value, &other, &value]), ok());
                model.insert((db, key), value.clone());
                model.insert((db, other), value);
            }
            _ => {
                let value = random.draw().to_string();
                set(client, &key, &value);
                model.insert((db, key), value);
            }
        }
    }
}

fn check(client: &mut Client, model: &Model, what: &str) {
    for db in 0..3 {
        assert_eq!(call(client, &["SELECT", &db.to_string()]), ok());
        for index in 0..40 {
            let key = format!("k{index}");
            let expected = model.get(&(db, key.clone())).map_or(Value::Null, |value| bulk(value));
            assert_eq!(call(client, &["GET", &key]), expected, "{what}, database {db}, {key}");
        }
        let count = model.keys().filter(|(other, _)| *other == db).count() as i64;
        assert_eq!(call(client, &["DBSIZE"]), Value::Integer(count), "{what}, database {db}");
    }
}

#[test]
fn any_number_of_shards_replays_any_other_with_its_flushes() {
    for seed in 0..8 {
        let (sim, mut random, mut model) = (SimDisk::new(), Random::new(seed), Model::new());
        for (epoch, shards) in [3, 2, 5, 1, 4, 4].into_iter().enumerate() {
            let server = start(&sim, shards);
            let what = format!("seed {seed}, start {epoch} on {shards} shards");
            check(&mut server.client(), &model, &what);
            change(&mut server.client(), &mut model, &mut random);
            check(&mut server.client(), &model, &what);
            match random.below(2) {
                0 => stop(server),
                _ => server.power_cut(&sim, CrashMode::KeepRandom(random.draw())),
            }
        }
    }
}

#[test]
fn an_empty_directory_starts_empty_and_leaves_files_of_others_alone() {
    let sim = SimDisk::new();
    let others: [(&str, &[u8]); 3] =
        [("dump.rdb", b"REDIS0011"), ("appendonly.aof", b"*1\r\n"), ("notes.txt", b"hello")];
    for (name, bytes) in others {
        write_file(&sim, name, bytes);
    }
    for round in 0..3 {
        let server = start(&sim, 2);
        let mut client = server.client();
        assert_eq!(call(&mut client, &["DBSIZE"]), Value::Integer(round), "nothing is imported by surprise");
        set(&mut client, &format!("key {round}"), "1");
        stop(server);
    }
    for (name, bytes) in others {
        assert_eq!(sim.contents(&path(name)).as_deref(), Some(bytes), "{name}");
    }
}

#[test]
fn a_second_server_is_refused_and_the_first_goes_on() {
    let sim = SimDisk::new();
    let server = start(&sim, 2);
    set(&mut server.client(), "k", "1");
    let refusal = refusal(&sim);
    assert!(matches!(refusal, ServerError::Persist(PersistError::Locked { .. })), "{refusal}");
    assert!(refusal.to_string().contains(DIR), "{refusal}");
    set(&mut server.client(), "l", "1");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, 2);
    assert_eq!(call(&mut server.client(), &["EXISTS", "k", "l"]), Value::Integer(2));
}

#[test]
fn leftovers_are_never_read_and_swept_after_a_start() {
    let sim = SimDisk::new();
    let server = start(&sim, 1);
    set(&mut server.client(), "k", "old");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    // What a crash between two steps leaves: a segment that MANIFEST does not name, a MANIFEST that was not renamed.
    let foreign = SimDisk::new();
    let server = start(&foreign, 1);
    set(&mut server.client(), "k", "of another directory");
    server.power_cut(&foreign, CrashMode::DropUnsynced);
    let segment = foreign.contents(&path("log-1-0.seg")).expect("a segment");
    write_file(&sim, "log-1-7.seg", &segment);
    write_file(&sim, "log-9-0.seg", &segment);
    write_file(&sim, "MANIFEST.tmp", &foreign.contents(&path("MANIFEST")).expect("a manifest"));
    write_file(&sim, "calibration-0.tmp", b"zeros");

    let server = start(&sim, 1);
    assert_eq!(get(&mut server.client(), "k").as_deref(), Some("old"));
    let names: Vec<String> = files(&sim).into_keys().collect();
    let gone = ["log-1-7.seg", "log-9-0.seg", "MANIFEST.tmp", "calibration-0.tmp"];
    assert!(gone.iter().all(|gone| !names.iter().any(|name| name == gone)), "{names:?}");
    // One may have another name that a crash brings back: none is used again.
    assert!(!names.iter().any(|name| name.starts_with("pool-")), "{names:?}");
    set(&mut server.client(), "k", "new");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    assert_eq!(get(&mut start(&sim, 1).client(), "k").as_deref(), Some("new"));
}

/// A directory after a crash of a server that wrote 30 keys, one sync each, on one shard.
fn crashed() -> SimDisk {
    let sim = SimDisk::new();
    let server = start(&sim, 1);
    let mut client = server.client();
    for index in 0..30 {
        set(&mut client, &format!("key:{index}"), &"x".repeat(300));
    }
    server.power_cut(&sim, CrashMode::DropUnsynced);
    sim
}

#[test]
fn a_refused_start_names_the_place_and_changes_nothing() {
    let sim = crashed();
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[4096 + 1000] ^= 1);
    let before = files(&sim);
    for _ in 0..2 {
        let text = refusal(&sim).to_string();
        for part in ["refusing to start", "log-1-0.seg", "at byte", "at stake"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(files(&sim) == before, "what a tool could still save was touched");
}

#[test]
fn a_start_without_its_manifest_is_refused_and_changes_nothing() {
    let sim = crashed();
    sim.mount().remove(&path("MANIFEST")).expect("it is there");
    let before = files(&sim);
    let text = refusal(&sim).to_string();
    assert!(text.contains("no MANIFEST"), "{text}");
    assert!(files(&sim) == before);
}

#[test]
fn a_cut_tail_is_told_by_info_once() {
    let sim = crashed();
    let end = sim
        .contents(&path("log-1-0.seg"))
        .expect("a segment")
        .iter()
        .rposition(|&byte| byte != 0)
        .expect("data");
    sim.damage(&path("log-1-0.seg"), |bytes| bytes[end - 20] ^= 1);
    for told in [true, false] {
        let server = start(&sim, 2);
        let mut client = server.client();
        let Value::Bulk(info) = call(&mut client, &["INFO", "persistence"]) else { panic!("INFO is text") };
        let info = String::from_utf8(info).expect("UTF-8");
        assert_eq!(info.contains("cut a torn end that was never acknowledged"), told, "{info}");
        assert_eq!(call(&mut client, &["DBSIZE"]), Value::Integer(29));
        server.power_cut(&sim, CrashMode::DropUnsynced);
    }
}

#[test]
fn an_effect_of_a_newer_version_is_refused_with_its_place() {
    let sim = SimDisk::new();
    let data = DataDir::open(sim.mount(), Path::new(DIR)).expect("a new directory");
    data.recover().expect("it is empty");
    let mut logs = data.start_logs(&LogOptions::new(1, Arc::new(|_| {}))).expect("logs");
    logs[0].append(0, &[b"SET", b"k", b"v"]);
    logs[0].append(0, &[b"INVENTED", b"k", b"v"]);
    drop(logs);
    data.close().expect("a clean end");
    drop(data);
    let text = refusal(&sim).to_string();
    for part in ["INVENTED", "not known to this version", "log-1-0.seg", "at byte"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn while_it_recovers_a_server_answers_loading() {
    let sim = crashed();
    let switches = Switches::default();
    switches.on(Call::Map, "log-", Effect::Wait);
    let disk = switches.before(sim.mount());
    let port = free_port().expect("a port");
    let config = Config { port, ..config(2, AppendFsync::Always) };
    let server = std::thread::scope(|scope| {
        let starting = scope.spawn(|| InProcess::start_at(&disk, config).expect("it starts"));
        let _off = switches.off_on_drop();
        let mut client = connect(port);
        for command in [&["GET", "key:1"][..], &["SET", "key:1", "lost"], &["PING"], &["DBSIZE"]] {
            let reply = call(&mut client, command);
            assert!(
                matches!(&reply, Value::Error(text) if text.starts_with("LOADING ")),
                "{command:?}: {reply:?}"
            );
        }
        let Value::Bulk(info) = call(&mut client, &["INFO", "persistence"]) else { panic!("INFO is text") };
        assert!(String::from_utf8_lossy(&info).contains("loading:1"));
        switches.all_off();
        starting.join().expect("it starts")
    });
    let mut client = server.client();
    assert_eq!(call(&mut client, &["DBSIZE"]), Value::Integer(30));
    assert_eq!(get(&mut client, "key:1"), Some("x".repeat(300)));
}

/// A connection to a server that is about to listen.
fn connect(port: u16) -> Client {
    for _ in 0..2000 {
        if let Ok(client) = Client::connect((std::net::Ipv4Addr::LOCALHOST, port).into()) {
            return client;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("nobody listens on port {port}");
}

/// A log that was quiet for long, damaged at its end: nobody in it vouches for that end, but the other logs know that the
/// transaction in it was complete.
#[test]
fn damage_to_a_transaction_that_was_acknowledged_is_refused_and_takes_nothing_along() {
    let sim = SimDisk::new();
    let server = start(&sim, 2);
    let mut client = server.client();
    let pairs = (0..20).flat_map(|index| [format!("t{index}"), "1".to_owned()]);
    let mset: Vec<String> = std::iter::once("MSET".to_owned()).chain(pairs).collect();
    assert_eq!(client.call(&mset).expect("a reply"), ok());
    // All on one shard, as the tag says: the other one's log ends with the transaction.
    for index in 0..50 {
        set(&mut client, &format!("{{tag}}{index}"), "1");
    }
    let quiet = (0..2)
        .min_by_key(|shard| log_field(&mut client, *shard, "appended").parse::<u64>().expect("a number"));
    let quiet = quiet.expect("two shards");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let file = PathBuf::from(format!("/data/log-{}-0.seg", quiet + 1));
    sim.damage(&file, |bytes| bytes[4096 + 80] ^= 1);
    for _ in 0..2 {
        let error = refusal(&sim).to_string();
        assert!(error.contains(&format!("{} at byte 4096", file.display())), "{error}");
        assert!(error.contains(&format!("shard {quiet}'s part of transaction 1")), "{error}");
    }
    sim.damage(&file, |bytes| bytes[4096 + 80] ^= 1);
    let server = start(&sim, 1);
    assert_eq!(call(&mut server.client(), &["DBSIZE"]), Value::Integer(70));
}

#[test]
fn the_dump_file_cannot_have_the_name_of_a_data_file() {
    for name in ["LOCK", "MANIFEST", "checkpoint-1-shard-0.rdb", "log-1-0.seg", "pool-3.seg", "dump.tmp"] {
        let sim = SimDisk::new();
        let config = Config { dbfilename: name.into(), ..config(1, AppendFsync::Always) };
        let error = InProcess::start(&sim.mount(), config).err().expect("refused").to_string();
        assert!(error.contains(name) && sim.calls() == 0, "{error}");
    }
}
