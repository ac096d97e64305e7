//! Linearizability: what concurrent clients saw is what they could have seen one after the other, crashes included.
//!
//! - [`command`]: the commands that histories are made of.
//! - [`spec`]: what each command means alone.
//! - [`history`]: what clients did and saw, and when.
//! - [`checker`]: whether a history can be explained.
//! - [`shrink`]: the shortest history that cannot be.
//! - [`script`]: what a client does, chosen by a seed.
//! - [`record`]: clients of a server, written down.
//! - [`rounds`]: the kinds of runs: [`FAMILIES`].

pub mod checker;
pub mod command;
pub mod history;
pub mod record;
pub mod rounds;
pub mod script;
pub mod shrink;
pub mod spec;

pub use rounds::FAMILIES;
