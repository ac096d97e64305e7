//! The program on data directories of a server in this process, and on files of real Redis servers, which also load what
//! it writes.

mod check;
mod export;
mod harness;
mod import;
mod log;
mod rewind;
mod salvage;
