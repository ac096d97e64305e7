//! Checksums of stored bytes.
//!
//! CRC-32 (IEEE 802.3, reflected, as in zlib), computed by `crc32fast` with the processor's carry-less
//! multiply.

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
