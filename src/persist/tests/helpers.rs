//! A data directory and what a replay of it gives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::persist::disk::Disk;
use crate::persist::log::SegmentSizes;
use crate::persist::{DataDir, Log, LogOptions, PersistError, Recovered, ShardId, SyncPolicy};

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

/// Applies `SET` effects of all epochs in order: what a server would hold. Key: database and key.
pub fn state(recovered: &Recovered) -> BTreeMap<(u16, String), String> {
    let mut state = BTreeMap::new();
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
