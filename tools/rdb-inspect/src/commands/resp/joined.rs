//! Keys of several databases that go into one: none may be of the same name.

use std::collections::BTreeMap;

use formats::rdb::{Item, KeyRecord, Version};

use super::Args;
use crate::duplicates::{Take, each_duplicate};
use crate::failure::Failure;
use crate::input::Input;
use crate::key_table::{DEFAULT_BUDGET, Place};
use crate::names;
use crate::select::now_ms;
use crate::walk::walk_again;

/// Databases that are told apart; with more, keys are taken to be joined.
const MAX_DATABASES: usize = 4096;

/// Fails where keys of different databases would become one. Only where databases are joined is a table of the keys needed.
pub(super) fn refuse_clashes<'a>(inputs: &'a [Input], args: &Args) -> Result<(), Failure> {
    if args.to_db.is_none() && args.db_map.is_empty() && !args.no_select {
        return Ok(());
    }
    let mut keys = 0;
    let mut sources: BTreeMap<u64, u64> = BTreeMap::new();
    let mut are_joined = false;
    each_key(inputs, args, &mut |record, source| {
        keys += 1;
        if sources.len() < MAX_DATABASES {
            are_joined |= *sources.entry(record.db).or_insert(source) != source;
        } else {
            are_joined = true;
        }
        Ok(())
    })?;
    if !are_joined {
        return Ok(());
    }
    let scan = |take: Take<'_, 'a>| each_key(inputs, args, &mut |record, _| take(record));
    let again = |place| find(inputs, place);
    each_duplicate(keys, DEFAULT_BUDGET, scan, again, |record, _| {
        let key = names::shown(&names::kept(record.key));
        Err(Failure::Usage(format!("{key} is in several databases or files: one database cannot hold both")))
    })
}

/// Visits the keys that will be written, as of the databases that they go to, with a number for the input and the database from
/// which they come. Offsets count through all inputs.
fn each_key<'a>(
    inputs: &'a [Input],
    args: &Args,
    visit: &mut dyn FnMut(KeyRecord<'a>, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let now_ms = now_ms();
    let mut start = 0;
    for (number, input) in inputs.iter().enumerate() {
        let mut selector = args.select.selector();
        walk_again(input, |item| {
            let Item::Key(mut record) = item else { return Ok(()) };
            let expired = record.expires_at_ms.is_some_and(|at| at <= now_ms);
            // A name that cannot be read is told when the commands are written.
            if expired && !args.with_expired || !selector.accepts(&record).unwrap_or(false) {
                return Ok(());
            }
            let source = (number as u64) << 48 ^ record.db;
            record.db = args.target_db(record.db);
            record.offset += start;
            visit(record, source)
        })?;
        start += input.len();
    }
    Ok(())
}

fn find(inputs: &[Input], place: Place) -> Option<KeyRecord<'_>> {
    let mut offset = place.offset;
    for input in inputs {
        if offset < input.len() {
            let version = Version::parse(input.bytes()).ok()?;
            return Place { offset, db: place.db }.record(input.bytes(), version);
        }
        offset -= input.len();
    }
    None
}
