//! A disk that does not take writes for a while: the log's queue fills up to its limit, then connections that write wait,
//! reads go on, and memory stays bounded.

use std::time::Instant;

use everfast::config::{AppendFsync, Config};
use everfast::persist::disk::{CrashMode, SimDisk};
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::in_process::{InProcess, config};
use recovery_tests::switch_disk::{Call, Effect, Switches};

use crate::replies::{HELD, SOON, bulk, call, get, log_field, ok, set};

const SHARDS: u16 = 2;
const WRITERS: usize = 4;
/// Commands of each writer, and the size of their values: together 64 MiB, half of it for each shard.
const COMMANDS: usize = 1024;
const VALUE_BYTES: usize = 16 << 10;
const LIMIT_BYTES: usize = 1 << 20;
/// What may be under way before a full queue is seen: what a shard gathers (1 MiB), and from each connection of another
/// shard the rounds in flight (64, each of one read of 64 KiB).
const SLACK_BYTES: usize = (1 << 20) + WRITERS * 64 * (64 << 10);

fn limited(appendfsync: AppendFsync) -> Config {
    Config {
        log_queue_limit_bytes: LIMIT_BYTES as u64,
        segment_size_bytes: 8 << 20,
        ..config(SHARDS, appendfsync)
    }
}

fn value(writer: usize, command: usize) -> String {
    format!("{writer}:{command}:{}", "x".repeat(VALUE_BYTES))
}

fn write_at_a_disk_that_waits(appendfsync: AppendFsync) {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let server = InProcess::start(&switches.before(sim.mount()), limited(appendfsync)).expect("it starts");
    let mut client = server.client();
    set(&mut client, "durable", "1");
    assert_eq!(
        call(&mut client, &["WAITAOF", "1", "0", "10000"]),
        Value::Array(vec![Value::Integer(1), Value::Integer(0)])
    );

    switches.on(Call::Write, "log-", Effect::Wait);
    std::thread::scope(|scope| {
        // Should an assertion fail, the writers must come to an end all the same.
        let _off = switches.off_on_drop();
        for writer in 0..WRITERS {
            let mut client = server.client();
            scope.spawn(move || {
                for command in 0..COMMANDS {
                    let key = format!("w:{writer}:{command}");
                    client.queue(&["SET", &key, &value(writer, command)]);
                }
                client.flush().expect("it is sent at last");
                for _ in 0..COMMANDS {
                    assert_eq!(client.reply().expect("a reply at last"), ok());
                }
            });
        }
        let queued = |client: &mut Client, shard| -> usize {
            log_field(client, shard, "queue_bytes").parse().expect("bytes")
        };
        let fullest =
            |client: &mut Client| (0..SHARDS).map(|shard| queued(client, shard)).max().unwrap_or_default();
        let started = Instant::now();
        // One is enough: all writers wait at it sooner or later, and the others have nothing more to do.
        while fullest(&mut client) < LIMIT_BYTES {
            assert!(started.elapsed() < SOON, "no queue fills");
            std::thread::sleep(HELD / 30);
        }
        for _ in 0..20 {
            let bytes = fullest(&mut client);
            assert!(bytes <= LIMIT_BYTES + SLACK_BYTES, "{bytes} bytes wait for the disk");
            assert_eq!(get(&mut client, "durable").as_deref(), Some("1"), "a read does not wait");
            std::thread::sleep(HELD / 10);
        }
        let full = (0..SHARDS).max_by_key(|&shard| queued(&mut client, shard)).expect("a shard");
        let appended = log_field(&mut client, full, "appended");
        let mut late: Vec<Client> = (0..16).map(|_| server.client()).collect();
        for (index, client) in late.iter_mut().enumerate() {
            client.send(&["SET", &format!("late:{index}"), "1"]).expect("it is sent");
        }
        std::thread::sleep(HELD);
        assert_eq!(log_field(&mut client, full, "appended"), appended, "a write did not wait");
        assert_eq!(log_field(&mut client, 0, "status"), "ok", "a slow disk is no broken one");
    });
    assert_eq!(
        call(&mut client, &["WAITAOF", "1", "0", "10000"]),
        Value::Array(vec![Value::Integer(1), Value::Integer(0)])
    );
    server.power_cut(&sim, CrashMode::DropUnsynced);

    let server = InProcess::start(&sim.mount(), limited(appendfsync)).expect("it starts");
    let mut client = server.client();
    for (writer, command) in
        (0..WRITERS).flat_map(|writer| (0..COMMANDS).map(move |command| (writer, command)))
    {
        let found = call(&mut client, &["GET", &format!("w:{writer}:{command}")]);
        assert!(found == bulk(&value(writer, command)), "w:{writer}:{command} is not as it was acknowledged");
    }
}

#[test]
fn under_everysec_writers_wait_at_the_limit_and_readers_do_not() {
    write_at_a_disk_that_waits(AppendFsync::Everysec);
}

#[test]
fn under_always_writers_wait_at_the_limit_and_readers_do_not() {
    write_at_a_disk_that_waits(AppendFsync::Always);
}

#[test]
fn a_transaction_waits_for_room_in_every_log_that_it_needs() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let server =
        InProcess::start(&switches.before(sim.mount()), limited(AppendFsync::Everysec)).expect("it starts");
    let (mut client, mut writer, mut other) = (server.client(), server.client(), server.client());
    let keys: Vec<String> = (0..32).map(|index| format!("k{index}")).collect();
    let mset = |value: &str| -> Vec<String> {
        let pairs = keys.iter().flat_map(|key| [key.clone(), value.to_owned()]);
        std::iter::once("MSET".to_owned()).chain(pairs).collect()
    };
    assert_eq!(client.call(&mset("before")).expect("a reply"), ok());
    switches.on(Call::Write, "log-2-", Effect::Wait);
    let _off = switches.off_on_drop();
    // Until the queue of the one log is full. The other one's writes go through.
    let big = "x".repeat(LIMIT_BYTES / 4);
    let mut waiting = Vec::new();
    for index in 0..32 {
        let mut client = server.client();
        client.send(&["SET", &format!("big:{index}"), &big]).expect("it is sent");
        if client.reply_within(HELD).expect("no error").is_none() {
            waiting.push(client);
        }
        if waiting.len() > 1 {
            break;
        }
    }
    assert_eq!(waiting.len(), 2, "the queue never fills");
    writer.send(&mset("after")).expect("it is sent");
    other.send(&["RENAME", &keys[0], "renamed"]).expect("it is sent");
    assert_eq!(writer.reply_within(HELD).expect("no error"), None);
    for key in &keys[1..] {
        assert_eq!(
            get(&mut client, key).as_deref(),
            Some("before"),
            "nothing of it is done before all of it can be"
        );
    }
    switches.all_off();
    assert_eq!(writer.reply().expect("a reply"), ok());
    assert!(matches!(other.reply().expect("a reply"), Value::Simple(_)));
    for client in &mut waiting {
        assert_eq!(client.reply().expect("a reply"), ok());
    }
    for key in &keys[1..] {
        assert_eq!(get(&mut client, key).as_deref(), Some("after"));
    }
}
