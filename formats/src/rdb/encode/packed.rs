//! Small collections in one blob each, as Redis 7 keeps them in memory and therefore loads them fastest.
//!
//! ```text
//! list         number of nodes, then per node: 2, a string that is a listpack; or 1, a string that is one item
//! hash         a listpack of fields and values
//! sorted set   a listpack of members and scores, scores ascending
//! set          a listpack (since version 11), or an intset:
//!              bytes per number u32 │ count u32 │ numbers ascending, all little endian
//! ```
//!
//! Redis turns what exceeds its own limits into the large form while loading.

use super::{EncodeError, EncodeVersion, KeyEncoder, string};
use crate::rdb::kind::ValueKind;
use crate::rdb::listpack_writer::{
    EMPTY_LISTPACK_BYTES, ListpackTooLarge, ListpackWriter, MAX_LISTPACK_BYTES, element_len,
};

/// Most elements of a packed hash (fields), set or sorted set. That is Redis' default for sorted sets and, since 7.2, sets;
/// its default for hashes is larger, 512 fields since 7.0.
pub const PACKED_MAX_ELEMENTS: usize = 128;
/// Most bytes of each of their elements.
pub const PACKED_MAX_BYTES: usize = 64;
/// Most members of an intset by Redis' defaults.
pub const INTSET_MAX_MEMBERS: usize = 512;
/// Bytes at which a node of a list is full.
pub const LIST_NODE_BYTES: usize = 8 << 10;

/// What stands before a node: an item by itself, or a listpack.
const NODE_PLAIN: u64 = 1;
const NODE_PACKED: u64 = 2;

/// Whether elements are few and short enough to be packed: Redis would keep them packed by default.
pub fn is_small<'a>(count: usize, elements: impl IntoIterator<Item = &'a [u8]>) -> bool {
    count <= PACKED_MAX_ELEMENTS && elements.into_iter().all(|element| element.len() <= PACKED_MAX_BYTES)
}

impl KeyEncoder<'_> {
    /// A hash that is in memory; its fields are all different.
    pub fn small_hash(self, fields: &[(&[u8], &[u8])]) -> Result<(), EncodeError> {
        self.listpack(ValueKind::HashListpack, |listpack| {
            for (field, value) in fields {
                listpack.push(field)?;
                listpack.push(value)?;
            }
            Ok(())
        })
    }

    /// A set that is in memory; its members are all different. Version 10 has no packed form.
    pub fn small_set(self, members: &[&[u8]]) -> Result<(), EncodeError> {
        if self.encoder.version == EncodeVersion::V10 {
            return self.plain_set(members);
        }
        self.listpack(ValueKind::SetListpack, |listpack| {
            Ok(members.iter().try_for_each(|member| listpack.push(member))?)
        })
    }

    fn plain_set(self, members: &[&[u8]]) -> Result<(), EncodeError> {
        if members.is_empty() {
            return Err(EncodeError::Empty);
        }
        let encoder = self.start(ValueKind::Set)?;
        string::put_len(&mut encoder.pending, members.len() as u64);
        members.iter().for_each(|member| encoder.put(member));
        Ok(())
    }

    /// A sorted set that is in memory, ascending by score, then by member.
    pub fn small_sorted_set(self, members: &[(&[u8], f64)]) -> Result<(), EncodeError> {
        if members.iter().any(|(_, score)| score.is_nan()) {
            return Err(EncodeError::NotANumber);
        }
        if !members
            .is_sorted_by(|(a, a_score), (b, b_score)| a_score < b_score || a_score == b_score && a < b)
        {
            return Err(EncodeError::NotAscending);
        }
        self.listpack(ValueKind::SortedSetListpack, |listpack| {
            for (member, score) in members {
                listpack.push(member)?;
                push_score(listpack, *score)?;
            }
            Ok(())
        })
    }

    fn listpack(
        self,
        kind: ValueKind,
        fill: impl FnOnce(&mut ListpackWriter) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.encoder.listpack.clear();
        fill(&mut self.encoder.listpack)?;
        if self.encoder.listpack.is_empty() {
            return Err(EncodeError::Empty);
        }
        let encoder = self.start(kind)?;
        encoder.listpack.with_finished(|blob| encoder.strings.put(&mut encoder.pending, blob));
        Ok(())
    }

    /// A set of integers, ascending.
    pub fn int_set(self, members: &[i64]) -> Result<(), EncodeError> {
        let (Some(&least), Some(&greatest)) = (members.first(), members.last()) else {
            return Err(EncodeError::Empty);
        };
        if !members.is_sorted_by(|a, b| a < b) {
            return Err(EncodeError::NotAscending);
        }
        if members.len() > MAX_LISTPACK_BYTES / 16 {
            return Err(ListpackTooLarge.into());
        }
        let fits = |min: i64, max: i64| least >= min && greatest <= max;
        let width = match () {
            () if fits(i16::MIN.into(), i16::MAX.into()) => 2,
            () if fits(i32::MIN.into(), i32::MAX.into()) => 4,
            () => 8,
        };
        let mut blob = Vec::with_capacity(8 + width * members.len());
        blob.extend_from_slice(&(width as u32).to_le_bytes());
        blob.extend_from_slice(&(members.len() as u32).to_le_bytes());
        members.iter().for_each(|member| blob.extend_from_slice(&member.to_le_bytes()[..width]));
        self.start(ValueKind::SetIntset)?.put(&blob);
        Ok(())
    }

    /// A list in nodes of about 8 KiB. `items`, head first, is gone through twice: first to count the nodes.
    pub fn packed_list<'i, I>(self, items: I) -> Result<(), EncodeError>
    where
        I: Iterator<Item = &'i [u8]> + Clone,
    {
        let nodes = count_nodes(items.clone());
        if nodes == 0 {
            return Err(EncodeError::Empty);
        }
        let encoder = self.start(ValueKind::ListQuicklist2)?;
        string::put_len(&mut encoder.pending, nodes);
        encoder.listpack.clear();
        let mut cut = NodeCut::default();
        for item in items {
            if cut.starts_node(item) {
                encoder.flush_list_node();
            }
            if stands_alone(item.len()) {
                string::put_len(&mut encoder.pending, NODE_PLAIN);
                encoder.put(item);
            } else {
                // Bounded by what `starts_node` and `stands_alone` let in.
                encoder.listpack.push(item)?;
            }
        }
        encoder.flush_list_node();
        Ok(())
    }
}

impl super::Encoder {
    fn flush_list_node(&mut self) {
        if self.listpack.is_empty() {
            return;
        }
        string::put_len(&mut self.pending, NODE_PACKED);
        self.listpack.with_finished(|blob| self.strings.put(&mut self.pending, blob));
        self.listpack.clear();
    }
}

/// Decides where a list's nodes end: just where Redis' own do.
#[derive(Default)]
struct NodeCut {
    /// Bytes of the open node; `None` where none is open.
    bytes: Option<usize>,
}

impl NodeCut {
    /// Whether an item is the first of a node.
    fn starts_node(&mut self, item: &[u8]) -> bool {
        // Redis asks before it encodes: an item counts with its length and this much.
        const ESTIMATED_OVERHEAD: usize = 8;
        let fits = |bytes: &usize| bytes + item.len() + ESTIMATED_OVERHEAD <= LIST_NODE_BYTES;
        let open = self.bytes.filter(fits);
        self.bytes = Some(open.unwrap_or(EMPTY_LISTPACK_BYTES) + element_len(item));
        open.is_none()
    }
}

/// An item that no listpack can hold is a node by itself.
fn stands_alone(len: usize) -> bool {
    len > MAX_LISTPACK_BYTES / 2
}

fn count_nodes<'i>(items: impl Iterator<Item = &'i [u8]>) -> u64 {
    let mut cut = NodeCut::default();
    items.filter(|item| cut.starts_node(item)).count() as u64
}

/// A score as an integer where it is one, or as the shortest text that reads as the same number.
fn push_score(listpack: &mut ListpackWriter, score: f64) -> Result<(), EncodeError> {
    /// Integers up to here are exact.
    const EXACT: f64 = (1u64 << 52) as f64;
    let is_integer = score.trunc() == score && score.abs() <= EXACT;
    // Minus zero would lose its sign.
    if is_integer && (score != 0.0 || score.is_sign_positive()) {
        return Ok(listpack.push_int(score as i64)?);
    }
    let text = match score {
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        // Redis reads at most 127 bytes of a score.
        _ if (1e-6..1e17).contains(&score.abs()) || score == 0.0 => format!("{score}"),
        _ => format!("{score:e}"),
    };
    Ok(listpack.push(text.as_bytes())?)
}
