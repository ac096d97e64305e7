//! Copies the chosen records of one file into another.

use std::path::Path;

use formats::rdb::{Item, KeyRecord, RdbError, Version};

use super::items::{ItemWriter, LeftOut};
use super::plan::Plan;
use super::record::{RecordWriter, Tally};
use super::target::Target;
use super::{RdbFile, Sink};
use crate::failure::Failure;
use crate::input::Input;
use crate::names;
use crate::output::Output;
use crate::soundness::Checker;
use crate::walk::walk_again;

/// How records are copied.
#[derive(Clone, Copy, Debug)]
pub struct CopyOptions {
    pub target: Target,
    pub remove_ttl: bool,
    /// The written keys are not those of the input.
    pub keys_change: bool,
}

/// Writes the records that `choose` answers to `path`, in their order, and tells what they became.
pub fn copy<'a>(
    input: &'a Input,
    plan: Plan,
    path: &Path,
    options: &CopyOptions,
    mut choose: impl FnMut(KeyRecord<'a>) -> Result<Option<KeyRecord<'a>>, Failure>,
) -> Result<(), Failure> {
    let version = options.target.version(plan.version);
    let mut file = RdbFile::new(version, Output::to(Some(path))?, plan.databases);
    let mut copier = Copier::new(options, plan.must_check);
    walk_again(input, |item| match item {
        Item::Key(record) => match choose(record)? {
            Some(record) => copier.key(&mut file, &record, &input.name),
            None => Ok(()),
        },
        item => copier.items.write(&mut file, &item),
    })?;
    let keys = file.keys();
    file.finish()?.finish()?;
    report(version, keys, copier.items.left_out, copier.records.tally);
    Ok(())
}

/// Copies records, and checks values for which no checksum vouches.
pub struct Copier {
    pub items: ItemWriter,
    pub records: RecordWriter,
    checker: Option<Checker>,
}

impl Copier {
    pub fn new(options: &CopyOptions, must_check: bool) -> Copier {
        Copier {
            items: ItemWriter::new(options.keys_change),
            records: RecordWriter::new(options.target.lossy, options.remove_ttl),
            checker: must_check.then(Checker::default),
        }
    }

    /// Whether a server would take the value, as far as must be asked.
    fn check(&mut self, record: &KeyRecord<'_>) -> Result<(), RdbError> {
        match &mut self.checker {
            Some(checker) => record.key.check().and_then(|()| checker.check(&record.value)).map(drop),
            None => Ok(()),
        }
    }

    #[inline]
    pub fn key<S: Sink>(
        &mut self,
        file: &mut RdbFile<S>,
        record: &KeyRecord<'_>,
        input: &str,
    ) -> Result<(), Failure> {
        self.check(record).map_err(|error| {
            let key = names::of(record.key);
            let what = format!("{error} (key {key}); `rdb-inspect salvage` makes a sound file of the rest");
            Failure::Damage { name: input.into(), what }
        })?;
        self.records.write(file, record)
    }
}

/// Tells on stderr what was written.
pub fn report(version: Version, keys: u64, left_out: LeftOut, tally: Tally) {
    eprintln!("{keys} keys written, {version}");
    let say = |count: u64, what: &str| {
        if count > 0 {
            eprintln!("  {count} {what}");
        }
    };
    say(tally.converted, "values in a form that this version has");
    say(tally.lost_field_expiries, "hashes whose fields no longer expire");
    say(tally.emptied, "hashes left out of which all fields had expired");
    say(left_out.functions, "libraries of functions left out, which this version cannot hold");
    say(left_out.pre_ga_functions, "functions left out, in a form that no release loads");
    say(left_out.repeated, "libraries of functions left out, of whose name there was one");
    say(left_out.slot_imports, "imports of slots under way left out, which this version cannot hold");
}
