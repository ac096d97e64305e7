//! Codecs between bytes and values, and nothing else: no files, threads, clocks or `unsafe`.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod cursor;
pub mod log;
