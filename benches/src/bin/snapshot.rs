//! What a snapshot costs and how long a restart takes, beside other servers; see docs/benchmarks.md.

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use everfast_benches::compare::CompareError;
use everfast_benches::snapshot::{Options, measure};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("snapshot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), CompareError> {
    let page = measure(options)?.markdown();
    println!("{page}");
    let path = &options.save;
    fs::write(path, &page).map_err(|source| CompareError::File { path: path.clone(), source })
}
