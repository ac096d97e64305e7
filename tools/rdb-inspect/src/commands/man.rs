//! `man`: manual pages, made from the help.

use std::path::PathBuf;

use crate::destination::refuse_folder;
use crate::failure::{Failure, Verdict};
use crate::output::Output;

/// Print the manual page, or write one page per command into a folder
#[derive(clap::Args)]
pub struct Args {
    /// Folder for rdb-inspect.1, rdb-inspect-summary.1, …; made if need be
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

pub fn run(args: &Args, command: clap::Command) -> Result<Verdict, Failure> {
    if let Some(folder) = &args.output_dir {
        if folder.exists() {
            refuse_folder(folder, &[])?;
        }
        let make =
            || std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
        make().map_err(|error| Failure::file(folder, error))?;
        return Ok(Verdict::Good);
    }
    let mut output = Output::stdout();
    clap_mangen::Man::new(command).render(output.buffer()).map_err(Failure::Output)?;
    output.finish()?;
    Ok(Verdict::Good)
}
