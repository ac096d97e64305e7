//! Whether a hash comes twice among many, in bounded memory and few passes.
//!
//! Up to [`MAX_KEPT`] hashes are kept and sorted. More set bits of a map of [`MAP_BITS`] instead: a hash whose bit is set
//! already is suspected, and a second pass counts those that are suspected. Where too many are for that, the passes are
//! made for one part of all hashes after the other.
//!
//! Invariant: memory stays below 32 MiB of map and 2 × 16 MiB of hashes.

/// Hashes that are kept: 16 MiB.
const MAX_KEPT: usize = if cfg!(test) { 2 << 10 } else { 2 << 20 };
/// Bits of the map: 32 MiB.
const MAP_BITS: u64 = if cfg!(test) { 1 << 18 } else { 1 << 28 };

/// Hashes of which some may come twice.
#[derive(Default)]
pub struct Repeats {
    /// All hashes, or those that are suspected.
    hashes: Vec<u64>,
    map: Vec<u64>,
    /// More were suspected than are kept.
    overflow: bool,
}

impl Repeats {
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.hashes.shrink_to(MAX_KEPT);
        self.map = Vec::new();
        self.overflow = false;
    }

    #[inline]
    pub fn add(&mut self, hash: u64) {
        if self.map.is_empty() && self.hashes.len() < MAX_KEPT {
            self.hashes.push(hash);
        } else {
            self.suspect(hash);
        }
    }

    fn suspect(&mut self, hash: u64) {
        if self.map.is_empty() {
            self.map = vec![0; (MAP_BITS / 64) as usize];
            std::mem::take(&mut self.hashes).into_iter().for_each(|hash| self.suspect(hash));
        }
        if !set(&mut self.map, hash) {
            return;
        }
        match self.hashes.len() < MAX_KEPT {
            true => self.hashes.push(hash),
            false => self.overflow = true,
        }
    }

    /// A hash that comes twice. `again` hands over all that were added, as often as it is called.
    pub fn find<E>(
        &mut self,
        mut again: impl FnMut(&mut dyn FnMut(u64)) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        if self.map.is_empty() {
            self.hashes.sort_unstable();
            return Ok(self.hashes.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]));
        }
        let mut parts = 1;
        loop {
            for part in 0..parts {
                if parts > 1 {
                    self.hashes.clear();
                    self.map.fill(0);
                    self.overflow = false;
                    again(&mut |hash| {
                        if part_of(hash, parts) == part {
                            self.suspect(hash);
                        }
                    })?;
                }
                if let Some(hash) = self.count(&mut again)? {
                    return Ok(Some(hash));
                }
                if self.overflow {
                    break;
                }
            }
            if !self.overflow {
                return Ok(None);
            }
            parts *= 2;
        }
    }

    /// Counts the hashes that are suspected; one that comes twice.
    fn count<E>(
        &mut self,
        again: &mut impl FnMut(&mut dyn FnMut(u64)) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        if self.hashes.is_empty() {
            return Ok(None);
        }
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.map.fill(0);
        for &hash in &self.hashes {
            set(&mut self.map, hash);
        }
        let mut seen = vec![0; self.hashes.len().div_ceil(64)];
        let mut found = None;
        again(&mut |hash| {
            if is_set(&self.map, hash)
                && let Ok(index) = self.hashes.binary_search(&hash)
                && set_bit(&mut seen, index as u64)
            {
                found = Some(hash);
            }
        })?;
        Ok(found)
    }
}

/// Taken from the low bits: the map uses the high ones.
fn part_of(hash: u64, parts: u64) -> u64 {
    (hash & 0xFFFF_FFFF) % parts
}

fn bit_of(hash: u64) -> u64 {
    hash / (u64::MAX / MAP_BITS + 1)
}

fn is_set(map: &[u64], hash: u64) -> bool {
    let bit = bit_of(hash);
    map[(bit / 64) as usize] >> (bit % 64) & 1 == 1
}

fn set(map: &mut [u64], hash: u64) -> bool {
    set_bit(map, bit_of(hash))
}

/// Sets a bit; whether it was set.
fn set_bit(map: &mut [u64], bit: u64) -> bool {
    let word = &mut map[(bit / 64) as usize];
    let was_set = *word >> (bit % 64) & 1 == 1;
    *word |= 1 << (bit % 64);
    was_set
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bijection: all different.
    fn hash(i: u64) -> u64 {
        (i ^ i >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }

    fn find(hashes: impl Iterator<Item = u64> + Clone) -> (Option<u64>, u32) {
        let mut repeats = Repeats::default();
        hashes.clone().for_each(|hash| repeats.add(hash));
        let mut passes = 1;
        let found = repeats.find(|visit| {
            passes += 1;
            hashes.clone().for_each(visit);
            Ok::<_, ()>(())
        });
        (found.expect("no error"), passes)
    }

    #[test]
    fn few_and_many_are_found_in_two_passes() {
        for count in [1000, 3 << 10, 20 << 10] {
            assert_eq!(find((0..count).map(hash)).0, None, "{count}");
            let (found, passes) = find((0..count).chain([7]).map(hash));
            assert_eq!(found, Some(hash(7)), "{count}");
            assert!(passes <= 2, "{count}: {passes}");
        }
    }

    #[test]
    fn more_suspects_than_are_kept_are_looked_at_in_parts() {
        // All share their bits with many others, and only the low half of each differs.
        let same_bits = (0..5 << 10).map(|i: u64| i.wrapping_mul(0x9E37_79B9) & 0xFFFF_FFFF);
        assert_eq!(find(same_bits.clone()).0, None);
        let last = same_bits.clone().next_back().expect("there are some");
        assert_eq!(find(same_bits.chain([last])).0, Some(last));
    }
}
