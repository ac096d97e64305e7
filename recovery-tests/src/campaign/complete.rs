//! All small cases, once: what rounds of `subsets` and `damage` try a share of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

use super::{Row, Violation, row};
use crate::exhaustive::{self, Progress};
use crate::family::{Counts, Family, panicked};

type Everything = fn(Progress<'_>) -> Result<Counts, String>;

/// Tries them all, whatever a violation says of the rest; `tell` is given lines of progress.
pub fn complete(tell: Progress<'_>) -> (Vec<Row>, Vec<Violation>) {
    let parts: [(&Family, Everything); 2] = [
        (&exhaustive::subsets::FAMILY, exhaustive::every_subset),
        (&exhaustive::damage::FAMILY, exhaustive::every_damage),
    ];
    let (mut rows, mut violations) = (Vec::new(), Vec::new());
    for (family, everything) in parts {
        let (mut row, began) = (row(family), Instant::now());
        let done = catch_unwind(AssertUnwindSafe(|| everything(tell)));
        (row.rounds, row.spent) = (1, began.elapsed());
        match done.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(counts) => row.counts = counts,
            Err(what) => {
                row.violations = 1;
                let (family, after, kept) = (family.name, began.elapsed(), PathBuf::new());
                violations.push(Violation { family, seed: None, what, after, kept });
            }
        }
        rows.push(row);
    }
    (rows, violations)
}
