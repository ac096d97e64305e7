//! The slots of a cluster.
//!
//! A key's slot is the CRC-16 (XMODEM: polynomial 0x1021, initial value 0) of what stands between its first `{` and the
//! next `}`, or of all of it where that is nothing, modulo 16384. Source: the Redis cluster specification.

use formats::rdb::{RdbError, RdbString};

/// Number of slots.
pub(super) const SLOTS: u16 = 16384;

const TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key; a compressed one is looked at in pieces.
pub(super) fn slot_of(key: RdbString<'_>) -> Result<u16, RdbError> {
    let mut hasher = Hasher::default();
    key.for_each_chunk(|chunk| chunk.iter().for_each(|&byte| hasher.add(byte)))?;
    Ok(hasher.slot())
}

/// Hashes a key byte by byte.
#[derive(Default)]
struct Hasher {
    whole: u16,
    tag: Tag,
}

/// The part of a key in braces.
#[derive(Default, Clone, Copy)]
enum Tag {
    /// No brace was met.
    #[default]
    Before,
    /// Behind the opening brace; with the sum of what followed, if something did.
    Inside(Option<u16>),
    /// Closed, with its sum.
    Closed(u16),
    /// There is nothing in the braces.
    Empty,
}

impl Hasher {
    #[inline]
    fn add(&mut self, byte: u8) {
        self.whole = step(self.whole, byte);
        self.tag = match (self.tag, byte) {
            (Tag::Before, b'{') => Tag::Inside(None),
            (Tag::Inside(None), b'}') => Tag::Empty,
            (Tag::Inside(Some(crc)), b'}') => Tag::Closed(crc),
            (Tag::Inside(crc), byte) => Tag::Inside(Some(step(crc.unwrap_or(0), byte))),
            (tag, _) => tag,
        };
    }

    fn slot(&self) -> u16 {
        match self.tag {
            Tag::Closed(crc) => crc % SLOTS,
            _ => self.whole % SLOTS,
        }
    }
}

fn step(crc: u16, byte: u8) -> u16 {
    crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_of(key: &[u8]) -> u16 {
        super::slot_of(RdbString::Raw(key)).expect("it is not compressed")
    }

    #[test]
    fn slots_are_those_of_a_cluster() {
        assert_eq!(slot_of(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"foo"), 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(
            slot_of(b"123{456789"),
            Hasher { whole: b"123{456789".iter().fold(0, |crc, &b| step(crc, b)), tag: Tag::Before }.slot()
        );
        assert_ne!(slot_of(b"foo{}{bar}"), slot_of(b"bar"));
    }
}
