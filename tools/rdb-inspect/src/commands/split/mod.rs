//! `split`: one file into several.

mod files;
mod slot;
mod way;

use std::path::PathBuf;

use formats::rdb::{Item, KeyRecord};

use self::files::Files;
use self::way::Way;
use crate::destination::refuse_folder;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::rewrite::copy::{Copier, CopyOptions};
use crate::rewrite::plan::{Plan, name_salvage, plan};
use crate::rewrite::target::Target;
use crate::select::{Select, Selector};
use crate::walk::walk_again;

/// Records that are no keys and are given to every file.
const MAX_ITEMS: usize = 100_000;

/// Split a file into several RDB files
///
/// Every file gets the facts about the producer, all functions and all modules' data. The keys stay in their order. The
/// input must be sound: see `salvage`. Memory: up to 48 MiB for what is on its way to the files.
///
/// Example: files of about 1 GiB: rdb-inspect split dump.rdb --by size=1g --output-dir parts
#[derive(clap::Args)]
pub struct Args {
    /// RDB file, `-` for standard input, or data directory
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder for the files, made if need be: db-0.rdb, slot-00042.rdb, prefix-user.rdb, part-00001.rdb, shard-3.rdb. None
    /// of them may be there already
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,
    /// How: db (one file a database), slot (one a cluster slot), prefix (one a prefix, up to the first separator),
    /// count=KEYS (so many keys a file), size=BYTES (so many bytes a file, or one key that is larger), shard=NUMBER (so many
    /// ranges of cluster slots; keys with the same {hash tag} stay together)
    #[arg(long, value_name = "WAY")]
    by: Way,
    /// Ends a prefix; keys without one in their first 64 KiB go to other.rdb
    #[arg(long, value_name = "TEXT", default_value = ":")]
    separator: String,
    #[command(flatten)]
    select: Select,
    #[command(flatten)]
    target: Target,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    if args.output_dir.exists() {
        refuse_folder(&args.output_dir, std::slice::from_ref(&args.file))?;
    }
    let input = Input::open(&args.file)?;
    let mut chooser = Chooser { selector: args.select.selector(), name: input.name.clone() };
    let plan = plan(&input, args.target.ignore_commands, |record| chooser.choose(record))?;
    let files = split(&input, &plan, args, &mut chooser)?;
    let count = files.finish()?;
    eprintln!("{} keys written to {count} files in {}", plan.chosen, args.output_dir.display());
    Ok(Verdict::Good)
}

struct Chooser<'s> {
    selector: Selector<'s>,
    name: String,
}

impl Chooser<'_> {
    fn choose<'a>(&mut self, record: KeyRecord<'a>) -> Result<Option<KeyRecord<'a>>, Failure> {
        match self.selector.accepts(&record) {
            Ok(chosen) => Ok(chosen.then_some(record)),
            Err(error) => {
                let damage = Failure::Damage { name: self.name.clone(), what: error.to_string() };
                Err(name_salvage(damage))
            }
        }
    }
}

fn split(input: &Input, plan: &Plan, args: &Args, chooser: &mut Chooser<'_>) -> Result<Files, Failure> {
    let version = args.target.version(plan.version);
    let mut files = Files::new(&args.output_dir, version)?;
    let options = CopyOptions { target: args.target, remove_ttl: false, keys_change: true };
    let mut copier = Copier::new(&options, plan.must_check);
    let mut way = args.by.sorter(args.separator.as_bytes());
    let mut items = Vec::new();
    walk_again(input, |item| {
        match item {
            Item::Key(record) => {
                let Some(record) = chooser.choose(record)? else { return Ok(()) };
                let name = way.file_of(&record, &input.name)?;
                files.write(name, &items, |file| {
                    let before = file.len();
                    copier.key(file, &record, &input.name)?;
                    way.wrote(file.len() - before);
                    Ok(())
                })?;
            }
            Item::SelectDb(_) | Item::ResizeDb { .. } | Item::SlotInfo { .. } | Item::End { .. } => {}
            item if items.len() < MAX_ITEMS => items.push(item),
            _ => return Err(Failure::Usage(format!("more than {MAX_ITEMS} records that are no keys"))),
        }
        Ok(())
    })?;
    Ok(files)
}
