//! The server over a socket.
//!
//! - [`harness`]: starts servers, talks to them, compares them.
//! - [`commands`]: every command, compared with a Redis server that runs beside ours: what it answers is what we must
//!   answer, byte by byte.

mod commands;
mod harness;
