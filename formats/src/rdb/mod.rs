//! RDB, the snapshot format of Redis and Valkey.

pub mod lzf;
