//! Streams: entries in nodes of up to 100, then what the stream knows of itself, then its groups.
//!
//! ```text
//! number of nodes, then per node:   16, id of its first entry (two u64, big endian) │ a string that is a listpack
//! entries, last id, first id, largest deleted id, entries ever added                  lengths; an id is two
//! number of groups, then per group: name, last id, entries read (2^64-1: not known)
//!   number of pending entries:      id │ delivered at, i64 │ number of deliveries, a length
//!   number of consumers:            name │ seen at, i64 │ active at, i64, since version 11
//!     number of pending entries:    id
//!
//! listpack of a node
//!   master entry:  live │ deleted │ fields │ field … │ 0
//!   entry:         flags │ ms, seq less those of the first id │ [fields] │ field value … or value … │ elements back
//!   flags:         1 deleted, 2 the fields are the master's, so that only values follow
//! ```
//!
//! The number of nodes comes first, so entries are gone through twice: by a [`StreamNodeCounter`], which needs the
//! memory of one node, and then by the encoder.
//!
//! Source: Redis' `t_stream.c`, `rdb.c`.

use super::{EncodeError, EncodeVersion, Encoder, KeyEncoder, Open, Part, string};
use crate::rdb::StreamId;
use crate::rdb::kind::ValueKind;
use crate::rdb::listpack_writer::{ListpackTooLarge, ListpackWriter, MAX_LISTPACK_BYTES};

/// Most entries of a node by Redis' defaults; must fit seven bits.
const NODE_MAX_ENTRIES: u8 = 100;
/// Bytes at which a node is full by Redis' defaults.
const NODE_MAX_BYTES: usize = 4096;

const FLAG_DELETED: i64 = 1;
const FLAG_SAME_FIELDS: i64 = 2;

/// An entry of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamEntry<'a> {
    pub id: StreamId,
    /// Whether it was deleted; such entries may as well be left out.
    pub deleted: bool,
    pub fields: &'a [(&'a [u8], &'a [u8])],
}

/// What a stream knows of itself besides its entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamMeta {
    /// Entries that are not deleted.
    pub length: u64,
    pub last_id: StreamId,
    /// Of the entries that are not deleted; zero where there is none.
    pub first_id: StreamId,
    pub max_deleted_id: StreamId,
    /// Entries ever added.
    pub entries_added: u64,
    /// How many groups will follow.
    pub groups: u64,
}

/// A group of consumers.
#[derive(Clone, Copy, Debug)]
pub struct StreamGroup<'a> {
    pub name: &'a [u8],
    /// The last entry that was delivered.
    pub last_id: StreamId,
    /// Entries delivered since the stream began, if known.
    pub entries_read: Option<u64>,
    /// Ascending; delivered and not acknowledged.
    pub pending: &'a [PendingEntry],
    pub consumers: &'a [StreamConsumer<'a>],
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct PendingEntry {
    pub id: StreamId,
    /// Milliseconds since 1970.
    pub delivered_at_ms: i64,
    pub deliveries: u64,
}

/// A consumer of a group.
#[derive(Clone, Copy, Debug)]
pub struct StreamConsumer<'a> {
    pub name: &'a [u8],
    /// When it last asked for something, milliseconds since 1970.
    pub seen_at_ms: i64,
    /// When it last got something; -1 for never. Version 10 does not hold it.
    pub active_at_ms: i64,
    /// Its part of the group's pending entries, ascending.
    pub pending: &'a [StreamId],
}

/// A stream whose value is being written.
#[derive(Debug)]
pub(super) struct OpenStream {
    packer: StreamPacker,
    nodes_left: u64,
    live: u64,
    /// `None` while entries may still come.
    groups_left: Option<u64>,
}

impl OpenStream {
    pub(super) fn expected(&self) -> Part {
        if self.groups_left.is_none() { Part::StreamEntries } else { Part::StreamGroups }
    }

    /// What must come before the value may end.
    pub(super) fn missing(&self) -> Option<(Part, u64)> {
        match self.groups_left {
            None => Some((Part::StreamNodes, self.nodes_left)),
            Some(0) => None,
            Some(left) => Some((Part::StreamGroups, left)),
        }
    }
}

impl KeyEncoder<'_> {
    /// A stream with so many nodes as [`StreamNodeCounter`] found. Entries follow with
    /// [`Encoder::stream_entry`], then comes [`Encoder::stream_meta`], then its groups with
    /// [`Encoder::stream_group`].
    pub fn begin_stream(self, nodes: u64) -> Result<(), EncodeError> {
        let encoder = match self.encoder.version {
            EncodeVersion::V10 => self.start(ValueKind::Stream2)?,
            EncodeVersion::V11 => self.start(ValueKind::Stream3)?,
        };
        string::put_len(&mut encoder.pending, nodes);
        let packer = StreamPacker::default();
        encoder.open =
            Open::Stream(Box::new(OpenStream { packer, nodes_left: nodes, live: 0, groups_left: None }));
        Ok(())
    }
}

impl Encoder {
    /// The next entry; ids ascend.
    pub fn stream_entry(&mut self, entry: &StreamEntry<'_>) -> Result<(), EncodeError> {
        let Open::Stream(stream) = &mut self.open else { return Err(self.out_of_place(Part::StreamEntries)) };
        if stream.groups_left.is_some() {
            return Err(self.out_of_place(Part::StreamEntries));
        }
        let starts = stream.packer.check(entry)?;
        if starts && stream.nodes_left == 0 {
            return Err(EncodeError::Exceeds { part: Part::StreamNodes, left: 0, found: 1 });
        }
        if starts {
            stream.nodes_left -= 1;
            let (out, strings) = (&mut self.pending, &mut self.strings);
            stream.packer.end_node(|key, listpack| {
                strings.put(out, key);
                strings.put(out, listpack);
            });
        }
        stream.live += u64::from(!entry.deleted);
        stream.packer.push(entry, starts)
    }

    /// Ends the entries.
    pub fn stream_meta(&mut self, meta: &StreamMeta) -> Result<(), EncodeError> {
        let Open::Stream(stream) = &mut self.open else { return Err(self.out_of_place(Part::StreamEntries)) };
        if stream.groups_left.is_some() {
            return Err(self.out_of_place(Part::StreamEntries));
        }
        if stream.nodes_left > 0 {
            return Err(EncodeError::Incomplete { part: Part::StreamNodes, missing: stream.nodes_left });
        }
        if stream.live != meta.length {
            let missing = meta.length.saturating_sub(stream.live);
            return Err(EncodeError::Incomplete { part: Part::StreamEntries, missing });
        }
        let (out, strings) = (&mut self.pending, &mut self.strings);
        stream.packer.end_node(|key, listpack| {
            strings.put(out, key);
            strings.put(out, listpack);
        });
        string::put_len(out, meta.length);
        for id in [meta.last_id, meta.first_id, meta.max_deleted_id] {
            put_id(out, id);
        }
        string::put_len(out, meta.entries_added);
        string::put_len(out, meta.groups);
        stream.groups_left = Some(meta.groups);
        Ok(())
    }

    /// The next group.
    pub fn stream_group(&mut self, group: &StreamGroup<'_>) -> Result<(), EncodeError> {
        let Open::Stream(stream) = &mut self.open else { return Err(self.out_of_place(Part::StreamGroups)) };
        let Some(left) = stream.groups_left else { return Err(self.out_of_place(Part::StreamGroups)) };
        let exceeds = EncodeError::Exceeds { part: Part::StreamGroups, left, found: 1 };
        stream.groups_left = Some(left.checked_sub(1).ok_or(exceeds)?);
        self.put(group.name);
        put_id(&mut self.pending, group.last_id);
        string::put_len(&mut self.pending, group.entries_read.unwrap_or(u64::MAX));
        string::put_len(&mut self.pending, group.pending.len() as u64);
        for pending in group.pending {
            self.pending.extend_from_slice(&id_bytes(pending.id));
            self.pending.extend_from_slice(&pending.delivered_at_ms.to_le_bytes());
            string::put_len(&mut self.pending, pending.deliveries);
        }
        string::put_len(&mut self.pending, group.consumers.len() as u64);
        group.consumers.iter().for_each(|consumer| self.put_consumer(consumer));
        Ok(())
    }

    fn put_consumer(&mut self, consumer: &StreamConsumer<'_>) {
        self.put(consumer.name);
        self.pending.extend_from_slice(&consumer.seen_at_ms.to_le_bytes());
        if self.version == EncodeVersion::V11 {
            self.pending.extend_from_slice(&consumer.active_at_ms.to_le_bytes());
        }
        string::put_len(&mut self.pending, consumer.pending.len() as u64);
        consumer.pending.iter().for_each(|id| self.pending.extend_from_slice(&id_bytes(*id)));
    }
}

fn put_id(out: &mut Vec<u8>, id: StreamId) {
    string::put_len(out, id.ms);
    string::put_len(out, id.seq);
}

fn id_bytes(id: StreamId) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}

/// Counts the nodes that the encoder will make of the same entries.
#[derive(Debug, Default)]
pub struct StreamNodeCounter {
    packer: StreamPacker,
    nodes: u64,
}

impl StreamNodeCounter {
    pub fn entry(&mut self, entry: &StreamEntry<'_>) -> Result<(), EncodeError> {
        let starts = self.packer.check(entry)?;
        self.nodes += u64::from(starts);
        self.packer.push(entry, starts)
    }

    pub fn nodes(&self) -> u64 {
        self.nodes
    }
}

/// Packs entries into one node after the other.
#[derive(Debug, Default)]
struct StreamPacker {
    listpack: ListpackWriter,
    master_id: StreamId,
    last_id: Option<StreamId>,
    master_fields: Vec<Vec<u8>>,
    live: u8,
    deleted: u8,
    /// Where the listpack's two counts stand.
    counts_at: [usize; 2],
}

impl StreamPacker {
    /// Whether an entry can come next, and starts a node. Bytes are compared as Redis does, so that nodes are cut
    /// where it cuts them.
    fn check(&self, entry: &StreamEntry<'_>) -> Result<bool, EncodeError> {
        if self.last_id.is_some_and(|last| entry.id <= last) {
            return Err(EncodeError::NotAscending);
        }
        let bytes = entry.fields.iter().map(|(field, value)| field.len() + value.len()).sum::<usize>();
        let elements = entry.fields.len() * 3 + 16;
        // Fields may stand in it twice: in the master entry and in the entry.
        let bound = bytes.saturating_mul(2).saturating_add(elements * 10);
        if bound > MAX_LISTPACK_BYTES - 2 * NODE_MAX_BYTES {
            return Err(ListpackTooLarge.into());
        }
        Ok(self.listpack.is_empty()
            || self.listpack.byte_len() + bytes >= NODE_MAX_BYTES
            || self.live + self.deleted >= NODE_MAX_ENTRIES)
    }

    /// Hands over the open node, if there is one.
    fn end_node(&mut self, each: impl FnOnce(&[u8], &[u8])) {
        if !self.listpack.is_empty() {
            let key = id_bytes(self.master_id);
            self.listpack.with_finished(|listpack| each(&key, listpack));
            self.listpack.clear();
        }
    }

    fn push(&mut self, entry: &StreamEntry<'_>, starts: bool) -> Result<(), EncodeError> {
        if starts {
            self.start_node(entry)?;
        }
        self.last_id = Some(entry.id);
        let same = self.has_master_fields(entry);
        let flags = FLAG_DELETED * i64::from(entry.deleted) + FLAG_SAME_FIELDS * i64::from(same);
        let fields = entry.fields.len() as i64;
        self.listpack.push_int(flags)?;
        // The sequence number may be lower than the first one's: the difference wraps.
        self.listpack.push_int(entry.id.ms.wrapping_sub(self.master_id.ms) as i64)?;
        self.listpack.push_int(entry.id.seq.wrapping_sub(self.master_id.seq) as i64)?;
        if !same {
            self.listpack.push_int(fields)?;
        }
        for (field, value) in entry.fields {
            if !same {
                self.listpack.push(field)?;
            }
            self.listpack.push(value)?;
        }
        self.listpack.push_int(if same { fields + 3 } else { 2 * fields + 4 })?;
        self.count(entry.deleted);
        Ok(())
    }

    fn start_node(&mut self, entry: &StreamEntry<'_>) -> Result<(), EncodeError> {
        self.listpack.clear();
        self.master_id = entry.id;
        self.master_fields.clear();
        (self.live, self.deleted) = (0, 0);
        for at in &mut self.counts_at {
            *at = self.listpack.offset();
            self.listpack.push_int(0)?;
        }
        self.listpack.push_int(entry.fields.len() as i64)?;
        for (field, _) in entry.fields {
            self.listpack.push(field)?;
            self.master_fields.push(field.to_vec());
        }
        Ok(self.listpack.push_int(0)?)
    }

    fn has_master_fields(&self, entry: &StreamEntry<'_>) -> bool {
        let fields = entry.fields.iter().map(|(field, _)| *field);
        self.master_fields.len() == entry.fields.len()
            && fields.eq(self.master_fields.iter().map(Vec::as_slice))
    }

    fn count(&mut self, deleted: bool) {
        match deleted {
            true => self.deleted += 1,
            false => self.live += 1,
        }
        self.listpack.replace_small_int(self.counts_at[0], self.live);
        self.listpack.replace_small_int(self.counts_at[1], self.deleted);
    }
}
