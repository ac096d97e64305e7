//! Everfast: a durable in-memory key-value server that speaks the Redis protocol.
//!
//! In reading order; each may use those below it in this list of layers, never those above:
//! `server` -> `net` -> `command` -> `shard` -> { `store`, `persist` } -> `formats`; `config`, `clock`, `waiting` and
//! `fail_point` serve all.
//! `store` and `persist` do not know each other: the shard joins them, and `snapshot` puts the keys of one into files of
//! the other.

#[macro_use]
pub mod fail_point;

pub mod config;

pub mod clock;

pub mod waiting;

pub mod store;

pub mod persist;

pub mod snapshot;

pub mod shard;

pub mod command;

pub mod net;

pub mod server;
