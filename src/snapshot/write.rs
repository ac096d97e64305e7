//! Writes frozen databases into one file.

use super::output::Output;
use super::pace::Pace;
use super::{Aux, Options, Progress, WriteError, Written, value};
use crate::persist::disk::DiskFile;
use crate::store::Frozen;

/// Writes the databases, in the order given, into one RDB file and makes it durable. `file` is empty before.
///
/// A page is given back as soon as it is encoded: what the owners have copied meanwhile goes first (see
/// [`Frozen`]), so the memory that the views cost is this writer's lag.
///
/// # Errors
/// The disk failed, or `progress` was cancelled.
pub fn write(
    databases: Vec<(u16, Frozen)>,
    aux: &Aux,
    file: &mut dyn DiskFile,
    options: &Options,
    progress: &Progress,
) -> Result<Written, WriteError> {
    let mut output = Output::start(aux, file, options, progress)?;
    let mut pace = Pace::new(progress);
    for (db, view) in databases.into_iter().filter(|(_, view)| !view.is_empty()) {
        output.encoder.select_db(db.into())?;
        output.encoder.resize_db(view.len() as u64, view.expires_len() as u64)?;
        for page in view {
            progress.check()?;
            let mut keys = 0;
            for entry in page.entries() {
                value::encode(&mut output, &entry)?;
                keys += 1;
            }
            output.count_keys(keys);
            drop(page); // its memory first, then perhaps a pause
            pace.page();
        }
    }
    output.finish()
}
