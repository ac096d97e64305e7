//! Real client libraries, in both versions of the protocol.

mod redis_crate;
mod redis_py;
