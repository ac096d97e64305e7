//! `merge`: several files into one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use formats::rdb::{Item, KeyRecord, Version};

use crate::bits::Bits;
use crate::duplicates::{Take, each_duplicate};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::{Place, TableMemory};
use crate::names;
use crate::output::Output;
use crate::rewrite::RdbFile;
use crate::rewrite::copy::{self, Copier, CopyOptions};
use crate::rewrite::plan::{Counts, Plan, plan};
use crate::rewrite::target::{Target, common, refuse_input};
use crate::walk::walk_again;

/// Merge files into one RDB file
///
/// The keys stay in their order, those of the first file first. The inputs must be sound: see `salvage`. Without
/// --rdb-version the written file has the highest version of the inputs. Facts about the producer are taken from the first
/// file, functions from all.
///
/// Keys that are in several files are found with a table of 24 bytes a key, in several passes if --memory is not enough
/// for it, and marked with one bit a key.
#[derive(clap::Args)]
pub struct Args {
    /// RDB files or data directories, two or more
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    files: Vec<PathBuf>,
    /// Write to this file, which appears when it is complete; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What is kept of a key that is there more than once: in several files, or twice in one
    #[arg(long, value_name = "WHICH", default_value = "last")]
    on_duplicate: OnDuplicate,
    #[command(flatten)]
    memory: TableMemory,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum OnDuplicate {
    /// The value of the last file
    Last,
    /// The value of the first file
    First,
    /// Nothing is written
    Error,
}

/// The inputs, with offsets and numbers that count through all of them.
struct Inputs<'a> {
    inputs: &'a [Input],
    plans: Vec<Plan>,
    /// Where each file starts.
    offsets: Vec<u64>,
    /// Number of keys before each file.
    keys_before: Vec<u64>,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    refuse_input(&args.output, &args.files)?;
    let files = Input::open_all(&args.files)?;
    let inputs = Inputs::plan(&files, args.target.ignore_commands)?;
    let version = match args.target.rdb_version {
        Some(version) => version,
        None => inputs.common_version()?,
    };
    let left_out = inputs.duplicates(args)?;
    inputs.write(args, version, &left_out)?;
    if left_out.count() > 0 {
        eprintln!("  {} keys left out, of which there is another by the same name", left_out.count());
    }
    Ok(Verdict::Good)
}

impl<'a> Inputs<'a> {
    fn plan(inputs: &'a [Input], ignore_commands: bool) -> Result<Inputs<'a>, Failure> {
        let mut all = Inputs { inputs, plans: Vec::new(), offsets: Vec::new(), keys_before: Vec::new() };
        let (mut offset, mut keys) = (0, 0);
        for input in inputs {
            let plan = plan(input, ignore_commands, |record| Ok(Some(record)))?;
            all.offsets.push(offset);
            all.keys_before.push(keys);
            offset += input.len();
            keys += plan.keys;
            all.plans.push(plan);
        }
        Ok(all)
    }

    fn keys(&self) -> u64 {
        self.plans.iter().map(|plan| plan.keys).sum()
    }

    fn common_version(&self) -> Result<Version, Failure> {
        let versions = self.plans.iter().map(|plan| plan.version);
        let highest = versions.map(Some).reduce(|a, b| a.zip(b).and_then(|(a, b)| common(a, b))).flatten();
        let what = "no version holds all that these files may have; choose one with --rdb-version";
        highest.ok_or_else(|| Failure::Usage(what.into()))
    }

    fn again(&self, place: Place) -> Option<KeyRecord<'a>> {
        let file = self.offsets.partition_point(|&start| start <= place.offset) - 1;
        let place = Place { offset: place.offset - self.offsets[file], db: place.db };
        place.record(self.inputs[file].bytes(), self.plans[file].version)
    }

    /// Which keys are not to be written, by their number.
    fn duplicates(&self, args: &Args) -> Result<Bits, Failure> {
        let mut order: Vec<usize> = (0..self.inputs.len()).collect();
        if args.on_duplicate == OnDuplicate::Last {
            order.reverse();
        }
        let mut left_out = Bits::default();
        let number = std::cell::Cell::new(0);
        let scan = |take: Take<'_, 'a>| {
            order.iter().try_for_each(|&file| {
                let mut next = self.keys_before[file];
                walk_again(&self.inputs[file], |item| {
                    let Item::Key(mut record) = item else { return Ok(()) };
                    number.set(next);
                    next += 1;
                    record.offset += self.offsets[file];
                    take(record)
                })
            })
        };
        each_duplicate(
            self.keys(),
            args.memory.bytes,
            scan,
            |place| self.again(place),
            |record, _| {
                if args.on_duplicate == OnDuplicate::Error {
                    let key = names::of(record.key);
                    return Err(Failure::Usage(format!("{key} of database {} is there twice", record.db)));
                }
                left_out.set(number.get());
                Ok(())
            },
        )?;
        Ok(left_out)
    }

    fn write(&self, args: &Args, version: Version, left_out: &Bits) -> Result<(), Failure> {
        let hints = if left_out.count() == 0 { self.hints() } else { BTreeMap::new() };
        let mut file = RdbFile::new(version, Output::to(Some(&args.output))?, hints);
        let must_check = self.plans.iter().any(|plan| plan.must_check);
        let options = CopyOptions { target: args.target, remove_ttl: false, keys_change: true };
        let mut copier = Copier::new(&options, must_check);
        let mut number = 0;
        for (i, input) in self.inputs.iter().enumerate() {
            walk_again(input, |item| match item {
                Item::Key(record) => {
                    number += 1;
                    if left_out.get(number - 1) {
                        Ok(())
                    } else {
                        copier.key(&mut file, &record, &input.name)
                    }
                }
                Item::Aux { .. } if i > 0 => Ok(()),
                item => copier.items.write(&mut file, &item),
            })?;
        }
        let keys = file.keys();
        file.finish()?.finish()?;
        copy::report(version, keys, copier.items.left_out, copier.records.tally);
        Ok(())
    }

    fn hints(&self) -> BTreeMap<u64, Counts> {
        let mut all: BTreeMap<u64, Counts> = BTreeMap::new();
        for (db, counts) in self.plans.iter().flat_map(|plan| &plan.databases) {
            let sum = all.entry(*db).or_default();
            sum.keys += counts.keys;
            sum.expiring += counts.expiring;
        }
        all
    }
}
