//! Keys that stand in a file twice, which no server loads.

use formats::rdb::{Item, KeyRecord, Version};

use crate::failure::Failure;
use crate::input::Input;
use crate::key_table::{KeyComparer, KeyHasher, Partitions, Place};
use crate::walk::walk_again;

/// Calls `each` with every key that was there before, and where that was. Keys whose names cannot be unpacked are left
/// out. `keys`: how many there are, for the number of passes.
pub fn each_duplicate<'a>(
    input: &'a Input,
    version: Version,
    keys: u64,
    budget: u64,
    mut each: impl FnMut(&KeyRecord<'a>, Place) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let partitions = Partitions::new(keys, budget);
    let mut table = partitions.table();
    let mut hasher = KeyHasher::new();
    let mut comparer = KeyComparer::default();
    for pass in 0..partitions.count() {
        table.clear();
        walk_again(input, |item| {
            let Item::Key(record) = item else { return Ok(()) };
            let Ok(hash) = hasher.hash(&record) else { return Ok(()) };
            if partitions.of(hash) != pass {
                return Ok(());
            }
            let same = |place: Place| comparer.same(place, place.record(input.bytes(), version), &record);
            match table.find(hash, same) {
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
