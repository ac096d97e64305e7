//! The pass before a file is written: whether the input is sound, and how many keys there will be.

use std::collections::BTreeMap;

use formats::rdb::{Item, KeyRecord, Version};

use crate::failure::Failure;
use crate::input::Input;
use crate::walk::{Checksum, walk};

/// Databases whose keys are counted; the hints of others are left out.
const MAX_DATABASES: usize = 4096;

/// Keys of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub keys: u64,
    pub expiring: u64,
}

/// What the first pass found.
pub struct Plan {
    pub version: Version,
    /// Keys of the file, chosen or not.
    pub keys: u64,
    /// Keys that were chosen.
    pub chosen: u64,
    /// The same by database.
    pub databases: BTreeMap<u64, Counts>,
    /// No checksum vouches for the content of values.
    pub must_check: bool,
}

/// Walks through `input`, which must be sound, and without commands behind it unless they are to be ignored. `choose` says
/// of each key whether it will be written, and as what.
pub fn plan<'a>(
    input: &'a Input,
    ignore_commands: bool,
    mut choose: impl FnMut(KeyRecord<'a>) -> Result<Option<KeyRecord<'a>>, Failure>,
) -> Result<Plan, Failure> {
    let mut databases: BTreeMap<u64, Counts> = BTreeMap::new();
    let (mut keys, mut chosen) = (0, 0);
    let findings = walk(input, |item| {
        let Item::Key(record) = item else { return Ok(()) };
        keys += 1;
        if let Some(record) = choose(record)? {
            chosen += 1;
            if databases.len() < MAX_DATABASES || databases.contains_key(&record.db) {
                let counts = databases.entry(record.db).or_default();
                counts.keys += 1;
                counts.expiring += u64::from(record.expires_at_ms.is_some());
            }
        }
        Ok(())
    })?;
    findings.require_sound(&input.name, ignore_commands).map_err(name_salvage)?;
    match findings.version {
        Some(version) => {
            let must_check = findings.checksum != Checksum::Good;
            Ok(Plan { version, keys, chosen, databases, must_check })
        }
        None => Err(Failure::Damage { name: input.name.clone(), what: "has no version".into() }),
    }
}

/// Tells what helps.
pub fn name_salvage(failure: Failure) -> Failure {
    match failure {
        Failure::Damage { name, what } => {
            let what = format!("{what}; `rdb-inspect salvage` makes a sound file of what can be read");
            Failure::Damage { name, what }
        }
        failure => failure,
    }
}
