//! Rounds under way, each on a thread and in a directory of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

use crate::family::{Counts, Family, Place, panicked};

/// What came of a round.
pub(super) struct Ended {
    /// Of its family in the list.
    pub place: usize,
    pub seed: u64,
    pub took: Duration,
    pub result: Result<Counts, String>,
    /// Kept after a violation.
    pub scratch: PathBuf,
}

struct Running {
    number: u64,
    place: usize,
    seed: u64,
    since: Instant,
    scratch: PathBuf,
}

/// See the module.
pub(super) struct Rounds {
    server: PathBuf,
    scratch: PathBuf,
    shrinks: bool,
    started: u64,
    running: Vec<Running>,
    done: Sender<(u64, Result<Counts, String>)>,
    ended: Receiver<(u64, Result<Counts, String>)>,
}

impl Rounds {
    pub(super) fn new(server: PathBuf, scratch: PathBuf, shrinks: bool) -> Rounds {
        let (done, ended) = channel();
        Rounds { server, scratch, shrinks, started: 0, running: Vec::new(), done, ended }
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn start(&mut self, place: usize, family: &Family, seed: u64) {
        let number = self.started;
        self.started += 1;
        let scratch = self.scratch.join(format!("{}-{seed}-{number}", family.name));
        let (round, done) = (family.round, self.done.clone());
        let at = Place { scratch: scratch.clone(), server: self.server.clone(), shrinks: self.shrinks };
        let run = move || {
            let made = std::fs::create_dir_all(&at.scratch)
                .map_err(|error| format!("no directory {}: {error}", at.scratch.display()));
            let result = made.and_then(|()| {
                catch_unwind(AssertUnwindSafe(|| round(seed, &at)))
                    .unwrap_or_else(|panic| Err(panicked(&*panic)))
            });
            if result.is_ok() {
                let _ = std::fs::remove_dir_all(&at.scratch); // what is left goes with the campaign's directory
            }
            let _ = done.send((number, result)); // nobody waits for a round that hung
        };
        while let Err(error) = Builder::new().name(format!("{}-{seed}", family.name)).spawn(run.clone()) {
            eprintln!("crash: no thread for a round: {error}");
            sleep(Duration::from_millis(100));
        }
        self.running.push(Running { number, place, seed, since: Instant::now(), scratch });
    }

    /// The next round that ends, if one does within `time`.
    pub(super) fn wait(&mut self, time: Duration) -> Option<Ended> {
        let (number, result) = self.ended.recv_timeout(time).ok()?;
        // One that was given up may still end: nobody asks then.
        let index = self.running.iter().position(|running| running.number == number)?;
        Some(self.end(index, result))
    }

    /// Gives up a round that runs for longer than `limit`.
    pub(super) fn take_older_than(&mut self, limit: Duration) -> Option<Ended> {
        let index = self.running.iter().position(|running| running.since.elapsed() > limit)?;
        Some(self.end(index, Err(format!("it does not end: it runs for {} s", limit.as_secs()))))
    }

    fn end(&mut self, index: usize, result: Result<Counts, String>) -> Ended {
        let Running { place, seed, since, scratch, .. } = self.running.remove(index);
        Ended { place, seed, took: since.elapsed(), result, scratch }
    }
}
