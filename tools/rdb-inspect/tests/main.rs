//! `rdb-inspect` as a program: arguments in, output and exit code out; files come from real servers.

mod diff;
mod exchange;
mod export;
mod harness;
mod keys;
mod log;
mod memory;
mod program;
mod resp;
mod rewrite;
mod salvage;
mod summary;
mod verify;
