//! The model of Redis against Redis 7.0 itself: random keys of all types and sizes are loaded by `redis-server`, which is
//! asked what they take.
//!
//! Of another version than 7.0 the model says nothing: then the tests say so and end.

#[path = "../../tests/harness/redis_server.rs"]
mod redis_server;

use std::collections::BTreeMap;
use std::process::Command;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, Scratch, ValueType};

use self::redis_server::RedisServer;
use super::*;

struct Server {
    redis: RedisServer,
    connection: ::redis::Connection,
}

impl Server {
    fn start() -> Option<Server> {
        let version = Command::new("redis-server").arg("--version").output();
        let version = version.expect("redis-server is installed (cargo xtask test does it)");
        if !String::from_utf8_lossy(&version.stdout).contains("v=7.0.") {
            return None;
        }
        let redis = RedisServer::start();
        Some(Server { connection: redis.connect(), redis })
    }

    /// The reply's text, or its parts in a row.
    fn call(&mut self, command: &[&[u8]]) -> String {
        let mut words = ::redis::Cmd::new();
        words.arg(command);
        text_of(&words.query(&mut self.connection).unwrap())
    }

    /// What the data set takes with the tables of keys and expiries, but without what connections have.
    fn data_bytes(&mut self) -> f64 {
        let stats = self.call(&[b"MEMORY", b"STATS"]);
        let words: Vec<&str> = stats.split_whitespace().collect();
        let figure = |name| -> f64 {
            let at = words.iter().position(|&word| word == name);
            at.map_or(0.0, |at| words[at + 1].parse().unwrap())
        };
        figure("dataset.bytes") + figure("overhead.hashtable.main") + figure("overhead.hashtable.expires")
    }

    fn allocator(&mut self) -> Allocator {
        self.call(&[b"SET", b"a", b"b"]);
        let usage: u64 = self.call(&[b"MEMORY", b"USAGE", b"a"]).parse().unwrap();
        self.call(&[b"DEL", b"a"]);
        if usage == 24 + 8 + 24 { Allocator::Bundled } else { Allocator::System }
    }

    /// Has the data set saved and loaded, and gives the file.
    fn reload(&mut self) -> Vec<u8> {
        let file = std::fs::read(self.redis.save()).unwrap();
        self.call(&[b"DEBUG", b"RELOAD", b"NOSAVE"]);
        file
    }
}

fn text_of(reply: &::redis::Value) -> String {
    match reply {
        ::redis::Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ::redis::Value::SimpleString(text) => text.clone(),
        ::redis::Value::Int(number) => number.to_string(),
        ::redis::Value::Array(parts) => parts.iter().map(|part| text_of(part) + " ").collect(),
        _ => String::new(),
    }
}

/// xorshift64: the same keys in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Small numbers far more often than large ones.
    fn size(&mut self, bits: u64) -> u64 {
        let bits = 1 + self.below(bits);
        1 + self.below(1 << bits)
    }

    fn text(&mut self, most_bits: u64) -> Vec<u8> {
        match self.below(4) {
            0 => (self.0 as i64 >> self.below(64)).to_string().into_bytes(),
            _ => (0..self.size(most_bits)).map(|_| b'a' + self.below(26) as u8).collect(),
        }
    }
}

const TYPES: [ValueType; 6] = [
    ValueType::String,
    ValueType::List,
    ValueType::Set,
    ValueType::SortedSet,
    ValueType::Hash,
    ValueType::Stream,
];

/// Creates a key of a random size.
fn create(server: &mut Server, random: &mut Random, value_type: ValueType, key: &[u8]) {
    let elements = random.size(10);
    let bits = 1 + random.below(8);
    let mut command: Vec<Vec<u8>> = match value_type {
        ValueType::String => vec![b"SET".into(), key.into(), random.text(16)],
        ValueType::List => vec![b"RPUSH".into(), key.into()],
        ValueType::Set => vec![b"SADD".into(), key.into()],
        ValueType::SortedSet => vec![b"ZADD".into(), key.into()],
        ValueType::Hash => vec![b"HSET".into(), key.into()],
        _ => return create_stream(server, random, key, elements),
    };
    let all_integers = random.below(3) == 0;
    let fractions = random.below(2) == 0;
    for i in 0..if value_type == ValueType::String { 0 } else { elements } {
        let text = random.text(bits);
        match value_type {
            ValueType::Set if all_integers => command.push((i * 37).to_string().into_bytes()),
            ValueType::SortedSet => {
                let score =
                    if fractions { random.below(1000) as f64 / 7.0 } else { random.below(1 << 20) as f64 };
                command.extend([score.to_string().into_bytes(), text]);
            }
            ValueType::Hash => command.extend([format!("field{i}").into_bytes(), text]),
            _ => command.push(text),
        }
    }
    server.call(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

fn create_stream(server: &mut Server, random: &mut Random, key: &[u8], entries: u64) {
    let mut ms = 1_700_000_000_000;
    let mut pipe = ::redis::pipe();
    for _ in 0..entries {
        ms += random.size(16);
        let (id, value) = (format!("{ms}-{}", random.below(3)), random.text(6));
        pipe.cmd("XADD").arg(key).arg(id).arg("temperature").arg(value).arg("unit").arg("C").ignore();
    }
    pipe.exec(&mut server.connection).unwrap();
    for group in 0..random.below(3) {
        let group = format!("group{group}");
        server.call(&[b"XGROUP", b"CREATE", key, group.as_bytes(), b"0"]);
        for consumer in [b"anna", b"bert"] {
            let count = random.below(entries) + 1;
            let count = count.to_string();
            server.call(&[
                b"XREADGROUP",
                b"GROUP",
                group.as_bytes(),
                consumer,
                b"COUNT",
                count.as_bytes(),
                b"STREAMS",
                key,
                b">",
            ]);
        }
    }
}

fn median(mut errors: Vec<f64>) -> f64 {
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

#[test]
fn agrees_with_memory_usage_key_by_key() {
    let Some(mut server) = Server::start() else { return println!("redis-server is not 7.0") };
    let allocator = server.allocator();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for i in 0..1500 {
        let key = format!("key:{i}:{}", "k".repeat(random.below(60) as usize));
        // Streams are not compared: MEMORY USAGE takes 250 bytes for each node of the radix tree.
        create(&mut server, &mut random, TYPES[i % 5], key.as_bytes());
    }
    let file = server.reload();
    let redis = Redis::with_structures(allocator, Allocator::Bundled);
    let (mut decoder, mut scratch) = (Decoder::new(&file).unwrap(), Scratch::default());
    let mut errors: BTreeMap<ValueType, Vec<f64>> = BTreeMap::new();
    while let Some(item) = decoder.next_item().unwrap() {
        let Item::Key(record) = item else { continue };
        let key = record.key.bytes(&mut StringBuffer::default()).unwrap().to_vec();
        let usage: f64 = server.call(&[b"MEMORY", b"USAGE", &key, b"SAMPLES", b"0"]).parse().unwrap();
        let encoding = server.call(&[b"OBJECT", b"ENCODING", &key]);
        let value = redis.value(&record.value, &mut scratch).unwrap();
        assert_eq!(value.encoding, encoding, "{} {:?} {value:?}", key.escape_ascii(), record.value.kind);
        // It counts an object even for integers that are shared.
        let object = if value.redis_bytes == 0 { redis::OBJECT } else { 0 };
        let estimate = (value.redis_bytes + object + redis.key(key.len()) + redis.table_entry()) as f64;
        let error = (estimate / usage - 1.0).abs();
        if error > 0.05 {
            println!("{} {encoding} of {}: {estimate} for {usage}", key.escape_ascii(), value.elements);
        }
        errors.entry(record.value.value_type()).or_default().push(error);
    }
    for (value_type, errors) in errors {
        let (worst, median) = (errors.iter().copied().fold(0.0, f64::max), median(errors));
        println!("{}: median error {:.2} %, worst {:.2} %", value_type.name(), median * 100.0, worst * 100.0);
        assert!(median < 0.01, "{}: median error {median}", value_type.name());
        // The heights of a skip list's nodes are drawn by lot.
        assert!(worst < 0.10, "{}: worst error {worst}", value_type.name());
    }
}

#[test]
fn agrees_with_used_memory_type_by_type() {
    let Some(mut server) = Server::start() else { return println!("redis-server is not 7.0") };
    let allocator = server.allocator();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for value_type in TYPES {
        server.call(&[b"FLUSHALL", b"SYNC"]);
        server.reload();
        let empty = server.data_bytes();
        // So many that buffers of the server, some tens of kilobytes, do not matter.
        for i in 0..4000 {
            let key = format!("{}:{i}", value_type.name());
            create(&mut server, &mut random, value_type, key.as_bytes());
            if i % 3 == 0 {
                server.call(&[b"EXPIRE", key.as_bytes(), b"100000"]);
            }
        }
        let file = server.reload();
        let used = server.data_bytes() - empty;
        let mut model = Model::new(allocator);
        let mut decoder = Decoder::new(&file).unwrap();
        let mut estimate = 0;
        while let Some(item) = decoder.next_item().unwrap() {
            match item {
                Item::Key(record) => estimate += model.key(&record).unwrap().redis_bytes,
                other => model.note(&other),
            }
        }
        let error = estimate as f64 / used - 1.0;
        println!("{}: {estimate} for {used}, {:.2} %", value_type.name(), error * 100.0);
        assert!(error.abs() < 0.02, "{}: {estimate} for {used}", value_type.name());
    }
}
