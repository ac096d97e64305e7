//! Commits per second of one log and of several on a device with one slow flush at a time.
//!
//! Wanted: eight shards and 64 clients commit no slower than one shard. Whether log writers are shared decides that.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use everfast_benches::closed_loop::{Figures, Setting, measure};
use everfast_benches::median;

#[derive(Parser)]
#[command(about = "Commits per second of the log alone, on a device with one slow flush at a time")]
struct Options {
    #[arg(long, default_value_t = 8)]
    shards: u16,
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Microseconds of a flush; 0: the disk as it is
    #[arg(long, default_value_t = 800)]
    flush_us: u64,
    /// Mean microseconds from a reply to the same client's next write
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100])]
    think_us: Vec<u64>,
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where the logs are made; by default in memory if flushes are simulated, so that the real disk adds nothing to them
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("slow_flush: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    println!(
        "{} clients, one flush at a time of {} us at least; medians of {} rounds of {} s",
        options.clients, options.flush_us, options.rounds, options.seconds
    );
    println!(
        "| think us | shards | writers | commits/s | against 1 shard | commits per flush | p50 us | p99 us |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for &think_us in &options.think_us {
        measure_think(options, think_us)?;
    }
    Ok(())
}

/// All arrangements for one think time, interleaved in rounds.
fn measure_think(options: &Options, think_us: u64) -> Result<(), String> {
    let many = options.shards;
    let arrangements = [(1, Some(1)), (many, Some(1)), (many, Some(many)), (many, None)];
    let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); arrangements.len()];
    for _ in 0..options.rounds.max(1) {
        for ((shards, writers), figures) in arrangements.iter().zip(&mut rounds) {
            figures.push(measure_once(options, think_us, *shards, *writers)?);
        }
    }
    let middle = |figures: &[Figures], of: fn(&Figures) -> f64| {
        median(&figures.iter().map(of).collect::<Vec<f64>>()).unwrap_or(f64::NAN)
    };
    for ((shards, writers), figures) in arrangements.iter().zip(&rounds) {
        let ratios: Vec<f64> = figures
            .iter()
            .zip(&rounds[0])
            .map(|(figures, one)| figures.commits_per_second() / one.commits_per_second())
            .collect();
        let chosen = figures.last().map_or(0, |figures| figures.writers);
        let writers = writers.map_or(format!("{chosen}, chosen"), |writers| writers.to_string());
        println!(
            "| {think_us} | {shards} | {writers} | {:.0} | {:.2}x | {:.1} | {:.0} | {:.0} |",
            middle(figures, Figures::commits_per_second),
            median(&ratios).unwrap_or(f64::NAN),
            middle(figures, Figures::commits_per_flush),
            middle(figures, |figures| figures.latencies.value_at_quantile(0.5) as f64),
            middle(figures, |figures| figures.latencies.value_at_quantile(0.99) as f64),
        );
    }
    Ok(())
}

/// A file system in memory, where there is one and no real flush is wanted.
fn default_dir(simulated: bool) -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if simulated && memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn measure_once(
    options: &Options,
    think_us: u64,
    shards: u16,
    writers: Option<u16>,
) -> Result<Figures, String> {
    let parent = options.dir.clone().unwrap_or_else(|| default_dir(options.flush_us > 0));
    let home = tempfile::Builder::new()
        .prefix("slow-flush-")
        .tempdir_in(&parent)
        .map_err(|error| format!("{}: {error}", parent.display()))?;
    let measured = Duration::try_from_secs_f64(options.seconds).map_err(|error| error.to_string())?;
    let setting = Setting {
        shards,
        writers,
        clients: options.clients,
        think: Duration::from_micros(think_us),
        flush: Duration::from_micros(options.flush_us),
        warm_up: measured / 5,
        measured,
    };
    measure(&setting, &home.path().join("data")).map_err(|error| error.to_string())
}
