//! Packed structures by themselves: the first byte chooses which. Nothing in front of them stands in the fuzzer's way.

use formats::rdb::StreamId;
use formats::rdb::intset::Intset;
use formats::rdb::listpack::Listpack;
use formats::rdb::lzf;
use formats::rdb::stream::StreamNode;
use formats::rdb::ziplist::Ziplist;
use formats::rdb::zipmap::Zipmap;

/// Longest string that is unpacked.
const MAX_UNPACKED: usize = 1 << 20;

/// Reads one structure to its end.
pub fn decode(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    match choice % 6 {
        0 => {
            let Ok(mut list) = Listpack::new(bytes) else { return };
            while let Ok(Some(_)) = list.next_entry() {}
        }
        1 => {
            let Ok(mut list) = Ziplist::new(bytes) else { return };
            while let Ok(Some(_)) = list.next_entry() {}
        }
        2 => {
            let Ok(mut map) = Zipmap::new(bytes) else { return };
            while let Ok(Some(_)) = map.next_field() {}
        }
        3 => {
            let Ok(mut set) = Intset::new(bytes) else { return };
            let (announced, mut count) = (set.count(), 0);
            while let Ok(Some(_)) = set.next_member() {
                count += 1;
            }
            assert!(count <= announced);
        }
        4 => {
            let Ok(mut node) = StreamNode::new(bytes, StreamId { ms: 7, seq: u64::MAX }) else { return };
            while let Ok(Some((_, fields))) = node.next_entry() {
                assert_eq!(fields.len(), fields.count());
            }
        }
        _ => unpack(bytes),
    }
}

/// Both ways of unpacking agree, and what is packed again unpacks to the same.
fn unpack(bytes: &[u8]) {
    let Some((length, compressed)) = bytes.split_first_chunk::<4>() else { return };
    let length = u32::from_le_bytes(*length) as usize % MAX_UNPACKED;
    let mut whole = Vec::new();
    let result = lzf::decompress(compressed, length, &mut whole);
    let mut pieces = Vec::new();
    let streamed = lzf::Decompressor::new(compressed, length)
        .and_then(|mut chunks| chunks.for_each_chunk(|chunk| pieces.extend_from_slice(chunk)));
    assert_eq!(result.is_ok(), streamed.is_ok(), "{result:?} {streamed:?}");
    if result.is_ok() {
        assert_eq!(whole, pieces);
        let mut packed = Vec::new();
        if lzf::compress(&whole, &mut packed) {
            let mut again = Vec::new();
            lzf::decompress(&packed, whole.len(), &mut again).expect("what we packed unpacks");
            assert_eq!(again, whole);
        }
    }
}
