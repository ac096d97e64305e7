//! What each decoder is made to do with any bytes: read them all, and keep what it promises.
//!
//! The decoders are built with overflow checks and assertions; a panic, a hang or an allocation beyond the fuzzer's
//! limit is a finding. The functions here add what a crash does not show: an error lies within the input, what
//! was framed can be read again at its place, what was decoded and encoded again is the same.

#![forbid(unsafe_code)]

pub mod aof;
pub mod log;
pub mod packed;
pub mod rdb;
pub mod resp;
