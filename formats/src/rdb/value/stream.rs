//! Visits a stream: its nodes, what it remembers, its groups with their consumers.
//!
//! ```text
//! nodes │ (id, listpack) … │ length │ last id │ [first id │ largest deleted id │ entries added]
//! groups │ name │ last id │ [entries read]
//!        │ pending │ (id 16, delivered at 8, deliveries) …
//!        │ consumers │ name │ seen at 8 │ [active at 8] │ pending │ id 16 …
//! ```
//!
//! What stands in brackets came with the second and the third form.
//!
//! Invariant: ids ascend over all nodes.

use super::content::{Place, blob};
use super::{Element, Scratch, StreamConsumer, StreamGroup, StreamInfo, StreamPending};
use crate::rdb::StreamId;
use crate::rdb::error::{Problem, RdbError};
use crate::rdb::input::Input;
use crate::rdb::kind::ValueKind;
use crate::rdb::listpack::PackedError;
use crate::rdb::stream::StreamNode;
use crate::rdb::string::{RdbString, StringBuffer};

/// Stands for a number of entries read that is not known.
const ENTRIES_READ_UNKNOWN: u64 = u64::MAX;
/// Stands for the time of a consumer that never was active.
const NEVER: i64 = -1;

pub(super) fn for_each<E: From<RdbError>>(
    input: &mut Input<'_>,
    kind: ValueKind,
    scratch: &mut Scratch,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut last = None;
    for _ in 0..input.length("stream nodes")? {
        node(input, scratch, &mut last, &mut visit)?;
    }
    for_each_part(input, kind, visit)
}

/// Visits what stands behind the nodes.
pub(super) fn for_each_part<E: From<RdbError>>(
    input: &mut Input<'_>,
    kind: ValueKind,
    mut visit: impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    visit(Element::StreamInfo(info(input, kind)?))?;
    for _ in 0..input.length("consumer groups")? {
        group(input, kind, &mut visit)?;
    }
    Ok(())
}

/// The stream's length, which stands behind its nodes.
pub(super) fn length(input: &mut Input<'_>) -> Result<u64, RdbError> {
    for _ in 0..input.length("stream nodes")? {
        input.string("stream node id")?;
        input.string("stream node")?;
    }
    input.length("stream length")
}

fn node<E: From<RdbError>>(
    input: &mut Input<'_>,
    scratch: &mut Scratch,
    last: &mut Option<StreamId>,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let master_id = master_id(input, &mut scratch.id)?;
    let (listpack, place) = blob(input, &mut scratch.blob, "stream node")?;
    let mut node = StreamNode::new(listpack, master_id).map_err(|error| place.error(error))?;
    while let Some((id, fields)) = node.next_entry().map_err(|error| place.error(error))? {
        ascends(last, id, place)?;
        visit(Element::StreamEntry { id, fields })?;
    }
    Ok(())
}

/// The id that a node's entries are relative to.
pub(super) fn master_id(input: &mut Input<'_>, buffer: &mut StringBuffer) -> Result<StreamId, RdbError> {
    let at = input.offset();
    let id = input.string("stream node id")?;
    // A longer one is not unpacked.
    let bytes: &[u8] = if id.len() == 16 { id.bytes(buffer)? } else { &[] };
    let problem = Problem::Malformed("an id has 16 bytes");
    StreamId::from_bytes(bytes).ok_or_else(|| RdbError::new(at, "stream node id", problem))
}

fn ascends(last: &mut Option<StreamId>, id: StreamId, place: Place) -> Result<(), RdbError> {
    if last.is_some_and(|last| last >= id) {
        return Err(place.error(PackedError { at: 0, what: "ids do not ascend" }));
    }
    *last = Some(id);
    Ok(())
}

fn id(input: &mut Input<'_>, part: &'static str) -> Result<StreamId, RdbError> {
    Ok(StreamId { ms: input.length(part)?, seq: input.length(part)? })
}

fn raw_id(input: &mut Input<'_>, part: &'static str) -> Result<StreamId, RdbError> {
    let bytes: [u8; 16] = input.array(part)?;
    Ok(StreamId::from_bytes(&bytes).unwrap_or_default())
}

fn info(input: &mut Input<'_>, kind: ValueKind) -> Result<StreamInfo, RdbError> {
    let (length, last_id) = (input.length("stream length")?, id(input, "last id")?);
    if kind == ValueKind::Stream1 {
        return Ok(StreamInfo { length, last_id, first_id: None, max_deleted_id: None, entries_added: None });
    }
    Ok(StreamInfo {
        length,
        last_id,
        first_id: Some(id(input, "first id")?),
        max_deleted_id: Some(id(input, "largest deleted id")?),
        entries_added: Some(input.length("entries added")?),
    })
}

fn group<E: From<RdbError>>(
    input: &mut Input<'_>,
    kind: ValueKind,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let name: RdbString<'_> = input.string("group name")?;
    let last_id = id(input, "group's last id")?;
    let read = if kind == ValueKind::Stream1 { None } else { Some(input.length("entries read")?) };
    let entries_read = read.filter(|&read| read != ENTRIES_READ_UNKNOWN);
    visit(Element::StreamGroup(StreamGroup { name, last_id, entries_read }))?;
    for _ in 0..input.length("pending entries")? {
        let id = raw_id(input, "pending id")?;
        let delivered_at_ms = input.millis("time of delivery")?;
        let deliveries = input.length("deliveries")?;
        visit(Element::StreamPending(StreamPending { id, delivered_at_ms, deliveries }))?;
    }
    for _ in 0..input.length("consumers")? {
        consumer(input, kind, visit)?;
    }
    Ok(())
}

fn consumer<E: From<RdbError>>(
    input: &mut Input<'_>,
    kind: ValueKind,
    visit: &mut impl FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let name = input.string("consumer name")?;
    let seen_at_ms = input.millis("consumer's time")?;
    let active = if kind == ValueKind::Stream3 { Some(input.millis("consumer's time")?) } else { None };
    let active_at_ms = active.filter(|&at| at != NEVER);
    visit(Element::StreamConsumer(StreamConsumer { name, seen_at_ms, active_at_ms }))?;
    for _ in 0..input.length("consumer's pending entries")? {
        visit(Element::StreamConsumerPending(raw_id(input, "pending id")?))?;
    }
    Ok(())
}
