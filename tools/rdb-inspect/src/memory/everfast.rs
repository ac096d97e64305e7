//! What a key takes in Everfast: its record, and its share of a page.
//!
//! ```text
//! record = flags 1, key length 1, key, [expiry 8], value
//! page   = up to 64 records and 6 KiB in a block that grows by size classes, 256 bytes of tags and positions, and
//!          16 bytes in the directory
//! ```
//!
//! Pages are split in two when they are full, so that on average they are filled to ln 2 = 69 %. Blocks have four sizes to a
//! doubling and so a slack of about an eighth. Keys above 255 and values above 1024 bytes stand outside the page.
//!
//! Only strings are stored so far. Collections are estimated as if their elements were packed into one string: what
//! is planned for small ones, and a lower bound for large ones.

use super::Allocator;

const HEAD: u64 = 2;
const EXPIRY: u64 = 8;
const MAX_KEY: u64 = 255;
const MAX_VALUE: u64 = 1024;
/// A number in the record in place of what stands outside.
const NUMBER: u64 = 2;
/// What stands outside has a block with its length, and a pointer to that beside the page.
const OBJECT: u64 = 32 + 16;
/// The list of what stands outside; a page's.
const BESIDE: f64 = 40.0;
const PAGE: f64 = 256.0 + 16.0;
const PAGE_RECORDS: f64 = 64.0 * std::f64::consts::LN_2;
const PAGE_BYTES: f64 = 6144.0 * std::f64::consts::LN_2;
const SLACK: f64 = 1.0 / 8.0;

/// Bytes that a key of so many bytes with a value of so many bytes takes.
pub fn key(key_length: usize, value_length: u64, expires: bool) -> u64 {
    let (key, key_outside) = field(key_length as u64, MAX_KEY);
    let (value, value_outside) = field(value_length, MAX_VALUE);
    let record = (HEAD + key + value + if expires { EXPIRY } else { 0 }) as f64;
    // A page is full when it has no room for either another record or its bytes.
    let share = (1.0 / PAGE_RECORDS).max(record / PAGE_BYTES);
    let outside = key_outside + value_outside;
    let page = if outside > 0 { PAGE + BESIDE } else { PAGE };
    (record * (1.0 + SLACK) + page * share).round() as u64 + outside
}

/// Bytes of a key or value inside the record, and outside.
fn field(length: u64, most: u64) -> (u64, u64) {
    if length <= most { (length, 0) } else { (NUMBER, OBJECT + Allocator::System.class(length)) }
}

#[cfg(test)]
mod tests {
    use everfast::store::{KeyHasher, Keyspace};

    use super::*;

    /// What the server itself counts for so many keys, per key.
    fn counted(keys: u64, key_length: usize, value_length: usize, expires: bool) -> f64 {
        let hasher = KeyHasher::new(7);
        let mut keyspace = Keyspace::new(hasher);
        let value = vec![b'v'; value_length];
        for i in 0..keys {
            let key = format!("{i:0key_length$}").into_bytes();
            keyspace.set_str(hasher.hash(&key), &key, &value, expires.then_some(i + 1));
        }
        keyspace.memory_bytes() as f64 / keys as f64
    }

    #[test]
    fn agrees_with_what_the_server_counts() {
        for (key_length, value_length, expires) in [
            (16, 16, false),
            (16, 64, false),
            (16, 64, true),
            (16, 512, false),
            (40, 5000, false),
            (300, 64, false),
        ] {
            let estimate = key(key_length, value_length as u64, expires) as f64;
            let counted = counted(40_000, key_length, value_length, expires);
            let error = estimate / counted - 1.0;
            println!(
                "{key_length}+{value_length}: estimated {estimate}, counted {counted:.1}, {:.1} %",
                error * 100.0
            );
            // The server counts neither what the allocator rounds up nor what it keeps.
            assert!(error.abs() < 0.07, "{key_length}+{value_length}: {estimate} for {counted}");
        }
    }
}
