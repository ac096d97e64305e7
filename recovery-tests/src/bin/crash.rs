//! `crash`: kills a server under load again and again.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use recovery_tests::kill::{Campaign, run};

/// Kills a server under load again and again, and checks that nothing acknowledged is lost.
#[derive(Parser)]
struct Args {
    /// Kills.
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Replays the choices of a run; printed by each run.
    #[arg(long)]
    seed: Option<u64>,
    /// Connections that load the server.
    #[arg(long, default_value_t = 16)]
    clients: usize,
    /// Numbers of shards, used in turn.
    #[arg(long, value_delimiter = ',', default_value = "1,4,2,3")]
    shards: Vec<u16>,
    /// The policy of the log.
    #[arg(long, default_value = "always")]
    appendfsync: String,
    /// Longest load before a kill, in milliseconds.
    #[arg(long, default_value_t = 600)]
    load_ms: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(now.as_nanos() as u64);
    let dir = match tempfile::Builder::new().prefix("everfast-crash-").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            eprintln!("crash: no temporary directory: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "crash: seed {seed}, {} rounds, {} clients, shards {:?}",
        args.rounds, args.clients, args.shards
    );
    let campaign = Campaign {
        rounds: args.rounds,
        seed,
        clients: args.clients,
        shards: args.shards,
        appendfsync: args.appendfsync,
        load: Duration::from_millis(args.load_ms.max(1)),
        dir: dir.path().to_owned(),
    };
    match run(&campaign) {
        Ok(counts) => {
            println!(
                "crash: {} kills, {} kills in recovery, {} commands acknowledged, 0 violations",
                counts.kills, counts.crashes_in_recovery, counts.acknowledged
            );
            ExitCode::SUCCESS
        }
        Err(violation) => {
            let kept = dir.keep();
            eprintln!("crash: VIOLATION: {violation}\ncrash: data kept in {}", kept.display());
            ExitCode::FAILURE
        }
    }
}
