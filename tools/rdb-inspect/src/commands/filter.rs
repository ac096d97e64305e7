//! `filter`: a file with some of the keys.

use formats::rdb::{Item, KeyRecord};

use crate::duplicates::{Take, each_duplicate};
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::key_table::{DEFAULT_BUDGET, Place};
use crate::names;
use crate::rewrite::copy::{self, CopyOptions};
use crate::rewrite::plan::{Plan, plan};
use crate::rewrite::target::{FromTo, Target};
use crate::select::{Select, Selector, now_ms};
use crate::walk::walk_again;

/// Write an RDB file with the keys that pass all filters
///
/// The keys stay in their order, their values as they are encoded. Functions and modules' data are copied; what the file
/// says of its place in a history of replication is not. The input must be sound: see `salvage`. A
/// key that stands in it twice is copied twice, and no server loads that: see `verify --duplicates`.
///
/// Example: all sessions without those that have expired, as database 3:
/// rdb-inspect filter dump.rdb --match 'session:*' --drop-expired --to-db 3 --output sessions.rdb
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: FromTo,
    #[command(flatten)]
    select: Select,
    /// Keep the keys that the filters do not choose
    #[arg(long, help_heading = "Which keys")]
    invert: bool,
    /// Leave out keys that have expired
    #[arg(long, help_heading = "Which keys")]
    drop_expired: bool,
    /// Let no key expire
    #[arg(long, help_heading = "What is written")]
    remove_ttl: bool,
    /// Put all keys into this database; fails if two are then the same
    #[arg(long, value_name = "NUMBER", help_heading = "What is written")]
    to_db: Option<u64>,
    #[command(flatten)]
    target: Target,
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let input = args.files.open()?;
    let mut chooser =
        Chooser { args, selector: args.select.selector(), now_ms: now_ms(), first_db: None, several: false };
    let plan = plan(&input, args.target.ignore_commands, |record| chooser.choose(record))?;
    if chooser.several {
        refuse_duplicates(&input, &plan, &mut chooser)?;
    }
    let options = CopyOptions { target: args.target, remove_ttl: args.remove_ttl, keys_change: true };
    copy::copy(&input, plan, &args.files.output, &options, |record| chooser.choose(record))?;
    Ok(Verdict::Good)
}

struct Chooser<'s> {
    args: &'s Args,
    selector: Selector<'s>,
    now_ms: i64,
    first_db: Option<u64>,
    /// Keys of more than one database go into one.
    several: bool,
}

impl Chooser<'_> {
    fn choose<'a>(&mut self, mut record: KeyRecord<'a>) -> Result<Option<KeyRecord<'a>>, Failure> {
        let args = self.args;
        let chosen = self.selector.accepts(&record).map_err(|error| Failure::Damage {
            name: args.files.file.display().to_string(),
            what: error.to_string(),
        })?;
        let expired = record.expires_at_ms.is_some_and(|at| at <= self.now_ms);
        if chosen == args.invert || args.drop_expired && expired {
            return Ok(None);
        }
        if let Some(db) = args.to_db {
            self.several |= *self.first_db.get_or_insert(record.db) != record.db;
            record.db = db;
        }
        if args.remove_ttl {
            record.expires_at_ms = None;
        }
        Ok(Some(record))
    }
}

fn refuse_duplicates<'a>(input: &'a Input, plan: &Plan, chooser: &mut Chooser<'_>) -> Result<(), Failure> {
    let scan = |take: Take<'_, 'a>| {
        walk_again(input, |item| match item {
            Item::Key(record) => chooser.choose(record)?.map_or(Ok(()), &mut *take),
            _ => Ok(()),
        })
    };
    let again = |place: Place| place.record(input.bytes(), plan.version);
    each_duplicate(plan.chosen, DEFAULT_BUDGET, scan, again, |record, _| {
        let key = names::of(record.key);
        Err(Failure::Usage(format!("{key} is in several databases: --to-db cannot keep both")))
    })
}
