//! Drives a server of the Redis protocol: many connections, each in a closed loop of one batch at a time.
//!
//! ```text
//! request   what a connection sends: one command, repeated, its keys drawn anew for each batch
//! replies   counts the replies in a stream of bytes, keeps none of them
//! worker    one thread: an epoll loop over its connections
//! control   what the threads share: the phase of the run, the commands left, the next key
//! random    numbers and text that look random
//! run       starts workers, waits, gathers
//! ```
//!
//! Invariants:
//! 1. A connection sends its next batch only when every reply of the last one is there (a closed loop): a slow server is
//!    asked less, so compare latencies at the clients and depth that you mean, not at a rate. A workload with a rate also
//!    waits for its batches' times, and sends late batches at once.
//! 2. A command's latency is the time from its batch's send to its reply's arrival; it is counted once, in the phase in which its
//!    reply came.
//! 3. A reply that is an error is counted and its text kept; nothing is retried.

mod control;
mod random;
mod replies;
mod request;
mod run;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

pub use random::Random;
pub use replies::ReplyCounter;
pub use request::{KeyOrder, Requests, TemplateError};
pub use run::{Live, Mark, Timing, run, run_while};

/// Longest latency that a histogram tells apart; longer ones count as this.
const LONGEST_LATENCY: Duration = Duration::from_secs(60);

/// What a group of connections does.
#[derive(Clone, Debug)]
pub struct Workload {
    pub address: SocketAddr,
    /// A command's words. `{key}` stands for a key, `{value}` for a value, always the same, `{random}` for one
    /// that is drawn anew each time; every other word is sent as it is.
    pub command: String,
    /// Connections, spread over the threads.
    pub clients: usize,
    /// Commands per batch.
    pub pipeline: usize,
    /// Threads of the generator.
    pub threads: usize,
    /// Keys that `{key}` is drawn from.
    pub keys: u64,
    pub key_order: KeyOrder,
    /// Length of `{value}` and `{random}`.
    pub value_bytes: usize,
    /// Commands per second of all connections together, where the server is fast enough; `None`: as many as it answers.
    pub rate: Option<f64>,
    pub seed: u64,
}

impl Workload {
    /// One thread, 50 connections, no pipeline, a million keys of 16 bytes with values of 64 bytes.
    pub fn new(address: SocketAddr, command: &str) -> Self {
        Workload {
            address,
            command: command.to_owned(),
            clients: 50,
            pipeline: 1,
            threads: 1,
            keys: 1_000_000,
            key_order: KeyOrder::Random,
            value_bytes: 64,
            rate: None,
            seed: 1,
        }
    }

    pub fn clients(self, clients: usize) -> Self {
        Workload { clients, ..self }
    }

    pub fn pipeline(self, pipeline: usize) -> Self {
        Workload { pipeline, ..self }
    }

    /// Time between two batches of one connection, where there is a rate.
    fn interval(&self) -> Option<Duration> {
        let commands = (self.clients * self.pipeline) as f64;
        self.rate.and_then(|rate| Duration::try_from_secs_f64(commands / rate).ok())
    }
}

/// What a group of connections saw.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Replies in the measured time.
    pub replies: u64,
    pub elapsed: Duration,
    /// Nanoseconds per command.
    pub latencies: Histogram<u64>,
    /// Replies that were errors, in the warm-up too.
    pub errors: u64,
    pub first_error: Option<String>,
    /// Replies, or parts of them, that were null: keys that are not there.
    pub nulls: u64,
}

impl Outcome {
    fn new() -> Self {
        Outcome {
            replies: 0,
            elapsed: Duration::ZERO,
            latencies: new_histogram(),
            errors: 0,
            first_error: None,
            nulls: 0,
        }
    }

    pub fn replies_per_second(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Latency that a share of the commands did not exceed; `quantile` from 0 to 1.
    pub fn latency(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_quantile(quantile))
    }

    /// Adds what another thread of the same group saw.
    fn add(&mut self, other: Outcome) {
        self.replies += other.replies;
        self.elapsed = self.elapsed.max(other.elapsed);
        // Same bounds on both sides: cannot fail.
        let _ = self.latencies.add(&other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.nulls += other.nulls;
    }
}

/// Nanoseconds, to three digits.
pub(crate) fn new_histogram() -> Histogram<u64> {
    let longest = LONGEST_LATENCY.as_nanos() as u64;
    Histogram::new_with_bounds(1, longest, 3).unwrap_or_else(|_| unreachable!("the bounds are constants"))
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("the server closed a connection")]
    Closed,
    #[error("the server sent what is not RESP: {0}")]
    NotResp(String),
    #[error("the server sent more replies than it was asked for")]
    Surplus,
    #[error("no reply for {0:?}")]
    Stalled(Duration),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("a thread of the load generator panicked")]
    Panicked,
}

impl LoadError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> LoadError {
        move |source| LoadError::Io { what, source }
    }
}
