//! Random commands on few keys, compared with Redis one by one.

use crate::harness::random::Random;
use crate::harness::{Pair, Server};

const STEPS: usize = 4000;
const KEYS: [&str; 8] = ["a", "b", "c", "d", "{t}1", "{t}2", "", "with blank"];
const VALUES: [&str; 8] = ["1", "-5", "9223372036854775807", "text", "", "007", "x\r\n", "12"];

/// A command, and how its replies are compared.
pub fn command(random: &mut Random) -> (Vec<Vec<u8>>, &'static str) {
    let forms: &[&str] = &[
        "SET KEY VALUE",
        "SET KEY VALUE CONDITION",
        "SET KEY VALUE GET",
        "SET KEY VALUE CONDITION GET TIME",
        "SET KEY VALUE TIME",
        "SET KEY VALUE KEEPTTL",
        "GET KEY",
        "GETDEL KEY",
        "GETEX KEY TIME",
        "GETEX KEY PERSIST",
        "GETEX KEY EXAT 1", // SET with a time in the past is not here: Redis goes on counting the key for a while
        "MGET KEY KEY KEY",
        "MSET KEY VALUE KEY VALUE KEY VALUE",
        "MSETNX KEY VALUE KEY VALUE",
        "INCR KEY",
        "DECRBY KEY VALUE",
        "INCRBY KEY VALUE",
        "APPEND KEY VALUE",
        "STRLEN KEY",
        "SETNX KEY VALUE",
        "SETEX KEY 1000 VALUE",
        "DEL KEY",
        "DEL KEY KEY",
        "UNLINK KEY KEY KEY",
        "EXISTS KEY KEY KEY KEY",
        "TYPE KEY",
        "RENAME KEY KEY",
        "RENAMENX KEY KEY",
        "COPY KEY KEY",
        "COPY KEY KEY REPLACE",
        "COPY KEY KEY DB 1",
        "COPY KEY KEY DB DATABASE REPLACE",
        "EXPIRE KEY 1000",
        "EXPIRE KEY 2000 CONDITION",
        "EXPIREAT KEY 4102444800 ORDER",
        "PEXPIREAT KEY 4102444900000 ORDER",
        "EXPIRE KEY -1 CONDITION",
        "PEXPIRETIME KEY",
        "TTL KEY",
        "PERSIST KEY",
        "DBSIZE",
        "KEYS *",
        "SELECT DATABASE",
        "TOUCH KEY KEY",
    ];
    let form = forms[random.below(forms.len())];
    let mut words = Vec::new();
    for word in form.split(' ') {
        match word {
            "KEY" => words.push(random.pick(&KEYS).to_owned()),
            "VALUE" => words.push(random.pick(&VALUES).to_owned()),
            "CONDITION" => words.push(random.pick(&["NX", "XX"]).to_owned()),
            "ORDER" => words.push(random.pick(&["GT", "LT", "NX"]).to_owned()),
            "DATABASE" => words.push(random.pick(&["0", "1", "0"]).to_owned()),
            "TIME" => {
                let (name, time) = [
                    ("EX", "1000"),
                    ("PX", "1000000"),
                    ("PXAT", "4102444800000"),
                    ("EXAT", "4102444800"),
                    ("EX", "0"),
                ][random.below(5)];
                words.extend([name.to_owned(), time.to_owned()]);
            }
            word => words.push(word.to_owned()),
        }
    }
    let how = match words[0].as_str() {
        "KEYS" => "any-order:",
        "TTL" | "PEXPIRETIME" => "near:",
        _ => "",
    };
    (words.into_iter().map(String::into_bytes).collect(), how)
}

/// Runs random commands, `depth` in a pipeline, and compares the replies in their order.
fn run(args: &[&str], version: &str, depth: usize, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let redis = Server::redis(dir.path());
    let ours = Server::everfast(&dir.path().join("ours"), args);
    let mut pair = Pair::connect(&redis, &ours);
    pair.redis.raw(&["HELLO", version]);
    pair.ours.raw(&["HELLO", version]);
    let mut random = Random::new(seed);
    for step in 0..STEPS / depth {
        let commands: Vec<_> = (0..depth).map(|_| command(&mut random)).collect();
        if let Err(difference) = pair.compare_pipeline(&commands) {
            panic!("{args:?}, pipelines of {depth}, seed {seed}, step {step}: {difference}");
        }
    }
}

#[test]
fn one_shard_answers_as_redis() {
    run(&["--shards", "1"], "2", 1, 1);
    run(&["--shards", "1"], "3", 40, 2);
}

#[test]
fn several_shards_answer_as_redis() {
    run(&["--shards", "4"], "2", 1, 3);
    run(&["--shards", "5"], "3", 1, 4);
}

#[test]
fn pipelines_over_several_shards_are_answered_in_order() {
    run(&["--shards", "3"], "2", 40, 5);
    run(&["--shards", "4"], "3", 200, 6);
}

#[test]
fn replies_that_wait_for_the_log_are_answered_in_order() {
    run(&["--shards", "1", "--appendfsync", "always"], "3", 40, 7);
    run(&["--shards", "3", "--appendfsync", "always"], "3", 1, 8);
    run(&["--shards", "3", "--appendfsync", "always"], "3", 40, 9);
}
