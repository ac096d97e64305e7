//! The program `rdb-inspect`: see the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rdb_inspect::run("rdb-inspect", rdb_inspect::cli::run)
}
