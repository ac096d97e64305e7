//! Everfast beside a real Redis server: random commands, whose answers must be the same.
//!
//! - [`grammar`]: what each command's arguments may be, from the command table's own syntax.
//! - [`script`]: random command lines on several connections, all from a seed.
//! - [`run`]: a script on both servers; [`compare`] says how replies are held against each other, [`state`] all keys.
//! - [`shrink`]: a script that shows a difference, made short.
//! - [`campaign`]: many scripts, with one and several shards.
//! - [`compatibility`]: the page that tells what there is and what differs.

#![forbid(unsafe_code)]

pub mod campaign;
pub mod client;
pub mod compare;
pub mod compatibility;
pub mod grammar;
pub mod random;
pub mod run;
pub mod script;
pub mod server;
pub mod shrink;
pub mod state;
