//! jemalloc's size classes: what a request is rounded up to.
//!
//! ```text
//! quantum 8:   8 16 24 32 40 48 56 64   80  96 112 128   160 192 224 256   320 …
//! quantum 16:  8 16    32    48    64   80  96 112 128   160 192 224 256   320 …
//! ```
//!
//! Four classes to each doubling, but steps no smaller than the quantum. Source: jemalloc 5's manual, "Size classes".

use clap::ValueEnum;

/// With which jemalloc Redis was built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Allocator {
    /// The one in Redis' own sources, as in its container images: classes 8 bytes apart
    #[default]
    Bundled,
    /// That of the system, as in the packages of Debian and Ubuntu: classes 16 bytes apart
    System,
}

impl Allocator {
    const fn quantum(self) -> u64 {
        match self {
            Allocator::Bundled => 8,
            Allocator::System => 16,
        }
    }

    /// The bytes of the block that a request for `bytes` gets.
    #[inline]
    pub const fn class(self, bytes: u64) -> u64 {
        if bytes <= 8 {
            return 8;
        }
        // The eighth of the next power of two. What has no next power is larger than any memory.
        let eighth = 1 << (u64::BITS - (bytes - 1).leading_zeros()).saturating_sub(3);
        let step = if eighth > self.quantum() { eighth } else { self.quantum() };
        bytes.saturating_add(step - 1) & !(step - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_jemalloc_s() {
        let classes = |allocator: Allocator, limit| {
            let mut classes: Vec<u64> = (1..=limit).map(|bytes| allocator.class(bytes)).collect();
            classes.dedup();
            classes
        };
        assert_eq!(
            classes(Allocator::Bundled, 320),
            [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
        );
        assert_eq!(
            classes(Allocator::System, 320),
            [8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
        );
        assert_eq!(Allocator::Bundled.class(14337), 16384);
        assert_eq!(Allocator::Bundled.class(16385), 20480);
        assert!(Allocator::System.class(u64::MAX) >= u64::MAX / 8 * 7);
    }
}
