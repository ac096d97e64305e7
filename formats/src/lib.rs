//! Codecs between bytes and values, and nothing else.
//!
//! - [`resp`]: the Redis protocol: requests, replies, and values as a client sees them.
//! - [`glob`]: Redis' patterns.
//! - [`rdb`]: the snapshot files of Redis and Valkey.
//! - [`aof`]: the append-only files of Redis and Valkey.
//! - [`log`]: effects, frames, segments and the manifest of a data directory.
//! - [`cursor`], [`checksum`]: what the codecs share.
//!
//! Invariants of absence: this crate opens no file, starts no thread, reads no clock and has no `unsafe` code;
//! no input makes it panic, and every length that it reads has a limit.

#![forbid(unsafe_code)]

pub mod aof;
pub mod checksum;
pub mod cursor;
pub mod glob;
pub mod log;
pub mod rdb;
pub mod resp;
