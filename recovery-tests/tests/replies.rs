//! What the tests of faults ask a server, and how they read its replies.

use std::time::{Duration, Instant};

use formats::resp::Value;
use recovery_tests::client::Client;

/// Longest wait for something that must come.
pub const SOON: Duration = Duration::from_secs(10);
/// A reply that has not come by then is held.
pub const HELD: Duration = Duration::from_millis(150);

pub fn ok() -> Value {
    Value::Simple("OK".into())
}

pub fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

/// Whether a reply is the refusal of a write, in Redis' words, with a reason.
pub fn is_refusal(reply: &Value) -> bool {
    const START: &str = "MISCONF Errors writing to the AOF file: ";
    matches!(reply, Value::Error(text) if text.starts_with(START) && text.len() > START.len())
}

pub fn call(client: &mut Client, args: &[&str]) -> Value {
    client.call(args).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

/// Sends a command and answers its reply if it comes before [`HELD`] is over.
pub fn try_call(client: &mut Client, args: &[&str]) -> Option<Value> {
    client.send(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
    client.reply_within(HELD).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

pub fn get(client: &mut Client, key: &str) -> Option<String> {
    match call(client, &["GET", key]) {
        Value::Null => None,
        Value::Bulk(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => panic!("GET {key} was answered {other:?}"),
    }
}

pub fn set(client: &mut Client, key: &str, value: &str) {
    assert_eq!(call(client, &["SET", key, value]), ok(), "SET {key}");
}

/// Asks again and again until the reply is as wanted.
pub fn until(client: &mut Client, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let started = Instant::now();
    loop {
        let reply = call(client, args);
        if wanted(&reply) {
            return reply;
        }
        assert!(started.elapsed() < SOON, "{args:?} is still answered {reply:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A field of INFO's section `log`, of a shard: `status`, `queue_bytes` ...
pub fn log_field(client: &mut Client, shard: u16, field: &str) -> String {
    let Value::Bulk(text) = call(client, &["INFO", "log"]) else { panic!("INFO is text") };
    let text = String::from_utf8_lossy(&text).into_owned();
    let line =
        text.lines().find_map(|line| line.strip_prefix(&format!("shard{shard}:"))).expect("a shard's line");
    let fields = line.split(',').filter_map(|pair| pair.split_once('='));
    fields.into_iter().find(|(name, _)| *name == field).expect("a field").1.to_owned()
}
