//! Runs lines of commands against two servers and compares the replies.
//!
//! A line is a command as one types it, with quotes and escapes. A word with a colon before it says how to compare:
//!
//! | word | what must be equal |
//! |---|---|
//! | none | every byte of the reply |
//! | `any-order:` | the elements of the array or set, in whatever order |
//! | `near:` | integers up to a few seconds in either unit, and all else |
//! | `kind:` | the kind of the reply and, of an error, its code; what it tells is the server's own affair |
//! | `wait:` | nothing: both servers are left alone for so many milliseconds |

use std::time::Duration;

use formats::resp::request::split_words;
use formats::resp::{Request, Value};

use super::{Client, Server};

/// Times that two servers give for the same command may differ by so much, in ms.
const NEAR_MS: i64 = 3000;

/// Redis and ours.
pub struct Pair {
    pub redis: Client,
    pub ours: Client,
}

impl Pair {
    pub fn connect(redis: &Server, ours: &Server) -> Pair {
        Pair { redis: redis.client(), ours: ours.client() }
    }

    /// Runs one line on both; `Err` tells how they differ.
    pub fn run(&mut self, line: &str) -> Result<(), String> {
        let (how, words) = parse(line);
        if how == "wait:" {
            let millis: u64 = String::from_utf8_lossy(&words[0]).parse().expect("a number of milliseconds");
            std::thread::sleep(Duration::from_millis(millis));
            return Ok(());
        }
        self.compare(&words, how)
    }

    /// Runs one command on both.
    pub fn compare(&mut self, words: &[Vec<u8>], how: &str) -> Result<(), String> {
        self.redis.send(words);
        self.ours.send(words);
        self.compare_replies(words, how)
    }

    /// Sends all commands to both before it looks at the replies.
    pub fn compare_pipeline(&mut self, commands: &[(Vec<Vec<u8>>, &str)]) -> Result<(), String> {
        self.redis.send_all(commands.iter().map(|(words, _)| &words[..]));
        self.ours.send_all(commands.iter().map(|(words, _)| &words[..]));
        commands.iter().try_for_each(|(words, how)| self.compare_replies(words, how))
    }

    fn compare_replies(&mut self, words: &[Vec<u8>], how: &str) -> Result<(), String> {
        let (redis, ours) = (self.redis.receive(), self.ours.receive());
        let same = match how {
            "" => redis.0 == ours.0,
            "any-order:" => sorted(&redis.1) == sorted(&ours.1) && redis.0[0] == ours.0[0],
            "near:" => near(&redis.1, &ours.1),
            "kind:" => kind(&redis) == kind(&ours),
            how => panic!("no such comparison: {how}"),
        };
        if same {
            return Ok(());
        }
        let line: Vec<String> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
        let (redis, ours) = (redis.0.escape_ascii(), ours.0.escape_ascii());
        Err(format!("{}\n    redis: {redis}\n    ours:  {ours}", line.join(" ")))
    }
}

/// Runs all lines on new connections, in both versions of the protocol and with one and several shards, on empty databases.
/// All differences are told at once.
#[track_caller]
pub fn compare(lines: &[&str]) {
    compare_with(&[], lines);
}

/// As [`compare`], both servers started with these arguments too.
pub fn compare_with(args: &[&str], lines: &[&str]) {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let redis = Server::redis_with(dir.path(), args);
    let mut differences = Vec::new();
    for shards in ["1", "4"] {
        let ours = Server::everfast(&dir.path().join(shards), &[&["--shards", shards], args].concat());
        for version in ["2", "3"] {
            let mut pair = Pair::connect(&redis, &ours);
            pair.redis.raw(&["FLUSHALL"]);
            pair.ours.raw(&["FLUSHALL"]);
            pair.redis.raw(&["HELLO", version]);
            pair.ours.raw(&["HELLO", version]);
            let failed = lines.iter().filter_map(|line| pair.run(line).err());
            differences
                .extend(failed.map(|difference| format!("{shards} shards, RESP{version}: {difference}")));
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

fn parse(line: &str) -> (&str, Vec<Vec<u8>>) {
    let (how, command) = match line.split_once(' ') {
        Some((first, rest)) if first.ends_with(':') => (first, rest),
        _ => ("", line),
    };
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    split_words(command.as_bytes(), &mut bytes, &mut ranges).expect("quotes close");
    (how, Request::new(&bytes, &ranges).iter().map(<[u8]>::to_vec).collect())
}

/// The elements of an aggregate, in an order that does not depend on the server.
fn sorted(value: &Value) -> Vec<String> {
    let mut elements: Vec<String> = match value {
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => {
            elements.iter().map(|element| format!("{element:?}")).collect()
        }
        Value::Map(pairs) => pairs.iter().map(|pair| format!("{pair:?}")).collect(),
        single => vec![format!("{single:?}")],
    };
    elements.sort_unstable();
    elements
}

fn near(redis: &Value, ours: &Value) -> bool {
    match (redis, ours) {
        (Value::Integer(redis), Value::Integer(ours)) if *redis > 0 => {
            // Seconds come in numbers that no table gives in ms, or as a Unix time of ten digits.
            let is_seconds = *redis < 5000 || (1_000_000_000..100_000_000_000).contains(redis);
            let limit = if is_seconds { NEAR_MS / 1000 } else { NEAR_MS };
            (redis - ours).abs() <= limit
        }
        (redis, ours) => redis == ours,
    }
}

fn kind((bytes, value): &(Vec<u8>, Value)) -> (u8, String) {
    let code = match value {
        Value::Error(text) => text.split(' ').next().unwrap_or("").to_owned(),
        _ => String::new(),
    };
    (bytes[0], code)
}
