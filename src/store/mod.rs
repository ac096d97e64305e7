//! Keys and values in memory: what one shard holds of one database.
//!
//! Reading order: `hash` (where a key belongs), `value` (what it holds), `record` (its bytes), `page` (at most 64 records),
//! `directory` (which page), `tree` (two levels of directories), `freeze` (a view that stands still while the owner writes),
//! `gauge` (what views cost), `scan` and `expiry` (walks with a cursor), `keyspace` (the public face).
//!
//! Invariants:
//! 1. No file, socket, clock or thread: time comes in as an argument, threads belong to the callers.
//! 2. Every call does bounded work, except those that say that they visit everything.
//! 3. A view that was frozen never changes, whatever the owner does afterwards.

mod directory;
pub mod expiry;
pub mod freeze;
pub mod gauge;
pub mod hash;
pub mod keyspace;
mod page;
mod record;
mod scan;
mod tree;
pub mod value;

#[cfg(test)]
mod tests;

pub use expiry::{ExpireCycle, ExpirePass};
pub use freeze::{Frozen, FrozenPage};
pub use gauge::ViewGauge;
pub use hash::{KeyHash, KeyHasher, hash_tag};
pub use keyspace::{Dropped, Keyspace, MAX_INLINE_VALUE_BYTES};
pub use value::{Entry, Object, Type, ValueRef};
