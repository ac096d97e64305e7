//! What can be read of a value that is broken.
//!
//! A collection of single strings gives all elements up to where its framing breaks, without those that cannot be unpacked;
//! one of packed nodes gives the nodes that are sound and, of a list's broken node, the elements before the break.
//!
//! Invariant: what is written, a server loads: no element stands in it twice, no score is NaN, no collection is empty.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use formats::rdb::input::Input;
use formats::rdb::kind::ValueKind;
use formats::rdb::stream::StreamNode;
use formats::rdb::string::StringBuffer;
use formats::rdb::{Element, KeyRecord, Scratch, StreamId, Value, ValueType};

use crate::content::{Stop, damage_of};
use crate::failure::Failure;
use crate::rewrite::elements::{self, Kept};
use crate::rewrite::record::attributes_len;
use crate::rewrite::{RdbFile, Sink};
use crate::soundness::hash_with_seed;

/// Most elements of a collection of which parts are kept: their hashes take 32 MiB.
const MAX_ELEMENTS: usize = 2 << 20;
/// The version that has streams of the second form.
const STREAM_2_SINCE: u16 = 10;

/// Writes what can be read of a value, which may reach beyond its end where that is not known. Answers how many elements
/// that is; with none nothing is written.
pub(super) fn write<S: Sink>(file: &mut RdbFile<S>, record: &KeyRecord<'_>) -> Result<u64, Failure> {
    let value = &record.value;
    let mut scratch = Scratch::default();
    let version = file.version();
    let head_len = (value.offset - record.offset) as usize;
    let attributes = attributes_len(record.bytes);
    let key = &record.bytes[attributes + 1..head_len];
    let attributes = &record.bytes[..attributes];
    if record.key.check().is_err() {
        return Ok(0);
    }
    match value.value_type() {
        ValueType::String | ValueType::Module => return Ok(0),
        ValueType::Stream => return stream(file, record.db, attributes, key, value),
        _ => {}
    }
    let mut kept = Kept::default();
    each_readable(value, &mut scratch, |element| {
        kept.add(element, version, i64::MIN);
        Ok(())
    })?;
    if kept.elements == 0 || kept.loses_expiries {
        return Ok(0);
    }
    file.start_key(record.db);
    file.raw(attributes)?;
    let kind = elements::begin(file, key, value.value_type(), &kept)?;
    each_readable(value, &mut scratch, |element| elements::put(file, kind, &kept, element))?;
    Ok(kept.elements)
}

/// Visits the elements that can be read, each once.
fn each_readable(
    value: &Value<'_>,
    scratch: &mut Scratch,
    mut visit: impl FnMut(&Element<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut seen = Seen { seed: RandomState::new().hash_one(0), hashes: HashSet::new() };
    let mut filtered = |element: &Element<'_>| -> Result<(), Stop> {
        if seen.hashes.len() < MAX_ELEMENTS && is_good(element, &mut seen) {
            visit(element)?;
        }
        Ok(())
    };
    let result = match value.kind {
        ValueKind::ListQuicklist | ValueKind::ListQuicklist2 => each_node(value, scratch, &mut filtered),
        _ => value.for_each(scratch, |element| filtered(&element)),
    };
    damage_of(result).map(drop)
}

/// Visits the items of a list node by node: a broken one costs no other.
fn each_node(
    value: &Value<'_>,
    scratch: &mut Scratch,
    visit: &mut impl FnMut(&Element<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    const PLAIN: u64 = 1;
    let mut input = Input::new(value.bytes, value.offset);
    for _ in 0..input.length("quicklist length")? {
        let container = match value.kind {
            ValueKind::ListQuicklist2 => Some(input.length("quicklist container")?),
            _ => None,
        };
        let (start, offset) = (input.rest(), input.offset());
        let node = input.string("quicklist node")?;
        let bytes = &start[..start.len() - input.rest().len()];
        let result = match container {
            Some(PLAIN) => visit(&Element::ListItem(node)),
            // A node alone is what a set of this form is.
            Some(_) => Value { kind: ValueKind::SetListpack, bytes, offset }.for_each(scratch, |element| {
                match element {
                    Element::SetMember(item) => visit(&Element::ListItem(item)),
                    _ => Ok(()),
                }
            }),
            None => Value { kind: ValueKind::ListZiplist, bytes, offset }
                .for_each(scratch, |element| visit(&element)),
        };
        damage_of(result)?;
    }
    Ok(())
}

/// Elements that were met. Its seed is one of this run, so that no file can be made to have hashes collide.
struct Seen {
    seed: u64,
    hashes: HashSet<u64>,
}

/// Whether an element can be read and is new.
fn is_good(element: &Element<'_>, seen: &mut Seen) -> bool {
    let mut is_new = |name| hash_with_seed(name, seen.seed).is_ok_and(|hash| seen.hashes.insert(hash));
    match *element {
        Element::ListItem(item) => item.check().is_ok(),
        Element::SetMember(member) => is_new(member),
        Element::SortedSetMember { member, score } => !score.is_nan() && is_new(member),
        Element::HashField { field, value, .. } => value.check().is_ok() && is_new(field),
        _ => false,
    }
}

/// What the sound nodes of a stream come to.
#[derive(Default)]
struct Nodes {
    nodes: u64,
    entries: u64,
    first_id: Option<StreamId>,
    last_id: StreamId,
}

/// Writes a stream's sound nodes, without its groups.
fn stream<S: Sink>(
    file: &mut RdbFile<S>,
    db: u64,
    attributes: &[u8],
    key: &[u8],
    value: &Value<'_>,
) -> Result<u64, Failure> {
    let mut sum = Nodes::default();
    each_stream_node(value, |node, _| {
        sum.add(node);
        Ok(())
    })?;
    if sum.entries == 0 {
        return Ok(0);
    }
    let second = file.version().number >= STREAM_2_SINCE;
    file.start_key(db);
    file.raw(attributes)?;
    file.byte(if second { ValueKind::Stream2 } else { ValueKind::Stream1 }.byte());
    file.raw(key)?;
    file.length(sum.nodes);
    each_stream_node(value, |_, bytes| file.raw(bytes))?;
    file.length(sum.entries);
    let first_id = sum.first_id.unwrap_or_default();
    let ids: &[StreamId] =
        if second { &[sum.last_id, first_id, StreamId::default()] } else { &[sum.last_id] };
    for id in ids {
        file.length(id.ms);
        file.length(id.seq);
    }
    if second {
        file.length(sum.entries);
    }
    file.length(0);
    Ok(sum.entries)
}

/// First and last id of a node, and its number of entries.
struct NodeFacts {
    first: StreamId,
    last: StreamId,
    entries: u64,
}

impl Nodes {
    fn add(&mut self, node: &NodeFacts) {
        self.nodes += 1;
        self.entries += node.entries;
        self.first_id.get_or_insert(node.first);
        self.last_id = node.last;
    }
}

/// Visits the nodes that are sound and have entries behind those before them, with their bytes.
fn each_stream_node(
    value: &Value<'_>,
    mut visit: impl FnMut(&NodeFacts, &[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut input = Input::new(value.bytes, value.offset);
    let mut last = None;
    let (mut id_buffer, mut node_buffer) = (StringBuffer::default(), StringBuffer::default());
    let Ok(count) = input.length("stream nodes") else { return Ok(()) };
    for _ in 0..count {
        let start = input.rest();
        let (Ok(id), Ok(node)) = (input.string("stream node id"), input.string("stream node")) else {
            return Ok(());
        };
        let bytes = &start[..start.len() - input.rest().len()];
        let facts = id
            .bytes(&mut id_buffer)
            .ok()
            .filter(|id| id.len() == 16)
            .and_then(StreamId::from_bytes)
            .and_then(|id| node_facts(id, node.bytes(&mut node_buffer).ok()?));
        if let Some(facts) = facts.filter(|facts| last.is_none_or(|last| last < facts.first)) {
            last = Some(facts.last);
            visit(&facts, bytes)?;
        }
    }
    Ok(())
}

fn node_facts(master_id: StreamId, listpack: &[u8]) -> Option<NodeFacts> {
    let mut node = StreamNode::new(listpack, master_id).ok()?;
    let (first, _) = node.next_entry().ok()??;
    let mut facts = NodeFacts { first, last: first, entries: 1 };
    while let Some((id, _)) = node.next_entry().ok()? {
        if id <= facts.last {
            return None;
        }
        facts.last = id;
        facts.entries += 1;
    }
    Some(facts)
}
