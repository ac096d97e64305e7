//! RDB files, from the magic on.

use formats::rdb::{Decoder, Element, Item, KeyRecord, Node, RdbError, Scratch, ValueType};

/// Walks through the file and reads all that is in it.
pub fn decode(file: &[u8]) {
    let mut scratch = Scratch::default();
    let Ok(mut decoder) = Decoder::new(file) else { return };
    let mut last = decoder.offset();
    loop {
        match decoder.next_item() {
            Ok(Some(Item::Key(record))) => {
                key(file, &record, &decoder, &mut scratch);
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                assert!(error.offset() <= file.len() as u64, "an error beyond the end: {error}");
                assert!(matches!(decoder.next_item(), Ok(None)), "a decoder goes on after an error");
                return;
            }
        }
        assert!(decoder.offset() > last, "no progress at {last}");
        last = decoder.offset();
    }
}

fn key(file: &[u8], record: &KeyRecord<'_>, decoder: &Decoder<'_>, scratch: &mut Scratch) {
    let start = record.offset as usize;
    assert_eq!(&file[start..start + record.bytes.len()], record.bytes);
    let mut again = Decoder::resume(file, start, decoder.version(), record.db);
    match again.next_item() {
        Ok(Some(Item::Key(same))) => assert_eq!(same.bytes, record.bytes),
        other => panic!("read once as a key, then as {other:?}"),
    }
    let mut elements = 0_u64;
    let mut unpacked = 0_usize;
    let result = record.value.for_each(scratch, |element| {
        elements += u64::from(counts(&element));
        visit(element, &mut unpacked)
    });
    let checked = record.value.check(scratch);
    parts(record, result.is_ok());
    let count = record.value.count(scratch);
    if result.is_ok() && checked.is_ok() && record.value.value_type() != ValueType::Stream {
        assert_eq!(count.unwrap(), elements, "{:?}", record.value.kind);
    }
}

/// The nodes of a value, and what stands behind those of a stream, are read alone as they are read with all else.
fn parts(record: &KeyRecord<'_>, whole: bool) {
    let mut nodes = 0;
    let walked = record.value.for_each_node(|node| {
        let (Node::Packed(blob) | Node::Plain(blob) | Node::Stream { listpack: blob, .. }) = node;
        nodes += blob.len();
    });
    let behind = record.value.for_each_stream_part(|_| Ok::<_, RdbError>(()));
    if whole {
        walked.expect("nodes of a value that was read");
        behind.expect("what stands behind the nodes of a value that was read");
    }
}

/// Whether an element is one of those that a count is of.
fn counts(element: &Element<'_>) -> bool {
    use formats::rdb::value::ModulePart;
    match element {
        Element::ModulePart(part) => matches!(part, ModulePart::Id(_)),
        _ => true,
    }
}

fn visit(element: Element<'_>, unpacked: &mut usize) -> Result<(), RdbError> {
    let mut all = |string: formats::rdb::RdbString<'_>| {
        let mut length = 0;
        string.for_each_chunk(|chunk| length += chunk.len())?;
        assert_eq!(length, string.len());
        *unpacked += length;
        Ok(())
    };
    match element {
        Element::String(string) | Element::ListItem(string) | Element::SetMember(string) => all(string),
        Element::SortedSetMember { member, .. } => all(member),
        Element::HashField { field, value, .. } => all(field).and_then(|()| all(value)),
        Element::StreamEntry { fields, .. } => {
            assert_eq!(fields.len(), fields.count());
            Ok(())
        }
        _ => Ok(()),
    }
}
