//! `summary`: what is in a file.

use crate::cli::Files;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::walk::walk;

/// Show what is in a file (the default)
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut sound = true;
    for input in Input::open_all(&args.files.files)? {
        let mut keys = 0;
        let findings = walk(&input, |item| {
            keys += u64::from(matches!(item, formats::rdb::Item::Key(_)));
            Ok(())
        })?;
        println!("{}: {keys} keys, {findings:?}", input.name);
        sound &= findings.is_sound();
    }
    Ok(Verdict::of(!sound))
}
