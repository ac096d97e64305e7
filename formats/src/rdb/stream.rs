//! A stream's nodes: each a listpack whose entries leave out what they share with the first.
//!
//! ```text
//! master entry:  live │ deleted │ fields │ field … │ 0
//! entry:         flags │ ms - master's │ seq - master's │ [fields] │ field value … or value … │ entries back
//! flags: 1 deleted, 2 the fields are the master's
//! ```

use super::StreamId;
use super::listpack::{Listpack, PackedEntry, PackedError};

const FLAG_DELETED: i64 = 1;
const FLAG_SAME_FIELDS: i64 = 2;

/// Walks through the entries of one node.
#[derive(Clone, Copy, Debug)]
pub struct StreamNode<'a> {
    entries: Listpack<'a>,
    master_id: StreamId,
    master_fields: Listpack<'a>,
    master_field_count: u64,
    live: i64,
    deleted: i64,
    seen: (i64, i64),
}

/// Fields and values of one entry, to be iterated.
#[derive(Clone, Copy, Debug)]
pub struct StreamFields<'a> {
    /// Where the fields stand, if not beside their values.
    master: Option<Listpack<'a>>,
    values: Listpack<'a>,
    count: u64,
}

impl<'a> StreamNode<'a> {
    /// Reads the master entry. `master_id` stands beside the listpack in the file.
    pub fn new(listpack: &'a [u8], master_id: StreamId) -> Result<Self, PackedError> {
        let mut entries = Listpack::new(listpack)?;
        let (live, deleted) = (entries.integer()?, entries.integer()?);
        let master_field_count = count(&mut entries)?;
        let master_fields = entries;
        for _ in 0..master_field_count {
            entries.require()?;
        }
        if entries.integer()? != 0 {
            return Err(PackedError { at: entries.at(), what: "master entry has no end" });
        }
        Ok(StreamNode { entries, master_id, master_fields, master_field_count, live, deleted, seen: (0, 0) })
    }

    /// Entries that were not deleted.
    pub fn live(&self) -> u64 {
        self.live.max(0) as u64
    }

    /// The next entry that was not deleted; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<(StreamId, StreamFields<'a>)>, PackedError> {
        loop {
            let at = self.entries.at();
            let mut probe = self.entries;
            if probe.next_entry()?.is_none() {
                return self.end();
            }
            let flags = self.entries.integer()?;
            let (ms, seq) = (self.entries.integer()?, self.entries.integer()?);
            // Differences wrap: an id may lie anywhere behind the master's.
            let id = StreamId {
                ms: self.master_id.ms.wrapping_add(ms as u64),
                seq: self.master_id.seq.wrapping_add(seq as u64),
            };
            let fields = self.fields(flags)?;
            let heads = if fields.master.is_some() { 3 + fields.count } else { 4 + 2 * fields.count };
            if self.entries.integer()? as u64 != heads {
                return Err(PackedError { at, what: "entry's own length is wrong" });
            }
            if flags & FLAG_DELETED == 0 {
                self.seen.0 += 1;
                return Ok(Some((id, fields)));
            }
            self.seen.1 += 1;
        }
    }

    fn fields(&mut self, flags: i64) -> Result<StreamFields<'a>, PackedError> {
        let same = flags & FLAG_SAME_FIELDS != 0;
        let count = if same { self.master_field_count } else { count(&mut self.entries)? };
        let fields = StreamFields { master: same.then_some(self.master_fields), values: self.entries, count };
        for _ in 0..count {
            if !same {
                self.entries.require()?;
            }
            self.entries.require()?;
        }
        Ok(fields)
    }

    fn end<T>(&self) -> Result<Option<T>, PackedError> {
        if self.seen != (self.live, self.deleted) {
            return Err(PackedError { at: 0, what: "master entry's counts are not those of the entries" });
        }
        Ok(None)
    }
}

fn count(entries: &mut Listpack<'_>) -> Result<u64, PackedError> {
    let at = entries.at();
    u64::try_from(entries.integer()?).map_err(|_| PackedError { at, what: "a negative number of fields" })
}

impl<'a> Iterator for StreamFields<'a> {
    type Item = (PackedEntry<'a>, PackedEntry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        // The node has walked over them: they are there.
        let field = match &mut self.master {
            Some(master) => master.next_entry().ok()??,
            None => self.values.next_entry().ok()??,
        };
        Some((field, self.values.next_entry().ok()??))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The node has walked over that many: they fit into memory.
        (self.count as usize, Some(self.count as usize))
    }
}

impl ExactSizeIterator for StreamFields<'_> {}
