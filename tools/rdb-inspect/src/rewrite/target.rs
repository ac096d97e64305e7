//! Which version is written, and where to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use formats::rdb::{Dialect, Version};

use crate::failure::Failure;
use crate::input::Input;

/// What the written file shall be.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "What is written")]
pub struct Target {
    /// Version of the written file: 10 (Redis 7.0), 11 (Redis 7.2, Valkey 7.2 to 8.1), 12 (Redis 7.4 and 8), 80
    /// (Valkey 9); without it the input's
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    pub rdb_version: Option<Version>,
    /// Give up what the version cannot hold: the times at which fields of hashes expire; fields that have expired are left
    /// out
    #[arg(long)]
    pub lossy: bool,
    /// Of an append-only file that begins with an RDB file, take that alone, without the commands behind it
    #[arg(long)]
    pub ignore_commands: bool,
}

impl Target {
    /// The version to write where the input has `version`.
    pub fn version(&self, version: Version) -> Version {
        self.rdb_version.unwrap_or(version)
    }
}

pub fn parse_version(text: &str) -> Result<Version, String> {
    match text {
        "10" | "11" | "12" => Ok(Version::redis(text.parse().unwrap_or(10))),
        "80" => Ok(Version::valkey(80)),
        _ => Err("one of 10, 11, 12, 80".into()),
    }
}

/// The version that holds what both hold; `None` where there is none.
pub fn common(a: Version, b: Version) -> Option<Version> {
    // Valkey reads all that Redis had up to version 11.
    const LAST_SHARED: u16 = 11;
    match (a.dialect, b.dialect) {
        (Dialect::Redis, Dialect::Redis) | (Dialect::Valkey, Dialect::Valkey) => {
            Some(if a.number >= b.number { a } else { b })
        }
        (Dialect::Redis, Dialect::Valkey) => (a.number <= LAST_SHARED).then_some(b),
        (Dialect::Valkey, Dialect::Redis) => (b.number <= LAST_SHARED).then_some(a),
    }
}

/// One input and one file that is written.
#[derive(Args, Debug)]
pub struct FromTo {
    /// RDB file, `-` for standard input, or data directory
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write to this file, which appears when it is complete; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

impl FromTo {
    /// Opens the input, which must not be the output.
    pub fn open(&self) -> Result<Input, Failure> {
        refuse_input(&self.output, std::slice::from_ref(&self.file))?;
        Input::open(&self.file)
    }
}

/// Fails if `output` is one of `inputs`: no input is written to.
pub fn refuse_input(output: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let id = |path: &Path| std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let Some(output_id) = id(output) else { return Ok(()) };
    match inputs.iter().find(|input| id(input) == Some(output_id)) {
        Some(input) => {
            let text = format!("{} is an input; write to another file", input.display());
            Err(Failure::Usage(text))
        }
        None => Ok(()),
    }
}
