//! `diff`: what is in one file and not in the other.

mod parts;
mod render;
mod value;

use std::path::PathBuf;

use formats::rdb::{Item, KeyRecord, RdbError, Version};

use self::render::Renderer;
use self::value::ValueComparer;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::{KeyComparer, KeyHasher, KeyTable, Partitions, Place, TableMemory};
use crate::output::Output;
use crate::rewrite::plan::name_salvage;
use crate::select::{Select, Selector};
use crate::walk::{walk, walk_again};

/// Show what differs between two files
///
/// Compares keys, types, times of expiry and values: sets, hashes and sorted sets whatever the order of their elements, lists
/// by position, streams with their groups. How a value is encoded, and which version or dialect a file has, makes no
/// difference. Lines begin with + (only in B), - (only in A) or ~ (changed). Exit code 0: the same, 1: different.
///
/// Filters by type, size and expiry choose a key that is in both files if either of the two passes them all.
///
/// Values are compared by hashes of 128 bits. Keys are found again with a table of 24 bytes a key of A; where --memory is
/// not enough for it, both files are read several times, and the lines come in as many groups.
#[derive(clap::Args)]
pub struct Args {
    /// RDB file or data directory
    #[arg(value_name = "A")]
    a: PathBuf,
    /// RDB file or data directory
    #[arg(value_name = "B")]
    b: PathBuf,
    #[command(flatten)]
    select: Select,
    /// One JSON object a line: change (added, removed, changed), db, key, type, old_type, expires_at and old_expires_at
    /// (milliseconds since 1970), elements (added, removed, changed, and the first of them); the last line has the counts
    #[arg(long)]
    json: bool,
    /// Only say how many keys were added, removed and changed
    #[arg(long)]
    summary_only: bool,
    /// Show at most so many keys; all are counted
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// Show at most so many elements of a key
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    elements: usize,
    /// Take another encoding for a difference
    #[arg(long)]
    encoding: bool,
    /// Take no notice of times of expiry
    #[arg(long)]
    ignore_ttl: bool,
    /// Of append-only files that begin with an RDB file, compare these alone, without the commands behind them
    #[arg(long)]
    ignore_commands: bool,
    #[command(flatten)]
    memory: TableMemory,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let (a, b) = (Input::open(&args.a)?, Input::open(&args.b)?);
    let (a, b) = (Side::new(&a, args)?, Side::new(&b, args)?);
    let partitions = Partitions::new(a.keys, args.memory.bytes);
    let mut diff = Diff {
        args,
        table: partitions.table(),
        hasher: KeyHasher::new(),
        keys: KeyComparer::default(),
        values: ValueComparer::default(),
        renderer: Renderer::new(args, Output::to(None)?),
        same: 0,
    };
    for pass in 0..partitions.count() {
        diff.pass(&a, &b, partitions, pass)?;
    }
    let Diff { renderer, same, .. } = diff;
    let different = renderer.finish(same)?;
    Ok(Verdict::of(different))
}

/// One of the two files.
struct Side<'a> {
    input: &'a Input,
    version: Version,
    keys: u64,
    select: &'a Select,
}

impl<'a> Side<'a> {
    /// Counts the keys; the file must be sound.
    fn new(input: &'a Input, args: &'a Args) -> Result<Side<'a>, Failure> {
        let mut keys = 0;
        let findings = walk(input, |item| {
            keys += u64::from(matches!(item, Item::Key(_)));
            Ok(())
        })?;
        findings.require_sound(&input.name, args.ignore_commands).map_err(name_salvage)?;
        let version = findings.version.unwrap_or(Version::redis(1));
        Ok(Side { input, version, keys, select: &args.select })
    }

    fn record(&self, place: Place) -> Option<KeyRecord<'a>> {
        place.record(self.input.bytes(), self.version)
    }

    /// Visits the keys of a partition whose names and databases are chosen, with their hashes.
    fn each(
        &self,
        hasher: &KeyHasher,
        mut visit: impl FnMut(&KeyRecord<'a>, u64) -> Result<(), Failure>,
        is_here: impl Fn(u64) -> bool,
    ) -> Result<(), Failure> {
        let mut selector: Selector<'_> = self.select.selector();
        walk_again(self.input, |item| {
            let Item::Key(record) = item else { return Ok(()) };
            let chosen = selector.accepts_identity(&record).map_err(|error| self.damage(&error))?;
            if !chosen {
                return Ok(());
            }
            let hash = hasher.hash(&record).map_err(|error| self.damage(&error))?;
            if is_here(hash) { visit(&record, hash) } else { Ok(()) }
        })
    }

    fn damage(&self, error: &RdbError) -> Failure {
        name_salvage(Failure::Damage { name: self.input.name.clone(), what: error.to_string() })
    }
}

struct Diff<'s> {
    args: &'s Args,
    table: KeyTable,
    hasher: KeyHasher,
    keys: KeyComparer,
    values: ValueComparer,
    renderer: Renderer<'s>,
    same: u64,
}

impl Diff<'_> {
    fn pass(&mut self, a: &Side<'_>, b: &Side<'_>, partitions: Partitions, pass: u64) -> Result<(), Failure> {
        let Diff { table, hasher, keys, values, renderer, same, args } = self;
        let is_here = |hash: u64| partitions.of(hash) == pass;
        table.clear();
        let fill = |record: &KeyRecord<'_>, hash: u64| {
            table.insert(hash, Place::of(record));
            Ok(())
        };
        a.each(hasher, fill, is_here)?;
        let selector = a.select.selector();
        let compare = |after: &KeyRecord<'_>, hash: u64| {
            let found = table.find(hash, |place| keys.same(place, a.record(place), after));
            let before = found.and_then(|(place, _)| a.record(place));
            if !selector.accepts_facts(after) && before.is_none_or(|before| !selector.accepts_facts(&before))
            {
                return Ok(());
            }
            let Some(before) = before else { return renderer.added(after) };
            let before = KeyRecord { db: after.db, ..before };
            let expiry = !args.ignore_ttl && before.expires_at_ms != after.expires_at_ms;
            let encoding = args.encoding && before.value.kind != after.value.kind;
            if before.value.value_type() != after.value.value_type() {
                return renderer.changed(&before, after, expiry, None);
            }
            let equal = values.same(&before.value, &after.value).map_err(|error| b.damage(&error))?;
            if equal && !expiry && !encoding {
                *same += 1;
                return Ok(());
            }
            let change = match equal || !renderer.wants_more() {
                true => None,
                false => {
                    let change = values.change(&before.value, &after.value, args.elements);
                    Some(change.map_err(|error| b.damage(&error))?)
                }
            };
            renderer.changed(&before, after, expiry, change)
        };
        b.each(hasher, compare, is_here)?;
        let mut unseen = table.drain_unseen().map(|place| place.offset).peekable();
        if unseen.peek().is_none() {
            return Ok(());
        }
        // In the order of the file, so that each key is met in its database.
        walk_again(a.input, |item| match item {
            Item::Key(record) if unseen.next_if_eq(&record.offset).is_some() => {
                if selector.accepts_facts(&record) { renderer.removed(&record) } else { Ok(()) }
            }
            _ => Ok(()),
        })
    }
}
