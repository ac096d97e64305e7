//! Writes that fail: a full disk, EIO, short writes. Writes are refused and resume, reads go on, nothing acknowledged
//! is lost. Here belongs what heals by itself; what does not is in `poison`.

use std::sync::Arc;
use std::time::Instant;

use everfast::config::AppendFsync;
use everfast::persist::disk::{CrashMode, Disk, Fault, SimDisk};
use formats::resp::Value;
use recovery_tests::client::Client;
use recovery_tests::in_process::{InProcess, config};
use recovery_tests::switch_disk::{Call, Effect, Switches};
use rustix::io::Errno;

use crate::replies::{HELD, SOON, bulk, call, get, is_refusal, log_field, ok, set, try_call, until};

const SHARDS: u16 = 2;
const DURABLE: usize = 20;

fn start(disk: &Arc<dyn Disk>, appendfsync: AppendFsync) -> InProcess {
    InProcess::start(disk, config(SHARDS, appendfsync)).expect("it starts")
}

fn fill(client: &mut Client) {
    for index in 0..DURABLE {
        set(client, &format!("durable:{index}"), &format!("value {index}"));
    }
}

fn check_filled(client: &mut Client) {
    for index in 0..DURABLE {
        assert_eq!(get(client, &format!("durable:{index}")), Some(format!("value {index}")));
    }
}

/// Writes under `always` that cannot become durable: each reply is held, or a refusal. Answers the keys and connections
/// of those that are held.
fn write_in_vain(server: &InProcess) -> Vec<(String, Client)> {
    let mut held = Vec::new();
    for index in 0..16 {
        let (key, mut client) = (format!("new:{index}"), server.client());
        match try_call(&mut client, &["SET", &key, "new"]) {
            None => held.push((key, client)),
            Some(reply) => assert!(is_refusal(&reply), "SET {key} was answered {reply:?}"),
        }
    }
    assert!((1..=usize::from(SHARDS)).contains(&held.len()), "{} writes before the refusals", held.len());
    held
}

#[test]
fn under_always_a_full_disk_acknowledges_nothing_and_resumes_by_itself() {
    let sim = SimDisk::new();
    let server = start(&sim.mount(), AppendFsync::Always);
    let mut client = server.client();
    fill(&mut client);

    sim.set_disk_full(true);
    let held = write_in_vain(&server);
    check_filled(&mut client);
    let mut readers: Vec<Client> = held.iter().map(|_| server.client()).collect();
    for ((key, _), reader) in held.iter().zip(&mut readers) {
        assert_eq!(try_call(reader, &["GET", key]), None, "{key} could still be taken away by a crash");
    }

    sim.set_disk_full(false);
    for ((key, mut writer), mut reader) in held.into_iter().zip(readers) {
        assert_eq!(writer.reply_within(SOON).expect("a reply"), Some(ok()), "{key}");
        assert_eq!(reader.reply_within(SOON).expect("a reply"), Some(bulk("new")), "{key}");
        // Another log may still pause before it tries again.
        until(&mut client, &["SET", &format!("{key}:after"), "after"], |reply| *reply == ok());
        server_keeps(&mut client, &key);
    }
    let kept = kept_keys(&mut client);
    server.power_cut(&sim, CrashMode::DropUnsynced);

    let server = start(&sim.mount(), AppendFsync::Always);
    let mut client = server.client();
    check_filled(&mut client);
    assert_eq!(kept_keys(&mut client), kept);
}

fn server_keeps(client: &mut Client, key: &str) {
    assert_eq!(get(client, key).as_deref(), Some("new"));
}

/// All keys but the durable ones, sorted.
fn kept_keys(client: &mut Client) -> Vec<Value> {
    let Value::Array(mut keys) = call(client, &["KEYS", "new:*"]) else { panic!("KEYS answers an array") };
    keys.sort_by_key(|key| format!("{key:?}"));
    assert!(!keys.is_empty());
    keys
}

#[test]
fn under_everysec_a_full_disk_refuses_writes_and_resumes_by_itself() {
    let sim = SimDisk::new();
    let server = start(&sim.mount(), AppendFsync::Everysec);
    let mut client = server.client();
    fill(&mut client);

    sim.set_disk_full(true);
    let mut acknowledged = Vec::new();
    loop {
        let key = format!("new:{}", acknowledged.len());
        match call(&mut client, &["SET", &key, "new"]) {
            reply if reply == ok() => acknowledged.push(key),
            reply => break assert!(is_refusal(&reply), "{reply:?}"),
        }
        assert!(acknowledged.len() < 20_000, "nothing is ever refused");
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
    assert!(!acknowledged.is_empty(), "what fits into memory is acknowledged until the disk says no");
    check_filled(&mut client);
    for key in &acknowledged {
        server_keeps(&mut client, key);
    }

    sim.set_disk_full(false);
    for shard in 0..SHARDS {
        until(&mut client, &["SET", &format!("new:again:{shard}"), "new"], |reply| *reply == ok());
        acknowledged.push(format!("new:again:{shard}"));
    }
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "10000"]), integers(&[1, 0]));
    server.power_cut(&sim, CrashMode::DropUnsynced);

    let server = start(&sim.mount(), AppendFsync::Everysec);
    let mut client = server.client();
    check_filled(&mut client);
    for key in &acknowledged {
        server_keeps(&mut client, key);
    }
}

fn integers(numbers: &[i64]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::Integer(*number)).collect())
}

/// The next `times` writes of a server with one shard fail with `fault`.
fn failing_write(fault: Fault, times: u64) {
    let sim = SimDisk::new();
    let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
    let (mut client, mut writer) = (server.client(), server.client());
    fill(&mut client);
    for call in sim.calls()..sim.calls() + times {
        sim.fail_at(call, fault);
    }
    let value = "x".repeat(5000);
    assert_eq!(try_call(&mut writer, &["SET", "held", &value]), None);
    assert!(is_refusal(&call(&mut client, &["SET", "refused", "1"])));
    assert_eq!(log_field(&mut client, 0, "status"), "refusing");
    check_filled(&mut client);
    assert_eq!(writer.reply_within(SOON).expect("a reply"), Some(ok()));
    until(&mut client, &["SET", "again", "1"], |reply| *reply == ok());
    server.power_cut(&sim, CrashMode::KeepRandom(times));

    let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
    let mut client = server.client();
    check_filled(&mut client);
    assert_eq!(get(&mut client, "held"), Some(value));
    assert_eq!(get(&mut client, "refused"), None);
    assert_eq!(get(&mut client, "again").as_deref(), Some("1"));
}

#[test]
fn a_write_that_fails_with_eio_is_tried_again() {
    failing_write(Fault::Eio, 4);
}

#[test]
fn a_write_without_room_is_tried_again() {
    failing_write(Fault::Enospc, 4);
}

#[test]
fn a_short_write_is_continued() {
    for length in [1, 100, 5000, 100_000] {
        let sim = SimDisk::new();
        let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
        let mut client = server.client();
        // The first write is cut short, and so is what continues it.
        sim.fail_at(sim.calls(), Fault::ShortWrite);
        sim.fail_at(sim.calls() + 1, Fault::ShortWrite);
        let value = "x".repeat(length);
        set(&mut client, "k", &value);
        assert_eq!(log_field(&mut client, 0, "status"), "ok", "a short write is no error");
        server.power_cut(&sim, CrashMode::DropUnsynced);
        let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
        assert_eq!(get(&mut server.client(), "k"), Some(value));
    }
}

#[test]
fn a_short_write_and_then_no_room_leaves_nothing_half_written() {
    for mode in [CrashMode::DropUnsynced, CrashMode::KeepRandom(3), CrashMode::KeepRandom(4)] {
        let sim = SimDisk::new();
        let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
        let (mut client, mut writer) = (server.client(), server.client());
        fill(&mut client);
        sim.fail_at(sim.calls(), Fault::ShortWrite);
        for call in sim.calls() + 1..sim.calls() + 4 {
            sim.fail_at(call, Fault::Enospc);
        }
        let value = "x".repeat(9000);
        assert_eq!(try_call(&mut writer, &["SET", "held", &value]), None);
        // The power goes while half of the frame is there.
        server.power_cut(&sim, mode);
        let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
        let mut client = server.client();
        check_filled(&mut client);
        assert_eq!(get(&mut client, "held"), None, "half a frame is none");
    }
}

#[test]
fn a_held_write_holds_reads_of_its_own_key_alone() {
    let sim = SimDisk::new();
    let server = InProcess::start(&sim.mount(), config(1, AppendFsync::Always)).expect("it starts");
    let (mut client, mut writer) = (server.client(), server.client());
    // Many more than the shard's table of recent writes has slots.
    let mut many: Vec<String> = vec!["MSET".into()];
    many.extend((0..60_000).flat_map(|index| [format!("k{index}"), "v".into()]));
    assert_eq!(client.call(&many).expect("a reply"), ok());
    sim.set_disk_full(true);
    assert_eq!(try_call(&mut writer, &["SET", "held", "1"]), None);
    let keys = many[1..].iter().step_by(2).cloned();
    client.send(&std::iter::once("MGET".to_owned()).chain(keys).collect::<Vec<_>>()).expect("it is sent");
    match client.reply_within(SOON).expect("no error") {
        Some(Value::Array(values)) => assert!(values.iter().all(|value| *value == bulk("v"))),
        other => panic!("reads of durable keys were answered {other:?}"),
    }
}

/// Writes until both shards refuse because one log cannot write.
fn until_all_is_refused(server: &InProcess) {
    let started = Instant::now();
    let is_refused = |index: usize| {
        try_call(&mut server.client(), &["SET", &format!("probe:{index}"), "1"])
            .is_some_and(|reply| is_refusal(&reply))
    };
    // All are tried: one of them has to meet the fault.
    while (0..32).filter(|index| is_refused(*index)).count() < 32 {
        assert!(started.elapsed() < SOON, "nothing is refused");
    }
}

#[test]
fn one_log_that_refuses_stops_all_writes_and_commands_over_shards_as_a_whole() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let disk = switches.before(sim.mount());
    let server = start(&disk, AppendFsync::Always);
    let mut client = server.client();
    fill(&mut client);

    switches.on(Call::Write, "log-2-", Effect::Fail(Errno::NOSPC));
    until_all_is_refused(&server);
    let keys: Vec<String> = (0..DURABLE).map(|index| format!("durable:{index}")).collect();
    let mut mset = vec!["MSET"];
    mset.extend(keys.iter().flat_map(|key| [key.as_str(), "changed"]));
    let mut del = vec!["DEL"];
    del.extend(keys.iter().map(String::as_str));
    for command in [&mset[..], &del, &["FLUSHALL"], &["FLUSHDB"]] {
        assert!(is_refusal(&call(&mut client, command)), "{command:?}");
        check_filled(&mut client);
    }
    for pair in keys.windows(2) {
        for command in [["RENAME", &pair[0], &pair[1]], ["COPY", &pair[1], "copy"], ["INCR", &pair[0], ""]] {
            let words = command.split(|word| word.is_empty()).next().unwrap_or(&command);
            assert!(is_refusal(&call(&mut client, words)), "{words:?}");
        }
    }
    check_filled(&mut client);

    switches.all_off();
    until(&mut client, &mset, |reply| *reply == ok());
    until(&mut client, &["SET", "after", "1"], |reply| *reply == ok());
    server.power_cut(&sim, CrashMode::DropUnsynced);
    let server = start(&sim.mount(), AppendFsync::Always);
    let mut client = server.client();
    for key in &keys {
        assert_eq!(get(&mut client, key).as_deref(), Some("changed"), "{key}");
    }
    assert_eq!(get(&mut client, "after").as_deref(), Some("1"));
}

#[test]
fn under_everysec_nothing_is_taken_behind_a_transaction_that_one_log_lacks() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let server = start(&switches.before(sim.mount()), AppendFsync::Everysec);
    let mut client = server.client();
    fill(&mut client);
    assert_eq!(call(&mut client, &["WAITAOF", "1", "0", "10000"]), integers(&[1, 0]));
    switches.on(Call::Write, "log-2-", Effect::Fail(Errno::IO));
    let mut mset = vec!["MSET".to_owned()];
    mset.extend((0..DURABLE).flat_map(|index| [format!("durable:{index}"), "changed".into()]));
    assert_eq!(client.call(&mset).expect("a reply"), ok(), "the fault is not known yet");
    until_all_is_refused(&server);
    // Recovery will cut both logs before the MSET. What a sound log would take from now on would be lost with it, however
    // much later the crash comes.
    for index in 0..DURABLE {
        assert!(is_refusal(&call(&mut client, &["SET", &format!("late:{index}"), "1"])), "late:{index}");
    }
    server.power_cut(&sim, CrashMode::DropUnsynced);
    check_filled(&mut start(&sim.mount(), AppendFsync::Everysec).client());
}

#[test]
fn a_command_over_shards_that_one_log_cannot_write_is_held_as_a_whole() {
    let sim = SimDisk::new();
    let switches = Switches::default();
    let server = start(&switches.before(sim.mount()), AppendFsync::Always);
    let mut client = server.client();
    fill(&mut client);
    switches.on(Call::Write, "log-2-", Effect::Fail(Errno::IO));

    let mut writer = server.client();
    let mut command = vec!["MSET".to_owned()];
    command.extend((0..DURABLE).flat_map(|index| [format!("durable:{index}"), "changed".into()]));
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    assert_eq!(try_call(&mut writer, &words), None);
    // One log has its part on disk, the other has not: no reader may see either.
    let mut readers: Vec<Client> = (0..DURABLE).map(|_| server.client()).collect();
    for (index, reader) in readers.iter_mut().enumerate() {
        reader.send(&["GET", &format!("durable:{index}")]).expect("it is sent");
    }
    std::thread::sleep(HELD);
    for reader in &mut readers {
        assert_eq!(reader.reply_within(HELD / 50).expect("no error"), None);
    }
    server.power_cut(&sim, CrashMode::DropUnsynced);
    check_filled(&mut start(&sim.mount(), AppendFsync::Always).client());
}
