//! `export`: a data directory becomes files that Redis and Valkey load.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgGroup;
use everfast::persist::disk::DiskFile;
use everfast::persist::fresh::last_gsn;
use everfast::persist::{Gsn, Recovered, RecoveryReport};
use everfast::server::offline::Memory;
use everfast::snapshot::{self, Aux, Options, Part, Progress, WriteError, Written};
use formats::rdb::encode::EncodeVersion;
use rdb_inspect::failure::{Failure, Verdict};
use serde_json::json;

use super::{disk, is_in_snapshots, recover};
use crate::destination::{NewDir, NewFile};
use crate::failures;
use crate::limit::{Until, limit_text, parse_until, time_text};
use crate::report::{self, Report, To};
use crate::watch::watch;

const BASE: &str = "appendonly.aof.1.base.rdb";
const INCREMENT: &str = "appendonly.aof.1.incr.aof";
const MANIFEST: &str = "appendonly.aof.manifest";
/// Servers that load version 10 of the format look at this for nothing but their logs.
const REDIS_VERSION: &str = "7.0.15";

/// Write files that Redis and Valkey load
///
/// With --rdb one RDB file; `-` is standard output. With --aof a new directory that Redis 7.0 or newer starts on with
/// `appendonly yes`: put it into its data directory as `appendonlydir`. Keys that have expired are in it with their expiry;
/// a server drops them.
///
/// Where the newest checkpoint has everything, records are copied from it in bounded memory. Otherwise the data is loaded
/// first, which takes what a server with that data takes.
#[derive(clap::Args)]
#[command(group = ArgGroup::new("target").required(true).args(["rdb", "aof"]))]
pub struct Args {
    /// Data directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Write an RDB file, which must not be there; `-`: standard output
    #[arg(long, value_name = "FILE")]
    rdb: Option<PathBuf>,
    /// Write a directory of append-only files: not there, or empty
    #[arg(long, value_name = "NEWDIR")]
    aof: Option<PathBuf>,
    /// The last moment to be kept: TIME or GSN (see `everfast-recover --help`)
    #[arg(long, value_name = "TIME|GSN", value_parser = parse_until)]
    until: Option<Until>,
    /// Version of the format: 10 (Redis 7.0 and all later ones, Valkey), 11 (Redis 7.2 and later, Valkey)
    #[arg(long, value_name = "VERSION", default_value = "10", value_parser = parse_version)]
    rdb_version: EncodeVersion,
    /// Write the report as a JSON object
    #[arg(long)]
    json: bool,
}

fn parse_version(text: &str) -> Result<EncodeVersion, String> {
    match text {
        "10" => Ok(EncodeVersion::V10),
        "11" => Ok(EncodeVersion::V11),
        _ => Err("one of 10, 11".into()),
    }
}

pub fn run(args: &Args) -> Result<Verdict, Failure> {
    let result = match (&args.rdb, &args.aof) {
        (Some(file), _) => to_rdb(args, file),
        (None, Some(dir)) => to_aof(args, dir),
        (None, None) => Err(Failure::Usage("one of --rdb and --aof is needed".into())),
    };
    report::or_tell(args.json && args.rdb.as_deref() != Some(Path::new("-")), result)
}

fn to_rdb(args: &Args, path: &Path) -> Result<Verdict, Failure> {
    let mut file = NewFile::create(path, std::slice::from_ref(&args.dir))?;
    let found = Found::open(args)?;
    let facts = found.facts();
    let written = found.write(args, path, &mut file, false)?;
    file.finish()?;
    let to = if path == Path::new("-") { To::Stderr } else { To::Stdout };
    tell(args, path, facts, &written, to)
}

fn to_aof(args: &Args, path: &Path) -> Result<Verdict, Failure> {
    let new = NewDir::create(path, &args.dir)?;
    let found = Found::open(args)?;
    let facts = found.facts();
    let dir = new.working_path().to_path_buf();
    let failed = |name: &str| {
        let path = dir.join(name);
        move |error| Failure::file(&path, error)
    };
    let disk = disk();
    let mut base = disk.create(&dir.join(BASE)).map_err(failed(BASE))?;
    let written = found.write(args, &dir.join(BASE), &mut *base, true)?;
    fs::write(dir.join(INCREMENT), b"").map_err(failed(INCREMENT))?;
    let mut manifest = disk.create(&dir.join(MANIFEST)).map_err(failed(MANIFEST))?;
    let text = format!("file {BASE} seq 1 type b\nfile {INCREMENT} seq 1 type i\n");
    manifest
        .write_all_at(0, text.as_bytes())
        .and_then(|()| manifest.sync_data())
        .map_err(failed(MANIFEST))?;
    disk.sync_dir(&dir).map_err(failed(""))?;
    new.finish()?;
    tell(args, path, facts, &written, To::Stdout)
}

/// What there is to export.
struct Found {
    recovered: Recovered,
    _held: everfast::persist::read_only::ReadOnlyDir,
}

/// What the report says of it.
struct Facts {
    last_ms: Option<u64>,
    left_out: (Vec<String>, serde_json::Value),
    checkpoint: Option<u64>,
    last_gsn: Gsn,
    report: RecoveryReport,
}

impl Found {
    fn open(args: &Args) -> Result<Found, Failure> {
        let (held, recovered) = recover(&args.dir, args.until)?;
        Ok(Found { recovered, _held: held })
    }

    fn facts(&self) -> Facts {
        Facts {
            last_ms: report::last_time_ms(&self.recovered),
            left_out: report::left_out(&self.recovered.report),
            checkpoint: self.recovered.report.checkpoint.map(|id| id.0),
            last_gsn: last_gsn(self.recovered.next_gsn),
            report: self.recovered.report.clone(),
        }
    }

    fn write(
        self,
        args: &Args,
        path: &Path,
        file: &mut dyn DiskFile,
        is_base: bool,
    ) -> Result<Written, Failure> {
        let options = Options { version: args.rdb_version, ..Options::default() };
        let aux = aux(is_base);
        let written = match is_in_snapshots(&self.recovered) {
            true => join(&self.recovered, &aux, file, &options),
            false => through_memory(&args.dir, self.recovered, &aux, file, &options)?,
        };
        written.map_err(|error| match error {
            WriteError::Io(error) if path == Path::new("-") => Failure::Output(error),
            WriteError::Io(error) => Failure::file(path, error),
            WriteError::Cancelled => Failure::Interrupted,
            error => Failure::Damage { name: args.dir.display().to_string(), what: error.to_string() },
        })
    }
}

fn aux(is_base: bool) -> Aux {
    let created = (everfast::clock::unix_ms() / 1000).to_string();
    let mut facts =
        vec![("redis-ver", REDIS_VERSION.to_owned()), ("redis-bits", "64".to_owned()), ("ctime", created)];
    if is_base {
        facts.push(("aof-base", "1".to_owned()));
    }
    facts.push(("everfast-ver", env!("CARGO_PKG_VERSION").to_owned()));
    Aux(facts)
}

/// The bodies of the snapshots, one behind the other.
fn join(
    recovered: &Recovered,
    aux: &Aux,
    file: &mut dyn DiskFile,
    options: &Options,
) -> Result<Written, WriteError> {
    let mut parts = Vec::new();
    for (index, snapshot) in recovered.snapshots.iter().enumerate() {
        let head = snapshot::head(&snapshot.map).map_err(|source| WriteError::Part { index, source })?;
        parts.push(Part { file: &snapshot.map, body: head.body, keys: snapshot.entry.keys });
    }
    let progress = Progress::default();
    let total = recovered.report.snapshot_bytes;
    watch(|| (progress.bytes(), total), || snapshot::join(&parts, aux, file, options, &progress))
}

fn through_memory(
    dir: &Path,
    recovered: Recovered,
    aux: &Aux,
    file: &mut dyn DiskFile,
    options: &Options,
) -> Result<Result<Written, WriteError>, Failure> {
    let failed = |error| failures::server(dir, &error);
    let memory = Memory::start(0, recovered.hash_seed).map_err(failed)?;
    watch(memory.loading(), || memory.replay(recovered)).map_err(failed)?;
    let mut views: Vec<_> = memory.freeze().map_err(failed)?.into_iter().flatten().collect();
    views.sort_by_key(|(db, _)| *db);
    Ok(snapshot::write(views, aux, file, options, &Progress::default()))
}

fn tell(args: &Args, path: &Path, facts: Facts, written: &Written, to: To) -> Result<Verdict, Failure> {
    let (left_out, left_out_json) = facts.left_out;
    let idle_limit = report::idle_limit(args.until, &facts.report, facts.last_gsn, facts.last_ms);
    let mut lines = vec![format!("{}: {} keys, {} bytes", path.display(), written.keys, written.bytes)];
    lines.extend(facts.last_ms.map(|ms| format!("the last effect in it is of {}", time_text(ms))));
    lines.extend(left_out.into_iter().map(|line| format!("left out: {line}")));
    lines.extend(idle_limit);
    let json = json!({
        "path": report::path(path),
        "keys": written.keys,
        "bytes": written.bytes,
        "crc64": format!("{:016x}", written.crc64),
        "until": args.until.map(|until| limit_text(until.limit)),
        "checkpoint": facts.checkpoint,
        "last_effect": report::time(facts.last_ms),
        "left_out": left_out_json,
    });
    Report { lines, json, verdict: Verdict::Good }.put(args.json, to)
}
