//! Each truncation and each flipped bit of each file of a small directory, lost sectors, files mixed up.
//!
//! Invariants:
//! 1. A start is refused and names the file, or it finds a prefix per shard, transactions whole. It never panics.
//! 2. What it finds lacks only frames that nobody vouches for, and what transactions make of that; where such a frame's
//!    header is whole, the report tells of it.
//! 3. Damage to bytes that do not count is no reason to refuse, and does no harm to what is written later.

use std::collections::BTreeMap;
use std::ops::Range;

use everfast::persist::disk::SimDisk;
use everfast::persist::file_names::{FileKind, segment};
use everfast::persist::{RecoveryReport, SegmentNo, SyncPolicy};

use super::Progress;
use super::history::{Found, History};
use super::layout::Layout;
use super::run::{Epoch, Recorded, Setup, Step, alone, open, path, record, run_epoch, start};
use crate::family::{Counts, Family, Place};
use crate::random::Random;

/// A share of the damage, which the seed chooses.
pub const FAMILY: Family = Family {
    name: "damage",
    about: "truncated files, flipped bits, lost sectors and mixed up files of a small directory",
    share: 2,
    round,
};

/// Rounds do so much of each kind.
const ROUND: Share = Share { bits: 64 * 8, lengths: 48, mixtures: 16 };
/// Every so many starts one is followed by more work.
const WORK_STRIDE: u64 = 151;
const SECTOR: usize = 512;
/// Where one of so many bits or more are flipped, all bits of files shorter than this are.
const ALL_OF_SHORT: u64 = 16;
const SHORT_BYTES: usize = 2048;

/// Of so many cases of each kind one is tried.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    pub bits: u64,
    pub lengths: u64,
    pub mixtures: u64,
}

fn round(seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut random = Random::new(seed);
    let setup = match random.below(3) {
        0 => Setup::small(1 + random.below(2) as u16),
        _ => Setup { policy: SyncPolicy::Always, ..Setup::random(&mut random) },
    };
    damage(&setup, ROUND, &mut random)
}

impl Setup {
    /// A checkpoint, a sealed log and open ones, in few bytes.
    pub fn small(writers: u16) -> Setup {
        use Step::{Checkpoint, HandOver, Transact, Write};
        let first =
            vec![Write(0, 1), HandOver(0), Checkpoint, Transact(vec![0, 1]), HandOver(1), HandOver(0)];
        let second = vec![
            Write(0, 1),
            HandOver(0),
            Transact(vec![0, 1]),
            HandOver(0),
            HandOver(1),
            Write(1, 2),
            HandOver(1),
            Write(0, 1),
            HandOver(0),
            Transact(vec![0, 1]),
            HandOver(1),
            HandOver(0),
        ];
        let epochs = vec![
            Epoch { writers, steps: first, closes: true },
            Epoch { writers, steps: second, closes: false },
        ];
        let (shards, policy, retention, value_bytes) = (2, SyncPolicy::Always, 1, 30);
        Setup {
            shards,
            policy,
            retention,
            value_bytes,
            during_checkpoints: 0,
            eager: true,
            fault: None,
            epochs,
        }
    }
}

/// Runs a setup and damages what it leaves.
///
/// # Errors
/// A violation.
pub fn damage(setup: &Setup, share: Share, random: &mut Random) -> Result<Counts, String> {
    damage_telling(setup, share, random, &|_| {})
}

fn damage_telling(
    setup: &Setup,
    share: Share,
    random: &mut Random,
    tell: Progress<'_>,
) -> Result<Counts, String> {
    alone(random.draw(), || damage_alone(setup, share, random, tell))
}

fn damage_alone(
    setup: &Setup,
    share: Share,
    random: &mut Random,
    tell: Progress<'_>,
) -> Result<Counts, String> {
    let recorded = record(setup)?;
    let disk = recorded.states[recorded.states.len() - 1].fork();
    disk.crash_keeping(&vec![false; disk.unsynced().len()]);
    let layout = Layout::of(&disk)?;
    let whole = start(&disk.fork())?;
    let mut bench =
        Bench { setup, recorded: &recorded, disk, layout, whole, counts: Counts::default(), starts: 0, tell };
    let outcome = bench.all(share, random);
    outcome.map(|()| bench.counts).map_err(|what| format!("{what}\nrun: {setup:?}"))
}

/// A directory to be damaged.
struct Bench<'a> {
    setup: &'a Setup,
    recorded: &'a Recorded,
    disk: SimDisk,
    layout: Layout,
    /// What a start finds without damage.
    whole: Found,
    counts: Counts,
    starts: u64,
    tell: Progress<'a>,
}

/// What a start on damaged files came to.
enum Outcome {
    Refused(String),
    Started(Found, RecoveryReport),
}

impl Bench<'_> {
    fn all(&mut self, share: Share, random: &mut Random) -> Result<(), String> {
        for (file, length) in self.layout.files.clone() {
            // Of MANIFEST and snapshots, which are short, all.
            let is_all = share.bits <= ALL_OF_SHORT && length < SHORT_BYTES;
            for bit in sample(length as u64 * 8, if is_all { 1 } else { share.bits }, random) {
                (self.tell)(&format!("damage: bit {bit} of {file}, {length} bytes long"));
                self.flip(&file, bit as usize)?;
            }
            for cut in sample(length as u64, share.lengths, random) {
                self.truncate(&file, cut as usize, length)?;
            }
            for sector in sample(length.div_ceil(SECTOR) as u64, share.mixtures.div_ceil(4), random) {
                self.lose_sector(&file, sector as usize, length)?;
            }
            self.with_garbage_behind(&file, length)?;
        }
        (self.tell)("damage: files missing, exchanged, and from other moments");
        self.mix_up(share, random)
    }

    fn flip(&mut self, file: &str, bit: usize) -> Result<(), String> {
        self.counts.add("bits flipped", 1);
        let at = bit / 8;
        self.change(file, at..at + 1, &format!("bit {bit} of {file} flipped"), |bytes| {
            bytes[at] ^= 1 << (bit % 8)
        })
    }

    fn truncate(&mut self, file: &str, cut: usize, length: usize) -> Result<(), String> {
        self.counts.add("truncations", 1);
        let device = self.disk.fork();
        device.damage(&path(file), |bytes| bytes.truncate(cut));
        let what = format!("{file} truncated to {cut} of {length} bytes");
        // Whoever needs a file knows its length.
        match outcome(&device, &what)? {
            Outcome::Refused(why) => self.names(file, &why, &what),
            Outcome::Started(found, _)
                if found == self.whole && (self.layout.is_enough(file, cut) || !self.is_needed(file)) =>
            {
                Ok(())
            }
            Outcome::Started(found, _) => {
                Err(format!("(g) a shortened file is refused: {what}: found {found:?}"))
            }
        }
    }

    fn lose_sector(&mut self, file: &str, sector: usize, length: usize) -> Result<(), String> {
        self.counts.add("sectors lost", 1);
        let range = sector * SECTOR..((sector + 1) * SECTOR).min(length);
        let what = format!("sector {sector} of {file} full of zeros");
        self.change(file, range.clone(), &what, |bytes| bytes[range].fill(0))
    }

    fn with_garbage_behind(&mut self, file: &str, length: usize) -> Result<(), String> {
        self.counts.add("files extended", 1);
        let what = format!("{file} longer by 100 bytes");
        self.change(file, length..length + 100, &what, |bytes| bytes.resize(length + 100, 0xa5))
    }

    /// Damages bytes `range` of a file and checks what a start makes of it.
    fn change(
        &mut self,
        file: &str,
        range: Range<usize>,
        what: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), String> {
        let device = self.disk.fork();
        device.damage(&path(file), change);
        if device.contents(&path(file)) == self.disk.contents(&path(file)) {
            return Ok(());
        }
        match outcome(&device, what)? {
            Outcome::Refused(why)
                if self.layout.is_unused(file, &range) && range.end <= self.layout.files[file] =>
            {
                Err(format!("(g) what does not count is no reason to refuse: {what}: {why}"))
            }
            Outcome::Refused(why) => self.names(file, &why, what),
            Outcome::Started(found, _) if found == self.whole => self.work_on(&device, what),
            Outcome::Started(found, report) => {
                self.counts.add("ends cut", 1);
                self.is_cut_rightly(file, &range, &found, &report).map_err(|why| format!("{why}: {what}"))?;
                self.work_on(&device, what)
            }
        }
    }

    fn is_cut_rightly(
        &self,
        file: &str,
        range: &Range<usize>,
        found: &Found,
        report: &RecoveryReport,
    ) -> Result<(), String> {
        self.recorded.history.check_prefix(found)?;
        let Some(cost) = self.layout.cost(file, range) else {
            return Err(format!(
                "(a) what was vouched for is there or the start is refused: {}",
                self.lacks(found)
            ));
        };
        let expected = self.without(cost);
        if found.keys.iter().any(|(shard, keys)| keys.len() != expected[shard]) {
            return Err(format!(
                "(b) only torn ends are cut: expected {expected:?} keys, {}",
                self.lacks(found)
            ));
        }
        let is_told = report.tails.iter().any(|tail| tail.file == path(file));
        if self.layout.is_told(file, range) && !is_told {
            return Err(format!("what was cut is told: the report says {:?}", report.tails));
        }
        Ok(())
    }

    /// How many keys of each shard are there without the last ones that `cost` says, and without transactions that lose a
    /// part by that.
    fn without(&self, cost: BTreeMap<u16, usize>) -> BTreeMap<u16, usize> {
        let mut counts: BTreeMap<u16, usize> =
            self.whole.keys.iter().map(|(shard, keys)| (*shard, keys.len())).collect();
        for (shard, keys) in cost {
            *counts.entry(shard).or_default() -= keys;
        }
        loop {
            let before = counts.clone();
            for parts in self.recorded.history.transactions().values() {
                if parts.iter().any(|(shard, place)| counts[shard] <= *place) {
                    for (shard, place) in parts {
                        counts.entry(*shard).and_modify(|count| *count = (*count).min(*place));
                    }
                }
            }
            if counts == before {
                return counts;
            }
        }
    }

    fn lacks(&self, found: &Found) -> String {
        let counts = |found: &Found| -> Vec<usize> { found.keys.values().map(Vec::len).collect() };
        format!("found {:?} of {:?} keys per shard", counts(found), counts(&self.whole))
    }

    /// A refusal names the damaged file. A segment that lost its first frame's header is not told from one before it that
    /// lost its last frame: there that one may be named.
    fn names(&mut self, file: &str, why: &str, what: &str) -> Result<(), String> {
        self.counts.add("refusals", 1);
        if why.contains(&path(file).display().to_string()) {
            return Ok(());
        }
        if earlier_segments(file).any(|earlier| why.contains(&path(&earlier).display().to_string())) {
            self.counts.add("refusals that name the segment before", 1);
            return Ok(());
        }
        Err(format!("a refusal names the damaged file: {what}: {why}"))
    }

    /// Whether a start reads it at all.
    fn is_needed(&self, file: &str) -> bool {
        let device = self.disk.fork();
        device.mount().remove(&path(file)).is_ok() && start(&device).is_err()
    }

    /// Writes on the device that a start accepted, and crashes once more.
    fn work_on(&mut self, device: &SimDisk, what: &str) -> Result<(), String> {
        self.starts += 1;
        if !self.starts.is_multiple_of(WORK_STRIDE) {
            return Ok(());
        }
        self.counts.add("work after damage", 1);
        let before =
            start(device).map_err(|why| format!("(f) a second start finds the same: {what}: {why}"))?;
        let mut history = History::from_recovered(before.keys);
        let epoch = Epoch { closes: false, ..self.setup.epochs[0].clone() };
        for name in ["w0", "w1"] {
            run_epoch(device, self.setup, &epoch, name, &mut history)
                .map_err(|why| format!("{what}, then {why}"))?;
            device.crash_keeping(&vec![false; device.unsynced().len()]);
        }
        let after = start(device).map_err(|why| format!("{what}, then work: {why}"))?;
        history.check(device.calls(), &after).map_err(|why| format!("{what}, then work: {why}"))
    }

    /// Files missing, doubled, exchanged, and from other moments of the run.
    fn mix_up(&mut self, share: Share, random: &mut Random) -> Result<(), String> {
        let names: Vec<String> = self.layout.files.keys().cloned().collect();
        for name in &names {
            let device = self.disk.fork();
            device.mount().remove(&path(name)).map_err(|error| error.to_string())?;
            self.counts.add("files missing", 1);
            self.refused_or_whole(&device, &format!("{name} missing"))?;
        }
        for pair in sample((names.len() * names.len()) as u64, share.mixtures, random) {
            let (from, to) = (&names[pair as usize / names.len()], &names[pair as usize % names.len()]);
            if from != to {
                self.exchange(from, to)?;
            }
        }
        let states = self.recorded.states.len() as u64;
        for state in sample(states, share.mixtures, random) {
            self.other_moments(&names, state as usize)?;
        }
        Ok(())
    }

    fn exchange(&mut self, from: &str, to: &str) -> Result<(), String> {
        let (first, second) = (self.bytes(from), self.bytes(to));
        let copied = self.disk.fork();
        copied.damage(&path(to), |bytes| bytes.clone_from(&first));
        self.counts.add("files doubled", 1);
        self.refused_or_whole(&copied, &format!("{from} copied over {to}"))?;
        let swapped = copied.fork();
        swapped.damage(&path(from), |bytes| *bytes = second);
        self.counts.add("files exchanged", 1);
        self.refused_or_whole(&swapped, &format!("{from} and {to} exchanged"))?;
        self.old_frames_behind(to, &first, from)
    }

    /// Another segment's frames behind the end of an open one: as in a file that was used before.
    fn old_frames_behind(&mut self, file: &str, others: &[u8], from: &str) -> Result<(), String> {
        let header = formats::log::segment::SEGMENT_HEADER_BYTES;
        let frames = self.layout.logs.iter().flatten().filter(|frame| frame.file == file);
        let Some(end) = frames.map(|frame| frame.bytes.end).max().filter(|_| from.starts_with("log-")) else {
            return Ok(());
        };
        self.counts.add("old frames behind the end", 1);
        let old = others.get(header..).unwrap_or_default();
        let count = old.len().min(self.layout.files[file] - end);
        let what = format!("frames of {from} behind the end of {file}");
        self.change(file, end..end + count, &what, |bytes| {
            bytes[end..end + count].copy_from_slice(&old[..count])
        })
    }

    /// One file as it was before some call, the others as they are; and the reverse.
    fn other_moments(&mut self, names: &[String], state: usize) -> Result<(), String> {
        let old = &self.recorded.states[state];
        for name in names {
            let Some(bytes) = old.contents(&path(name)) else { continue };
            let device = self.disk.fork();
            device.damage(&path(name), |now| now.clone_from(&bytes));
            self.counts.add("files of another moment", 1);
            self.refused_or_older(&device, &format!("{name} as it was before call {state}"))?;
            let reverse = old.fork();
            let bytes = self.bytes(name);
            reverse.damage(&path(name), |then| *then = bytes);
            self.counts.add("files of another moment", 1);
            self.refused_or_older(&reverse, &format!("all as before call {state}, {name} of the end"))?;
        }
        Ok(())
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        self.disk.contents(&path(file)).unwrap_or_default()
    }

    fn refused_or_whole(&mut self, device: &SimDisk, what: &str) -> Result<(), String> {
        match outcome(device, what)? {
            Outcome::Started(found, _) if found != self.whole => {
                Err(format!("(a) refused, or all is there: {what}: {}", self.lacks(&found)))
            }
            _ => Ok(()),
        }
    }

    /// An older state of a file cannot always be told from what a crash leaves: but what is there must fit together.
    fn refused_or_older(&mut self, device: &SimDisk, what: &str) -> Result<(), String> {
        match outcome(device, what)? {
            Outcome::Started(found, _) => {
                self.recorded.history.check_prefix(&found).map_err(|why| format!("{why}: {what}"))
            }
            Outcome::Refused(_) => Ok(()),
        }
    }
}

/// Names of the same log's segments before this one.
fn earlier_segments(file: &str) -> impl Iterator<Item = String> {
    let numbers = match FileKind::of(file) {
        FileKind::Segment(log, number) => Some((log, number)),
        _ => None,
    };
    numbers.into_iter().flat_map(|(log, number)| (0..number.0).map(move |it| segment(log, SegmentNo(it))))
}

/// Starts on a fork of the device, so that it can be started again.
fn outcome(device: &SimDisk, what: &str) -> Result<Outcome, String> {
    let fork = device.fork();
    let started = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match open(&fork) {
        Ok((_data, recovered)) => {
            let found = Found::read(&recovered)?;
            Ok(Outcome::Started(found, recovered.report))
        }
        Err(error) => Ok(Outcome::Refused(error.to_string())),
    }));
    started
        .unwrap_or_else(|_| Err("a start never panics".to_owned()))
        .map_err(|why: String| format!("{why}: {what}"))
}

/// About one of `stride` of the numbers below `count`, at random.
fn sample(count: u64, stride: u64, random: &mut Random) -> Vec<u64> {
    if stride <= 1 {
        return (0..count).collect();
    }
    let first = random.below(stride);
    (0..count)
        .skip(first as usize)
        .step_by(stride as usize)
        .map(|at| at + random.below(stride.min(count - at)))
        .collect()
}

/// All damage of each kind to the smallest directories.
///
/// # Errors
/// A violation.
pub fn everything(share: Share, tell: Progress<'_>) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for writers in [1, 2] {
        let (setup, mut random) = (Setup::small(writers), Random::new(u64::from(writers)));
        counts.merge(&damage_telling(&setup, share, &mut random, tell)?);
    }
    Ok(counts)
}
