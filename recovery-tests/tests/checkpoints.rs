//! Checkpoints in a running server: what happens around a cut, and what a start makes of it.

use everfast::config::AppendFsync;
use everfast::persist::disk::{CrashMode, SimDisk};
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::in_process::{InProcess, config};
use recovery_tests::switch_disk::{Call, Effect, Switches};
use rustix::io::Errno;

use crate::replies::{call, get, is_refusal, ok, set, try_call, until};

fn start(sim: &SimDisk, shards: u16) -> InProcess {
    InProcess::start(&sim.mount(), config(shards, AppendFsync::Always)).expect("it starts")
}

/// A field of INFO's section `persistence`.
fn persistence(client: &mut Client, field: &str) -> Option<String> {
    let Value::Bulk(text) = call(client, &["INFO", "persistence"]) else { panic!("INFO is text") };
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
}

fn wait_for_save(client: &mut Client) {
    let started = std::time::Instant::now();
    while persistence(client, "rdb_bgsave_in_progress").as_deref() != Some("0") {
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "the save does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_key_that_expires_after_the_cut_and_is_counted_anew_is_there_after_a_crash() {
    let sim = SimDisk::new();
    let server = start(&sim, 2);
    let mut client = server.client();
    for index in 0..20 {
        assert_eq!(call(&mut client, &["SET", &format!("c{index}"), "5", "PX", "60"]), ok());
    }
    assert_eq!(call(&mut client, &["SAVE"]), ok());
    for index in 0..20 {
        let key = format!("c{index}");
        until(&mut client, &["GET", &key], |reply| *reply == Value::Null);
        assert_eq!(call(&mut client, &["INCR", &key]), Value::Integer(1));
    }
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, 3);
    let mut client = server.client();
    for index in 0..20 {
        let key = format!("c{index}");
        assert_eq!(get(&mut client, &key).as_deref(), Some("1"), "{key}");
        assert_eq!(call(&mut client, &["TTL", &key]), Value::Integer(-1), "{key}");
    }
}

#[test]
fn what_is_flushed_while_a_checkpoint_is_written_stays_flushed() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let _off = switches.off_on_drop();
    let server =
        InProcess::start(&switches.before(sim.mount()), config(2, AppendFsync::Always)).expect("it starts");
    let mut client = server.client();
    for index in 0..100 {
        set(&mut client, &format!("k{index}"), "1");
    }
    switches.on(Call::Write, "checkpoint-", Effect::Wait);
    assert_eq!(call(&mut client, &["BGSAVE"]), Value::Simple("Background saving started".into()));
    assert_eq!(call(&mut client, &["FLUSHALL"]), ok());
    set(&mut client, "later", "1");
    let second = call(&mut client, &["BGSAVE"]);
    assert_eq!(second, Value::Error("ERR Background save already in progress".into()));
    assert_eq!(persistence(&mut client, "rdb_bgsave_in_progress").as_deref(), Some("1"));
    switches.all_off();
    wait_for_save(&mut client);
    assert_eq!(persistence(&mut client, "rdb_last_bgsave_status").as_deref(), Some("ok"));
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, 1);
    let mut client = server.client();
    assert_eq!(call(&mut client, &["DBSIZE"]), Value::Integer(1));
    assert_eq!(get(&mut client, "later").as_deref(), Some("1"));
}

#[test]
fn any_number_of_shards_begins_with_the_checkpoint_of_any_other() {
    let sim = SimDisk::new();
    let mut expected = 0;
    for (round, shards) in [1, 4, 3, 2, 1].into_iter().enumerate() {
        let server = start(&sim, shards);
        let mut client = server.client();
        assert_eq!(call(&mut client, &["DBSIZE"]), Value::Integer(expected), "with {shards} shards");
        for old in 0..round {
            for index in 0..40 {
                let key = format!("{old}-{index}");
                let value = if index < 20 { "saved" } else { "logged" };
                assert_eq!(get(&mut client, &key).as_deref(), Some(value), "{key} with {shards} shards");
            }
        }
        for index in 0..40 {
            if index == 20 {
                assert_eq!(call(&mut client, &["SAVE"]), ok());
            }
            set(&mut client, &format!("{round}-{index}"), if index < 20 { "saved" } else { "logged" });
            expected += 1;
        }
        server.power_cut(&sim, CrashMode::DropUnsynced);
    }
}

#[test]
fn a_checkpoint_gives_up_on_a_log_that_cannot_be_written() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let _off = switches.off_on_drop();
    let server =
        InProcess::start(&switches.before(sim.mount()), config(1, AppendFsync::Always)).expect("it starts");
    let (mut client, mut writer) = (server.client(), server.client());
    set(&mut client, "a", "1");
    switches.on(Call::Write, "log-1-0", Effect::Fail(Errno::NOSPC));
    assert_eq!(try_call(&mut writer, &["SET", "a", "2"]), None);
    until(&mut client, &["SET", "b", "1"], is_refusal);
    let error = call(&mut client, &["SAVE"]);
    assert!(matches!(&error, Value::Error(text) if text.contains("given up")), "{error:?}");
    switches.all_off();
    assert_eq!(writer.reply_within(crate::replies::SOON).expect("a reply"), Some(ok()));
    assert_eq!(call(&mut client, &["SAVE"]), ok(), "and the next one is well");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    assert_eq!(get(&mut start(&sim, 2).client(), "a").as_deref(), Some("2"));
}
