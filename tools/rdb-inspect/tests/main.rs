//! `rdb-inspect` as a program: arguments in, output and exit code out; files come from real servers.

mod diff;
mod exchange;
mod harness;
mod rewrite;
mod verify;
