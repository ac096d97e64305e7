//! `compatibility`: writes `docs/compatibility.md`.

use std::process::ExitCode;

use differential::compatibility::{page, place};

fn main() -> ExitCode {
    match std::fs::write(place(), page()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compatibility: {}: {error}", place().display());
            ExitCode::FAILURE
        }
    }
}
