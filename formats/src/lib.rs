//! Codecs between bytes and values, and nothing else.
//!
//! - [`resp`]: the Redis protocol: requests, replies, and values as a client sees them.
//! - [`glob`]: Redis' patterns.
//!
//! Invariants of absence: this crate opens no file, starts no thread, reads no clock and has no `unsafe` code;
//! no input makes it panic, and every length that it reads has a limit.

#![forbid(unsafe_code)]

pub mod glob;
pub mod resp;
