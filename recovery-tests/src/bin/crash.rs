//! `crash`: the crash campaign.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use recovery_tests::campaign::{self, Campaign, Length};
use recovery_tests::family::Family;
use recovery_tests::server_process;

/// Where the seeds are that once failed.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds.txt");

/// Runs rounds of every kind of crash until the time is over or a promise is broken.
#[derive(Parser)]
#[command(name = "crash", after_long_help = about_families())]
struct Args {
    /// How long, in minutes; divided among the families [default: 2]
    #[arg(long, conflicts_with = "rounds")]
    minutes: Option<f64>,
    /// So many rounds of each family instead.
    #[arg(long)]
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
    /// Instead of a campaign, tries all small cases once: every crash point, subset, bit and length.
    #[arg(long)]
    complete: bool,
    /// Names the families and ends.
    #[arg(long)]
    list: bool,
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

fn about_families() -> String {
    let line = |family: &Family| format!("\n  {:<14}{}", family.name, family.about);
    let lines: String = campaign::families().iter().map(line).collect();
    format!("Families:{lines}")
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
fn run(args: &Args) -> Result<bool, String> {
    if args.list {
        campaign::families().iter().for_each(|family| println!("{}", family.name));
        return Ok(true);
    }
    if args.complete {
        let counts = recovery_tests::exhaustive::everything()?;
        counts.0.iter().for_each(|(what, count)| println!("{count:>10} {what}"));
        return Ok(true);
    }
    let dir = tempfile::Builder::new().prefix("everfast-crash-").tempdir();
    let dir = dir.map_err(|error| format!("no temporary directory: {error}"))?;
    let campaign = campaign(args, dir.path().to_owned())?;
    println!("crash: seed {}", campaign.seed);
    let (rows, violations) = campaign::run(&campaign);
    print!("\n{}", campaign::text(&rows));
    if let Some(path) = &args.report {
        std::fs::write(path, campaign::markdown(&rows))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!("crash: seed {}, {} violations", campaign.seed, violations.len());
    if !violations.is_empty() {
        let _ = dir.keep();
    }
    Ok(violations.is_empty())
}

fn campaign(args: &Args, scratch: PathBuf) -> Result<Campaign, String> {
    let all = campaign::families();
    let names: Vec<&str> = all.iter().map(|family| family.name).collect();
    if let Some(unknown) = args.only.iter().find(|only| !names.contains(&only.as_str())) {
        return Err(format!("no family is called {unknown}; there are {}", names.join(", ")));
    }
    let text = std::fs::read_to_string(SEEDS).map_err(|error| format!("{SEEDS}: {error}"))?;
    let mut seeds = campaign::parse_seeds(&text, &names)?;
    let is_wanted =
        |family: &Family| args.only.is_empty() || args.only.iter().any(|only| only == family.name);
    let families: Vec<Family> = all.into_iter().filter(is_wanted).collect();
    let length = match (args.rounds, args.minutes) {
        (Some(rounds), _) => Length::Rounds(rounds),
        (None, minutes) => Length::Time(Duration::from_secs_f64(minutes.unwrap_or(2.0).max(0.0) * 60.0)),
    };
    if families.len() == 1 && args.seed.is_some() && args.rounds == Some(1) {
        seeds.clear(); // one round is replayed
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let server = match &args.server {
        Some(server) => server.clone(),
        // Families without processes need none.
        None => server_process::fail_point_binary().unwrap_or_else(|_| "everfast".into()),
    };
    let seed = args.seed.unwrap_or(now.as_nanos() as u64);
    let (jobs, keeps_going) = (args.jobs.max(1), args.keep_going);
    let shrinks = !args.no_shrinking;
    Ok(Campaign { families, seed, length, seeds, jobs, keeps_going, shrinks, server, scratch })
}
