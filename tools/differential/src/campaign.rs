//! Many scripts, with one and with several shards at the same time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::grammar::Grammar;
use crate::run::{Difference, Pair, Side};
use crate::script::{Script, typed};
use crate::server::Server;
use crate::shrink;

/// Different differences that end a campaign.
const MAX_FOUND: usize = 12;

/// What to run.
#[derive(Clone)]
pub struct Campaign {
    /// Our server.
    pub program: PathBuf,
    pub seed: u64,
    /// Commands for all numbers of shards together.
    pub commands: u64,
    pub shards: Vec<u16>,
    /// Lines of a script.
    pub length: usize,
    pub time: Option<Duration>,
    /// Only these commands; empty: all.
    pub only: Vec<String>,
    /// Only the script of this number.
    pub script: Option<u64>,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub commands: u64,
    pub scripts: u64,
    /// Whether the time ended before the commands were run.
    pub is_out_of_time: bool,
    /// Short scripts that show a difference, for people.
    pub found: Vec<String>,
    /// Differences that look like one before.
    pub repeated: u64,
}

impl Campaign {
    /// Runs it; tells each difference when it is short.
    ///
    /// # Errors
    /// A server that does not start or cannot be reached.
    pub fn run(&self) -> Result<Outcome, String> {
        let mut all = Outcome::default();
        let grammar = self.grammar()?;
        std::thread::scope(|scope| {
            let start = |&shards| {
                let grammar = &grammar;
                scope.spawn(move || self.with(shards, grammar))
            };
            let threads: Vec<_> = self.shards.iter().map(start).collect();
            for thread in threads {
                let outcome = thread.join().map_err(|_| "a thread has panicked".to_owned())??;
                all.commands += outcome.commands;
                all.scripts += outcome.scripts;
                all.is_out_of_time |= outcome.is_out_of_time;
                all.repeated += outcome.repeated;
                all.found.extend(outcome.found);
            }
            Ok(all)
        })
    }

    fn grammar(&self) -> Result<Grammar, String> {
        let grammar = Grammar::new()?;
        if self.only.is_empty() { Ok(grammar) } else { grammar.only(&self.only) }
    }

    fn with(&self, shards: u16, grammar: &Grammar) -> Result<Outcome, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("no directory: {error}"))?;
        let redis = Side::new(Server::redis(dir.path())?)?;
        let ours = Side::new(Server::everfast(&self.program, dir.path(), shards)?)?;
        let mut pair = Pair::new(redis, ours);
        let started = Instant::now();
        let share = self.commands / self.shards.len() as u64;
        let (mut outcome, mut seen) = (Outcome::default(), BTreeSet::new());
        let mut number = self.script.unwrap_or(0);
        while outcome.commands < share {
            if self.time.is_some_and(|time| started.elapsed() >= time) {
                outcome.is_out_of_time = true;
                break;
            }
            let script = Script::new(grammar, self.seed, number, self.length);
            outcome.commands += script.steps.len() as u64;
            outcome.scripts += 1;
            let found = pair.run(&script).map_err(|error| self.ended(&mut pair, shards, number, &error))?;
            if let Some(difference) = found {
                let first = signature(&script, &difference);
                let is_known = difference.step.is_some() && seen.contains(&first);
                let (script, difference) = match is_known {
                    true => (script, difference),
                    false => shrink::shrink(&mut pair, script, difference),
                };
                let is_new = seen.insert(signature(&script, &difference));
                seen.insert(first);
                if is_known || !is_new {
                    outcome.repeated += 1;
                } else {
                    let text = self.tell(shards, number, &script, &difference);
                    println!("{text}");
                    outcome.found.push(text);
                }
            }
            if outcome.found.len() >= MAX_FOUND || self.script.is_some() {
                break;
            }
            number += 1;
        }
        Ok(outcome)
    }

    fn ended(&self, pair: &mut Pair, shards: u16, number: u64, error: &str) -> String {
        let what = pair.ended().unwrap_or("a server does not answer");
        format!("{what} ({shards} shards, {}): {error}", self.replay(number))
    }

    fn replay(&self, number: u64) -> String {
        format!("--seed {} --script {number}", self.seed)
    }

    fn tell(&self, shards: u16, number: u64, script: &Script, difference: &Difference) -> String {
        let Difference { step, redis, ours } = difference;
        let place = match step.and_then(|step| script.steps.get(step)) {
            Some(step) => format!("the answers to {}", typed(&step.line)),
            None => "what the servers hold at the end".to_owned(),
        };
        format!(
            "difference with {shards} shards ({}), in {place}:\n{script}    redis: {redis}\n    ours:  {ours}\n",
            self.replay(number)
        )
    }
}

/// Differences that have it in common are taken for one: the command and how the replies begin, of errors the whole text.
fn signature(script: &Script, difference: &Difference) -> String {
    let name = |words: &[Vec<u8>]| String::from_utf8_lossy(&words[0]).to_lowercase();
    match difference.step.and_then(|step| script.steps.get(step)) {
        Some(step) => {
            let kind = |text: &str| match text.starts_with(['-', '!']) {
                true => text.to_owned(),
                false => text.chars().take(12).collect(),
            };
            format!("{} {} {}", name(&step.line.words), kind(&difference.redis), kind(&difference.ours))
        }
        None => script.steps.iter().map(|step| name(&step.line.words) + " ").collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::How;
    use crate::grammar::Line;
    use crate::run::words;
    use crate::script::Step;

    #[test]
    fn each_error_text_is_a_difference_of_its_own() {
        let line = Line { words: words("INCR a"), how: How::Exact };
        let script = Script { steps: vec![Step { connection: 0, joined: false, line }] };
        let of = |redis: &str, ours: &str| {
            signature(&script, &Difference { step: Some(0), redis: redis.to_owned(), ours: ours.to_owned() })
        };
        let first = of("-ERR value is not an integer or out of range\\r\\n", ":1\\r\\n");
        assert_ne!(first, of("-ERR value is not a valid float\\r\\n", ":1\\r\\n"));
        assert_ne!(first, of("-ERR value is not an integer or out of range\\r\\n", "-ERR value\\r\\n"));
        let bulk = |value: &str| of(&format!("$30\\r\\nvalue {value}\\r\\n"), "$-1\\r\\n");
        assert_eq!(bulk("a"), bulk("b"), "values that differ are one difference");
    }
}
