//! One module per command.

pub mod check;
pub mod export;
pub mod import;
pub mod log;
pub mod replay;
pub mod salvage;

use std::path::Path;
use std::sync::Arc;

use everfast::persist::disk::{Disk, RealDisk};
use everfast::persist::file_names::{self, FileKind};
use everfast::persist::fresh::last_gsn;
use everfast::persist::read_only::ReadOnlyDir;
use everfast::persist::{Limit, Recovered};
use rdb_inspect::failure::Failure;

use crate::failures;
use crate::limit::Until;

pub fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// What a start would find, or what there was up to a limit. The directory is held as long as the first answer lives.
pub fn recover(dir: &Path, until: Option<Until>) -> Result<(ReadOnlyDir, Recovered), Failure> {
    let failed = |error| failures::persist(dir, &error);
    refuse_without_manifest(dir)?;
    let open = ReadOnlyDir::open(disk(), dir).map_err(failed)?;
    let recovered = open.recover(until.map(|until| until.limit)).map_err(failed)?;
    if let Some(Until { limit: Limit::Gsn(gsn), is_plain: true }) = until
        && gsn > recovered.next_gsn
    {
        let last = last_gsn(recovered.next_gsn);
        return Err(Failure::Usage(format!(
            "--until {gsn} is a GSN, and the last one here is {last}: a time in seconds since 1970 is @{gsn}, and gsn:{gsn} \
             takes it as a number nevertheless"
        )));
    }
    Ok((open, recovered))
}

fn refuse_without_manifest(dir: &Path) -> Result<(), Failure> {
    let names = disk().list(dir).map_err(|error| Failure::file(dir, error))?;
    if names.iter().any(|name| name == file_names::MANIFEST) {
        return Ok(());
    }
    let is_data =
        |name: &String| matches!(FileKind::of(name), FileKind::Segment(..) | FileKind::Snapshot(..));
    match names.iter().any(is_data) {
        false => Err(nothing_of_ours(dir)),
        true => {
            let what = "MANIFEST is missing; `salvage` makes a new directory of the rest".to_owned();
            Err(Failure::Damage { name: dir.display().to_string(), what })
        }
    }
}

/// For a directory of something else.
pub fn nothing_of_ours(dir: &Path) -> Failure {
    Failure::Usage(format!("{} has no files of Everfast", dir.display()))
}

/// Whether the snapshots hold everything: the logs behind them add nothing.
pub fn is_in_snapshots(recovered: &Recovered) -> bool {
    crate::report::last_time_ms(recovered).is_none()
}
