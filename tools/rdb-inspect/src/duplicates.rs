//! Keys that are there twice, in one file or in several.

use formats::rdb::KeyRecord;

use crate::failure::Failure;
use crate::key_table::{KeyComparer, KeyHasher, Partitions, Place};

/// Takes records in their order.
pub type Take<'t, 'a> = &'t mut dyn FnMut(KeyRecord<'a>) -> Result<(), Failure>;

/// Calls `each` with every key that was there before, and where that was.
///
/// `scan` hands over all records, the same ones each time: once for every pass; `again` reads one of them again. `keys`:
/// how many there are. Keys whose names cannot be unpacked are left out.
pub fn each_duplicate<'a>(
    keys: u64,
    budget: u64,
    mut scan: impl FnMut(Take<'_, 'a>) -> Result<(), Failure>,
    again: impl Fn(Place) -> Option<KeyRecord<'a>>,
    mut each: impl FnMut(&KeyRecord<'a>, Place) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let partitions = Partitions::new(keys, budget);
    let mut table = partitions.table();
    let hasher = KeyHasher::new();
    let mut comparer = KeyComparer::default();
    for pass in 0..partitions.count() {
        table.clear();
        scan(&mut |record| {
            let Ok(hash) = hasher.hash(&record) else { return Ok(()) };
            if partitions.of(hash) != pass {
                return Ok(());
            }
            match table.find(hash, |place| comparer.same(place, again(place), &record)) {
                Some((first, _)) => each(&record, first),
                None => {
                    table.insert(hash, Place::of(&record));
                    Ok(())
                }
            }
        })?;
    }
    Ok(())
}
