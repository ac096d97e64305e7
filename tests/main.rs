//! The server over a socket.
//!
//! - [`harness`]: starts servers, talks to them, compares them.
//! - [`commands`]: every command, compared with a Redis server that runs beside ours: what it answers is what we must
//!   answer, byte by byte.
//! - [`network`]: what clients do to a socket: pieces, pipelines, garbage, crowds, and reading nothing.
//! - [`libraries`]: real client libraries.
//! - [`snapshot`]: files between Redis and us, key by key.

mod commands;
mod harness;
mod libraries;
mod network;
mod snapshot;
