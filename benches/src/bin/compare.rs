//! Compares Everfast with other servers; see docs/benchmarks.md.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use everfast_benches::compare::{CompareError, Options, compare};

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), CompareError> {
    if options.list {
        options.selected_rows()?.iter().for_each(|row| println!("{}", row.name));
        return Ok(());
    }
    let report = compare(options)?;
    let table = report.markdown();
    println!("{table}");
    if let Some(path) = &options.save {
        write(path, &table)?;
    }
    if let Some(path) = &options.json {
        write(path, &format!("{:#}\n", report.json()))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), CompareError> {
    fs::write(path, text).map_err(|source| CompareError::File { path: path.to_owned(), source })
}
