//! Servers to test and to test against, and the comparison of what they answer.

pub mod client;
pub mod compare;
pub mod random;
pub mod server;

pub use client::Client;
pub use compare::{Pair, compare, compare_with};
pub use server::Server;
