//! A data directory and what a replay of it gives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::persist::disk::Disk;
use crate::persist::log::SegmentSizes;
use crate::persist::{
    Checkpoint, CutFacts, DataDir, Finished, Gsn, Log, LogOptions, PersistError, Recovered, Retention,
    ShardId, SnapshotEntry, SyncPolicy,
};
use formats::checksum::Crc64;

/// Where the simulated directory lies.
pub fn dir() -> PathBuf {
    PathBuf::from("/data")
}

/// Options for small, deterministic runs.
pub fn options(shards: u16) -> LogOptions {
    LogOptions {
        policy: SyncPolicy::Always,
        segments: SegmentSizes { first_bytes: 16 << 10, max_bytes: 64 << 10 },
        close_patience_ms: 100,
        background_preparer: false,
        ..LogOptions::new(shards, Arc::new(|_| {}))
    }
}

pub fn open(disk: &Arc<dyn Disk>) -> Result<(DataDir, Recovered), PersistError> {
    let data = DataDir::open(Arc::clone(disk), &dir())?;
    let recovered = data.recover()?;
    Ok((data, recovered))
}

/// Applies snapshots and `SET` effects of all epochs in order: what a server would hold. Key: database and key.
pub fn state(recovered: &Recovered) -> BTreeMap<(u16, String), String> {
    let mut state = BTreeMap::new();
    for (_, line) in snapshot_lines(recovered) {
        let (key, value) = line.split_once('=').expect("key=value");
        state.insert((0, key.to_owned()), value.to_owned());
    }
    for (_, database, args) in effects(recovered) {
        let [command, key, value] = args.as_slice() else { panic!("not a SET: {args:?}") };
        assert_eq!(command, "SET");
        state.insert((database, key.clone()), value.clone());
    }
    state
}

/// All effects in order of replay.
pub fn effects(recovered: &Recovered) -> Vec<(ShardId, u16, Vec<String>)> {
    let mut effects = Vec::new();
    for log in recovered.epochs.iter().flat_map(|epoch| &epoch.logs) {
        let done = AtomicU64::new(0);
        let collected = log.for_each_counting(&done, |shard, database, args| {
            let args = args.iter().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
            effects.push((shard, database, args));
            Ok::<(), std::convert::Infallible>(())
        });
        collected.expect("replay");
        assert_eq!(done.into_inner(), log.bytes());
    }
    effects
}

pub fn set(log: &mut Log, key: &str, value: &str) {
    log.append(0, &[b"SET", key.as_bytes(), value.as_bytes()]);
    log.command_boundary();
}

/// Hands over and waits until durable.
pub fn settle(log: &mut Log) {
    log.submit_all();
    for _ in 0..5000 {
        if log.is_idle() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("not durable after five seconds: {:?}", log.status());
}

/// What stands for an RDB file here, where nobody looks into one: lines, and their checksum.
fn snapshot(lines: &[String]) -> (Vec<u8>, u64) {
    let mut bytes = lines.join("\n").into_bytes();
    let mut crc = Crc64::new();
    crc.update(&bytes);
    bytes.extend_from_slice(&crc.value().to_le_bytes());
    (bytes, crc.value())
}

/// The lines of all snapshots, by shard.
pub fn snapshot_lines(recovered: &Recovered) -> Vec<(ShardId, String)> {
    let mut lines = Vec::new();
    for snapshot in &recovered.snapshots {
        let text = std::str::from_utf8(&snapshot.map[..snapshot.map.len() - 8]).expect("text");
        lines.extend(text.lines().map(|line| (snapshot.entry.shard, line.to_owned())));
    }
    lines
}

/// Cuts all logs, in the order given, and lets the others go on between two cuts.
pub fn cut(checkpoint: &Checkpoint, logs: &mut [Log]) {
    logs.iter_mut().for_each(|log| log.cut(checkpoint.cut_request()));
}

/// Writes a snapshot per shard.
pub fn write_snapshots(
    checkpoint: &mut Checkpoint,
    shards: u16,
    lines: impl Fn(u16) -> Vec<String>,
) -> Result<Vec<SnapshotEntry>, PersistError> {
    let mut entries = Vec::new();
    for shard in 0..shards {
        let lines = lines(shard);
        let (bytes, crc64) = snapshot(&lines);
        let (_, mut file) = checkpoint.create_snapshot(ShardId(shard))?;
        let written = file.write_all_at(0, &bytes).and_then(|()| file.sync_data());
        written.map_err(PersistError::io("write", &dir()))?;
        let (shard, keys) = (ShardId(shard), lines.len() as u64);
        entries.push(SnapshotEntry { shard, bytes: bytes.len() as u64, keys, crc64 });
    }
    Ok(entries)
}

/// A whole checkpoint, given up as by the server when a log cannot be written for long.
pub fn checkpoint(
    data: &DataDir,
    logs: &mut [Log],
    facts: CutFacts,
    rule: &Retention,
    lines: impl Fn(u16) -> Vec<String>,
) -> Result<Finished, PersistError> {
    let mut checkpoint = data.begin_checkpoint()?;
    cut(&checkpoint, logs);
    let entries = write_snapshots(&mut checkpoint, logs.len() as u16, lines)?;
    let shared: Vec<_> = logs.iter().map(Log::shared).collect();
    let patience = crate::clock::now() + std::time::Duration::from_millis(100);
    let stuck = || crate::clock::now() > patience && shared.iter().any(|log| log.is_retrying());
    checkpoint.finish(facts, entries, rule, facts.time_ms, stuck)
}

/// The facts of a cut behind transaction `gsn`, at `time_ms`.
pub fn facts(gsn: u64, time_ms: u64) -> CutFacts {
    CutFacts { gsn: Gsn(gsn), time_ms }
}
