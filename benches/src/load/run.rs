//! Starts the workers of several groups at once, tells the phases, gathers what they saw.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::control::{Control, Phase};
use super::worker::work;
use super::{LoadError, Outcome, Workload};

/// How long a run takes.
#[derive(Clone, Copy, Debug)]
pub enum Timing {
    /// Nothing counts in the warm-up.
    For { warm_up: Duration, measured: Duration },
    /// Every group sends so many commands, and all of them count.
    Commands(u64),
}

/// The measured time begins or ends: the moment to read what the server used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Begin,
    End,
}

/// Runs all groups at the same time; an [`Outcome`] for each. `at_mark` is called from this thread.
pub fn run(
    groups: &[Workload],
    timing: Timing,
    mut at_mark: impl FnMut(Mark),
) -> Result<Vec<Outcome>, LoadError> {
    let (phase, commands) = match timing {
        Timing::For { .. } => (Phase::WarmUp, u64::MAX),
        Timing::Commands(commands) => (Phase::Measured, commands),
    };
    let controls: Vec<Control> = groups.iter().map(|_| Control::new(phase, commands)).collect();
    let ((), outcomes) = with_workers(groups, &controls, |end| wait(timing, &controls, end, &mut at_mark))?;
    Ok(outcomes)
}

/// What can be seen of a run from outside while it goes on.
pub struct Live<'a> {
    controls: &'a [Control],
}

impl Live<'_> {
    /// Replies that a group has received since the start; 0 for a group that is not there.
    pub fn replies(&self, group: usize) -> u64 {
        self.controls.get(group).map_or(0, Control::replies)
    }
}

/// Runs all groups for as long as `body` takes, on this thread. Everything counts, there is no warm-up.
pub fn run_while<T>(
    groups: &[Workload],
    body: impl FnOnce(&Live<'_>) -> T,
) -> Result<(T, Vec<Outcome>), LoadError> {
    let controls: Vec<Control> = groups.iter().map(|_| Control::new(Phase::Measured, u64::MAX)).collect();
    with_workers(groups, &controls, |_| {
        let told = body(&Live { controls: &controls });
        controls.iter().for_each(|control| control.enter(Phase::Over));
        told
    })
}

/// Starts all workers, runs `body` beside them, gathers what they saw. The body's receiver disconnects when all have ended.
fn with_workers<T>(
    groups: &[Workload],
    controls: &[Control],
    body: impl FnOnce(&Receiver<()>) -> T,
) -> Result<(T, Vec<Outcome>), LoadError> {
    let (ended, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for (group, (workload, control)) in groups.iter().zip(controls).enumerate() {
            for (thread, clients) in shares(workload.clients, workload.threads).into_iter().enumerate() {
                let ended = ended.clone();
                let seed = ((group as u64) << 32) | ((thread as u64) << 16);
                let worker = scope.spawn(move || {
                    let outcome = work(workload, clients, seed, control);
                    drop(ended);
                    outcome
                });
                workers.push((group, worker));
            }
        }
        drop(ended);
        let told = body(&end);
        let mut outcomes: Vec<Outcome> = groups.iter().map(|_| Outcome::new()).collect();
        for (group, worker) in workers {
            outcomes[group].add(worker.join().map_err(|_| LoadError::Panicked)??);
        }
        Ok((told, outcomes))
    })
}

/// Tells the phases. Ends early when all workers have ended, which in a run by time means that all failed.
fn wait(timing: Timing, controls: &[Control], end: &Receiver<()>, at_mark: &mut impl FnMut(Mark)) {
    let all_ended = |time: Duration| end.recv_timeout(time) == Err(RecvTimeoutError::Disconnected);
    match timing {
        Timing::Commands(_) => {
            at_mark(Mark::Begin);
            let _ = end.recv(); // never a message: an error when the last worker has ended
            at_mark(Mark::End);
        }
        Timing::For { warm_up, measured } => {
            if all_ended(warm_up) {
                return;
            }
            controls.iter().for_each(|control| control.enter(Phase::Measured));
            at_mark(Mark::Begin);
            all_ended(measured);
            controls.iter().for_each(|control| control.enter(Phase::Over));
            at_mark(Mark::End);
        }
    }
}

/// How many connections each thread has: as even as can be, no thread without one.
fn shares(clients: usize, threads: usize) -> Vec<usize> {
    let threads = threads.clamp(1, clients.max(1));
    (0..threads).map(|thread| clients / threads + usize::from(thread < clients % threads)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    /// Answers PING on so many connections until they are closed.
    fn answer_pings(listener: TcpListener, connections: usize) {
        thread::scope(|scope| {
            for _ in 0..connections {
                let mut stream = listener.accept().unwrap().0;
                stream.set_nodelay(true).unwrap();
                scope.spawn(move || {
                    let mut command = [0; PING.len()];
                    while stream.read_exact(&mut command).is_ok() && stream.write_all(b"+PONG\r\n").is_ok() {
                        assert_eq!(command, PING);
                    }
                });
            }
        });
    }

    #[test]
    fn a_rate_is_not_exceeded() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer_pings(listener, 2));
        let rate = 500.0;
        let paced = Workload { rate: Some(rate), ..Workload::new(address, "PING").clients(2).pipeline(5) };
        let started = Instant::now();
        let (seen, outcomes) = run_while(&[paced], |live| {
            while live.replies(0) < 100 {
                thread::sleep(Duration::from_millis(1));
            }
            (live.replies(0), live.replies(1))
        })
        .unwrap();
        let allowed = started.elapsed().as_secs_f64() * rate + 2.0 * 5.0; // the first batches come at once
        server.join().unwrap();
        assert!(seen.0 >= 100 && seen.1 == 0, "{seen:?}");
        assert!(outcomes[0].replies >= 90, "{}", outcomes[0].replies);
        assert!(seen.0 as f64 <= allowed, "{seen:?} of {allowed}");
    }

    #[test]
    fn connections_are_spread_evenly() {
        for (clients, threads, expected) in
            [(50, 1, vec![50]), (7, 3, vec![3, 2, 2]), (2, 8, vec![1, 1]), (1, 0, vec![1])]
        {
            assert_eq!(shares(clients, threads), expected);
        }
    }
}
