//! Checksums of stored bytes.
//!
//! CRC-32 (IEEE 802.3, reflected, as in zlib), computed by `crc32fast` with the processor's carry-less
//! multiply.
//! CRC-64 (Jones, reflected, as Redis ends its RDB files with), computed by `crc-fast` in the same way.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32 of `bytes` alone.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// CRC-32 of the eight little-endian bytes of `seed` followed by `bytes`.
///
/// Two different seeds give two different sums of the same bytes except by a chance of 2^-32: what was
/// written under one seed does not pass under another.
pub fn seeded_crc32(seed: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// CRC-64 of bytes that come in pieces.
#[derive(Clone, Debug)]
pub struct Crc64(Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Crc64::new()
    }
}

impl Crc64 {
    pub fn new() -> Self {
        Crc64(Digest::new(CrcAlgorithm::Crc64Redis))
    }

    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far; more may follow.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_64_is_redis_own() {
        let mut crc = Crc64::new();
        assert_eq!(crc.value(), 0);
        crc.update(b"123456789");
        assert_eq!(crc.value(), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn crc_64_does_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i / 8) as u8).collect();
        let mut whole = Crc64::new();
        whole.update(&bytes);
        for piece in [1, 7, 64, 1000, 4096] {
            let mut crc = Crc64::new();
            bytes.chunks(piece).for_each(|piece| crc.update(piece));
            assert_eq!(crc.value(), whole.value(), "pieces of {piece}");
        }
    }
}
