//! `crash`: the crash campaign.
//!
//! It ends with 0: every promise was kept; 1: a violation; 2: it could not be run; 130: a signal ended it before its time.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use recovery_tests::campaign::{self, Campaign, Length, Row, Violation};
use recovery_tests::family::Family;
use recovery_tests::server_process;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Where the seeds are that once failed.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds.txt");
const DEFAULT_MINUTES: f64 = 2.0;
const MAX_MINUTES: f64 = 1e6;
/// Between two lines of progress, where all cases are tried.
const PROGRESS: Duration = Duration::from_secs(5);

const VIOLATED: u8 = 1;
const NOT_RUN: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Runs rounds of every kind of crash until the time is over or a promise is broken.
#[derive(Parser)]
#[command(name = "crash", after_help = about_families())]
struct Args {
    /// How long, in minutes; divided among the families [default: 2]
    #[arg(long, conflicts_with = "rounds", value_parser = minutes)]
    minutes: Option<f64>,
    /// So many rounds of each family instead.
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    rounds: Option<u64>,
    /// Replays the choices of a campaign; with --only and --rounds 1, those of that round.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this family; may be given several times.
    #[arg(long, value_name = "FAMILY")]
    only: Vec<String>,
    /// Rounds at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Instead of a campaign, tries all small cases once: every crash point, every subset of up to 12 things, every bit and
    /// every length.
    #[arg(long, conflicts_with_all = ["seed", "only", "rounds", "minutes"])]
    complete: bool,
    /// Names the families and ends.
    #[arg(long)]
    list: bool,
    /// Tells whether the campaign needs the server's program and ends.
    #[arg(long, hide = true)]
    needs_server: bool,
    /// Goes on after a violation.
    #[arg(long)]
    keep_going: bool,
    /// Tells of a failing run as it was found, and does not make it short.
    #[arg(long)]
    no_shrinking: bool,
    /// Writes the table at the end into a file too, as Markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The server's program, with its fail points [default: the one in target/fail-points]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let is_time = minutes > 0.0 && minutes <= MAX_MINUTES; // which NaN is not
    if is_time { Ok(minutes) } else { Err(format!("more than 0 and at most {MAX_MINUTES} minutes")) }
}

fn about_families() -> String {
    let families = campaign::families();
    let width = families.iter().map(|family| family.name.len()).max().unwrap_or(0) + 2;
    let line = |family: &Family| format!("\n  {:<width$}{}", family.name, family.about);
    format!("Families:{}", families.iter().map(line).collect::<String>())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("crash: {error}");
            ExitCode::from(NOT_RUN)
        }
    }
}

/// With what the program ends.
fn run(args: &Args) -> Result<u8, String> {
    if args.list {
        campaign::families().iter().for_each(|family| println!("{}", family.name));
        return Ok(0);
    }
    if args.needs_server {
        println!("{}", !args.complete && wanted(args)?.iter().any(campaign::needs_server));
        return Ok(0);
    }
    if args.complete { complete(args) } else { explore(args) }
}

/// All small cases.
fn complete(args: &Args) -> Result<u8, String> {
    let (began, told) = (Instant::now(), std::cell::Cell::new(None::<Instant>));
    let tell = |what: &str| {
        if told.get().is_none_or(|told| told.elapsed() >= PROGRESS) {
            told.set(Some(Instant::now()));
            println!("crash: {:.0} s, {what}", began.elapsed().as_secs_f64());
        }
    };
    let (rows, violations) = campaign::complete(&tell);
    violations.iter().for_each(|violation| println!("crash: {}", violation.report()));
    tell_end(args, &rows, &violations)?;
    Ok(if violations.is_empty() { 0 } else { VIOLATED })
}

fn explore(args: &Args) -> Result<u8, String> {
    let dir = tempfile::Builder::new().prefix("everfast-crash-").tempdir();
    let dir = dir.map_err(|error| format!("no temporary directory: {error}"))?;
    let campaign = campaign(args, dir.path())?;
    // The second signal finds the flag set and ends the program: the order of these counts.
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&campaign.interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&campaign.interrupted)))
            .map_err(|error| format!("signals: {error}"))?;
    }
    println!("crash: seed {}", campaign.seed);
    let (rows, violations) = campaign::run(&campaign);
    tell_end(args, &rows, &violations)?;
    println!("crash: seed {}, {} violations", campaign.seed, violations.len());
    if !violations.is_empty() {
        let _ = dir.keep();
    }
    Ok(match (campaign.interrupted.load(Ordering::Relaxed), violations.is_empty()) {
        (true, _) => INTERRUPTED,
        (false, true) => 0,
        (false, false) => VIOLATED,
    })
}

fn tell_end(args: &Args, rows: &[Row], violations: &[Violation]) -> Result<(), String> {
    print!("\n{}", campaign::text(rows));
    let Some(path) = &args.report else { return Ok(()) };
    std::fs::write(path, campaign::markdown(rows))
        .map_err(|error| format!("{}: {error} ({} violations)", path.display(), violations.len()))
}

/// The families that the arguments name.
fn wanted(args: &Args) -> Result<Vec<Family>, String> {
    let all = campaign::families();
    if let Some(unknown) = args.only.iter().find(|only| all.iter().all(|family| family.name != **only)) {
        let names: Vec<&str> = all.iter().map(|family| family.name).collect();
        return Err(format!("no family is called {unknown}; there are {}", names.join(", ")));
    }
    let is_wanted =
        |family: &Family| args.only.is_empty() || args.only.iter().any(|only| only == family.name);
    Ok(all.into_iter().filter(is_wanted).collect())
}

fn campaign(args: &Args, scratch: &Path) -> Result<Campaign, String> {
    let families = wanted(args)?;
    let text = std::fs::read_to_string(SEEDS).map_err(|error| format!("{SEEDS}: {error}"))?;
    let names: Vec<&str> = campaign::families().iter().map(|family| family.name).collect();
    let mut seeds = campaign::parse_seeds(&text, &names)?;
    let length = match args.rounds {
        Some(rounds) => Length::Rounds(rounds),
        None => Length::Time(Duration::from_secs_f64(args.minutes.unwrap_or(DEFAULT_MINUTES) * 60.0)),
    };
    if families.len() == 1 && args.seed.is_some() && args.rounds == Some(1) {
        seeds.clear(); // one round is replayed
    }
    let server = match families.iter().any(campaign::needs_server) {
        true => server(args, scratch)?,
        false => PathBuf::new(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Campaign {
        families,
        seed: args.seed.unwrap_or(now.as_nanos() as u64),
        length,
        seeds,
        jobs: args.jobs.max(1),
        keeps_going: args.keep_going,
        shrinks: !args.no_shrinking,
        server,
        scratch: scratch.to_owned(),
        interrupted: Arc::default(),
    })
}

/// The server's program, which has fail points.
fn server(args: &Args, scratch: &Path) -> Result<PathBuf, String> {
    let server = match &args.server {
        Some(server) => server.clone(),
        None => server_process::fail_point_binary().map_err(|error| error.to_string())?,
    };
    campaign::check_server(&server, scratch)?;
    Ok(server)
}
