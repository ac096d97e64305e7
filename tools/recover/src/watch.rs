//! A progress bar for work that counts what it has done.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rdb_inspect::progress::Progress;

const STEP: Duration = Duration::from_millis(100);

/// Does `work` while a bar shows what `bytes` answers: done, and to do (0 while that is not known).
pub fn watch<T>(bytes: impl Fn() -> (u64, u64) + Send, work: impl FnOnce() -> T) -> T {
    let (done, ended) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bar: Option<(Progress, u64)> = None;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(STEP) {
                let (done, total) = bytes();
                if total > 0 && bar.as_ref().is_none_or(|(_, known)| *known != total) {
                    bar = Some((Progress::new(total), total));
                }
                if let Some((bar, _)) = &bar {
                    bar.at(done);
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}
