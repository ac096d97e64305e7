//! The server's program: arguments to configuration, then run.

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
            eprintln!("everfast: {error}");
            ExitCode::FAILURE
        }
    }
}
