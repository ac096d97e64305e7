//! `rdb-inspect` as a program: arguments in, output and exit code out; files come from real servers.

mod bombs;
mod data_dir;
mod diff;
mod exchange;
mod export;
mod harness;
mod keys;
mod log;
mod memory;
mod program;
mod refusals;
mod resp;
mod rewrite;
mod summary;
mod verify;
