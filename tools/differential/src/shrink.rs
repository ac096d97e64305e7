//! Makes a script that shows a difference short: fewer steps, fewer and simpler words, one connection.
//!
//! Invariants:
//! 1. The result shows a difference in the same command as the script at the start, or in the state at the end as that did.

use crate::run::{Difference, Pair};
use crate::script::Script;

/// Most runs that shrinking takes.
const MAX_RUNS: usize = 3000;
/// What stands for a word, the simplest first. None is a short time, after which a key would end.
const SIMPLE: [&[u8]; 4] = [b"a", b"0", b"x", b""];

struct Shrinker<'a> {
    pair: &'a mut Pair,
    script: Script,
    difference: Difference,
    /// The command whose answers differ; none: the state.
    command: Option<Vec<u8>>,
    runs: usize,
}

/// The shortest script that was found, and what it shows.
pub fn shrink(pair: &mut Pair, script: Script, difference: Difference) -> (Script, Difference) {
    let command = command(&script, &difference);
    let mut shrinker = Shrinker { pair, script, difference, command, runs: 0 };
    let end = shrinker.difference.step.map_or(shrinker.script.steps.len(), |step| step + 1);
    let mut cut = shrinker.script.clone();
    cut.steps.truncate(end);
    shrinker.attempt(cut);
    shrinker.in_single_pieces();
    loop {
        let before = shrinker.script.clone();
        shrinker.remove_steps();
        shrinker.simplify_steps();
        if shrinker.script == before || shrinker.runs >= MAX_RUNS {
            return (shrinker.script, shrinker.difference);
        }
    }
}

fn command(script: &Script, difference: &Difference) -> Option<Vec<u8>> {
    let step = difference.step.and_then(|step| script.steps.get(step))?;
    step.line.words.first().map(|word| word.to_ascii_lowercase())
}

impl Shrinker<'_> {
    /// Takes the candidate if it still shows the difference.
    fn attempt(&mut self, candidate: Script) -> bool {
        if self.runs >= MAX_RUNS || candidate == self.script {
            return false;
        }
        self.runs += 1;
        match self.pair.run(&candidate) {
            Ok(Some(difference)) if command(&candidate, &difference) == self.command => {
                self.script = candidate;
                self.difference = difference;
                true
            }
            Ok(_) => false,
            Err(_) => {
                self.runs = MAX_RUNS; // a server that does not answer will not do so the next time
                false
            }
        }
    }

    fn in_single_pieces(&mut self) {
        let mut candidate = self.script.clone();
        candidate.steps.iter_mut().for_each(|step| step.joined = false);
        self.attempt(candidate);
    }

    /// Leaves out parts of the script, half of it at first, single steps at last.
    fn remove_steps(&mut self) {
        let mut size = self.script.steps.len().div_ceil(2).max(1);
        loop {
            let mut start = 0;
            while start < self.script.steps.len() {
                let mut candidate = self.script.clone();
                let end = (start + size).min(candidate.steps.len());
                candidate.steps.drain(start..end);
                if !self.attempt(candidate) {
                    start += size;
                }
            }
            if size == 1 {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn simplify_steps(&mut self) {
        for step in 0..self.script.steps.len() {
            self.change(step, |script, step| script.steps[step].connection = 0);
            let mut word = 1;
            while step < self.script.steps.len() && word < self.script.steps[step].line.words.len() {
                if !self.change(step, |script, step| drop(script.steps[step].line.words.remove(word))) {
                    self.simplify_word(step, word);
                    word += 1;
                }
            }
        }
    }

    fn simplify_word(&mut self, step: usize, word: usize) {
        let now = self.script.steps[step].line.words[word].clone();
        if SIMPLE.contains(&&now[..]) {
            return;
        }
        for simple in SIMPLE {
            if self.change(step, |script, step| script.steps[step].line.words[word] = simple.to_vec()) {
                return;
            }
        }
        while now.iter().any(|byte| !byte.is_ascii_digit())
            && self.script.steps[step].line.words[word].len() > 4
        {
            let half = self.script.steps[step].line.words[word].len() / 2;
            if !self.change(step, |script, step| script.steps[step].line.words[word].truncate(half)) {
                return;
            }
        }
    }

    fn change(&mut self, step: usize, change: impl FnOnce(&mut Script, usize)) -> bool {
        let mut candidate = self.script.clone();
        if step >= candidate.steps.len() {
            return false;
        }
        change(&mut candidate, step);
        self.attempt(candidate)
    }
}
