//! To come.
use rdb_inspect::failure::{Failure, Verdict};
#[derive(clap::Args)]
pub struct Args {}
pub fn run(_args: &Args) -> Result<Verdict, Failure> { Ok(Verdict::Good) }
