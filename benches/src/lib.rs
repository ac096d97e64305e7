//! Measuring: a load generator, a comparison with other servers, and what both share.
//!
//! - [`load`]: drives any server of the Redis protocol over TCP and keeps the latencies.
//! - [`process`]: what the kernel says about a running server: CPU time and memory.
//! - [`compare`]: starts servers side by side, runs the same load on each, tells ratios. It is the only place that knows other
//!   servers.
//! - [`snapshot`]: what a snapshot costs the clients and how long a restart takes, beside other servers.
//! - [`closed_loop`]: clients that write to a log without a network between, for figures of the log alone.
//!
//! Invariant: nothing here asserts a time or a speed. Figures are printed, beside a peer's of the same run.

#![forbid(unsafe_code)]

pub mod closed_loop;
pub mod compare;
pub mod load;
pub mod process;
pub mod snapshot;
mod statistics;

pub use statistics::{Spread, median};
