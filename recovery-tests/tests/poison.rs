//! A sync that fails: its log is poisoned. What it held stays held, writes are refused, reads of what is durable go on,
//! until a checkpoint from memory is durable; or until a restart, where no checkpoint can be made.

use everfast::config::AppendFsync;
use everfast::persist::disk::{CrashMode, Fault, SimDisk};
use everfast::server::ServerError;
use everfast::shard::shared::ShutdownRequest;
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::in_process::{InProcess, config};
use recovery_tests::switch_disk::{Call, Effect, Switches};
use rustix::io::Errno;

use crate::replies::{HELD, SOON, call, get, is_refusal, log_field, ok, set, try_call, until};

fn start(sim: &SimDisk, appendfsync: AppendFsync) -> InProcess {
    InProcess::start(&sim.mount(), config(1, appendfsync)).expect("it starts")
}

/// As [`start`], and no checkpoint can be written until the switches are off.
fn start_without_checkpoints(sim: &SimDisk, shards: u16, appendfsync: AppendFsync) -> (InProcess, Switches) {
    let switches = Switches::default();
    switches.on(Call::Write, "checkpoint-", Effect::Fail(Errno::IO));
    let disk = switches.before(sim.mount());
    (InProcess::start(&disk, config(shards, appendfsync)).expect("it starts"), switches)
}

/// A server with one shard whose log is poisoned under `always`: `held` was written and could not be synced.
fn poisoned(sim: &SimDisk) -> (InProcess, Client, Switches) {
    let (server, switches) = start_without_checkpoints(sim, 1, AppendFsync::Always);
    let (mut client, mut writer) = (server.client(), server.client());
    for index in 0..20 {
        set(&mut client, &format!("durable:{index}"), "1");
    }
    set(&mut client, "held", "before");
    sim.fail_at(sim.calls() + 1, Fault::SyncError);
    assert_eq!(try_call(&mut writer, &["SET", "held", "after"]), None);
    assert_eq!(log_field(&mut client, 0, "status"), "poisoned");
    (server, writer, switches)
}

fn check_durable(client: &mut Client) {
    for index in 0..20 {
        assert_eq!(get(client, &format!("durable:{index}")).as_deref(), Some("1"));
    }
}

#[test]
fn after_a_failed_sync_held_replies_never_leave_and_writes_are_refused() {
    let sim = SimDisk::new();
    let (server, mut writer, _switches) = poisoned(&sim);
    let mut client = server.client();
    let refusal = call(&mut client, &["SET", "late", "1"]);
    assert!(is_refusal(&refusal) && format!("{refusal:?}").contains("sync failed"), "{refusal:?}");
    check_durable(&mut client);
    let mut reader = server.client();
    assert_eq!(
        try_call(&mut reader, &["GET", "held"]),
        None,
        "neither the old value nor the new one is certain"
    );
    // Whatever else goes on, and although a sync would succeed now: what was held stays held.
    for _ in 0..20 {
        assert!(is_refusal(&call(&mut client, &["INCR", "late"])));
        assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "20"]), waited(0));
    }
    assert_eq!(writer.reply_within(HELD).expect("no error"), None);
    assert_eq!(reader.reply_within(HELD).expect("no error"), None);
    assert_eq!(get(&mut client, "late"), None);
}

fn waited(local: i64) -> Value {
    Value::Array(vec![Value::Integer(local), Value::Integer(0)])
}

#[test]
fn a_restart_after_a_failed_sync_brings_what_was_durable() {
    let ends: [Option<CrashMode>; 4] =
        [None, Some(CrashMode::DropUnsynced), Some(CrashMode::KeepRandom(1)), Some(CrashMode::KeepRandom(2))];
    for end in ends {
        let sim = SimDisk::new();
        let (server, _writer, _switches) = poisoned(&sim);
        match end {
            Some(mode) => server.power_cut(&sim, mode),
            None => drop(server), // the process ends, the machine does not: the page cache stays
        }
        let server = start(&sim, AppendFsync::Always);
        let mut client = server.client();
        check_durable(&mut client);
        let found = get(&mut client, "held").expect("its old value was acknowledged");
        match end {
            None => assert_eq!(found, "after", "what was written and can be read is kept"),
            Some(_) => {
                assert_eq!(found, "before", "{end:?}: the disk never got what the failed sync dropped")
            }
        }
        set(&mut client, "late", "1");
        // What was told once stays, also if it was read from a page cache that the disk never got.
        server.power_cut(&sim, CrashMode::DropUnsynced);
        let server = start(&sim, AppendFsync::Always);
        let mut client = server.client();
        check_durable(&mut client);
        assert_eq!(get(&mut client, "held"), Some(found), "{end:?}");
        assert_eq!(get(&mut client, "late").as_deref(), Some("1"), "{end:?}");
    }
}

#[test]
fn under_everysec_a_failed_sync_refuses_writes_and_costs_what_was_not_durable() {
    let sim = SimDisk::new();
    let (server, _switches) = start_without_checkpoints(&sim, 1, AppendFsync::Everysec);
    let mut client = server.client();
    set(&mut client, "counter", "0");
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "10000"]), waited(1));
    for number in 1..=50 {
        assert_eq!(call(&mut client, &["INCR", "counter"]), Value::Integer(number));
    }
    sim.fail_at(sim.calls() + 1, Fault::SyncError);
    assert_eq!(
        call(&mut client, &["WAITAOF", "1", "0", "300"]),
        waited(0),
        "it is not durable, and that is told"
    );
    until(&mut client, &["SET", "late", "1"], is_refusal);
    assert_eq!(
        get(&mut client, "counter").as_deref(),
        Some("50"),
        "under everysec a reply tells what is in memory"
    );
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, AppendFsync::Everysec);
    assert_eq!(get(&mut server.client(), "counter").as_deref(), Some("0"), "what WAITAOF confirmed is there");
}

#[test]
fn a_transaction_that_one_poisoned_log_lacks_is_nowhere() {
    let sim = SimDisk::new();
    let (server, _writer, _switches) = poisoned_within_a_transaction(&sim);
    let mut client = server.client();
    let statuses: Vec<String> = (0..3).map(|shard| log_field(&mut client, shard, "status")).collect();
    assert_eq!(statuses, ["ok", "poisoned", "ok"]);
    // Whatever comes next is refused, also on shards whose logs are sound: it stands behind a transaction that recovery
    // cuts, and could never be acknowledged.
    assert!(is_refusal(&client.call(&mset("later")).expect("a reply")));
    for index in 0..12 {
        assert!(is_refusal(&call(&mut client, &["SET", &format!("new{index}"), "1"])), "new{index}");
    }
    server.power_cut(&sim, CrashMode::DropUnsynced);
    check_keys(&start(&sim, AppendFsync::Always), "before");
}

/// A server with three shards, of which the second's log is poisoned while it holds a part of an MSET.
fn poisoned_within_a_transaction(sim: &SimDisk) -> (InProcess, Client, Switches) {
    let (server, switches) = start_without_checkpoints(sim, 3, AppendFsync::Always);
    let mut writer = server.client();
    assert_eq!(writer.call(&mset("before")).expect("a reply"), ok());
    switches.on(Call::Sync, "log-2-", Effect::Fail(Errno::IO));
    writer.send(&mset("after")).expect("it is sent");
    assert_eq!(writer.reply_within(HELD).expect("no error"), None);
    (server, writer, switches)
}

/// So many that each shard has some.
fn keys() -> impl Iterator<Item = String> {
    (0..100).map(|index| format!("k{index}"))
}

fn mset(value: &str) -> Vec<String> {
    let pairs = keys().flat_map(|key| [key, value.to_owned()]);
    std::iter::once("MSET".to_owned()).chain(pairs).collect()
}

fn check_keys(server: &InProcess, value: &str) {
    let mut client = server.client();
    for key in keys() {
        assert_eq!(get(&mut client, &key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn a_checkpoint_heals_a_poisoned_log_and_lets_held_replies_go() {
    let sim = SimDisk::new();
    let (server, mut writer, switches) = poisoned(&sim);
    let mut client = server.client();
    let mut reader = server.client();
    assert_eq!(try_call(&mut reader, &["GET", "held"]), None);
    assert_eq!(writer.reply_within(HELD).expect("no error"), None, "no checkpoint, no reply");
    switches.all_off();
    assert_eq!(writer.reply_within(SOON).expect("a reply"), Some(ok()));
    assert_eq!(reader.reply_within(SOON).expect("a reply"), Some(crate::replies::bulk("after")));
    assert_eq!(log_field(&mut client, 0, "status"), "ok");
    set(&mut client, "late", "1");
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, AppendFsync::Always);
    let mut client = server.client();
    check_durable(&mut client);
    assert_eq!(get(&mut client, "held").as_deref(), Some("after"));
    assert_eq!(get(&mut client, "late").as_deref(), Some("1"));
}

#[test]
fn a_checkpoint_heals_a_poisoned_log_among_others_and_its_transactions() {
    let sim = SimDisk::new();
    let (server, mut writer, switches) = poisoned_within_a_transaction(&sim);
    let mut client = server.client();
    switches.all_off();
    assert_eq!(writer.reply_within(SOON).expect("a reply"), Some(ok()));
    assert_eq!(client.call(&mset("later")).expect("a reply"), ok());
    server.power_cut(&sim, CrashMode::DropUnsynced);
    check_keys(&start(&sim, AppendFsync::Always), "later");
}

#[test]
fn under_everysec_a_poisoned_log_is_healed_too() {
    let sim = SimDisk::new();
    let (server, switches) = start_without_checkpoints(&sim, 1, AppendFsync::Everysec);
    let mut client = server.client();
    set(&mut client, "counter", "0");
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "10000"]), waited(1));
    assert_eq!(call(&mut client, &["INCR", "counter"]), Value::Integer(1));
    sim.fail_at(sim.calls() + 1, Fault::SyncError);
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "300"]), waited(0));
    until(&mut client, &["SET", "late", "1"], is_refusal);
    switches.all_off();
    until(&mut client, &["SET", "late", "1"], |reply| *reply == ok());
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "10000"]), waited(1));
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim, AppendFsync::Everysec);
    assert_eq!(get(&mut server.client(), "counter").as_deref(), Some("1"));
}

#[test]
fn shutdown_with_a_poisoned_log_is_refused_unless_told_otherwise() {
    for word in ["NOSAVE", "FORCE"] {
        let sim = SimDisk::new();
        let (server, _writer, _switches) = poisoned(&sim);
        let mut client = server.client();
        let refusal = Value::Error("ERR Errors trying to SHUTDOWN. Check logs.".into());
        assert_eq!(call(&mut client, &["SHUTDOWN"]), refusal);
        assert_eq!(call(&mut client, &["SHUTDOWN", "SAVE"]), refusal);
        check_durable(&mut client);
        client.send(&["SHUTDOWN", word]).expect("it is sent");
        assert!(
            client.reply_within(SOON).is_err(),
            "a server that ends closes the connection without a word"
        );
        match server.stop(ShutdownRequest::default()) {
            Err(ServerError::Close(error)) => assert!(error.to_string().contains("sync failed"), "{error}"),
            other => panic!("{word}: it ended with {other:?}, though not all is on stable storage"),
        }
        check_durable(&mut start(&sim, AppendFsync::Always).client());
    }
}

#[test]
fn shutdown_on_a_full_disk_is_refused_until_there_is_room() {
    let sim = SimDisk::new();
    let server = start(&sim, AppendFsync::Always);
    let (mut client, mut writer) = (server.client(), server.client());
    sim.set_disk_full(true);
    assert_eq!(try_call(&mut writer, &["SET", "k", "v"]), None);
    assert_eq!(
        call(&mut client, &["SHUTDOWN"]),
        Value::Error("ERR Errors trying to SHUTDOWN. Check logs.".into())
    );
    sim.set_disk_full(false);
    assert_eq!(writer.reply_within(SOON).expect("a reply"), Some(ok()));
    client.send(&["SHUTDOWN"]).expect("it is sent");
    assert!(client.reply_within(SOON).is_err());
    assert!(server.stop(ShutdownRequest::default()).is_ok());
    assert_eq!(get(&mut start(&sim, AppendFsync::Always).client(), "k").as_deref(), Some("v"));
}
