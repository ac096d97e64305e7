//! What a snapshot costs the clients and the machine, and how long a restart takes: our server beside others.
//!
//! ```text
//! options   what was asked for              memory      the process tree's memory, sampled
//! figures   what is told, and the goals     under_load  one snapshot while clients write
//! info      fields of INFO                  huge        values of hundreds of megabytes
//! saving    a snapshot: begin and end       restart     kill -9, start again
//! probe     one client, every latency       session     rounds, peers one after the other
//! machine   where and when                  report      medians, ratios, verdicts
//! ```
//!
//! Invariants:
//! 1. One server runs at a time, on a fresh directory that is removed with it. Rounds alternate the order of the peers.
//! 2. Ratios are taken within a round; what is told is the median of the rounds.
//! 3. A server that refuses a snapshot or lacks a field leaves a gap and a note in the table, never a number. An error reply to a write, a
//!    missing key or a server that dies ends the run.

mod figures;
mod huge;
mod info;
mod machine;
mod memory;
mod options;
mod probe;
mod report;
mod restart;
mod saving;
mod session;
mod under_load;

pub use options::Options;
pub use report::Report;
pub use session::measure;
