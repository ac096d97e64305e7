//! Real files that are cut or have a flipped bit: it is always noticed, and what is before it is still read.

use formats::checksum::Crc64;
use formats::rdb::{Decoder, Item, KeyRecord, RdbError, Scratch};

use crate::testdata::{RdbFile, rdb_files};

/// Longest file whose every bit is flipped.
const SMALL_BYTES: usize = 5000;

/// What a file was found to be.
#[derive(Debug)]
enum Verdict {
    Whole,
    Trailing,
    WrongChecksum,
    Broken(RdbError),
}

/// Reads all of a file, content and checksum too; also how many keys came before the end.
fn verdict(file: &[u8]) -> (Verdict, usize) {
    let mut keys = 0;
    let verdict = walk(file, &mut keys).unwrap_or_else(Verdict::Broken);
    if let Verdict::Broken(error) = &verdict {
        assert!(error.offset() <= file.len() as u64, "{error} is beyond {}", file.len());
    }
    (verdict, keys)
}

fn walk(file: &[u8], keys: &mut usize) -> Result<Verdict, RdbError> {
    let mut decoder = Decoder::new(file)?;
    let mut scratch = Scratch::default();
    let mut offset = 0;
    loop {
        assert!(decoder.offset() > offset, "no progress at {offset}");
        offset = decoder.offset();
        match decoder.next_item()?.expect("an end comes before nothing") {
            Item::Key(record) => {
                record.value.check(&mut scratch)?;
                *keys += 1;
            }
            Item::End { checksum } => {
                let mut crc = Crc64::new();
                crc.update(&file[..decoder.offset() as usize - if checksum.is_some() { 8 } else { 0 }]);
                return Ok(match checksum {
                    _ if !decoder.rest().is_empty() => Verdict::Trailing,
                    Some(sum) if sum != 0 && sum != crc.value() => Verdict::WrongChecksum,
                    _ => Verdict::Whole,
                });
            }
            _ => {}
        }
    }
}

/// Where each item starts and the file's last byte; and the offsets at which keys end.
fn boundaries(file: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let mut decoder = Decoder::new(file).unwrap();
    let (mut starts, mut key_ends) = (Vec::new(), Vec::new());
    loop {
        starts.push(decoder.offset() as usize);
        match decoder.next_item().unwrap() {
            Some(Item::Key(_)) => key_ends.push(decoder.offset() as usize),
            Some(_) => {}
            None => return (starts, key_ends),
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_truncated_and_its_whole_keys_are_read() {
    let mut cuts = 0;
    for file in rdb_files().iter().filter(|file| file.bytes.len() <= SMALL_BYTES) {
        let (_, key_ends) = boundaries(&file.bytes);
        for cut in 0..file.bytes.len() {
            let (verdict, keys) = verdict(&file.bytes[..cut]);
            let is_truncation = matches!(&verdict, Verdict::Broken(error) if error.is_truncation());
            assert!(is_truncation, "{} cut at {cut}: {verdict:?}", file.name);
            assert_eq!(keys, key_ends.partition_point(|&end| end <= cut), "{} cut at {cut}", file.name);
            cuts += 1;
        }
    }
    assert!(cuts > 50_000, "only {cuts} cuts");
}

#[test]
fn a_record_that_is_cut_anywhere_is_truncated() {
    for file in rdb_files().iter().filter(|file| file.bytes.len() > SMALL_BYTES) {
        let (starts, _) = boundaries(&file.bytes);
        let version = Decoder::new(&file.bytes).unwrap().version();
        for pair in starts.windows(2) {
            // All of the short records, and of the long ones their start, their end and some between.
            let cuts =
                (pair[0]..pair[1]).filter(|cut| cut - pair[0] < 300 || pair[1] - cut < 300 || cut % 97 == 0);
            for cut in cuts {
                let mut decoder = Decoder::resume(&file.bytes[..cut], pair[0], version, 0);
                let error = decoder.next_item().expect_err("a record is cut");
                assert!(error.is_truncation(), "{} cut at {cut}: {error}", file.name);
                assert!(error.offset() <= cut as u64, "{} cut at {cut}: {error}", file.name);
                assert!(matches!(decoder.next_item(), Ok(None)), "a decoder goes on after an error");
            }
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed() {
    let mut kinds = std::collections::BTreeSet::new();
    let mut seen = [0; 3];
    for file in rdb_files().iter().filter(|file| file.bytes.len() <= SMALL_BYTES) {
        let whole = matches!(verdict(&file.bytes), (Verdict::Whole, _));
        assert!(whole, "{} is broken before it is touched", file.name);
        let has_sum = has_checksum(file);
        let mut bytes = file.bytes.clone();
        // Every third, so that all bits of all parts have their turn.
        for bit in (0..bytes.len() * 8).step_by(3) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            match verdict(&bytes).0 {
                Verdict::Broken(_) => seen[0] += 1,
                Verdict::WrongChecksum => seen[1] += 1,
                Verdict::Trailing => seen[2] += 1,
                Verdict::Whole => assert!(!has_sum, "{}: bit {bit} is not noticed", file.name),
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        each_key(&file.bytes, |record| {
            kinds.insert(record.value.kind);
        });
    }
    assert!(seen.iter().all(|&count| count > 0), "broken, wrong checksum, trailing: {seen:?}");
    assert!(kinds.len() >= 15, "only {kinds:?}");
}

fn has_checksum(file: &RdbFile) -> bool {
    let mut decoder = Decoder::new(&file.bytes).unwrap();
    while let Some(item) = decoder.next_item().unwrap() {
        if let Item::End { checksum } = item {
            return checksum.is_some_and(|sum| sum != 0);
        }
    }
    unreachable!("no end in {}", file.name)
}

fn each_key(file: &[u8], mut visit: impl FnMut(&KeyRecord<'_>)) {
    let mut decoder = Decoder::new(file).unwrap();
    while let Ok(Some(item)) = decoder.next_item() {
        if let Item::Key(record) = item {
            visit(&record);
        }
    }
}

#[test]
fn the_key_of_a_broken_record_is_named() {
    let mut file = b"REDIS0011\xfe\x00".to_vec();
    file.extend(b"\x00\x01a\x01b");
    file.extend(b"\x02\x03key\x7f\xff");
    let mut decoder = Decoder::new(&file).unwrap();
    while decoder.next_item().is_ok() {
        assert!(decoder.failed_key().is_none());
    }
    assert!(matches!(decoder.failed_key(), Some(formats::rdb::RdbString::Raw(b"key"))));
    assert!(matches!(decoder.next_item(), Ok(None)), "after an error there is nothing more");
    let mut decoder = Decoder::new(b"REDIS0011\x00\x01a\x01b\x02\x7f\xff").unwrap();
    decoder.next_item().unwrap();
    decoder.next_item().unwrap_err();
    assert!(decoder.failed_key().is_none(), "the key before the broken one is not to blame");
}

/// Expiries of a key: in milliseconds, in seconds of 32 bits with a sign, and Redis' mark of none.
#[test]
fn an_expiry_is_a_signed_number() {
    let expiry = |front: &[u8]| {
        let file = [b"REDIS0011", front, b"\x00\x01k\x01v"].concat();
        let Ok(Some(Item::Key(record))) = Decoder::new(&file).unwrap().next_item() else { panic!("no key") };
        assert_eq!(record.bytes.len(), front.len() + 5);
        record.expires_at_ms
    };
    let ms = |at: i64| expiry(&[&[0xFC][..], &at.to_le_bytes()].concat());
    let seconds = |at: i32| expiry(&[&[0xFD][..], &at.to_le_bytes()].concat());
    assert_eq!(ms(i64::MAX), Some(i64::MAX));
    assert_eq!(ms(i64::MIN), Some(i64::MIN));
    assert_eq!(ms(-1), None);
    assert_eq!(seconds(i32::MAX), Some(2_147_483_647_000));
    assert_eq!(seconds(i32::MIN), Some(-2_147_483_648_000));
    assert_eq!(seconds(-1), Some(-1000));
}
