//! The crash suite: power cuts, kills, failing disks and damage, simulated and real. docs/crash-suite.md tells what it shows.
//!
//! Kinds of runs, all of which a seed decides as far as it can:
//! - [`family`]: what they have in common. [`campaign`]: rounds of all of them, each with its share of the time.
//! - [`sim`]: whole servers on one thread, every turn drawn from a seed.
//! - [`exhaustive`]: small cases, all of them, on a simulated disk without a server.
//! - [`linear`]: recorded histories of concurrent clients, checked for linearizability.
//! - [`power_cut`]: a whole server on a simulated disk that stops at a given call and forgets what was not synced.
//! - [`processes`]: real servers that are killed, end at named points, or have a disk that fails.
//!
//! What they are made of:
//! - [`clients`]: clients that know what they wrote: their commands, what may be there after a crash, and the comparison.
//! - [`client`]: a blocking client that can pipeline.
//! - [`server_process`]: starts, kills and restarts a server. [`in_process`]: a whole server in this process, on any disk.
//! - [`switch_disk`]: a disk whose calls fail or wait, by file and at the turn of a switch.
//! - [`random`]: the seeded source of all choices.

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
