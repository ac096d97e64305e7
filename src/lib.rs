//! Everfast, a durable in-memory key-value server.

pub mod persist;
