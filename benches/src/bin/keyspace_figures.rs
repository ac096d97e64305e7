//! Memory, latency and view figures of the keyspace at millions of keys, beside a `HashMap` in the same run.
//!
//! `keyspace_figures [KEYS] [VALUE_BYTES]`, run with `_RJEM_MALLOC_CONF=background_thread:true,thp:never` to measure what
//! the server's allocator settings give. Prints figures, asserts nothing: the machine's noise is the reader's to judge.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use everfast::store::{Frozen, KeyHasher, Keyspace, RepackCycle};
use tikv_jemalloc_ctl::stats;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Longer than the allocator keeps free pages (10 s by default).
const DECAY: Duration = Duration::from_secs(13);
const LONGEST_VALUE: usize = 4096;
static VALUE: [u8; LONGEST_VALUE] = [b'v'; LONGEST_VALUE];

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let keys = args.next().unwrap_or(5_000_000) as u64;
    let value = args.next().unwrap_or(64).min(LONGEST_VALUE * 2 / 3);
    println!("{keys} keys of 16 bytes, values of {value} bytes");
    let mut run = Run::load(keys, value);
    run.lookups();
    run.views();
    run.sizes_change();
    run.half_goes();
    drop(run);
    thread::sleep(DECAY);
    map_figures(keys, value);
}

struct Run {
    keyspace: Keyspace,
    hasher: KeyHasher,
    keys: u64,
    value: usize,
    rss_before: usize,
}

impl Run {
    fn load(keys: u64, value: usize) -> Run {
        let rss_before = rss();
        let hasher = KeyHasher::new(0x5EED);
        let mut run = Run { keyspace: Keyspace::new(hasher), hasher, keys, value, rss_before };
        let mut times = Vec::with_capacity(keys as usize);
        for number in 0..keys {
            let started = Instant::now();
            run.set(number, value);
            times.push(started.elapsed().as_nanos() as u32);
        }
        print_quantiles("insert (clock included)", times);
        thread::sleep(DECAY);
        run.print_rss("loaded");
        run
    }

    fn set(&mut self, number: u64, length: usize) {
        let key = key(number);
        self.keyspace.set_str(self.hasher.hash(&key), &key, &VALUE[..length], None);
    }

    fn lookups(&mut self) {
        let (keys, value) = (self.keys, self.value);
        for round in 0..3 {
            time("GET hit", keys, |i| self.get(mix(i + round) % keys));
            time("GET miss", keys, |i| self.get(mix(i + round) | 1 << 63));
            time("SET same size", keys, |i| self.set(mix(i + round) % keys, value));
        }
    }

    fn get(&self, number: u64) {
        let key = key(number);
        let entry = self.keyspace.get(self.hasher.hash(&key), &key);
        black_box(entry.and_then(|entry| entry.value.as_str()).map_or(0, |value| value[0]));
    }

    fn views(&mut self) {
        let times = (0..50).map(|_| {
            let started = Instant::now();
            drop(black_box(self.keyspace.freeze()));
            started.elapsed().as_nanos() as u32
        });
        print_quantiles("freeze and drop", times.collect());
        self.writes_under_a_held_view();
        for label in ["serialise, idle owner", "serialise, owner flat out"] {
            self.serialise(label, label.ends_with("flat out"));
        }
    }

    fn writes_under_a_held_view(&mut self) {
        let (keys, value) = (self.keys, self.value);
        let rss_before = rss();
        let started = Instant::now();
        let frozen = self.keyspace.freeze();
        println!("freeze: {:.1} us", started.elapsed().as_nanos() as f64 / 1e3);
        let first = (0..keys / 440).map(|i| {
            let started = Instant::now();
            self.set(mix(i) % keys, value);
            started.elapsed().as_nanos() as u32
        });
        print_quantiles("SET, page shared", first.collect());
        time("SET under a held view, every key", keys, |i| self.set(i, value));
        println!("extra RSS with a held view, all rewritten: {:.0} MB", (rss() - rss_before) as f64 / 1e6);
        let mut kept = 0;
        frozen.for_each(|page| kept += page.entries().count());
        assert_eq!(kept as u64, keys);
        thread::sleep(DECAY);
    }

    fn serialise(&mut self, label: &str, busy: bool) {
        let rss_before = rss();
        let frozen = self.keyspace.freeze();
        let (done, peak) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let started = Instant::now();
                let bytes = serialise(frozen, &peak);
                done.store(true, Ordering::Relaxed);
                (bytes, started.elapsed())
            });
            let (started, mut sets) = (Instant::now(), 0);
            while busy && !done.load(Ordering::Relaxed) {
                (0..256).for_each(|i| self.set(mix(sets + i) % self.keys, self.value));
                sets += 256;
            }
            let per_set = started.elapsed().as_nanos() as f64 / sets.max(1) as f64;
            let (bytes, took) = reader.join().expect("the reader");
            let (mb_s, mkeys_s) =
                (bytes as f64 / took.as_micros() as f64, self.keys as f64 / took.as_micros() as f64);
            println!("{label}: {mb_s:.0} MB/s, {mkeys_s:.1} M keys/s");
            if busy {
                let extra = peak.load(Ordering::Relaxed).saturating_sub(rss_before) as f64 / 1e6;
                println!(
                    "  {:.2} SETs per key, {per_set:.0} ns each, peak extra RSS {extra:.0} MB",
                    sets as f64 / self.keys as f64
                );
            }
        });
    }

    fn sizes_change(&mut self) {
        let (keys, value) = (self.keys, self.value);
        time("SET of 0.5 to 1.5 the size", keys, |i| {
            let number = mix(i ^ 0xABCD) % keys;
            self.set(number, value / 2 + (mix(i) % (value as u64 + 1)) as usize);
        });
        (0..keys).for_each(|i| self.set(i, value / 2 + (mix(i) % (value as u64 + 1)) as usize));
        thread::sleep(DECAY);
        self.print_rss("all rewritten at 0.5 to 1.5 the size");
    }

    fn half_goes(&mut self) {
        (0..self.keys).for_each(|i| self.set(i, self.value));
        let half = self.keys / 2;
        time("DEL", half, |i| {
            let key = key(i * 2);
            assert!(self.keyspace.remove(self.hasher.hash(&key), &key));
        });
        self.keys = half;
        self.print_rss("half deleted");
        thread::sleep(DECAY);
        self.print_rss("half deleted, 13 s later");
        let (mut cycle, started) = (RepackCycle::default(), Instant::now());
        while !self.keyspace.repack(&mut cycle, 64) {}
        println!("repack: {:.0} ns per key", started.elapsed().as_nanos() as f64 / half as f64);
        thread::sleep(DECAY);
        self.print_rss("half deleted, repacked, 13 s later");
    }

    fn print_rss(&self, label: &str) {
        let per_key = |bytes: usize| bytes as f64 / self.keys as f64;
        let (rss, estimate) = (rss().saturating_sub(self.rss_before), self.keyspace.memory_bytes());
        let heap = |figure: Result<usize, _>| per_key(figure.unwrap_or(0));
        _ = tikv_jemalloc_ctl::epoch::advance();
        println!(
            "RSS {label}: {:.1} bytes per key; estimate {:.1}, allocated {:.1}, active {:.1}, resident {:.1}",
            per_key(rss),
            per_key(estimate),
            heap(stats::allocated::read()),
            heap(stats::active::read()),
            heap(stats::resident::read())
        );
    }
}

/// Lengths and bytes into a buffer of 64 KiB that is thrown away when full: what a snapshot does before checksum and disk.
fn serialise(frozen: Frozen, peak: &AtomicUsize) -> usize {
    let (mut out, mut total) = (Vec::with_capacity(1 << 16), 0);
    for (number, page) in frozen.enumerate() {
        for entry in page.entries() {
            for bytes in [entry.key, entry.value.as_str().unwrap_or_default()] {
                out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
                out.extend_from_slice(bytes);
            }
            if out.len() > 60_000 {
                total += black_box(&out).len();
                out.clear();
            }
        }
        if number % 4096 == 0 {
            peak.fetch_max(rss(), Ordering::Relaxed);
        }
    }
    total + out.len()
}

fn map_figures(keys: u64, value: usize) {
    let rss_before = rss();
    let mut map = HashMap::<[u8; 16], Box<[u8]>>::new();
    (0..keys).for_each(|i| drop(map.insert(key(i), VALUE[..value].into())));
    println!(
        "HashMap RSS loaded: {:.1} bytes per key (keys inline)",
        (rss() - rss_before) as f64 / keys as f64
    );
    time("HashMap GET hit", keys, |i| {
        black_box(map.get(&key(mix(i) % keys)).map_or(0, |value| value[0]));
    });
    time("HashMap SET same size", keys, |i| {
        map.insert(key(mix(i) % keys), VALUE[..value].into());
    });
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key[8..].copy_from_slice(&mix(number).to_le_bytes());
    key
}

/// The finaliser of SplitMix64.
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn time(label: &str, times: u64, mut work: impl FnMut(u64)) {
    let started = Instant::now();
    (0..times).for_each(&mut work);
    println!("{label}: {:.0} ns", started.elapsed().as_nanos() as f64 / times as f64);
}

fn print_quantiles(label: &str, mut times: Vec<u32>) {
    times.sort_unstable();
    let at = |share: f64| f64::from(times[((times.len() - 1) as f64 * share) as usize]) / 1e3;
    let average = times.iter().map(|&time| f64::from(time)).sum::<f64>() / times.len() as f64 / 1e3;
    println!(
        "{label}: avg {average:.2} us, p50 {:.2}, p99 {:.2}, p99.9 {:.2}, p99.99 {:.2}, max {:.0} us",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
}

/// The process' resident memory in bytes.
fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}
