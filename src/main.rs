//! The server's program: arguments to configuration, then run.

use std::io::{Write, stderr};
use std::process::ExitCode;

use everfast::config::Config;

/// Pages of the keyspace change size all the time: jemalloc keeps that from fragmenting memory. Its settings stand
/// in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let loaded = match Config::load(std::env::args_os()) {
        Ok(loaded) => loaded,
        Err(error) => error.exit(),
    };
    match everfast::server::run(loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // On a full disk there may be no room for it: the exit code still says that it failed.
            let _ = writeln!(stderr(), "everfast: {error}");
            ExitCode::FAILURE
        }
    }
}
