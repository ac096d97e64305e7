//! A server's memory over time, its children's included.
//!
//! A forked child shares its parent's pages until one of them writes: resident memory would count each shared page twice. The
//! proportional share (Pss) counts it once, so what is added are the copies. Looking costs the kernel a walk over all pages, so
//! looks are spaced: they take a tenth of one core at most.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process;
use crate::statistics::median;

/// Shortest pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// A pause is so many times as long as the look before it took.
const PAUSE_PER_LOOK: u32 = 10;

/// Bytes at the time at which the look ended.
pub struct MemoryOverTime(Vec<(Instant, u64)>);

impl MemoryOverTime {
    /// Looks until `over`. Ends early when the process does.
    pub fn watch(pid: u32, over: &AtomicBool) -> MemoryOverTime {
        let mut looks = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let Ok(bytes) = process::tree_memory_bytes(pid) else { break };
            looks.push((Instant::now(), bytes));
            thread::sleep(PAUSE.max(began.elapsed() * PAUSE_PER_LOOK));
        }
        MemoryOverTime(looks)
    }

    /// What was used in the middle of the looks between two moments.
    pub fn usual(&self, from: Instant, until: Instant) -> Option<f64> {
        median(&self.between(from, until).collect::<Vec<f64>>())
    }

    /// The most that was seen between two moments.
    pub fn peak(&self, from: Instant, until: Instant) -> Option<f64> {
        self.between(from, until).max_by(f64::total_cmp)
    }

    fn between(&self, from: Instant, until: Instant) -> impl Iterator<Item = f64> {
        let looks = self.0.iter().filter(move |(at, _)| (from..until).contains(at));
        looks.map(|&(_, bytes)| bytes as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_its_time_alone() {
        let origin = Instant::now();
        let at = |seconds| origin + Duration::from_secs(seconds);
        let memory = MemoryOverTime(vec![(at(0), 9), (at(1), 1), (at(2), 3), (at(3), 2), (at(4), 8)]);
        assert_eq!(memory.peak(at(1), at(4)), Some(3.0));
        assert_eq!(memory.usual(at(1), at(4)), Some(2.0));
        assert_eq!(memory.peak(at(5), at(9)), None);
    }
}
