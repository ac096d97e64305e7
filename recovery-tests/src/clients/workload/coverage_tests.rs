//! Every command that writes is issued by somebody: a new one without a generator fails here.

use std::collections::BTreeSet;

use everfast::command::{Flags, table};

use super::Workload;
use crate::linear::script::{Mix, Script};
use crate::random::Random;
use crate::sim::choices::Choices;
use crate::sim::commands::Meets;

type Names = BTreeSet<String>;

const DRAWS: u64 = 20_000;

fn name(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_uppercase()
}

fn all_writes() -> Names {
    let writes = table().iter().filter(|command| command.flags.has(Flags::WRITE));
    writes.map(|command| name(command.name.as_bytes())).collect()
}

/// Issued by clients of real processes, and of whole servers on a simulated disk.
fn by_clients() -> Names {
    let mut workload = Workload::among(0, 2, 1);
    let mut issued = Vec::new();
    for _ in 0..DRAWS {
        workload.commands(&mut issued);
    }
    issued.iter().map(|issued| name(issued.args[0].as_bytes())).collect()
}

/// Issued on keys in the simulation.
fn by_simulation() -> Names {
    let keys = ["one".to_owned(), "two".to_owned()];
    let mut choices = Choices::of_seed(1);
    let mut state = vec![None; keys.len()];
    let mut names = Names::new();
    for serial in 0..DRAWS {
        let meets = Meets { keys: &keys, state: &state, now: 1_000_000, serial };
        let command = meets.command(&mut choices);
        names.insert(name(&command.args[0]));
        state = command.after.unwrap_or(state);
    }
    names
}

/// Issued in recorded histories.
fn by_histories() -> Names {
    let mut random = Random::new(1);
    let mut names = Names::new();
    for client in 0..100 {
        let mix = Mix::new(&mut random, 100, false);
        let mut script = Script::new(mix, client, Random::new(random.draw()));
        let pipelines = (0..100).flat_map(|_| script.pipeline());
        names.extend(pipelines.map(|command| name(command.words(|key| key.to_string())[0].as_bytes())));
    }
    names
}

fn missing(issued: &Names, elsewhere: &[&str]) -> Vec<String> {
    all_writes().into_iter().filter(|name| !issued.contains(name) && !elsewhere.contains(&&**name)).collect()
}

#[test]
fn every_write_is_issued_by_clients() {
    // `Workload::flush_all` sends it, while nobody else does anything. A payload is no text: the simulation has RESTORE.
    assert_eq!(missing(&by_clients(), &["FLUSHALL", "RESTORE"]), [""; 0]);
}

#[test]
fn every_write_is_issued_in_the_simulation() {
    // The simulation's clients send FLUSHALL, FLUSHDB and SWAPDB on their own turn; the others are short for a command that it
    // has, and what they do is logged as that one's effect. MOVE is RENAME's, with one key of its own in another database.
    let short = ["INCR", "DECR", "EXPIREAT", "PEXPIRE"];
    assert_eq!(
        missing(&by_simulation(), &[&short[..], &["FLUSHALL", "FLUSHDB", "SWAPDB", "MOVE"]].concat()),
        [""; 0]
    );
}

#[test]
fn every_write_is_issued_in_histories() {
    // Effects are the same as those of SET and EXPIRE, which have times to live too; UNLINK is DEL, and INCRBYFLOAT a SET as
    // INCRBY is one.
    let same = ["RESTORE", "SETEX", "PSETEX", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "UNLINK", "INCRBYFLOAT"];
    assert_eq!(missing(&by_histories(), &same), [""; 0]);
}
