//! Visits the packed nodes of a value without a look inside: how large they are tells how much memory they will take.

use super::{Element, Value, content, stream};
use crate::rdb::StreamId;
use crate::rdb::error::RdbError;
use crate::rdb::kind::ValueKind;
use crate::rdb::string::{RdbString, StringBuffer};

/// A packed blob of a value, or an element that stands for itself in a chain of them.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// A listpack, ziplist, zipmap or intset.
    Packed(RdbString<'a>),
    /// A listpack of a stream, and the id that its entries' ids are relative to.
    Stream { master_id: StreamId, listpack: RdbString<'a> },
    /// A list's element that is a node by itself.
    Plain(RdbString<'a>),
}

impl<'a> Value<'a> {
    /// Visits the packed nodes in the order of the file. A value that is not packed has none.
    pub fn for_each_node(&self, mut visit: impl FnMut(Node<'a>)) -> Result<(), RdbError> {
        let mut input = self.input();
        match self.kind {
            ValueKind::ListQuicklist => {
                for _ in 0..input.length("quicklist length")? {
                    visit(Node::Packed(input.string("ziplist")?));
                }
            }
            ValueKind::ListQuicklist2 => {
                for _ in 0..input.length("quicklist length")? {
                    let plain = input.length("quicklist container")? == content::CONTAINER_PLAIN;
                    let node = input.string("quicklist node")?;
                    visit(if plain { Node::Plain(node) } else { Node::Packed(node) });
                }
            }
            ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3 => {
                let mut buffer = StringBuffer::default();
                for _ in 0..input.length("stream nodes")? {
                    let master_id = stream::master_id(&mut input, &mut buffer)?;
                    visit(Node::Stream { master_id, listpack: input.string("stream node")? });
                }
            }
            ValueKind::HashListpackEx => {
                input.millis("earliest expiry")?;
                visit(Node::Packed(input.string("listpack")?));
            }
            kind if kind.is_one_blob() => visit(Node::Packed(input.string("packed value")?)),
            _ => {}
        }
        Ok(())
    }

    /// Visits what a stream holds beside its entries: what it remembers, then its groups. Nothing for another type.
    pub fn for_each_stream_part<E: From<RdbError>>(
        &self,
        visit: impl FnMut(Element<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut input = self.input();
        if !matches!(self.kind, ValueKind::Stream1 | ValueKind::Stream2 | ValueKind::Stream3) {
            return Ok(());
        }
        for _ in 0..input.length("stream nodes")? {
            input.string("stream node id")?;
            input.string("stream node")?;
        }
        stream::for_each_part(&mut input, self.kind, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::Scratch;

    /// Two listpacks of two entries and one of three entries that are fields, as a stream's node has them.
    fn quicklist2() -> Vec<u8> {
        let listpack = [13, 0, 0, 0, 2, 0, 0x81, b'a', 2, 7, 1, 1, 0xFF];
        let mut bytes = vec![3, 2, 13];
        bytes.extend_from_slice(&listpack);
        bytes.extend_from_slice(&[1, 3, b'x', b'y', b'z', 2, 13]);
        bytes.extend_from_slice(&listpack);
        bytes
    }

    #[test]
    fn nodes_of_a_quicklist_are_told_apart() {
        let bytes = quicklist2();
        let value = Value { kind: ValueKind::ListQuicklist2, bytes: &bytes, offset: 0 };
        let mut nodes = Vec::new();
        value
            .for_each_node(|node| {
                nodes.push(match node {
                    Node::Packed(blob) => ("packed", blob.len()),
                    Node::Plain(blob) => ("plain", blob.len()),
                    Node::Stream { listpack, .. } => ("stream", listpack.len()),
                });
            })
            .unwrap();
        assert_eq!(nodes, [("packed", 13), ("plain", 3), ("packed", 13)]);
    }

    #[test]
    fn a_stream_s_parts_are_those_behind_its_entries() {
        // No nodes; length 0, last id 5-6; one group "g" at 5-6 with one pending entry; one consumer "c" with it.
        let mut bytes = vec![0, 0, 5, 6, 1, 1, b'g', 5, 6, 1];
        let id = [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6];
        bytes.extend_from_slice(&id);
        bytes.extend_from_slice(&[9; 8]);
        bytes.extend_from_slice(&[1, 1, 1, b'c']);
        bytes.extend_from_slice(&[9; 8]);
        bytes.push(1);
        bytes.extend_from_slice(&id);
        let value = Value { kind: ValueKind::Stream1, bytes: &bytes, offset: 0 };
        let (mut parts, mut all) = (Vec::new(), Vec::new());
        let name = |element: Element<'_>| format!("{element:?}");
        value
            .for_each_stream_part(|part| {
                parts.push(name(part));
                Ok::<_, RdbError>(())
            })
            .unwrap();
        value
            .for_each(&mut Scratch::default(), |part| {
                all.push(name(part));
                Ok::<_, RdbError>(())
            })
            .unwrap();
        assert_eq!(parts.len(), 5);
        assert_eq!(parts, all);
    }
}
