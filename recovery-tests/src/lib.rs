//! The crash-recovery test suite: real server processes under load, killed at random moments.
//!
//! - [`server_process`]: starts, kills and restarts a server.
//! - [`client`]: a blocking client that can pipeline.
//! - [`family`]: what the kinds of runs have in common.
//! - [`random`]: the seeded source of all choices.
//! - [`clients`]: clients that know what they wrote: their commands, what may be there after a crash, and the comparison.
//! - [`in_process`]: a whole server in this process, on any disk.
//! - [`switch_disk`]: a disk whose calls fail or wait, by file and at the turn of a switch.
//! - [`power_cut`]: a whole server on a simulated disk that stops at a given call and forgets what was not synced.
//! - [`sim`]: whole servers on one thread, every turn drawn from a seed.
//! - [`linear`]: recorded histories of concurrent clients, checked for linearizability.
//! - [`exhaustive`]: small cases, all of them, on a simulated disk without a server.
//! - [`processes`]: real servers that are killed, end at named points, or have a disk that fails.
//! - [`campaign`]: rounds of all families, each with its share of the time.

#![forbid(unsafe_code)]

pub mod campaign;
pub mod client;
pub mod clients;
pub mod exhaustive;
pub mod family;
pub mod in_process;
pub mod linear;
pub mod power_cut;
pub mod processes;
pub mod random;
pub mod server_process;
pub mod sim;
pub mod switch_disk;
