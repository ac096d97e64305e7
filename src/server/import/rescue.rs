//! The sound keys of a damaged snapshot of our own.
//!
//! Invariants:
//! 1. A key is kept if its record can be read from end to end, this version can hold it, and its hash says that it belongs to
//!    the shard of the snapshot.
//! 2. Behind a place that cannot be read, records count again where [`SURE_RECORDS`] of them follow each other, or fewer up
//!    to the very end of the file.
//! 3. The checksum of the file does not fit, and only one for all there is: a value may be damaged where its form is sound.

use std::ops::Range;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Decoder, Item, KeyRecord, Scratch};

use super::ImportError;
use super::route::{ShardFile, write_error};
use crate::persist::fresh::FreshDir;
use crate::persist::recovery::salvage::DamagedSnapshot;
use crate::persist::{Gsn, ShardId, SnapshotEntry};
use crate::snapshot::can_hold;
use crate::store::KeyHasher;

/// Records in a row that are no accident.
const SURE_RECORDS: usize = 4;

/// Most suspects that are named.
pub const MAX_SUSPECTS: usize = 1000;

/// What was had of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    pub kept: u64,
    /// Keys whose value cannot be read, or that do not belong here.
    pub unsound: u64,
    /// How many keys there were, if MANIFEST or the file says.
    pub announced: Option<u64>,
    /// Bytes in which no records are found.
    pub holes: Vec<Range<u64>>,
    /// Keys that are kept and stand next to a hole: damage may reach into their values. Escaped; not more than
    /// [`MAX_SUSPECTS`].
    pub suspects: Vec<String>,
}

impl Rescued {
    /// Keys that are lost, if it is known how many there were.
    pub fn lost(&self) -> Option<u64> {
        self.announced.map(|announced| announced.saturating_sub(self.kept))
    }

    fn suspect(&mut self, record: &KeyRecord<'_>) {
        if self.suspects.len() < MAX_SUSPECTS
            && let Ok(key) = record.key.bytes(&mut StringBuffer::default())
        {
            self.suspects.push(key.escape_ascii().to_string());
        }
    }
}

/// Writes the sound keys into the snapshot of `shard` in `fresh`.
pub fn rescue(
    fresh: &FreshDir,
    shard: ShardId,
    damaged: &DamagedSnapshot,
) -> Result<(SnapshotEntry, Rescued), ImportError> {
    let failed = write_error(fresh);
    let mut file = ShardFile::create(fresh, shard, 1, Gsn(0)).map_err(&failed)?;
    let mut judge = Judge {
        hasher: KeyHasher::new(fresh.hash_seed()),
        shard: damaged.shard.0,
        shards: damaged.shards,
        key: StringBuffer::default(),
        scratch: Scratch::default(),
    };
    let bytes: &[u8] = &damaged.map;
    let mut rescued = Rescued::default();
    let (mut hinted, mut before, mut is_behind_hole) = (0, None, false);
    let Ok(mut decoder) = Decoder::new(bytes) else {
        rescued.announced = damaged.keys;
        rescued.holes.push(0..bytes.len() as u64);
        return Ok((file.finish().map_err(&failed)?, rescued));
    };
    loop {
        let offset = decoder.offset();
        match decoder.next_item() {
            Ok(Some(Item::Key(record))) if judge.is_sound(&record) => {
                file.copy(&record).map_err(&failed)?;
                rescued.kept += 1;
                if std::mem::take(&mut is_behind_hole) {
                    rescued.suspect(&record);
                }
                before = Some(record);
            }
            Ok(Some(Item::Key(_))) => rescued.unsound += 1,
            Ok(Some(Item::ResizeDb { keys, .. })) => hinted += keys,
            Ok(Some(Item::End { .. })) if decoder.rest().is_empty() => break,
            Ok(Some(Item::End { .. }) | None) | Err(_) => {
                if let Some(record) = before.take() {
                    rescued.suspect(&record);
                }
                is_behind_hole = true;
                let next = judge.resume(bytes, offset, &decoder);
                let end = next.as_ref().map_or(bytes.len() as u64, Decoder::offset);
                rescued.holes.push(offset..end);
                match next {
                    Some(next) => decoder = next,
                    None => break,
                }
            }
            Ok(Some(_)) => {}
        }
    }
    rescued.announced = damaged.keys.or(Some(hinted).filter(|&keys| keys >= rescued.kept && keys > 0));
    Ok((file.finish().map_err(&failed)?, rescued))
}

struct Judge {
    hasher: KeyHasher,
    shard: u16,
    shards: u16,
    key: StringBuffer,
    scratch: Scratch,
}

impl Judge {
    fn is_sound(&mut self, record: &KeyRecord<'_>) -> bool {
        let Ok(key) = record.key.bytes(&mut self.key) else { return false };
        let is_here = self.hasher.shard(key, self.hasher.hash(key), self.shards) == self.shard;
        is_here
            && record.db < u64::from(crate::server::offline::DATABASES)
            && can_hold(record.value.value_type())
            && record.value.check(&mut self.scratch).is_ok()
    }

    /// A decoder behind `from`, where records begin again. The database stays the one before.
    fn resume<'a>(&mut self, bytes: &'a [u8], from: u64, before: &Decoder<'_>) -> Option<Decoder<'a>> {
        let (version, db) = (before.version(), before.db());
        (from as usize + 1..bytes.len())
            .map(|at| Decoder::resume(bytes, at, version, db))
            .find(|decoder| self.is_sure(decoder.clone()))
    }

    fn is_sure(&mut self, mut decoder: Decoder<'_>) -> bool {
        let mut keys = 0;
        while keys < SURE_RECORDS {
            match decoder.next_item() {
                Ok(Some(Item::Key(record))) if self.is_sound(&record) => keys += 1,
                Ok(Some(Item::SelectDb(_) | Item::ResizeDb { .. })) if keys > 0 => {}
                Ok(Some(Item::End { .. })) => return keys > 0 && decoder.rest().is_empty(),
                _ => return false,
            }
        }
        true
    }
}
