//! `rdb-inspect` as a program: arguments in, output and exit code out.

mod export;
mod keys;
mod program;
mod resp;
mod summary;
