//! One client on a connection and thread of its own that sends one command at a time and keeps every latency.
//!
//! It asks less while the server is slow: a pause is one sample, however long. So read the worst latency beside the quantile.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use formats::resp::Value;
use hdrhistogram::Histogram;

use crate::compare::client::Client;
use crate::load::new_histogram;

/// 256 MB of samples: nothing that is measured here takes so long.
const MAX_SAMPLES: usize = 16 << 20;

/// One command, in nanoseconds since the origin of its [`Samples`].
#[derive(Clone, Copy, Debug)]
struct Sample {
    sent: u64,
    answered: u64,
}

pub struct Samples {
    origin: Instant,
    samples: Vec<Sample>,
}

impl Samples {
    /// Sends what `next` makes until `over`; after each reply a pause.
    pub fn take(
        address: SocketAddr,
        over: &AtomicBool,
        pause: Duration,
        mut next: impl FnMut() -> Vec<Vec<u8>>,
    ) -> io::Result<Samples> {
        let mut client = Client::connect(address)?;
        let mut taken = Samples { origin: Instant::now(), samples: Vec::new() };
        while !over.load(Ordering::Relaxed) {
            let command = next();
            let sent = taken.since_origin(Instant::now());
            let reply = client.ask(&command)?;
            let answered = taken.since_origin(Instant::now());
            if matches!(reply, Value::Error(_) | Value::Null) {
                let name = String::from_utf8_lossy(&command[0]).into_owned();
                return Err(io::Error::other(format!("{name} of the probe is answered with {reply:?}")));
            }
            if taken.samples.len() == MAX_SAMPLES {
                return Err(io::Error::other("the probe has taken more samples than it can hold"));
            }
            taken.samples.push(Sample { sent, answered });
            if !pause.is_zero() {
                thread::sleep(pause);
            }
        }
        Ok(taken)
    }

    /// Nanoseconds of all commands that were under way at some time between two moments.
    pub fn between(&self, from: Instant, until: Instant) -> Histogram<u64> {
        let (from, until) = (self.since_origin(from), self.since_origin(until));
        let mut histogram = new_histogram();
        for sample in &self.samples {
            if sample.sent < until && sample.answered > from {
                histogram.saturating_record((sample.answered - sample.sent).max(1));
            }
        }
        histogram
    }

    /// 0 for what was before.
    fn since_origin(&self, moment: Instant) -> u64 {
        moment.saturating_duration_since(self.origin).as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_wherever_it_reaches_into() {
        let origin = Instant::now();
        let at = |ms: u64| origin + Duration::from_millis(ms);
        let sample =
            |sent: u64, answered: u64| Sample { sent: sent * 1_000_000, answered: answered * 1_000_000 };
        let samples = Samples { origin, samples: vec![sample(10, 20), sample(20, 70), sample(80, 90)] };
        let told = |from, until| {
            let histogram = samples.between(at(from), at(until));
            (histogram.len(), histogram.max() / 1_000_000)
        };
        assert_eq!(told(0, 30), (2, 50));
        assert_eq!(told(60, 75), (1, 50));
        assert_eq!(told(70, 80), (0, 0));
        assert_eq!(told(0, 100), (3, 50));
    }
}
