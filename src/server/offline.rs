//! The keys of a data directory without a server: recovered into memory as a start would, frozen, handed out.
//!
//! Invariant: nothing is written, and nothing expires.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use super::{ServerError, one_shard_per_core, replay, run_id, start_shards};
use crate::config::Config;
use crate::persist::RecoveryReport;
use crate::persist::disk::Disk;
use crate::persist::read_only::ReadOnlyDir;
use crate::shard::mailbox::Message;
use crate::shard::shared::Shared;
use crate::store::{Frozen, KeyHasher};

/// Most databases that a log can have.
const DATABASES: u32 = 65_535;

/// All keys of a data directory.
pub struct Offline {
    pub report: RecoveryReport,
    /// The parts of each database that has keys, by ascending number of the database.
    pub databases: Vec<(u16, Vec<Frozen>)>,
}

/// Loads the data directory `dir`. Takes about the memory that a server with that data takes.
///
/// # Errors
/// A server runs on it, or would refuse to start on it.
pub fn load(disk: Arc<dyn Disk>, dir: &Path) -> Result<Offline, ServerError> {
    let dir = ReadOnlyDir::open(disk, dir)?;
    let recovered = dir.recover(None)?;
    let report = recovered.report.clone();
    let shards = one_shard_per_core();
    // No address to bind: the shards serve nobody.
    let config = Config { bind: Vec::new(), databases: DATABASES, shards, ..Config::default() };
    let shared = Shared::new(shards, config.clone(), run_id());
    shared.loading.active.store(true, Ordering::Release); // and so it stays: expiry waits for its end
    let threads = start_shards(&shared, &config, KeyHasher::new(recovered.hash_seed))?;
    let replayed = replay::replay(recovered, &shared);
    let databases = replayed.map(|_| freeze(&shared));
    for thread in threads {
        let _ = thread.stop.send(()); // it may have ended by itself
        let _ = thread.thread.join(); // a panic there has left no answer, which is noticed below
    }
    Ok(Offline { report, databases: databases?.ok_or(ServerError::Replay(replay::ReplayFailure::Thread))? })
}

/// A view of every database of every shard; `None` if a shard's thread has gone.
fn freeze(shared: &Shared) -> Option<Vec<(u16, Vec<Frozen>)>> {
    let mut databases: Vec<(u16, Vec<Frozen>)> = Vec::new();
    for mailbox in &shared.mailboxes {
        let (answer, answered) = mpsc::channel();
        mailbox.send(Message::Call(Box::new(move |shard| {
            let mut engine = shard.engine.borrow_mut();
            let views = engine.dbs.iter_mut().zip(0..).filter(|(keys, _)| !keys.is_empty());
            let views: Vec<(u16, Frozen)> = views.map(|(keys, db)| (db, keys.freeze())).collect();
            let _ = answer.send(views); // whoever asked waits
        })));
        mailbox.wake();
        for (db, view) in answered.recv().ok()? {
            match databases.binary_search_by_key(&db, |(db, _)| *db) {
                Ok(index) => databases[index].1.push(view),
                Err(index) => databases.insert(index, (db, vec![view])),
            }
        }
    }
    Some(databases)
}
