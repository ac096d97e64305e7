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
use everfast::persist::read_only::ReadOnlyDir;
use everfast::persist::{Limit, Recovered};
use rdb_inspect::failure::Failure;

use crate::failures;

pub fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// What a start would find, or what there was up to a limit. The directory is held as long as the first answer lives.
pub fn recover(dir: &Path, limit: Option<Limit>) -> Result<(ReadOnlyDir, Recovered), Failure> {
    let failed = |error| failures::persist(dir, &error);
    let open = ReadOnlyDir::open(disk(), dir).map_err(failed)?;
    let recovered = open.recover(limit).map_err(failed)?;
    Ok((open, recovered))
}

/// Whether the snapshots hold everything: the logs behind them add nothing.
pub fn is_in_snapshots(recovered: &Recovered) -> bool {
    crate::report::last_time_ms(recovered).is_none()
}
