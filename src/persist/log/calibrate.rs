//! How many log writers a device is worth: measures whether flushes run in parallel.

use crate::clock;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::persist::disk::{Disk, DiskFile};
use crate::persist::file_names;

/// Bytes of one write, as a small batch under `always` has.
const WRITE_BYTES: usize = 4096;
/// Blocks of a file: the writes go round in it, over blocks that were written before.
const BLOCKS: u64 = 64;
/// How long one measurement takes.
const MEASURE: Duration = Duration::from_millis(12);
/// A measurement on a slow disk takes longer, up to this many commits.
const MIN_COMMITS: u64 = 3;
/// Pairs of measurements, alone and together.
const ROUNDS: usize = 5;
/// All pairs but so many must say that a writer per shard pays. Where flushes queue up, a writer per shard
/// costs a factor of the number of shards; where they do not, one for all costs a factor of two at most: in
/// doubt, one.
const HICCUPS: usize = 1;
/// Most files measured in parallel.
const MAX_FILES: usize = 4;
/// Commits per second in parallel against alone from which on a writer per shard pays.
const WORTH: f64 = 1.3;

/// Measures how many log writers `shards` shards should have in the data directory `dir`: one per shard where
/// flushes of several files run in parallel, one for all where they queue up behind each other. Takes about
/// an eighth of a second, longer where a sync takes longer than 4 ms.
///
/// The data directory must be open (its LOCK held). Errors: those of the disk.
pub fn calibrate_writers(disk: &Arc<dyn Disk>, dir: &Path, shards: u16) -> io::Result<u16> {
    if shards < 2 {
        return Ok(1);
    }
    let mut files = Vec::new();
    let count = usize::from(shards).min(MAX_FILES);
    let measured = make_files(&**disk, dir, count, &mut files).and_then(|()| compare(&mut files));
    for number in 0..files.len() {
        let _ = disk.remove(&dir.join(file_names::calibration(number)));
    }
    Ok(if measured? >= WORTH { shards } else { 1 })
}

fn make_files(
    disk: &dyn Disk,
    dir: &Path,
    count: usize,
    files: &mut Vec<Box<dyn DiskFile>>,
) -> io::Result<()> {
    for number in 0..count {
        let mut file = disk.create(&dir.join(file_names::calibration(number)))?;
        file.write_all_at(0, &vec![0; BLOCKS as usize * WRITE_BYTES])?;
        file.sync_data()?;
        files.push(file);
    }
    Ok(())
}

/// Commits per second of all files in parallel, against those of one alone.
fn compare(files: &mut [Box<dyn DiskFile>]) -> io::Result<f64> {
    let mut ratios = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let alone = commits_per_second(&mut files[..1])?;
        ratios.push(commits_per_second(files)? / alone);
    }
    ratios.sort_by(f64::total_cmp);
    Ok(ratios[HICCUPS])
}

/// Commits of all files, over the time until the last of them was done: what one does while the others have
/// ended already must not count as parallel.
fn commits_per_second(files: &mut [Box<dyn DiskFile>]) -> io::Result<f64> {
    let started = clock::now();
    let commits: io::Result<u64> = std::thread::scope(|scope| {
        let running: Vec<_> = files.iter_mut().map(|file| scope.spawn(|| commits(&mut **file))).collect();
        let results = running.into_iter().map(|thread| thread.join());
        results.map(|result| result.unwrap_or_else(|_| Err(io::Error::other("a measurement panicked")))).sum()
    });
    Ok(commits? as f64 / started.elapsed().as_secs_f64())
}

/// Commits on one file until the time is over.
fn commits(file: &mut dyn DiskFile) -> io::Result<u64> {
    let started = clock::now();
    let mut count = 0;
    while started.elapsed() < MEASURE || count < MIN_COMMITS {
        let block = [count as u8; WRITE_BYTES];
        file.write_all_at(count % BLOCKS * WRITE_BYTES as u64, &block)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::disk::{SimDisk, SlowFlushDisk};

    #[test]
    fn one_flush_at_a_time_is_worth_one_writer() {
        let sim = SimDisk::new();
        let slow: Arc<dyn Disk> = Arc::new(SlowFlushDisk::new(sim.mount(), Duration::from_micros(800)));
        assert_eq!(calibrate_writers(&slow, Path::new("/d"), 8).unwrap(), 1);
        assert_eq!(calibrate_writers(&slow, Path::new("/d"), 1).unwrap(), 1);
        assert!(slow.list(Path::new("/d")).unwrap().is_empty(), "measuring leaves nothing behind");
    }
}
