//! The crash suite's tests: one module per kind of fault.

mod checkpoints;
mod disk_faults;
mod exhaustive;
mod linear;
mod log_queue;
mod poison;
mod power_cut;
mod processes;
mod replies;
mod sim;
mod starts;
