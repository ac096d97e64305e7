//! One pass that estimates the memory of all selected keys of some files: what `memory`, `bigkeys`, `prefixes` and
//! `report` have in common.
//!
//! Invariant: a value that cannot be read counts with its bytes in the file, and is told.

use std::path::PathBuf;

use formats::rdb::string::StringBuffer;
use formats::rdb::{Item, KeyRecord, RdbError, RdbString};

use crate::complaints::Complaints;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::memory::{Allocator, Footprint, Model};
use crate::select::Select;
use crate::walk::{Findings, walk};

/// Longer names are cut.
pub const MAX_NAME: usize = 1 << 20;

/// Which keys are estimated, and how.
#[derive(clap::Args, Debug)]
pub struct Estimate {
    /// With which jemalloc Redis was built
    #[arg(long, value_enum, default_value_t)]
    pub allocator: Allocator,
    #[command(flatten)]
    pub select: Select,
}

/// A selected key with what it takes.
pub struct Estimated<'e, 'a> {
    pub record: &'e KeyRecord<'a>,
    /// The key, or its first [`MAX_NAME`] bytes.
    pub name: &'e [u8],
    pub footprint: Footprint,
    pub model: &'e mut Model,
}

/// Keys and what they take, all together.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Totals {
    pub keys: u64,
    pub elements: u64,
    pub file_bytes: u64,
    pub redis_bytes: u64,
    pub everfast_bytes: u64,
}

impl Totals {
    #[inline]
    pub fn add(&mut self, record: &KeyRecord<'_>, footprint: &Footprint) {
        self.keys += 1;
        self.elements += footprint.elements;
        self.file_bytes += record.bytes.len() as u64;
        // What a hostile file says can be larger than any sum.
        self.redis_bytes = self.redis_bytes.saturating_add(footprint.redis_bytes);
        self.everfast_bytes = self.everfast_bytes.saturating_add(footprint.everfast_bytes);
    }
}

/// From a part to the whole, where only a sample of the keys is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale(f64);

impl Scale {
    pub fn is_estimate(self) -> bool {
        self.0 > 1.0
    }

    pub fn up(self, figure: u64) -> u64 {
        if self.is_estimate() { (figure as f64 * self.0).round() as u64 } else { figure }
    }

    pub fn totals(self, totals: &Totals) -> Totals {
        Totals {
            keys: self.up(totals.keys),
            elements: self.up(totals.elements),
            file_bytes: self.up(totals.file_bytes),
            redis_bytes: self.up(totals.redis_bytes),
            everfast_bytes: self.up(totals.everfast_bytes),
        }
    }
}

impl Estimate {
    /// Shows `visit` all selected keys of `files`, and says on stderr what is wrong with the files.
    pub fn for_each(
        &self,
        files: &[PathBuf],
        mut visit: impl FnMut(Estimated<'_, '_>) -> Result<(), Failure>,
    ) -> Result<Verdict, Failure> {
        let mut sound = true;
        for input in Input::open_all(files)? {
            let mut complaints = Complaints::about(&input.name);
            let damage =
                |record: &KeyRecord<'_>, error: &RdbError| complaints.key(record.db, record.key, error);
            let findings = self.for_each_of(&input, &mut visit, damage, |_| ())?;
            sound &= complaints.finish(&findings);
        }
        Ok(Verdict::of(!sound))
    }

    /// The same for one file. `damage` is told of values and names that cannot be read, `note` is shown every
    /// record that is no key.
    pub fn for_each_of<'a>(
        &self,
        input: &'a Input,
        mut visit: impl FnMut(Estimated<'_, 'a>) -> Result<(), Failure>,
        mut damage: impl FnMut(&KeyRecord<'a>, &RdbError),
        mut note: impl FnMut(&Item<'a>),
    ) -> Result<Findings, Failure> {
        let mut model = Model::new(self.allocator);
        let mut selector = self.select.selector();
        let mut buffer = StringBuffer::default();
        let mut long_name = Vec::new();
        walk(input, |item| {
            let record = match item {
                Item::Key(record) => record,
                other => {
                    model.note(&other);
                    note(&other);
                    return Ok(());
                }
            };
            let name = match selector.accepts(&record) {
                Ok(false) => return Ok(()),
                Ok(true) => name_of(&record.key, &mut buffer, &mut long_name),
                Err(error) => Err(error),
            };
            let name = match name {
                Ok(name) => name,
                Err(error) => {
                    damage(&record, &error);
                    return Ok(());
                }
            };
            let footprint = model.key(&record).unwrap_or_else(|error| {
                damage(&record, &error);
                model.damaged(&record)
            });
            visit(Estimated { record: &record, name, footprint, model: &mut model })
        })
    }

    /// What figures are multiplied by.
    pub fn scale(&self) -> Scale {
        Scale(self.select.sample.map_or(1.0, |share| 1.0 / share))
    }
}

/// The first [`MAX_NAME`] bytes of a key, in bounded memory.
#[inline]
fn name_of<'s, 'a: 's>(
    key: &RdbString<'a>,
    buffer: &'s mut StringBuffer,
    long_name: &'s mut Vec<u8>,
) -> Result<&'s [u8], RdbError> {
    if key.len() <= MAX_NAME {
        return key.bytes(buffer);
    }
    long_name.clear();
    key.for_each_chunk(|chunk| {
        let room = MAX_NAME - long_name.len();
        long_name.extend_from_slice(&chunk[..chunk.len().min(room)]);
    })?;
    Ok(long_name)
}
