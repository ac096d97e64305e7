//! `resp`: the commands that fill a server with the same keys.

use formats::rdb::{Item, KeyRecord, RdbError, RdbString, Scratch, ValueKind, ValueType, Version};

use crate::cli::{Destination, Files};
use crate::commands::json::selected;
use crate::complaints::Complaints;
use crate::content::damage_of;
use crate::failure::{Failure, Verdict};
use crate::input::Input;
use crate::select::{Select, now_ms};
use crate::walk::walk;
use commands::Commands;

mod collections;
mod commands;
mod dump;
mod joined;
mod streams;

/// Write the commands that fill a server with the same keys: pipe them into `redis-cli --pipe`
///
/// Example: `rdb-inspect resp dump.rdb --match 'user:*' | redis-cli -h HOST --pipe`. The commands are SELECT, SET, RPUSH,
/// SADD, ZADD, HSET, PEXPIREAT, for streams XADD, XSETID, XGROUP and XCLAIM, for fields that expire HPEXPIREAT (Redis 7.4,
/// Valkey 9), FUNCTION LOAD REPLACE, and RESTORE for values of modules. Streams need Redis 7.0, or 6.2 where they come
/// from a server older than 7.0; libraries of functions need 7.0; all else runs on servers since 4.0.
///
/// Elements are added to what the server has under a key: use an empty server or `--replace`. Keys and fields that have
/// expired are left out. What commands cannot say is lost: idle times and frequencies, when consumers were seen, entries
/// that are pending but deleted; that modules have data beside their keys is told on stderr. Lists of pending entries need
/// up to 40 MB of memory; longer ones are read several times.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// Elements that one command adds
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Delete each key before it is filled
    #[arg(long)]
    replace: bool,
    /// Put all keys into this database; fails if two are then the same
    #[arg(long, value_name = "NUMBER", conflicts_with = "db_map")]
    to_db: Option<u64>,
    /// Put the keys of one database into another: `--db-map 3=0`; may be repeated. Fails if two are then the same
    #[arg(long, value_name = "FROM=TO", value_parser = parse_pair)]
    db_map: Vec<(u64, u64)>,
    /// Write no SELECT, for servers that have no databases; all keys go where the connection is. Fails if two are then the
    /// same
    #[arg(long, conflicts_with_all = ["to_db", "db_map"])]
    no_select: bool,
    /// Keys and fields that have expired, too; without their expiry, which would delete them at once
    #[arg(long)]
    with_expired: bool,
    /// Leave libraries of functions out
    #[arg(long)]
    no_functions: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    select: Select,
}

fn parse_pair(text: &str) -> Result<(u64, u64), String> {
    let pair = text.split_once('=').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    pair.ok_or_else(|| "two databases such as 3=0".into())
}

impl Args {
    /// The database into which keys of `db` go; with --no-select, 0 stands for that of the connection.
    fn target_db(&self, db: u64) -> u64 {
        let mapped = || self.db_map.iter().find(|(from, _)| *from == db).map_or(db, |(_, to)| *to);
        if self.no_select { 0 } else { self.to_db.unwrap_or_else(mapped) }
    }
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let inputs = Input::open_all(&args.files.files)?;
    joined::refuse_clashes(&inputs, args)?;
    let mut sound = true;
    let mut export = Export {
        args,
        commands: Commands::new(args.destination.open()?),
        scratch: Scratch::default(),
        db: None,
        now_ms: now_ms(),
    };
    for input in &inputs {
        let mut complaints = Complaints::about(&input.name);
        let mut selector = args.select.selector();
        let version = Version::parse(input.bytes()).unwrap_or(Version::redis(1));
        let findings = walk(input, |item| {
            match item {
                Item::Key(record) if selected(&mut selector, &record, &mut complaints) => {
                    export.key(&record, version, &mut complaints)?;
                }
                Item::Function { code } if !args.no_functions => export.function(code, &mut complaints)?,
                Item::FunctionPreGa { .. } => {
                    complaints.about_file("functions of a release candidate are left out");
                }
                Item::ModuleAux { module, .. } => {
                    let name = module.name();
                    complaints.about_file(&format!("data of module {name} beside its keys is left out"));
                }
                _ => {}
            }
            export.commands.output.flow()
        })?;
        sound &= complaints.finish(&findings);
    }
    export.commands.output.finish()?;
    Ok(Verdict::of(!sound))
}

struct Export<'e> {
    args: &'e Args,
    commands: Commands,
    scratch: Scratch,
    /// The database that the connection has selected, once that is known.
    db: Option<u64>,
    now_ms: i64,
}

impl Export<'_> {
    fn function(&mut self, code: RdbString<'_>, complaints: &mut Complaints<'_>) -> Result<(), Failure> {
        if let Err(error) = code.check() {
            complaints.about_file(&format!("a library of functions: {error}"));
            return Ok(());
        }
        self.commands.begin(4, b"FUNCTION");
        self.commands.argument(b"LOAD");
        self.commands.argument(b"REPLACE");
        if let Some(error) = damage_of(self.commands.string(code))? {
            complaints.about_file(&error.to_string());
        }
        Ok(())
    }

    fn key(
        &mut self,
        record: &KeyRecord<'_>,
        version: Version,
        complaints: &mut Complaints<'_>,
    ) -> Result<(), Failure> {
        let expired = record.expires_at_ms.is_some_and(|at| at <= self.now_ms);
        if expired && !self.args.with_expired {
            return Ok(());
        }
        // Before the first command is begun: a key that cannot be read has none.
        if let Err(error) = record.key.check() {
            complaints.key(record.db, record.key, &error);
            return Ok(());
        }
        self.select(record.db);
        if self.args.replace && record.value.kind != ValueKind::String {
            self.commands.on_key(2, b"DEL", record.key)?;
        }
        if let Some(error) = self.value(record, version, complaints)? {
            complaints.key(record.db, record.key, &error);
        }
        if let Some(at) = record.expires_at_ms.filter(|_| !expired) {
            self.commands.on_key(3, b"PEXPIREAT", record.key)?;
            self.commands.number(at);
        }
        Ok(())
    }

    fn select(&mut self, db: u64) {
        let db = self.args.target_db(db);
        if self.args.no_select || self.db == Some(db) {
            return;
        }
        self.db = Some(db);
        self.commands.begin(2, b"SELECT");
        self.commands.number(db);
    }

    /// Writes what fills the key; answers with the first damage in it.
    fn value(
        &mut self,
        record: &KeyRecord<'_>,
        version: Version,
        complaints: &mut Complaints<'_>,
    ) -> Result<Option<RdbError>, Failure> {
        if let Some(string) = record.value.string() {
            if let Err(error) = string.check() {
                return Ok(Some(error));
            }
            self.commands.on_key(3, b"SET", record.key)?;
            return damage_of(self.commands.string(string));
        }
        let with_expired = self.args.with_expired;
        match record.value.value_type() {
            ValueType::Stream => streams::write(&mut self.commands, record, &mut self.scratch, complaints),
            ValueType::Module => {
                dump::write(&mut self.commands, record, version)?;
                Ok(None)
            }
            _ => {
                let limits = collections::Limits {
                    batch: self.args.batch.into(),
                    expired_before_ms: if with_expired { 0 } else { self.now_ms.unsigned_abs() },
                    now_ms: self.now_ms.unsigned_abs(),
                };
                collections::write(&mut self.commands, record, &mut self.scratch, limits)
            }
        }
    }
}
