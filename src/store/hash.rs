//! The hash of a key, and the three places that it decides: the shard, the page and the tag inside the page.
//!
//! ```text
//! bit 63                      40 39                         8 7        0
//!     +-------------------------+---------------------------+----------+
//!     |  directory of pages     |   shard                   |   tag    |
//!     +-------------------------+---------------------------+----------+
//! ```
//!
//! Invariants:
//! 1. The three do not share bits (until a directory is 24 levels deep), so none starves another.
//! 2. [`KeyHash::place`] is monotone in the hash: whatever is ordered by place is ordered by hash.
//! 3. The seed is unknown to clients, so they cannot choose keys that collide.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// 64 bits of XXH3 of a whole key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub u64);

/// About 0.6565 of 2^64. With `B` = 2^64 - `A`, `x * (A + B * x)` follows 2^x - 1 within 0.4 % on 0..1.
const A: u64 = 0xA810_624D_D2F1_A800;
const B: u64 = A.wrapping_neg();

impl KeyHash {
    /// Where the key stands in the directory of pages: a skewed copy of the hash, near 2^x - 1.
    ///
    /// A uniform hash fills all pages at the same pace, so all of them ask the allocator for the same size class at the
    /// same time and leave it behind half empty. The skew spreads their fill over a factor of two at every moment.
    #[inline]
    pub fn place(self) -> u64 {
        high_product(self.0, A + high_product(self.0, B))
    }

    /// The byte that pages compare before they compare keys.
    #[inline]
    pub fn tag(self) -> u8 {
        self.0 as u8
    }
}

/// The upper half of a 128-bit product.
#[inline]
fn high_product(a: u64, b: u64) -> u64 {
    ((u128::from(a) * u128::from(b)) >> 64) as u64
}

/// Hashes keys with the seed of the data directory.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
    /// Bits of the hash that are kept; tests clear some so that keys collide.
    #[cfg(test)]
    mask: u64,
}

impl KeyHasher {
    pub fn new(seed: u64) -> Self {
        KeyHasher {
            seed,
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    /// A hasher that has only the hashes with no bits outside `mask`.
    #[cfg(test)]
    pub(crate) fn colliding(seed: u64, mask: u64) -> Self {
        KeyHasher { seed, mask }
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let hash = xxh3_64_with_seed(key, self.seed);
        #[cfg(test)]
        let hash = hash & self.mask;
        KeyHash(hash)
    }

    /// The shard, below `shards`, of `key` whose hash is `hash`: keys with the same non-empty `{tag}` share a shard.
    #[inline]
    pub fn shard(&self, key: &[u8], hash: KeyHash, shards: u16) -> u16 {
        let tag = hash_tag(key);
        let hash = if tag.len() == key.len() { hash } else { self.hash(tag) };
        let bits = (hash.0 >> 8) & 0xFFFF_FFFF;
        ((bits * u64::from(shards)) >> 32) as u16
    }
}

/// What decides the shard of a key: the bytes between the first `{` and the next `}` if there are any, else the whole key.
/// The rule of Redis Cluster.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        Some(length) if length > 0 => &rest[..length],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_tag_is_what_stands_in_the_first_braces() {
        for (key, tag) in [
            ("plain", "plain"),
            ("{user}.name", "user"),
            ("a{user}b", "user"),
            ("{}all", "{}all"),
            ("{}{b}", "{}{b}"),
            ("a{{b}}", "{b"),
            ("a{b}{c}", "b"),
            ("a{b", "a{b"),
            ("a}b{", "a}b{"),
            ("", ""),
        ] {
            assert_eq!(hash_tag(key.as_bytes()), tag.as_bytes(), "{key}");
        }
    }

    #[test]
    fn keys_with_one_tag_share_a_shard_and_shards_fill_evenly() {
        let hasher = KeyHasher::new(7);
        let shard = |key: &str| hasher.shard(key.as_bytes(), hasher.hash(key.as_bytes()), 7);
        assert_eq!(shard("{u1}.a"), shard("{u1}.b"));
        assert_eq!(shard("{u1}.a"), shard("u1"));
        let mut counts = [0u32; 7];
        (0..7000).for_each(|i| counts[shard(&format!("key:{i}")) as usize] += 1);
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert_eq!(hasher.shard(b"x", hasher.hash(b"x"), 1), 0);
    }

    #[test]
    fn place_is_monotone_and_close_to_two_to_the_x() {
        let mut last = 0;
        for step in 0..=4096u64 {
            let hash = step.saturating_mul(u64::MAX / 4096);
            let place = KeyHash(hash).place();
            assert!(place >= last);
            last = place;
            let (x, y) = (hash as f64 / 2f64.powi(64), place as f64 / 2f64.powi(64));
            assert!((x.exp2() - 1.0 - y).abs() < 0.004, "{x} {y}");
        }
        assert!(KeyHash(u64::MAX).place() > u64::MAX - 4);
    }
}
