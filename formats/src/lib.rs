//! Codecs between bytes and values, and nothing else.
//!
//! - [`resp`]: the Redis protocol: requests, replies, and values as a client sees them.
//!
//! Invariants of absence: this crate opens no file, starts no thread, reads no clock and has no `unsafe` code;
//! no input makes it panic, and every length that it reads has a limit.

#![forbid(unsafe_code)]

pub mod resp;
