//! Append-only files: records follow each other without a gap, and what is said to be complete is.

use formats::aof::{AofItem, AofReader, Manifest, aof_kind};

/// Reads a file of commands or a manifest to its end.
pub fn decode(input: &[u8]) {
    let _ = aof_kind(input);
    commands(input);
    if let Some((&first, rest)) = input.split_first() {
        torn(rest, rest.len() * usize::from(first) / 256);
        let _ = Manifest::parse(rest);
    }
}

fn commands(bytes: &[u8]) {
    let base = 1000;
    let mut reader = AofReader::new(bytes, base);
    let mut last = reader.offset();
    loop {
        let open = reader.open_transaction();
        match reader.next_record() {
            Ok(Some(record)) => {
                assert_eq!(record.offset, last, "a gap between two records");
                let end = record.offset + record.bytes;
                if let AofItem::Command(args) = record.item {
                    assert!(!args.is_empty());
                }
                assert_eq!(reader.offset(), end, "a record that is not as long as it says");
            }
            Ok(None) => {
                assert_eq!(open, None, "an open transaction at the end");
                assert_eq!(reader.offset(), base + bytes.len() as u64);
                return;
            }
            Err(error) => {
                assert!(error.record_offset() <= base + bytes.len() as u64, "{error}");
                break;
            }
        }
        assert!(reader.offset() > last, "no progress at {last}");
        last = reader.offset();
        assert!(reader.complete_until() <= last);
        assert_eq!(reader.open_transaction().is_none(), reader.complete_until() == last);
    }
    cut(&bytes[..(reader.complete_until() - base) as usize]);
    assert!(matches!(reader.next_record(), Ok(None)), "a reader goes on after an error");
}

/// A file that ends early holds no record that the whole does not hold, and is complete no further.
fn torn(bytes: &[u8], end: usize) {
    let mut whole = AofReader::new(bytes, 0);
    let mut part = AofReader::new(&bytes[..end], 0);
    while let Ok(Some(found)) = part.next_record() {
        let expected = whole.next_record();
        assert_eq!(expected, Ok(Some(found)), "a record of the part is none of the whole");
        assert!(whole.complete_until() == part.complete_until() && part.offset() <= end as u64);
    }
}

/// What is said to be complete can be read without an error.
fn cut(bytes: &[u8]) {
    let mut reader = AofReader::new(bytes, 0);
    while reader.next_record().expect("the file was cut where it was complete").is_some() {}
    assert_eq!(reader.complete_until(), bytes.len() as u64);
}
