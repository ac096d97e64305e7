//! Which used segment files wait to be used again: a pure data structure.
//!
//! Invariants:
//! 1. At most [`MAX_FILES`] files of together at most [`MAX_BYTES`] wait, those on their way included.
//! 2. Where not all fit, the larger ones stay: they serve whatever a smaller one would.
//! 3. A file is taken out only when its place in the pool is durable: when it has [arrived](Pool::arrive).

/// Most files.
pub const MAX_FILES: usize = 8;
/// Most bytes of all files.
pub const MAX_BYTES: u64 = 512 << 20;

/// A file of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooled {
    pub number: u64,
    pub bytes: u64,
}

/// See the module.
#[derive(Default)]
pub struct Pool {
    files: Vec<Pooled>,
    /// Renamed, or about to be; not durable yet.
    arriving: Vec<Pooled>,
    next: u64,
}

impl Pool {
    /// Makes room for one more file of `bytes` bytes; answers its number, and the numbers of the smaller files that it
    /// replaces, which are to be deleted. `None`: there is no room.
    pub fn admit(&mut self, bytes: u64) -> Option<(u64, Vec<u64>)> {
        let number = self.next;
        let replaced = self.make_room(bytes)?;
        self.next = number.saturating_add(1);
        self.arriving.push(Pooled { number, bytes });
        Some((number, replaced))
    }

    /// The place of an admitted file is durable.
    pub fn arrive(&mut self, number: u64) {
        let (arrived, others) = self.arriving.iter().partition(|file| file.number == number);
        self.arriving = others;
        self.files.extend::<Vec<_>>(arrived);
    }

    /// An admitted file does not come.
    pub fn forget(&mut self, number: u64) {
        self.arriving.retain(|file| file.number != number);
    }

    /// As `admit`, for a file that has its place in the pool already; answers the numbers of files to be deleted, which
    /// may be its own.
    pub fn adopt(&mut self, file: Pooled) -> Vec<u64> {
        self.next = self.next.max(file.number.saturating_add(1));
        if self.files.iter().chain(&self.arriving).any(|other| other.number == file.number) {
            return Vec::new();
        }
        match self.make_room(file.bytes) {
            Some(replaced) => {
                self.files.push(file);
                replaced
            }
            None => vec![file.number],
        }
    }

    /// Takes out the smallest file of at least `least_bytes`.
    pub fn take(&mut self, least_bytes: u64) -> Option<Pooled> {
        let fitting = self.files.iter().enumerate().filter(|(_, file)| file.bytes >= least_bytes);
        let (place, _) = fitting.min_by_key(|(_, file)| file.bytes)?;
        Some(self.files.swap_remove(place))
    }

    /// Takes out smaller files, the smallest first, until one of `bytes` bytes fits. If it cannot, nothing changes.
    fn make_room(&mut self, bytes: u64) -> Option<Vec<u64>> {
        self.files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let smaller = self.files.partition_point(|file| file.bytes >= bytes);
        let fits = |kept: usize| {
            let others = self.files[..kept].iter().chain(&self.arriving);
            let (count, sum) = others.fold((1, bytes), |(count, sum), file| (count + 1, sum + file.bytes));
            count <= MAX_FILES && sum <= MAX_BYTES
        };
        let kept = (smaller..=self.files.len()).rev().find(|&kept| fits(kept))?;
        Some(self.files.split_off(kept).into_iter().map(|file| file.number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pool: &mut Pool, bytes: u64) -> Option<Vec<u64>> {
        let (number, replaced) = pool.admit(bytes)?;
        pool.arrive(number);
        Some(replaced)
    }

    #[test]
    fn a_full_pool_keeps_the_largest() {
        let mut pool = Pool::default();
        for number in 0..8 {
            assert_eq!(put(&mut pool, 4192 + number), Some(vec![]));
        }
        assert_eq!(put(&mut pool, 4192), None, "not larger than any");
        assert_eq!(put(&mut pool, 4 << 20), Some(vec![0]));
        assert_eq!(put(&mut pool, 4 << 20), Some(vec![1]));
        assert_eq!(pool.take(1 << 20).map(|file| file.bytes), Some(4 << 20));
        assert_eq!(pool.adopt(Pooled { number: 20, bytes: 1 }), [20; 0]);
        assert_eq!(pool.adopt(Pooled { number: 21, bytes: 1 << 20 }), [20]);
        assert_eq!(pool.adopt(Pooled { number: 22, bytes: 2 }), [22]);
        assert_eq!(put(&mut pool, 1 << 20).map(|replaced| replaced.len()), Some(1));
        assert_eq!(pool.next, 24, "numbers go on behind those that were found");
    }

    #[test]
    fn the_smallest_that_fits_is_taken_once_it_has_arrived() {
        let mut pool = Pool::default();
        let (number, _) = pool.admit(100).unwrap();
        assert_eq!(pool.take(50), None);
        pool.arrive(number);
        put(&mut pool, 70);
        put(&mut pool, 40);
        assert_eq!(pool.take(50).map(|file| file.bytes), Some(70));
        assert_eq!(pool.take(50).map(|file| file.bytes), Some(100));
        assert_eq!(pool.take(50), None);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut pool = Pool::default();
        assert_eq!(put(&mut pool, MAX_BYTES + 1), None);
        for number in 0..4 {
            assert_eq!(put(&mut pool, MAX_BYTES / 4 - number), Some(vec![]));
        }
        assert_eq!(put(&mut pool, MAX_BYTES / 4), Some(vec![3]));
        assert_eq!(put(&mut pool, MAX_BYTES / 2), Some(vec![1, 2]));
        let (on_its_way, _) = pool.admit(MAX_BYTES / 2 + 1).unwrap();
        assert_eq!(put(&mut pool, MAX_BYTES / 2), None, "what is on its way keeps its room");
        pool.forget(on_its_way);
        assert_eq!(put(&mut pool, MAX_BYTES / 2), Some(vec![]));
    }
}
