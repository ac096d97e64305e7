//! A random data set of all types goes from a real server through our encoder back into a real server.
//!
//! `EVERFAST_EXCHANGE_KEYS` sets how many keys there are.

mod rewrite;

use std::ffi::OsStr;

use formats::rdb::encode::EncodeVersion;
use redis::Pipeline;

use crate::harness::{RedisServer, inspect};

const DEFAULT_KEYS: u64 = 20_000;
/// Keys that are sent at once.
const KEYS_AT_ONCE: u64 = 1000;

fn keys() -> u64 {
    std::env::var("EVERFAST_EXCHANGE_KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(DEFAULT_KEYS)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Mostly few, now and then many.
    fn count(&mut self) -> u64 {
        match self.below(50) {
            0 => 1 + self.below(700),
            1..5 => 1 + self.below(150),
            _ => 1 + self.below(8),
        }
    }

    /// Bytes of every kind: integers, text, text that compresses, anything.
    fn bytes(&mut self) -> Vec<u8> {
        match self.below(8) {
            0 => (self.next() as i64 >> self.below(64)).to_string().into_bytes(),
            1 => self.below(300).to_string().into_bytes(),
            2 => vec![b'a' + self.below(3) as u8; self.below(200) as usize],
            3 => format!("item {} of {}", self.below(100), self.below(100))
                .repeat(self.below(6) as usize)
                .into(),
            _ => (0..self.below(70)).map(|_| self.next() as u8).collect(),
        }
    }

    fn score(&mut self) -> f64 {
        match self.below(6) {
            0 => f64::INFINITY,
            1 => -(self.below(1000) as f64) / 7.0,
            2 => self.next() as f64 * 1e280,
            _ => self.below(1000) as f64,
        }
    }
}

/// Adds the commands that make one key.
fn make_key(number: u64, random: &mut Random, pipe: &mut Pipeline) {
    let key = format!("key:{number}");
    let count = random.count();
    match random.below(7) {
        0 | 1 => {
            pipe.cmd("SET").arg(&key).arg(random.bytes()).ignore();
        }
        2 => {
            let command = pipe.cmd(if random.below(2) == 0 { "RPUSH" } else { "LPUSH" }).arg(&key);
            for _ in 0..count {
                command.arg(random.bytes());
            }
            command.ignore();
        }
        3 => {
            let integers = random.below(3) == 0;
            let command = pipe.cmd("SADD").arg(&key);
            for _ in 0..count {
                match integers {
                    true => command.arg(random.next() as i64 >> random.below(64)),
                    false => command.arg(random.bytes()),
                };
            }
            command.ignore();
        }
        4 => {
            let command = pipe.cmd("ZADD").arg(&key);
            for _ in 0..count {
                command.arg(random.score()).arg(random.bytes());
            }
            command.ignore();
        }
        5 => {
            let command = pipe.cmd("HSET").arg(&key);
            for _ in 0..count {
                command.arg(random.bytes()).arg(random.bytes());
            }
            command.ignore();
        }
        _ => make_stream(&key, count.min(150), random, pipe),
    }
    if random.below(5) == 0 {
        // Far ahead, so that nothing expires on the way.
        let at = 4_102_444_800_000 + random.below(1_000_000_000);
        pipe.cmd("PEXPIREAT").arg(&key).arg(at).ignore();
    }
}

fn make_stream(key: &str, count: u64, random: &mut Random, pipe: &mut Pipeline) {
    let mut id = 0;
    for _ in 0..count {
        id += 1 + random.below(1000);
        let command = pipe.cmd("XADD").arg(key).arg(format!("{id}-{}", random.below(3)));
        for field in 0..1 + random.below(3) {
            command.arg(format!("field{field}")).arg(random.bytes());
        }
        command.ignore();
    }
    pipe.cmd("XTRIM").arg(key).arg("MAXLEN").arg(count - random.below(count)).ignore();
    for group in 0..random.below(3) {
        pipe.cmd("XGROUP").arg("CREATE").arg(key).arg(format!("group{group}")).arg("0").ignore();
        for consumer in 0..random.below(3) {
            let (group, consumer) = (format!("group{group}"), format!("consumer{consumer}"));
            pipe.cmd("XREADGROUP")
                .arg("GROUP")
                .arg(group)
                .arg(consumer)
                .arg("COUNT")
                .arg(random.below(20) + 1);
            pipe.arg("STREAMS").arg(key).arg(">").ignore();
        }
    }
}

fn fill(server: &RedisServer, keys: u64) {
    let mut random = Random(20_261_120);
    let mut connection = server.connect();
    for first in (0..keys).step_by(KEYS_AT_ONCE as usize) {
        let mut pipe = redis::pipe();
        (first..keys.min(first + KEYS_AT_ONCE)).for_each(|number| make_key(number, &mut random, &mut pipe));
        pipe.query::<()>(&mut connection).expect("the commands are right");
    }
}

/// All that `XINFO STREAM FULL` says of each stream, but for how it lies in memory.
fn streams(server: &RedisServer, keys: u64) -> Vec<String> {
    let mut connection = server.connect();
    let mut all = Vec::new();
    for number in 0..keys {
        let key = format!("key:{number}");
        let full: Result<Vec<redis::Value>, _> = redis::cmd("XINFO")
            .arg("STREAM")
            .arg(&key)
            .arg("FULL")
            .arg("COUNT")
            .arg(0)
            .query(&mut connection);
        let Ok(full) = full else { continue }; // another type
        let facts = full.chunks(2).map(|fact| format!("{fact:?}"));
        let facts: Vec<String> = facts.filter(|fact| !fact.contains("radix-tree")).collect();
        all.push(format!("{key} {facts:?}"));
    }
    all
}

/// Every value is written anew by our encoder, and a real server finds the same in it.
#[test]
fn what_is_written_anew_holds_the_same_data() {
    let keys = keys();
    let original = RedisServer::start();
    fill(&original, keys);
    let file = original.save();
    let written = original.dir.path().join("written.rdb");
    let anew = rewrite::rewrite(&std::fs::read(&file).expect("the server wrote it"), EncodeVersion::V10);
    std::fs::write(&written, anew).expect("there is room");
    let copy = RedisServer::load(&written);
    assert_eq!(copy.run::<u64>("DBSIZE"), keys);
    assert_eq!(copy.digest(), original.digest());
    let sample = keys.min(DEFAULT_KEYS);
    let (copied, originals) = (streams(&copy, sample), streams(&original, sample));
    assert!(originals.len() > 100, "{} streams are too few", originals.len());
    for (copied, original) in copied.iter().zip(&originals) {
        assert_eq!(copied, original);
    }
    assert_eq!(copied.len(), originals.len());
    inspect([OsStr::new("diff"), file.as_os_str(), written.as_os_str()]).good();
}
