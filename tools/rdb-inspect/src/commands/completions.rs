//! `completions`: what a shell needs to complete our arguments.

use clap_complete::Shell;

use crate::failure::{Failure, Verdict};
use crate::output::Output;

/// Print completions for a shell: `rdb-inspect completions bash > /etc/bash_completion.d/rdb-inspect`
#[derive(clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args, mut command: clap::Command) -> Result<Verdict, Failure> {
    let mut output = Output::stdout();
    clap_complete::generate(args.shell, &mut command, "rdb-inspect", output.buffer());
    output.finish()?;
    Ok(Verdict::Good)
}
