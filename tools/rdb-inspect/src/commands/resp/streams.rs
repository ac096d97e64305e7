//! Fills streams: entries, what the stream remembers, groups with consumers and pending entries.
//!
//! Invariant: [`MOST_PENDING`] pending entries are in memory at a time. A consumer's list names only ids; when and how
//! often each was delivered stands in the group's list before it. A stream with more pending entries is read again for
//! each further window of them.

use formats::rdb::string::StringBuffer;
use formats::rdb::value::{StreamInfo, StreamPending};
use formats::rdb::{Element, KeyRecord, RdbError, RdbString, Scratch, StreamId};

use super::commands::Commands;
use crate::complaints::Complaints;
use crate::content::{PIECE_BYTES, Stop, damage_of};
use crate::failure::Failure;

/// Pending entries of a window: 40 MB.
const MOST_PENDING: u64 = 1 << 20;

/// Writes the stream; answers with the first damage in it.
pub fn write(
    commands: &mut Commands,
    record: &KeyRecord<'_>,
    scratch: &mut Scratch,
    complaints: &mut Complaints<'_>,
) -> Result<Option<RdbError>, Failure> {
    let mut filling = Filling {
        commands,
        key: record.key,
        complaints,
        record,
        window: 0,
        pending_seen: 0,
        pending: Vec::new(),
        group: Vec::new(),
        consumer: Vec::new(),
        buffer: StringBuffer::default(),
        any_entry: false,
    };
    loop {
        filling.pending_seen = 0;
        filling.pending.clear();
        let end = record.value.for_each(scratch, |element| filling.element(element));
        if let Some(error) = damage_of(end)? {
            return Ok(Some(error));
        }
        filling.window += 1;
        if filling.pending_seen <= filling.window * MOST_PENDING {
            return Ok(None);
        }
    }
}

struct Filling<'f, 'r, 'c, 'n> {
    commands: &'f mut Commands,
    key: RdbString<'r>,
    record: &'f KeyRecord<'r>,
    complaints: &'c mut Complaints<'n>,
    /// Which pass this is: all but pending entries is written in the first.
    window: u64,
    pending_seen: u64,
    /// Those of the window and the group, by id.
    pending: Vec<StreamPending>,
    group: Vec<u8>,
    consumer: Vec<u8>,
    buffer: StringBuffer,
    any_entry: bool,
}

impl Filling<'_, '_, '_, '_> {
    fn element(&mut self, element: Element<'_>) -> Result<(), Stop> {
        match element {
            Element::StreamEntry { id, fields } if self.window == 0 => {
                self.any_entry = true;
                self.commands.on_key(3 + 2 * fields.len() as u64, b"XADD", self.key)?;
                self.commands.text(id);
                for (field, value) in fields {
                    self.commands.string(field)?;
                    self.commands.string(value)?;
                    self.commands.output.flow()?;
                }
            }
            Element::StreamInfo(info) if self.window == 0 => self.info(info)?,
            Element::StreamGroup(group) => {
                self.pending.clear();
                self.group = self.name(group.name)?;
                if self.window == 0 {
                    self.create_group(group.last_id, group.entries_read)?;
                }
            }
            Element::StreamPending(pending) => {
                if self.pending_seen / MOST_PENDING == self.window {
                    self.pending.push(pending);
                }
                self.pending_seen += 1;
            }
            Element::StreamConsumer(consumer) => {
                self.consumer = self.name(consumer.name)?;
                if self.window == 0 && !self.group.is_empty() && !self.consumer.is_empty() {
                    self.commands.begin(5, b"XGROUP");
                    self.commands.argument(b"CREATECONSUMER");
                    self.commands.string(self.key)?;
                    self.commands.argument(&self.group);
                    self.commands.argument(&self.consumer);
                }
            }
            Element::StreamConsumerPending(id) => self.claim(id)?,
            _ => {}
        }
        Ok(self.commands.output.flow()?)
    }

    /// A copy of the name of a group or a consumer, which later commands name; empty if it is too long to be kept.
    fn name(&mut self, name: RdbString<'_>) -> Result<Vec<u8>, Stop> {
        if name.len() > PIECE_BYTES {
            let what = "a group or consumer with a name beyond 64 KiB is left out";
            self.complaints.remark(self.record.db, self.key, what);
            return Ok(Vec::new());
        }
        Ok(name.bytes(&mut self.buffer)?.to_vec())
    }

    fn info(&mut self, info: StreamInfo) -> Result<(), Stop> {
        if !self.any_entry {
            // A stream without entries is one that had some.
            self.commands.on_key(7, b"XADD", self.key)?;
            for argument in [&b"MAXLEN"[..], b"0", b"0-1", b"x", b"y"] {
                self.commands.argument(argument);
            }
        }
        let added = info.entries_added.zip(info.max_deleted_id);
        self.commands.on_key(if added.is_some() { 7 } else { 3 }, b"XSETID", self.key)?;
        self.commands.text(info.last_id);
        if let Some((added, deleted)) = added {
            self.commands.argument(b"ENTRIESADDED");
            self.commands.number(added);
            self.commands.argument(b"MAXDELETEDID");
            self.commands.text(deleted);
        }
        Ok(())
    }

    fn create_group(&mut self, last_id: StreamId, entries_read: Option<u64>) -> Result<(), Stop> {
        if self.group.is_empty() {
            return Ok(());
        }
        self.commands.begin(if entries_read.is_some() { 7 } else { 5 }, b"XGROUP");
        self.commands.argument(b"CREATE");
        self.commands.string(self.key)?;
        self.commands.argument(&self.group);
        self.commands.text(last_id);
        if let Some(read) = entries_read {
            self.commands.argument(b"ENTRIESREAD");
            self.commands.number(read);
        }
        Ok(())
    }

    fn claim(&mut self, id: StreamId) -> Result<(), Failure> {
        // A group's list is in the order of ids.
        let Ok(at) = self.pending.binary_search_by_key(&id, |pending| pending.id) else { return Ok(()) };
        if self.group.is_empty() || self.consumer.is_empty() {
            return Ok(());
        }
        let pending = self.pending[at];
        self.commands.on_key(12, b"XCLAIM", self.key)?;
        self.commands.argument(&self.group);
        self.commands.argument(&self.consumer);
        self.commands.argument(b"0");
        self.commands.text(id);
        self.commands.argument(b"TIME");
        self.commands.number(pending.delivered_at_ms);
        self.commands.argument(b"RETRYCOUNT");
        self.commands.number(pending.deliveries);
        self.commands.argument(b"FORCE");
        self.commands.argument(b"JUSTID");
        Ok(())
    }
}
